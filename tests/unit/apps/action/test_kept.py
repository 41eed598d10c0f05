"""What outlives a job, and what hints say once its machine is gone."""

import json
from pathlib import Path

import pytest

from runner.apps.action.kept import hint_there, lay_out
from runner.core.model import Artifact
from runner.store import Store
from tests.parts.racer import run


@pytest.mark.parametrize(
    ("hint", "there"),
    [
        ("skillrunner show 2611-a", "see record.json, transcript.jsonl and patch in the artifact A"),
        (
            "look: `skillrunner logs 2611-a`; then go on",
            "look: see record.json, transcript.jsonl and patch in the artifact A; then go on",
        ),
        ("skillrunner retry 2611-a", "run the job again"),
        ('skillrunner continue 2611-a "text"', "run the job again"),
        ("skillrunner validate", "skillrunner validate"),  # works anywhere
        ("raise the limit", "raise the limit"),
        ("", ""),
    ],
)
def test_a_hint_names_what_works_there(hint: str, there: str) -> None:
    assert hint_there(hint, "A") == there


def test_a_run_leaves_its_record_and_files_and_no_session(tmp_path: Path) -> None:
    store = Store(tmp_path / "state")
    store.create_run(run("r-1"))
    for name in ("patch", "transcript.jsonl", "session.tar", "traffic.jsonl"):
        path = tmp_path / name
        path.write_text(name)
        artifact = Artifact(name=name, path=str(path), size=1, sha256="0" * 64, media_type="text/plain")
        store.add_artifact("r-1", artifact)
    stale = tmp_path / "skillrunner-artifact" / "of-an-earlier-step"
    stale.mkdir(parents=True)
    kept = lay_out(store, ["r-1"], tmp_path)
    assert kept == ("skillrunner-r-1", tmp_path / "skillrunner-artifact")
    assert {one.name for one in kept[1].iterdir()} == {"r-1"}
    assert {one.name for one in (kept[1] / "r-1").iterdir()} == {"record.json", "patch", "transcript.jsonl"}
    assert json.loads((kept[1] / "r-1" / "record.json").read_text())["id"] == "r-1"
    assert lay_out(store, [], tmp_path) is None
    store.close()
