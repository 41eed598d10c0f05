"""What every output must do, ours and third parties': published twice it is one effect, killed or not."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from sqlalchemy import func, select

from runner.config.documents import Model
from runner.core.errors import RunnerError
from runner.core.model import (
    Allowance,
    Check,
    DeclaredOutput,
    Environment,
    FileChange,
    HarnessSpec,
    Limits,
    Outcome,
    OutputSpec,
    Phase,
    Proposal,
    Reason,
    Receipt,
    Remote,
    Repository,
    RunSpec,
    SkillRef,
    Trigger,
)
from runner.publish.forges import Forge, NewPullRequest
from runner.publish.forges.local import LocalForge
from runner.publish.outputs import OUTPUTS, BotIdentity, Offer, Output, _item, publishing_order
from runner.store import LocalItems, LocalPullRequests, Store
from runner.store.tables import comments, forge_items, pull_requests
from runner.workspace.changeset import Changeset, Edit
from runner.workspace.mirror import Mirror
from tests.parts.cli import Project
from tests.parts.listener import Listener
from tests.parts.repos import git

PUBLISHING = [name for name, one in OUTPUTS.all().items() if one.publishes]
WHOLE = [name for name in PUBLISHING if not OUTPUTS.get(name).each]
ON_PULL_REQUESTS = ("push_to_pull_request", "review")  # what these publish is about a pull request
_POINTS = 12  # at which an output is killed
AT = datetime(2026, 1, 2, tzinfo=UTC)


class KilledError(Exception):
    """The process is gone."""


def examples(model: type[Model] | None) -> dict[str, Any]:
    """A value for each field that has to be there."""
    fields = model.model_fields.items() if model else ()
    return {name: (one.examples or ["Some words."])[0] for name, one in fields if one.is_required()}


@dataclass
class Bench:
    """A repository, and what a run wants to publish of it by one output."""

    output: Output
    project: Project
    store: Store
    mirror: Mirror
    folder: Path
    listener: Listener
    count: Iterator[int] = field(default_factory=lambda: iter(range(1000)))
    files: dict[str, bytes] = field(default_factory=dict)  # of the runs

    def offer(self, cause: str = "v1", empty: bool = False, **changes: Any) -> tuple[Offer, Changeset]:
        changeset = Changeset(self.folder / f"changeset-{next(self.count)}.git", self.mirror.objects)
        base = self.mirror.resolve("main")
        tree = changeset.write(base, [] if empty else [Edit("docs/new.md", 0o100644, b"New.\n")])
        declared = () if empty else (DeclaredOutput(kind=self.output.name, fields=self._declared),)
        spec = self._spec(base, cause)
        offer = Offer(
            spec=spec,
            output=spec.outputs[0],
            run_id=f"run-{cause}",
            proposal=Proposal(
                base_sha=base,
                tree_sha=tree,
                changes=() if empty else (FileChange(path="docs/new.md", change="added"),),
                patch_sha256="0" * 64,
                declared=declared,
                summary="Did it.",
            ),
            patch=changeset.patch(base, tree),
            outcome=Outcome(ok=True),
            checks=(Check(command="true", exit_code=0, duration=0.1, output="", ok=True),),
            bot=BotIdentity(name="bot", email="bot@example.com"),
            item=declared[0] if declared and self.output.each else None,
            secrets={"HOOK_URL": self.listener.url},
            load=lambda name: self.files.get(f"{cause}/{name}", self._left_by_agent(name)),
            save=lambda name, content, _: self.files.update({f"{cause}/{name}": content}),
        )
        return replace(offer, **changes), changeset

    @staticmethod
    def _left_by_agent(name: str) -> bytes | None:
        return b"A chart." if name.startswith("artifact-") else None

    @property
    def _declared(self) -> dict[str, Any]:
        return examples(self.output.declares)

    def _spec(self, base: str, cause: str) -> RunSpec:
        return RunSpec(
            repository=Repository(name="demo", url=str(self.project.origin), default_branch="main"),
            base_ref="main",
            base_sha=base,
            skill=SkillRef(name="docs", path="skills/docs", commit=None, digest="d", description="A skill"),
            trigger=Trigger(
                kind="issues", key=f"issues:{cause}", subject=cause, at=AT, event=self._event(cause)
            ),
            prompt="Do it.",
            environment=Environment(sandbox="process", image=""),
            harness=HarnessSpec(kind="command"),
            limits=Limits(),
            allowance=Allowance(),
            outputs=(OutputSpec(kind=self.output.name, options=self._options()),),
        )

    def _options(self) -> dict[str, Any]:
        """What a run has of a skill file that says no more than it must: the defaults are filled in."""
        return self.output.options.model_validate(examples(self.output.options)).model_dump()

    def _event(self, cause: str) -> dict[str, Any]:
        """What is about an issue of its own, where the output publishes items."""
        if self.output.name in ON_PULL_REQUESTS:
            return self._pull_request_event(cause)
        if not self.output.each:
            return {}
        threads = self._forge().threads()
        known = {one.title: one.number for one in threads.search("is:issue")}
        return {"issue": {"number": known.get(cause) or threads.create(cause, "A subject.").number}}

    def _pull_request_event(self, cause: str) -> dict[str, Any]:
        """What is about a pull request of its own, whose head is the base."""
        table = LocalPullRequests(self.store.engine, self.store.database, "demo")
        if not (found := table.find(cause)):
            git(self.project.origin, "branch", cause, "main")
            new = NewPullRequest(branch=cause, base="main", title=cause, body="")
            found = [table.insert(new, "alice")[0]]
        sha = git(self.project.origin, "rev-parse", "main")
        return {"pull_request": {"number": found[0].number, "head": {"sha": sha}}}

    def publish(self, cause: str = "v1", **changes: Any) -> Receipt:
        offer, changeset = self.offer(cause, **changes)
        return self.output.publish(offer, self._forge(), changeset)

    def effects(self) -> int:
        """How many things the forge holds."""
        with self.store.engine.connect() as connection:
            tables = (forge_items, comments, pull_requests)
            count = select(func.count())
            stored = sum(connection.execute(count.select_from(one)).scalar_one() for one in tables)
        return stored + len(self.files) + len({*self.listener.ids})  # the same id is one message

    def _forge(self) -> Forge:
        table = LocalPullRequests(self.store.engine, self.store.database, "demo")
        items = LocalItems(self.store.engine, self.store.database, "demo")
        return LocalForge(self.project.origin, table, "bot", items)


@pytest.fixture
def make_bench(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listener: Listener
) -> Iterator[Callable[[str], Bench]]:
    monkeypatch.setenv("HOME", str(project.home))
    monkeypatch.chdir(tmp_path)
    mirror = Mirror(project.state, str(project.origin))
    mirror.fetch(Remote(url=str(project.origin)))
    store = Store(project.state)
    yield lambda kind: Bench(OUTPUTS.get(kind), project, store, mirror, tmp_path, listener)
    store.close()


@contextmanager
def lines(output: Output, act: Callable[[], None]) -> Iterator[None]:
    """Call `act` before each line that runs of the output's own file, or of what all items share."""
    files = (sys.modules[type(output).__module__].__file__, _item.__file__)

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code.co_filename not in files:
            return None
        if event == "line":
            act()
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


