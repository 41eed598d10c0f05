"""The spec of a run in the store: a record with a version, which the table of runs keeps as JSON."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from runner.core.model import RunSpec
from runner.store.versions import damaged_error, version_of

if TYPE_CHECKING:
    from pydantic import TypeAdapter

VERSION = 2
"""Version 1 had one `output` in the place of `outputs`."""

_NAME = "stored spec"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSpec:
    """What a run was to do, as it was planned.

    The prompt is an artifact of the run, and the event may be large and holds what strangers wrote: the spec
    is stored without both.
    """

    version: int = VERSION
    spec: RunSpec
    continues: str = ""  # the run from which it went on


def dump(stored: StoredSpec) -> Mapping[str, Any]:
    """The record as JSON, in which the fields of the spec stand at the top."""
    spec = replace(stored.spec, prompt="", trigger=replace(stored.spec.trigger, event={}))
    continues = {"continues": stored.continues} if stored.continues else {}
    return {"version": stored.version, **asdict(spec), **continues}


def load(run_id: str, document: Mapping[str, Any]) -> StoredSpec | None:
    """The record as it was stored; None for a run that was never planned.

    Raises RunnerError STORE_FAILED: its version is unknown, or it is damaged.
    """
    if not document:
        return None
    if version_of(document, run_id, _NAME, VERSION) == 1:
        document = _with_outputs(document)
    try:
        spec = _adapter().validate_python(document)
    except ValueError as error:  # of Pydantic, whose errors are all of them
        raise damaged_error(run_id, _NAME, error) from error
    return StoredSpec(spec=spec, continues=document.get("continues", ""))


def _with_outputs(document: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"outputs": [document["output"]], **document} if "output" in document else document


@cache
def _adapter() -> "TypeAdapter[RunSpec]":
    from pydantic import TypeAdapter

    return TypeAdapter(RunSpec)
