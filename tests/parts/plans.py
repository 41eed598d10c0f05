"""What a run is to do, as records: small ones, for tests that need any."""

from datetime import UTC, datetime

from runner.core.model import (
    Allowance,
    Environment,
    HarnessSpec,
    Limits,
    OutputSpec,
    Repository,
    RunSpec,
    SkillRef,
    Trigger,
)
from runner.store.specs import StoredSpec
from runner.store.work import Work

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)

SPEC = RunSpec(
    repository=Repository(name="o/r", url="/srv/r.git", default_branch="main"),
    base_ref="main",
    base_sha="a" * 40,
    skill=SkillRef(name="docs", path="skills/docs", commit="c" * 40, digest="d" * 64, description="A skill"),
    trigger=Trigger(kind="issues", key="issues:7", subject="issue 7", at=NOW, inputs={"deep": True}),
    prompt="",
    environment=Environment(sandbox="process", image="", variables={"LANG": "C"}),
    harness=HarnessSpec(kind="command", options={"command": ["x"]}),
    limits=Limits(timeout=30.0, attempts=2),
    allowance=Allowance(paths=("docs/**",)),
    outputs=(OutputSpec(kind="pull_request", options={"title": "t"}), OutputSpec(kind="none")),
)
STORED = StoredSpec(spec=SPEC, continues="run-0")
WORK = Work(commit="c" * 40, path="skills/docs", kind="issues", key="issues:7", at=NOW, event={"n": 7})
