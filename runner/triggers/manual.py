"""Somebody asks for a run, with the inputs that the skill declares."""

from runner.config.documents import Model
from runner.triggers import TriggerKind
from runner.triggers.options import TriggerOptions


class Manual(Model, TriggerOptions):
    """Started by hand. Every skill can be, so this only says that it is meant."""


class ManualTrigger(TriggerKind):
    name = "manual"
    options = Manual


PLUGINS = (ManualTrigger,)
