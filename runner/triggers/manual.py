"""Somebody asks for a run, with the inputs that the skill declares."""

from collections.abc import Mapping
from typing import Any

from runner.config.documents import Model


class Manual(Model):
    """Started by hand. Every skill can be, so this only says that it is meant."""

    def mismatch(self, _: Mapping[str, Any]) -> str:
        """Who asks by hand means it."""
        return ""


KINDS = {"manual": Manual}
