"""Somebody asks for a run, with the inputs that the skill declares."""

from runner.documents import Model


class Manual(Model):
    """Started by hand. Every skill can be, so this only says that it is meant."""


KINDS = {"manual": Manual}
