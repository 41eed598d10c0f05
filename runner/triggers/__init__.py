"""What starts a skill: the vocabulary of `on:`, one Pydantic model per kind, and what an event is about."""

from runner.triggers.event_key import actor, event_kind, other_keys, subject, trigger_key

__all__ = ["actor", "event_kind", "other_keys", "subject", "trigger_key"]
