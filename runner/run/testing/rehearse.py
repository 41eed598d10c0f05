"""Runs a skill on its case without publishing anything. A cassette may replace its model."""

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from runner.core.errors import RunnerError
from runner.core.model import (
    Artifact,
    End,
    Phase,
    Places,
    Reason,
    Receipt,
    RunSpec,
    RunState,
    SessionStart,
    Trigger,
)
from runner.gateway.factory import ModelRouteOptions
from runner.gateway.model.cassette import Exchange, Placeholders, commit_names, from_traffic
from runner.gateway.model.matching import RESULTS
from runner.gateway.model.nondeterminism import Span
from runner.gateway.model.replay import Replay, serve_replay
from runner.publish.outputs import OUTPUTS, Offer, Output
from runner.run import bootstrap
from runner.run.environment.install import FOLDER
from runner.run.execute import execute
from runner.run.launch import run_record
from runner.run.place import Host, LocalPlace, Place, local_place
from runner.run.plan import plan
from runner.run.recorder import RunRecorder
from runner.run.stages.gateway import TRAFFIC
from runner.run.testing import case as cases
from runner.skills import Skill
from runner.store import Store, hold_lock, new_run_id
from runner.store.specs import StoredSpec
from runner.triggers import TRIGGERS, actor

if TYPE_CHECKING:
    from runner.core.model import TranscriptEvent
    from runner.publish.forges import Forge
    from runner.run.context import Parts, RunOptions
    from runner.workspace.changeset import Changeset

Mode = Literal["record", "test", "update"]
"""With the real model; with what was recorded; with its answers, whatever is asked."""

_WORTH_KEEPING = (
    None,
    Reason.NO_CHANGES,
    Reason.NO_EVIDENCE,
    Reason.POLICY_REFUSED,
    Reason.VERIFICATION_FAILED,
)
"""How a run may end that says something about the skill, and not about the day on which it was recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestBench:
    """A temporary folder in which cases run; it is removed at the end."""

    folder: Path
    place: LocalPlace  # the working tree that holds the skills, and its configuration
    store: Store
    force: Mapping[str, Any]  # see `runner.run.plan.Defaults`
    programs: Path  # where installed harnesses are: these stay

    @property
    def root(self) -> Path:
        return self.place.local.root


@contextmanager
def open_bench(root: Path, config: Path | None, force: Mapping[str, Any]) -> Iterator[TestBench]:
    """A bench with the configuration of the repository at `root`."""
    folder = Path(tempfile.mkdtemp(prefix="skillrunner-"))
    try:
        real = local_place(root, config, {"forge": "local"})
        programs = real.config.state / FOLDER
        aside = real.config.model_copy(update={"state_dir": str(folder / "state")})
        here = replace(real, config=aside)
        with closing(Store(here.config.state)) as runs:
            yield TestBench(folder=folder, place=here, store=runs, force=force, programs=programs)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRun:
    """The result of running a case."""

    run_id: str
    end: End
    harness: str  # and its version, where that is told
    is_worth_keeping: bool  # whether its end says something about the skill
    expected: Mapping[str, Any]  # in the form of `expect:` in case.yaml
    patch: str
    problems: tuple[str, ...]  # how it differed from what was recorded
    traffic: tuple[Exchange, ...]
    span: Span  # when it was


@dataclass(slots=True)
class _Observations:
    """The facts that become known while the case runs."""

    names: Placeholders
    begin: datetime = field(default_factory=lambda: datetime.now(UTC))
    offer: Offer | None = None
    version: str = ""
    unpublished: list[str] = field(default_factory=list)  # kinds of outputs

    def watch(self, event: "TranscriptEvent") -> None:
        if isinstance(event, SessionStart) and event.version:
            self.version = event.version


class _Unpublished(Output):
    """Replaces an output: the agent may declare the same, and nothing is published."""

    def __init__(self, real: Output, observations: _Observations) -> None:
        self.name, self.options, self.declares = real.name, real.options, real.declares
        self.files, self.each = real.files, real.each
        self.observations = observations

    def publish(self, offer: Offer, forge: "Forge", changeset: "Changeset") -> Receipt:
        self.observations.offer = offer
        if self.files and not offer.proposal.changes:
            raise RunnerError(Phase.PUBLISH, Reason.NO_CHANGES, "no file has changed")
        self.observations.unpublished.append(self.name)
        return Receipt(kind=self.name, key=offer.spec.trigger.key, action="created", url="")


def run_case(bench: TestBench, skill: Skill, case: cases.Case, mode: Mode) -> CaseRun:
    """Run the skill of the working tree on the case's repository. Raises RunnerError."""
    run_id = new_run_id(datetime.now(UTC))
    repository = bench.folder / run_id / "repository.git"
    commits = cases.build(
        case, bench.root / skill.path, skill.path, repository, skill.options.environment.skills
    )
    spec, make = _plan_case(bench, skill, case, run_id, repository)
    if spec.environment.repositories:
        message = f"{skill.name} reads other repositories, which a case has none of"
        hint = "such a skill cannot have cases: test it with `skillrunner run`"
        raise RunnerError(Phase.CHECKOUT, Reason.UNSUPPORTED, message, hint=hint)
    if mode != "record":
        spec = replace(spec, environment=replace(spec.environment, network=()))
    observations = _Observations(Placeholders(others=_names(bench, run_id, repository, commits)))
    replay = None if mode == "record" else _replay(case, observations, strict=mode == "test")
    record = RunRecorder(bench.store, run_id, bench.store.run_folder(run_id), _ignore_event)
    with hold_lock(record.folder):
        bench.store.create_run(run_record(spec, run_id), StoredSpec(spec=spec))
        parts, options = make(spec, observations, mode)
        parts = replace(parts, model_substitute=_model_end(observations, replay))
        if replay is not None:
            parts = replace(parts, stop=replay.check)
        options = replace(options, record_traffic=mode != "test", file_time=int(case.now.timestamp()))
        end = execute(spec, record, parts, options)
    if end.state is RunState.SUCCEEDED:
        end = replace(end, message=_unpublished_text(observations.unpublished))
    return _case_run(bench, spec, observations, replay, run_id, end)