@pytest.mark.parametrize("kind", OUTPUTS.names())
def test_its_options_are_described_and_closed(kind: str) -> None:
    output = OUTPUTS.get(kind)
    for model in filter(None, (output.options, output.declares)):
        assert model.model_config["extra"] == "forbid"
        assert model.__doc__
        assert all(one.description for one in model.model_fields.values())
    required = [one for one in output.options.model_fields.values() if one.is_required()]
    assert all(one.examples for one in required)
    assert set(output.permissions.values()) <= {"read", "write"}
    options = output.options.model_validate(examples(output.options))
    assert output.base_branch(options) is None
    assert list(output.labels(options)) == []


@pytest.mark.parametrize("kind", OUTPUTS.names())
def test_a_plan_tells_of_it_in_words(kind: str, make_bench: Callable[[str], Bench]) -> None:
    offer, _ = make_bench(kind).offer()
    assert all(name and value for name, value in OUTPUTS.get(kind).preview(offer.spec, offer.output))


@pytest.mark.parametrize("kind", OUTPUTS.names())
def test_its_receipt_says_where(kind: str, make_bench: Callable[[str], Bench]) -> None:
    bench = make_bench(kind)
    receipt = bench.publish()
    assert (receipt.kind, receipt.action) == (kind, "created")
    assert receipt.key
    assert receipt.url


