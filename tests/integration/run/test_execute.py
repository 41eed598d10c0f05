"""The main path with a sandbox that only pretends: every end, stored with its reason."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest

from runner.apps.cli.commands import show
from runner.clients.docker.build import Build
from runner.config.documents import Model
from runner.core.errors import RunnerError, exit_code
from runner.core.model import (
    Allowance,
    End,
    Environment,
    HarnessSpec,
    Limits,
    Outcome,
    OutputSpec,
    Phase,
    Reason,
    Receipt,
    Remote,
    Repository,
    Run,
    RunEvent,
    RunSpec,
    RunState,
    SkillRef,
    Trigger,
    Usage,
)
from runner.harnesses import HARNESSES
from runner.harnesses.command import Command, CommandReader
from runner.publish.forges import Forge
from runner.publish.forges.local import LocalForge
from runner.publish.outputs import OUTPUTS, BotIdentity, Offer, Output
from runner.run.context import Parts, RunOptions
from runner.run.execute import execute
from runner.run.recorder import RunRecorder
from runner.run.stages import gateway
from runner.run.stages.image import check_image_name
from runner.sandboxes import SANDBOXES, SandboxSpec
from runner.sandboxes.fake import FakeKind, FakeSandbox
from runner.store import LocalItems, LocalPullRequests, Store, hold_lock, new_run_id
from runner.store.specs import StoredSpec
from runner.workspace import checkout
from runner.workspace.changeset import Changeset
from runner.workspace.mirror import Mirror
from tests.parts.cli import Project

NOW = datetime.now(UTC)


@dataclass
class Scene:
    project: Project
    store: Store
    mirror: Mirror
    events: list[RunEvent] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)

    def spec(self, *steps: str, **changes: Any) -> RunSpec:
        spec = RunSpec(
            repository=Repository(name="demo", url=str(self.project.origin), default_branch="main"),
            base_ref="main",
            base_sha=self.mirror.resolve("main"),
            skill=SkillRef(name="s", path="skills/s", commit=None, digest="d" * 64, description="A skill"),
            trigger=Trigger(kind="manual", key="manual:1", at=NOW),
            prompt="Do it.",
            environment=Environment(sandbox="fake", image="none"),
            harness=HarnessSpec(kind="command", options={"command": steps}),
            limits=Limits(timeout=30, idle=30),
            allowance=Allowance(),
            outputs=(OutputSpec(kind="pull_request", options={"title": "t"}),),
        )
        return replace(spec, **changes)

    def run(self, spec: RunSpec, **parts: Any) -> tuple[str, End]:
        run_id = new_run_id(NOW)
        with hold_lock(self.store.run_folder(run_id)):
            self.store.create_run(
                Run(
                    id=run_id,
                    repository="demo",
                    skill="s",
                    trigger="manual",
                    trigger_key="manual:1",
                    base_sha=spec.base_sha,
                    state=RunState.QUEUED,
                    created_at=datetime.now(UTC),
                ),
                StoredSpec(spec=spec),
            )
            record = RunRecorder(self.store, run_id, self.store.run_folder(run_id), self.events.append)
            own = {name: parts.pop(name) for name in list(parts) if name in RunOptions.__dataclass_fields__}
            made, options = replace(self.parts(), **parts), replace(self.options(), **own)
            return run_id, execute(spec, record, made, options)

    def parts(self) -> Parts:
        table = LocalPullRequests(self.store.engine, self.store.path, "demo")
        items = LocalItems(self.store.engine, self.store.path, "demo")
        return Parts(
            sandbox=SANDBOXES.get("fake"),
            harness=HARNESSES.get("command"),
            outputs={"pull_request": OUTPUTS.get("pull_request")},
            forge=LocalForge(self.project.origin, table, "bot", items),
            mirror=self.mirror,
            observe=lambda _: None,
        )

    def options(self) -> RunOptions:
        return RunOptions(bot=BotIdentity(name="bot", email="bot@example.com"), secrets=self.secrets)


@pytest.fixture
def scene(project: Project) -> Iterator[Scene]:
    store = Store(project.state)
    mirror = Mirror(project.state, str(project.origin))
    mirror.fetch(Remote(url=str(project.origin)))
    yield Scene(project, store, mirror)
    store.close()


def images_of(monkeypatch: pytest.MonkeyPatch, *digests: str) -> list[str]:
    """What is asked for, while each resolution finds the next content."""
    asked, found = list[str](), iter(digests)

    def resolve(_: FakeKind, image: str, say: Any) -> str:
        asked.append(image)
        return next(found)

    monkeypatch.setattr(FakeKind, "resolve", resolve)
    return asked


def test_an_image_whose_tag_moved_is_noticed(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    images_of(monkeypatch, "x@sha256:1", "x@sha256:1", "x@sha256:2", "y@sha256:3")
    told = []
    for image in ("x:1", "x:1", "x:1", "y:1"):
        spec = scene.spec("print:done")
        spec = replace(spec, environment=replace(spec.environment, image=image))
        scene.events.clear()
        scene.run(spec)
        told.append([event.message for event in scene.events if event.data.get("moved_image")])
    assert [len(one) for one in told] == [0, 0, 1, 0]
    assert "x@sha256:1 then, x@sha256:2 now; `digests: {'x:1': sha256:2}`" in told[2][0]


@pytest.mark.parametrize(
    ("image", "words"), [("", "there is no image"), ("a b", "'a b' is not the name of an image")]
)
def test_a_container_without_an_image_is_a_fault_of_the_configuration(
    scene: Scene, image: str, words: str
) -> None:
    docker = SANDBOXES.get("docker")
    spec = scene.spec("print:done", environment=Environment(sandbox="docker", image=image))
    _, end = scene.run(spec, sandbox=docker)
    assert (end.message, end.reason, exit_code(end)) == (words, Reason.INVALID_CONFIG, 3)
    assert "image: python:3.12-slim" in end.hint
    with pytest.raises(RunnerError, match=words):  # so says a dry run
        check_image_name(docker, spec)


@pytest.mark.parametrize("image", ["python:3.12-slim", "Registry.example:5000/team/x@sha256:1", "sha256:ab"])
def test_the_name_of_an_image_is_taken(scene: Scene, image: str) -> None:
    environment = Environment(sandbox="docker", image=image)
    check_image_name(SANDBOXES.get("docker"), scene.spec(environment=environment))


def test_a_locked_image_is_the_one_that_is_named(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = images_of(monkeypatch, "r.example:5000/x@sha256:1")
    opened: list[str] = []
    open_it = FakeKind.open

    def watched(kind: FakeKind, spec: SandboxSpec) -> Any:
        opened.append(spec.image)
        return open_it(kind, spec)

    monkeypatch.setattr(FakeKind, "open", watched)
    spec = scene.spec("print:done")
    spec = replace(spec, environment=replace(spec.environment, image="r.example:5000/x:1"))
    scene.run(spec, image_digests={"r.example:5000/x:1": "sha256:1", "x:1": "sha256:2"})
    assert asked == opened == ["r.example:5000/x@sha256:1"]


@pytest.mark.parametrize(
    ("dockerfile", "base", "network"),
    [
        ("FROM x\nCOPY a.txt /\n", "main", True),
        ("FROM x\nCOPY a.txt /\n", "earlier", True),
        ("FROM x\nCOPY a.txt /\n", "proposed", False),
        ("FROM x\nCOPY docs /\n", "proposed", True),  # what it sees is as it was
        ("FROM x\nRUN true\n", "proposed", True),
        ("FROM x\nCOPY . /\n", "proposed", False),
    ],
)
def test_what_is_not_merged_is_built_without_a_network(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, dockerfile: str, base: str, network: bool
) -> None:
    """A pull request's files run in the build, and whoever wrote them is anybody, or an agent."""
    built: list[bool] = []
    monkeypatch.setattr(FakeKind, "build", lambda _, wanted, *__: built.append(wanted.network) or "x")
    git, project = scene.project.git, scene.project
    earlier = project.commit({"Dockerfile": dockerfile, "a.txt": "one\n", "docs/b.md": "b\n"})
    main = project.commit({"c.txt": "c\n"})
    git("checkout", "-q", "-b", "theirs")
    proposed = project.commit({"a.txt": "evil\n"})
    scene.mirror.fetch(Remote(url=str(project.origin)))
    spec = scene.spec("print:done")
    spec = replace(
        spec,
        base_sha={"main": main, "earlier": earlier, "proposed": proposed}[base],
        skill=replace(spec.skill, commit=main),
        environment=replace(spec.environment, image="", dockerfile="Dockerfile"),
    )
    scene.run(spec)
    assert built == [network]


