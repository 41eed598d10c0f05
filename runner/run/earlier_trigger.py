"""What started an earlier run, from what is kept of it: its spec without the event, and the event itself."""

from dataclasses import replace
from pathlib import Path

from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason, Run, Trigger
from runner.run.agent.resume import planned_spec
from runner.run.launch import EVENT_ARTIFACT
from runner.run.testing.case_file import read_event
from runner.store import Store

_WITHOUT_EVENT = ("manual", "schedule")


def earlier_trigger(store: Store, run: Run) -> Trigger:
    """The trigger of a run. Raises RunnerError when it was never planned, or its event was not kept."""
    trigger = planned_spec(store, run).trigger
    kept = next((Path(one.path) for one in store.artifacts(run.id) if one.name == EVENT_ARTIFACT), None)
    if (kept is None or not kept.exists()) and run.trigger not in _WITHOUT_EVENT:
        message = f"the event that started run {run.id} was not kept"
        raise RunnerError(Phase.LOAD, Reason.INVALID_INPUT, message, hint="give it: --event FILE")
    return replace(trigger, event=read_event(kept) if kept else {})
