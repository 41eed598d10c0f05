"""A `repository_dispatch` event of GitHub starts the skill of that name; its client payload is the event."""

from collections.abc import Mapping, Sequence
from typing import Any

from runner.config.documents import Model
from runner.triggers import SkillTrigger, TriggerKind
from runner.triggers.options import TriggerOptions


class Webhook(Model, TriggerOptions):
    """A `repository_dispatch` event whose type is the skill's name; the Action hears it."""


class WebhookTrigger(TriggerKind):
    name = "webhook"
    options = Webhook

    def workflow_events(self, skills: Sequence[SkillTrigger]) -> Mapping[str, Any]:
        return {"repository_dispatch": {"types": [one.skill for one in skills]}} if skills else {}


PLUGINS = (WebhookTrigger,)