def test_a_run_on_an_events_commit_builds_from_the_default_branch(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[tuple[bool, bytes]] = []

    def build(_: FakeKind, wanted: Build, *__: Any) -> str:
        packed = io.BytesIO()
        wanted.write(packed)
        built.append((wanted.network, packed.getvalue()))
        return "x"

    monkeypatch.setattr(FakeKind, "build", build)
    main = scene.project.commit({"Dockerfile": "FROM x\nCOPY a.txt /\n", "a.txt": "one\n"})
    scene.project.git("checkout", "-q", "-b", "theirs")
    proposed = scene.project.commit({"a.txt": "evil\n"})
    scene.mirror.fetch(Remote(url=str(scene.project.origin)))
    spec = scene.spec("print:done")
    environment = replace(spec.environment, image="", dockerfile="Dockerfile")
    skill = replace(spec.skill, commit=main)
    scene.run(replace(spec, skill=skill, environment=environment, base_sha=proposed, trusted_sha=main))
    ((network, packed),) = built
    assert (network, b"one\n" in packed, b"evil" in packed) == (True, True, False)


def test_a_branch_of_ours_is_not_merged_by_being_there(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[bool] = []
    monkeypatch.setattr(FakeKind, "build", lambda _, wanted, *__: built.append(wanted.network) or "x")
    project = scene.project
    main = project.commit({"Dockerfile": "FROM x\nCOPY . /\n"})
    project.git("checkout", "-q", "-b", "skillrunner/s/default")
    proposed = project.commit({"a.txt": "of an agent\n"})
    scene.mirror.fetch(Remote(url=str(project.origin)))
    spec = scene.spec("print:done")
    environment = replace(spec.environment, image="", dockerfile="Dockerfile")
    skill = replace(spec.skill, commit=main)
    changes = {"base_ref": "skillrunner/s/default", "base_sha": proposed}
    scene.run(replace(spec, skill=skill, environment=environment, **changes))
    assert built == [False]


def test_a_run_takes_no_longer_than_any_may(scene: Scene) -> None:
    """Each command has a limit of its own, and a skill may name many."""
    _, end = scene.run(scene.spec("sleep:60"), max_duration=0.5)
    assert (end.state, end.reason) == (RunState.TIMED_OUT, Reason.WALL_CLOCK)
    assert end.hint.endswith("maxima.run")


def test_a_skill_read_at_another_commit_brings_its_files(scene: Scene) -> None:
    base = scene.mirror.resolve("main")
    commit = scene.project.commit({"skills/s/scripts/say.sh": "echo\n", "skills/s/SKILL.md": "x\n"})
    scene.mirror.fetch(Remote(url=str(scene.project.origin)))
    skill = SkillRef(name="s", path="skills/s", commit=commit, digest="d" * 64, description="A skill")
    run_id, end = scene.run(scene.spec("write:docs/a.md:hello", base_sha=base, skill=skill))
    assert end.state is RunState.SUCCEEDED, end
    told = [event.message for event in scene.events]
    assert "2 files of skills/s lie there as the skill was read" in told
    assert "skills/s" not in (scene.store.run_folder(run_id) / "patch").read_text()


def test_a_good_run_walks_through_all_states(scene: Scene) -> None:
    run_id, end = scene.run(scene.spec("write:docs/a.md:hello", "print:done"))
    assert (end.state, end.phase) == (RunState.SUCCEEDED, Phase.PUBLISH)
    states = [event.state for event in scene.events if event.state]
    assert [str(state) for state in states] == [
        "preparing",
        "running",
        "verifying",
        "publishing",
        "succeeded",
    ]
    kept = scene.store.run(run_id)
    assert (kept.state, kept.end, kept.image_digest) == (RunState.SUCCEEDED, end, "fake:none")
    assert {artifact.name for artifact in scene.store.artifacts(run_id)} >= {"patch", "transcript.jsonl"}
    (receipt,) = scene.store.receipts(run_id)
    assert receipt.branch == "skillrunner/s/default"
    assert not (scene.store.run_folder(run_id) / "changeset.git").exists()


@pytest.mark.parametrize(
    ("steps", "changes", "state", "reason"),
    [
        (("exit:0",), {}, RunState.NOTHING_TO_DO, Reason.NO_CHANGES),
        (("write:a:x", "exit:2"), {}, RunState.FAILED, Reason.HARNESS_FAILED),
        (("write:.github/x:x",), {}, RunState.BLOCKED, Reason.POLICY_REFUSED),
        (("write:a:x", "sleep:9"), {"limits": Limits(timeout=0.2)}, RunState.TIMED_OUT, Reason.WALL_CLOCK),
        (("fill:9999",), {"limits": Limits(output=99)}, RunState.FAILED, Reason.OUTPUT_LIMIT),
    ],
)
def test_ends(
    scene: Scene, steps: tuple[str, ...], changes: dict[str, Any], state: RunState, reason: Reason
) -> None:
    run_id, end = scene.run(scene.spec(*steps, **changes))
    assert (end.state, end.reason) == (state, reason)
    assert scene.store.run(run_id).state is state
    assert scene.project.branches() == ["main"]


def test_a_patch_with_a_secret_is_not_kept(scene: Scene) -> None:
    scene.secrets["TOKEN"] = "abcdefghijklmnopqrstuvwxyz"
    run_id, end = scene.run(scene.spec("write:a:abcdefghijklmnopqrstuvwxyz"))
    assert end.reason is Reason.POLICY_REFUSED
    assert "patch" not in {artifact.name for artifact in scene.store.artifacts(run_id)}
    assert [refusal.rule for refusal in scene.store.refusals(run_id)] == ["secret"]


def test_a_secret_inside_a_binary_file_is_found(scene: Scene) -> None:
    """A patch holds a binary file compressed and in base 85: the file itself is searched."""
    scene.secrets["TOKEN"] = "abcdefghijklmnopqrstuvwxyz"
    content = "write:a.bin:\0\0abcdefghijklmnopqrstuvwxyz\0"
    run_id, end = scene.run(replace(scene.spec(content), allowance=Allowance(binaries=True)))
    assert end.reason is Reason.POLICY_REFUSED
    (refusal,) = scene.store.refusals(run_id)
    assert (refusal.rule, refusal.subject) == ("secret", "a.bin")


@pytest.mark.parametrize(
    ("cost", "state", "reason"),
    [
        (0.5, RunState.SUCCEEDED, None),
        (0.51, RunState.FAILED, Reason.COST_LIMIT),
        (None, RunState.SUCCEEDED, None),
    ],
)
def test_cost_over_the_limit_publishes_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, cost: float | None, state: RunState, reason: Reason | None
) -> None:
    told = Outcome(ok=True, usage=Usage(cost_usd=cost))
    monkeypatch.setattr(CommandReader, "outcome", lambda *_: told)
    _, end = scene.run(scene.spec("write:a:x", limits=Limits(cost_usd=0.5)))
    assert (end.state, end.reason) == (state, reason)
    assert any("does not tell its cost" in event.message for event in scene.events) is (cost is None)


def test_costs_of_attempts_add_up_as_people_add() -> None:
    assert Usage(cost_usd=0.1) + Usage(cost_usd=0.2) == Usage(cost_usd=0.3)
    partly = Usage(cost_usd=0.1) + Usage(tokens_in=1)
    assert (partly.cost_usd, partly.cost_at_least) == (None, 0.1)
    assert partly + Usage() == Usage() + partly == partly


def items_of(scene: Scene) -> LocalItems:
    return LocalItems(scene.store.engine, scene.store.path, "demo")


class Pages(Output):
    """An output that keeps what it publishes in a list, and may fail."""

    name = "pages"
    options = Model

    def __init__(self, *faults: RunnerError) -> None:
        self.published: list[Offer] = []
        self.faults = list(faults)

    def publish(self, offer: Offer, forge: Forge, changeset: Changeset) -> Receipt:
        if self.faults:
            raise self.faults.pop(0)
        action: Literal["created", "unchanged"] = "unchanged" if self.published else "created"
        self.published.append(offer)
        return Receipt(kind=self.name, key="pages", action=action, url="pages:1")


def both(scene: Scene, pages: Pages, *steps: str, **changes: Any) -> tuple[str, End]:
    """A run with a pull request and pages."""
    title = OutputSpec(kind="pull_request", options={"title": "t"})
    spec = scene.spec(*steps, outputs=(title, OutputSpec(kind="pages", options={"to": "x"})), **changes)
    return scene.run(spec, outputs={"pull_request": OUTPUTS.get("pull_request"), "pages": pages})


def test_every_output_publishes_and_knows_what_came_before(scene: Scene) -> None:
    pages = Pages()
    run_id, end = both(scene, pages, "write:a:x", """put:outputs.jsonl:{"kind": "pages", "text": "hi"}""")
    assert end.state is RunState.SUCCEEDED
    assert end.message.startswith("pull request created: local:")
    assert end.message.endswith("; pages created: pages:1")
    assert {receipt.kind for receipt in scene.store.receipts(run_id)} == {"pull_request", "pages"}
    (offer,) = pages.published
    assert [one.fields for one in offer.declared] == [{"text": "hi"}]
    assert (offer.output.options, [one.kind for one in offer.receipts]) == ({"to": "x"}, ["pull_request"])


def test_when_the_second_fails_the_first_is_on_record_and_published_once(scene: Scene) -> None:
    away = RunnerError(Phase.PUBLISH, Reason.FORGE_UNAVAILABLE, "no answer", retryable=True)
    run_id, end = both(scene, Pages(away), "write:a:x")
    assert (end.state, end.reason) == (RunState.ERROR, Reason.FORGE_UNAVAILABLE)
    assert [(one.kind, one.action) for one in scene.store.receipts(run_id)] == [("pull_request", "created")]
    pages = Pages()
    run_id, end = both(scene, pages, "write:a:x")
    assert end.state is RunState.SUCCEEDED
    assert len(pages.published) == 1
    pulls = LocalPullRequests(scene.store.engine, scene.store.path, "demo").all()
    assert [pull.number for pull in pulls] == [1]


def test_an_output_with_nothing_to_publish_holds_no_other_up(scene: Scene) -> None:
    pages = Pages()
    run_id, end = both(scene, pages, """put:outputs.jsonl:{"kind": "pages"}""")
    assert (end.state, end.message) == (RunState.SUCCEEDED, "pages created: pages:1")
    assert [one.kind for one in scene.store.receipts(run_id)] == ["pages"]
    nothing = RunnerError(Phase.PUBLISH, Reason.NO_CHANGES, "no text")
    _, end = both(scene, Pages(nothing), """put:outputs.jsonl:{"kind": "pages"}""")
    assert (end.state, end.reason) == (RunState.NOTHING_TO_DO, Reason.NO_CHANGES)


def test_a_run_that_finds_nothing_to_do_closes_what_is_needed_no_more(scene: Scene) -> None:
    """The end stays what it is, and says what was closed; the receipt is on the record."""
    assert scene.run(scene.spec("write:a:x"))[1].state is RunState.SUCCEEDED
    run_id, end = scene.run(scene.spec("exit:0"))
    assert (end.state, end.reason) == (RunState.NOTHING_TO_DO, Reason.NO_CHANGES)
    assert "; pull request closed: local:" in end.message
    assert [(one.action, one.number) for one in scene.store.receipts(run_id)] == [("closed", 1)]
    pulls = LocalPullRequests(scene.store.engine, scene.store.path, "demo")
    assert [pull.state for pull in pulls.all()] == ["closed"]
    assert scene.run(scene.spec("exit:0"))[1].message.count("closed") == 0
    assert scene.run(scene.spec("write:a:x"))[1].message.startswith("pull request created: local:")


def test_what_cannot_be_closed_is_told_and_changes_no_end(scene: Scene) -> None:
    class Away(LocalForge):
        def close(self, number: int, body: str) -> None:
            raise RunnerError(Phase.PUBLISH, Reason.FORGE_UNAVAILABLE, "502")

    scene.run(scene.spec("write:a:x"))
    table = LocalPullRequests(scene.store.engine, scene.store.path, "demo")
    _, end = scene.run(scene.spec("exit:0"), forge=Away(scene.project.origin, table, "bot", items_of(scene)))
    assert (end.state, end.reason) == (RunState.NOTHING_TO_DO, Reason.NO_CHANGES)
    warnings = [event.message for event in scene.events if event.is_warning]
    assert warnings == ["the pull request is needed no more, but: 502"]
    assert [pull.state for pull in table.all()] == ["open"]


def test_labels_that_were_refused_are_a_warning_of_a_run_that_succeeds(scene: Scene) -> None:
    class Strict(LocalForge):
        def add_labels(self, number: int, labels: Sequence[str]) -> None:
            raise RunnerError(Phase.PUBLISH, Reason.FORGE_REJECTED, "no such label")

    spec = scene.spec("write:a:x")
    output = replace(spec.outputs[0], options={**spec.outputs[0].options, "labels": ["docs"]})
    table = LocalPullRequests(scene.store.engine, scene.store.path, "demo")
    forge = Strict(scene.project.origin, table, "bot", items_of(scene))
    run_id, end = scene.run(replace(spec, outputs=(output,)), forge=forge)
    assert end.state is RunState.SUCCEEDED
    stored = [event.message for _, event in scene.store.events(run_id) if event.is_warning]
    assert len(stored) == 1
    assert stored[0].startswith("the label docs was not set on ")
    shown = "\n".join(show.lines(scene.store, scene.store.run(run_id)))
    assert f"warning     {stored[0]}" in shown


class Flaky:
    """A forge door that breaks so many times, and then works."""

    each = False
    permissions: ClassVar[dict[str, str]] = {}

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.real = OUTPUTS.get("pull_request")

    def publish(self, *args: Any) -> Any:
        if self.failures:
            self.failures -= 1
            raise RunnerError(Phase.PUBLISH, Reason.FORGE_UNAVAILABLE, "no answer", retryable=True)
        return self.real.publish(*args)


@pytest.mark.parametrize(("failures", "state"), [(1, RunState.SUCCEEDED), (2, RunState.ERROR)])
def test_what_passes_is_tried_again(scene: Scene, failures: int, state: RunState) -> None:
    spec = scene.spec("write:a:x", limits=Limits(attempts=2))
    run_id, end = scene.run(spec, outputs={"pull_request": Flaky(failures)})
    assert end.state is state
    assert scene.store.run(run_id).attempt == 2


def test_what_was_ready_is_published_by_the_next_attempt_without_its_agent(scene: Scene) -> None:
    spec = scene.spec("print:worked", "write:docs/a.md:x", limits=Limits(attempts=2))
    run_id, end = scene.run(spec, outputs={"pull_request": Flaky(1)})
    assert end.state is RunState.SUCCEEDED
    assert scene.store.run(run_id).attempt == 2
    messages = [event.message for event in scene.events]
    assert messages.count("command begins") == 1
    assert "what the attempt before has left is published" in messages
    (pull,) = LocalPullRequests(scene.store.engine, scene.store.path, "demo").all()
    assert scene.project.git("show", f"{pull.branch}:docs/a.md", cwd=scene.project.origin) == "x"


def test_what_conflicts_is_done_anew_by_the_next_attempt(scene: Scene) -> None:
    class Conflicting(Flaky):
        def publish(self, *args: Any) -> Any:
            if self.failures:
                self.failures -= 1
                raise RunnerError(Phase.PUBLISH, Reason.CONFLICT, "both changed it", retryable=True)
            return self.real.publish(*args)

    spec = scene.spec("write:a:x", limits=Limits(attempts=2))
    _, end = scene.run(spec, outputs={"pull_request": Conflicting(1)})
    assert end.state is RunState.SUCCEEDED
    assert [event.message for event in scene.events].count("command begins") == 2


@pytest.mark.parametrize("name", ["publication.json", "patch"])
def test_what_somebody_damaged_is_done_anew(scene: Scene, name: str) -> None:
    class Damaging(Flaky):
        def publish(self, offer: Offer, *rest: Any) -> Any:
            for file in scene.project.state.glob(f"runs/*/{name}"):
                file.write_text("{}")
            return super().publish(offer, *rest)

    spec = scene.spec("write:a:x", limits=Limits(attempts=2))
    _, end = scene.run(spec, outputs={"pull_request": Damaging(1)})
    assert end.state is RunState.SUCCEEDED
    assert [event.message for event in scene.events].count("command begins") == 2


def test_an_interruption_is_an_end(scene: Scene) -> None:
    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    run_id, end = scene.run(scene.spec("print:x", "write:a:x"), observe=interrupt)
    assert (end.state, end.reason) == (RunState.CANCELLED, Reason.CANCELLED)
    assert scene.store.run(run_id).state is RunState.CANCELLED


def test_a_bug_is_stored_as_an_error_and_goes_on(scene: Scene) -> None:
    class Broken:
        each = False
        permissions: ClassVar[dict[str, str]] = {}

        def publish(self, *_: Any) -> Any:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        scene.run(scene.spec("write:a:x"), outputs={"pull_request": Broken()})
    assert scene.store.run("latest").state is RunState.ERROR


def test_a_full_disk_is_named(scene: Scene) -> None:
    class Full:
        each = False
        permissions: ClassVar[dict[str, str]] = {}

        def publish(self, *_: Any) -> Any:
            raise OSError(28, "No space left on device")

    _, end = scene.run(scene.spec("write:a:x"), outputs={"pull_request": Full()})
    assert (end.reason, end.phase, end.retryable) == (Reason.DISK_FULL, Phase.PUBLISH, True)


def test_nothing_published_by_choice(scene: Scene, tmp_path: Path) -> None:
    spec = scene.spec("write:a:x", outputs=(OutputSpec(kind="none"),))
    run_id, end = scene.run(spec, outputs={"none": OUTPUTS.get("none")})
    assert end.state is RunState.SUCCEEDED
    assert scene.store.receipts(run_id)[0].url == f"run:{run_id}"
    assert scene.project.branches() == ["main"]


NONE = OUTPUTS.get("none")


def test_an_answer_is_the_result_where_nothing_is_published(scene: Scene) -> None:
    spec = scene.spec("print:Seven modules.", outputs=(OutputSpec(kind="none"),))
    run_id, end = scene.run(spec, outputs={"none": NONE})
    assert (end.state, end.reason) == (RunState.SUCCEEDED, None)
    (answer,) = [one for one in scene.store.artifacts(run_id) if one.name == "answer.md"]
    assert Path(answer.path).read_text() == "Seven modules."


def test_no_answer_is_no_result(scene: Scene) -> None:
    spec = scene.spec("exit:0", outputs=(OutputSpec(kind="none"),))
    run_id, end = scene.run(spec, outputs={"none": NONE})
    assert (end.state, end.reason) == (RunState.NOTHING_TO_DO, Reason.NO_CHANGES)
    assert "answer.md" not in {one.name for one in scene.store.artifacts(run_id)}


def test_an_answer_in_place_of_a_change_is_kept_and_publishes_nothing(scene: Scene) -> None:
    run_id, end = scene.run(scene.spec("print:Nothing to do here."))
    assert (end.state, end.reason) == (RunState.NOTHING_TO_DO, Reason.NO_CHANGES)
    assert "answer.md" in {one.name for one in scene.store.artifacts(run_id)}
    assert scene.project.branches() == ["main"]


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize(
    ("upstream", "host"),
    [("", "api.openai.com"), ("https://proxy.example:8443/v1", "proxy.example:8443")],
)
def test_a_refused_key_names_its_variable_and_the_host(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, status: int, upstream: str, host: str
) -> None:
    told = Outcome(ok=False, reason=Reason.PROVIDER_ERROR, message="answered: no", status=status)
    monkeypatch.setattr(CommandReader, "outcome", lambda *_: told)
    monkeypatch.setattr(Command, "model", HARNESSES.get("codex").model)
    monkeypatch.setattr(gateway, "is_needed", lambda _: False)
    _, end = scene.run(scene.spec("print:x"), model_upstream=upstream)
    assert end.message == f"answered: no (OPENAI_API_KEY at {host})"
    assert "set a key" in end.hint


def test_a_warning_of_the_forge_is_heard(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LocalForge, "request_reviewers", lambda *_: ["nobody was not asked for a review"])
    spec = scene.spec(
        "write:a:x",
        outputs=(OutputSpec(kind="pull_request", options={"title": "t", "reviewers": ("nobody",)}),),
    )
    _, end = scene.run(spec)
    assert end.state is RunState.SUCCEEDED
    assert "nobody was not asked for a review" in [event.message for event in scene.events]


class Opened(FakeKind):
    """The pretending sandbox, which counts how many of it are open."""

    def __init__(self) -> None:
        self.ever = self.now = 0

    @contextmanager
    def open(self, spec: SandboxSpec) -> Iterator[FakeSandbox]:
        self.ever, self.now = self.ever + 1, self.now + 1
        try:
            with super().open(spec) as box:
                yield box
        finally:
            self.now -= 1


def test_who_was_told_to_stop_opens_no_sandbox(scene: Scene) -> None:
    def stop() -> None:
        raise RunnerError(Phase.HARNESS, Reason.WORKER_LOST, "others took it for dead")

    sandboxes = Opened()
    _, end = scene.run(scene.spec("write:a:x"), sandbox=sandboxes, stop=stop)
    assert (end.reason, sandboxes.ever) == (Reason.WORKER_LOST, 0)


def test_a_workspace_that_cannot_be_filled_leaves_no_sandbox(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkout, "_fill", fail)
    sandboxes = Opened()
    _, end = scene.run(scene.spec("write:a:x"), sandbox=sandboxes)
    assert (end.reason, end.phase) == (Reason.DISK_FULL, Phase.CHECKOUT)
    assert (sandboxes.ever, sandboxes.now) == (1, 0)
    assert [path.name for path in (scene.project.state / "workspaces").iterdir()] == [".lock"]


def test_a_sandbox_that_cannot_be_opened_leaves_no_workspace(scene: Scene) -> None:
    class Closed(Opened):
        def open(self, spec: SandboxSpec) -> Any:
            raise RunnerError(Phase.SANDBOX, Reason.ENGINE_FAILED, f"no room for {spec.run_id}")

    _, end = scene.run(scene.spec("write:a:x"), sandbox=Closed())
    assert end.reason is Reason.ENGINE_FAILED
    assert [path.name for path in (scene.project.state / "workspaces").iterdir()] == [".lock"]