def _unpublished_text(kinds: Sequence[str]) -> str:
    """What a run would have published; empty: it made no output at all."""
    public = ", ".join(kind.replace("_", " ") for kind in kinds if OUTPUTS.get(kind).publishes)
    if public:
        return f"nothing was published; a run would publish: {public}"
    return "nothing is published" if kinds else ""


def _replay(case: cases.Case, observations: _Observations, strict: bool) -> Replay:
    return Replay(
        case.traffic(),
        observations.names,
        strict=strict,
        matching=case.matching(RESULTS),
        begin=observations.begin,
    )


def _ignore_event(_: object) -> None:
    """Ignore events: the result is reported at the end."""


def _plan_case(
    bench: TestBench, skill: Skill, case: cases.Case, run_id: str, repository: Path
) -> tuple[RunSpec, Callable[[RunSpec, _Observations, Mode], "tuple[Parts, RunOptions]"]]:
    """The spec as planned at the case's own time, and the function that makes its parts and options."""
    place = Place(config=bench.place.config, root=repository, origin="", default_branch=case.options.branch)
    target = bootstrap.make_forge(place, bench.store)
    base, mirror = bootstrap.find_base(place, target, None)
    base = replace(base, repository=replace(base.repository, name=case.options.repository))
    defaults = bootstrap.make_defaults(bench.place.config, bench.force)
    spec = plan(skill, None, _trigger(case, run_id), base, run_id, case.now, defaults)
    environment = replace(spec.environment, variables={**_clock(case), **spec.environment.variables})
    spec = replace(spec, environment=environment, limits=replace(spec.limits, attempts=1))

    def make(spec: RunSpec, observations: _Observations, mode: Mode) -> "tuple[Parts, RunOptions]":
        find = None if mode == "record" else _no_secret
        parts = bootstrap.make_parts(Host(place, bench.store, target), spec, mirror, observations.watch)
        install = parts.install and replace(parts.install, folder=bench.programs)
        outputs = {kind: _Unpublished(output, observations) for kind, output in parts.outputs.items()}
        return replace(parts, outputs=outputs, install=install), bootstrap.make_options(place, spec, find)

    return spec, make


def _clock(case: cases.Case) -> dict[str, str]:
    """Variables by which programs go that can: the case's time, and no chance."""
    second = int(case.now.timestamp())
    return {
        "SOURCE_DATE_EPOCH": str(second),
        "GIT_AUTHOR_DATE": f"@{second} +0000",
        "GIT_COMMITTER_DATE": f"@{second} +0000",
        "PYTHONHASHSEED": "0",
        "TZ": "UTC",
    }


