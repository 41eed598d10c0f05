"""Files that an agent leaves as artifacts: kept with the run, and in no patch."""

from collections.abc import Sequence
from pathlib import Path

from runner.core.model import DeclaredOutput
from runner.publish.outputs._artifacts import artifact_path, collected_name
from runner.run.agent.drive import ARTIFACTS
from runner.run.context import RunContext
from runner.sandboxes import Sandbox

MAX_BYTES = 10 * 1024**2


def collect_artifacts(context: RunContext, box: Sandbox, declared: Sequence[DeclaredOutput]) -> None:
    """Keep the files that are declared. One that is missing or too large is an event; its output says so."""
    for path in dict.fromkeys(filter(None, map(artifact_path, declared))):
        try:
            content = box.get(f"{ARTIFACTS}/{path}", MAX_BYTES + 1)
        except (OSError, ValueError):
            content = None
        if content is None:
            context.record.add_event(f"there is no file {path[:200]!r} among the artifacts")
        elif len(content) > MAX_BYTES:
            context.record.add_event(f"the artifact {path[:200]!r} has over {MAX_BYTES} bytes")
        else:
            context.record.save_artifact(collected_name(path), content, "application/octet-stream")


def load_file(context: RunContext, name: str) -> bytes | None:
    """A file of the run, of this attempt or one before; None: there is none."""
    found = [one for one in context.record.store.artifacts(context.record.run_id) if one.name == name]
    try:
        return Path(found[0].path).read_bytes() if found else None
    except OSError:
        return None
