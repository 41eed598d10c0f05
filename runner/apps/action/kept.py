"""What outlives the job: each run's record, transcript and patch, for an artifact of the workflow's run."""

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from runner.apps.terminal import json_text
from runner.store import Store

FILES = (
    "prompt.md",
    "transcript.jsonl",
    "patch",
    "calls.jsonl",
    "egress.jsonl",
    "setup-egress.jsonl",
    "image.log",
    "attestation.json",
)
"""Files of a run that are kept: those in which every secret is masked."""

_LOOK = re.compile(r"`?\bskillrunner (show|logs|diff)\b[^`;,\n]*`?")
_ANSWER = re.compile(r"`?\bskillrunner (approve|refuse)\b[^`;,\n]*`?")
_AGAIN = re.compile(r"`?\bskillrunner (retry|continue|run|steer|handoff|cancel)\b[^`;,\n]*`?")


def lay_out(store: Store, runs: Sequence[str], temp: Path) -> tuple[str, Path] | None:
    """The name of the artifact and the folder with a folder for each run; None where there was no run."""
    from runner.apps.cli.commands.show import record_json

    if not runs:
        return None
    folder = temp / "skillrunner-artifact"
    shutil.rmtree(folder, ignore_errors=True)
    for run_id in runs:
        place = folder / run_id
        place.mkdir(parents=True)
        record = json.dumps(record_json(store, run_id), default=json_text, indent=1)
        (place / "record.json").write_text(record)
        for artifact in store.artifacts(run_id):
            if artifact.name in FILES and Path(artifact.path).is_file():
                shutil.copyfile(artifact.path, place / artifact.name)
    return f"skillrunner-{runs[0]}", folder


def hint_there(hint: str, artifact: str) -> str:
    """A hint whose commands are replaced by what works once the job's machine is gone."""
    hint = _ANSWER.sub("nobody can approve it here: take the patch, or run it by a worker", hint)
    looked = _LOOK.sub(f"see record.json, transcript.jsonl and patch in the artifact {artifact}", hint)
    return _AGAIN.sub("run the job again", looked)