def _no_secret(name: str, _: str) -> str:
    return f"not-the-real-{name}"


def _trigger(case: cases.Case, run_id: str) -> Trigger:
    kind, event = case.options.trigger, case.event
    return Trigger(
        kind=kind,
        key=TRIGGERS.get(kind).key(event) if event else f"{kind}:{run_id}",
        subject=TRIGGERS.get(kind).subject(event) if event else "",
        actor=actor(event),
        at=case.now,
        event=event,
        inputs=case.options.inputs,
    )


def _names(bench: TestBench, run_id: str, repository: Path, commits: tuple[str, ...]) -> dict[str, str]:
    known = {
        run_id: "run",
        str(repository): "repository",
        str(bench.folder): "state",
        os.uname().release: "kernel",
    }
    return {**known, **commit_names(commits)}


def _model_end(
    observations: _Observations, replay: Replay | None
) -> Callable[[ModelRouteOptions, Places], Any]:
    @contextmanager
    def end(options: ModelRouteOptions, places: Places) -> Iterator[ModelRouteOptions]:
        inside = {places.workspace: "workspace", places.exchange: "exchange", places.home: "home"}
        observations.names = replace(observations.names, places=inside)
        if replay is None:
            yield options
            return
        replay.names = observations.names
        with serve_replay(replay) as url:
            others = [replace(one, upstream=url) for one in options.fallback]
            yield replace(options, upstream=url, fallback=others)

    return end


def _case_run(
    bench: TestBench, spec: RunSpec, observations: _Observations, replay: Replay | None, run_id: str, end: End
) -> CaseRun:
    kept = {one.name: one for one in bench.store.artifacts(run_id)}
    traffic = _content(kept.get(TRAFFIC))
    problems = list(replay.problems) if replay and replay.strict else []
    if replay and replay.strict and end.reason in _WORTH_KEEPING:
        problems += filter(None, [replay.unused_exchanges()])
    return CaseRun(
        run_id=run_id,
        end=end,
        harness=f"{spec.harness.kind} {observations.version}".rstrip(),
        is_worth_keeping=end.reason in _WORTH_KEEPING,
        span=Span(observations.begin, datetime.now(UTC)),
        expected=_expected(bench, run_id, observations, end),
        patch=_patch(_content(kept.get("patch")), observations.names),
        problems=tuple(problems[:1]),
        traffic=from_traffic(traffic, observations.names) if traffic else (),
    )


def _content(artifact: Artifact | None) -> bytes:
    return Path(artifact.path).read_bytes() if artifact else b""


def _patch(raw: bytes, names: Placeholders) -> str:
    """The patch without the names of blobs, which add nothing to its lines."""
    text = names.generalize(raw.decode("utf-8", "surrogateescape"))
    return re.sub(r"^index [0-9a-f]{40,64}\.\.[0-9a-f]{40,64}( \d+)?\n", "", text, flags=re.MULTILINE)


def _expected(bench: TestBench, run_id: str, observations: _Observations, end: End) -> dict[str, Any]:
    refused = [f"{one.rule}: {one.subject}" for one in bench.store.refusals(run_id)]
    checks = [{"command": one.command, "exit_code": one.exit_code} for one in bench.store.checks(run_id)]
    declared = observations.offer.proposal.declared if observations.offer else ()
    told: dict[str, Any] = {"state": str(end.state)}
    if end.reason is not None:
        told["reason"] = str(end.reason)
    if refused:
        told["refused"] = refused
    if declared:
        told["declared"] = [
            {"kind": one.kind, **_general(one.fields, observations.names)} for one in declared
        ]
    if checks:
        told["verify"] = checks
    return told


def _general(value: Any, names: Placeholders) -> Any:
    """A value with names in place of what differs in its texts."""
    match value:
        case str():
            return names.generalize(value)
        case Mapping():
            return {key: _general(one, names) for key, one in value.items()}
        case list() | tuple():
            return [_general(one, names) for one in value]
    return value


def accept_result(case: cases.Case, came: CaseRun) -> None:
    """Make the result the expected one. Raises RunnerError when it would be no good case."""
    end = came.end
    if not came.is_worth_keeping:
        message = f"nothing was recorded, the run ended {end.state}: {end.message}"
        raise RunnerError(end.phase, end.reason or Reason.ENGINE_FAILED, message)
    cases.write_expected(case, came.harness, came.span, came.expected, came.patch, came.traffic)