@pytest.mark.parametrize("kind", OUTPUTS.names())
def test_published_twice_it_is_one_effect(kind: str, make_bench: Callable[[str], Bench]) -> None:
    bench = make_bench(kind)
    first = bench.publish()
    effects = bench.effects()
    second = bench.publish()
    assert bench.effects() == effects
    assert (second.key, second.url) == (first.key, first.url)
    if bench.output.publishes:
        assert second.action in ("adopted", "unchanged")


@pytest.mark.parametrize("kind", PUBLISHING)
def test_another_cause_is_another_key(kind: str, make_bench: Callable[[str], Bench]) -> None:
    bench = make_bench(kind)
    first, other = bench.publish("v1"), bench.publish("v2")
    assert other.key != first.key
    assert other.action == "created"


@pytest.mark.parametrize("kind", WHOLE)
def test_with_nothing_to_publish_it_says_so(kind: str, make_bench: Callable[[str], Bench]) -> None:
    with pytest.raises(RunnerError) as caught:
        make_bench(kind).publish(empty=True)
    assert caught.value.reason is Reason.NO_CHANGES


@pytest.mark.parametrize("kind", PUBLISHING)
def test_a_run_that_has_to_stop_changes_nothing(kind: str, make_bench: Callable[[str], Bench]) -> None:
    def stop() -> None:
        raise RunnerError(Phase.PUBLISH, Reason.CANCELLED, "stopped")

    bench = make_bench(kind)
    with pytest.raises(RunnerError, match="stopped"):
        bench.publish(stop=stop)
    assert bench.publish().action == "created"


@pytest.mark.parametrize("point", range(_POINTS))
@pytest.mark.parametrize("kind", PUBLISHING)
def test_killed_at_any_line_and_called_again_it_is_one_effect(
    kind: str, point: int, make_bench: Callable[[str], Bench]
) -> None:
    bench = make_bench(kind)
    bench.offer("measured"), bench.offer()  # whatever they are about is there
    effects = [bench.effects()]
    passed: list[None] = []
    with lines(bench.output, lambda: passed.append(None)):
        bench.publish("measured")
    effects.append(bench.effects())
    left = [(len(passed) - 1) * point // (_POINTS - 1)]

    def kill() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KilledError

    with pytest.raises(KilledError), lines(bench.output, kill):
        bench.publish()
    receipt = bench.publish()
    again = bench.publish()
    assert (again.key, again.url) == (receipt.key, receipt.url)
    assert again.action in ("adopted", "unchanged")
    assert again.number == receipt.number
    assert bench.effects() - effects[1] == effects[1] - effects[0]


def test_the_changed_files_are_published_before_what_may_name_them() -> None:
    kinds = OUTPUTS.names()
    order = publishing_order(tuple(reversed(kinds)))
    assert sorted(order) == kinds
    assert [OUTPUTS.get(kind).files for kind in order] == sorted(
        (OUTPUTS.get(kind).files for kind in kinds), reverse=True
    )
