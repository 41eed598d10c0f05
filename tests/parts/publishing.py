"""A repository, the local forge beside it, and a run that has something to publish there."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from runner.core.errors import RunnerError
from runner.core.model import (
    Allowance,
    Environment,
    HarnessSpec,
    Limits,
    Outcome,
    OutputSpec,
    Proposal,
    Receipt,
    Repository,
    RunSpec,
    SkillRef,
    Trigger,
)
from runner.publish.forges import PullRequest
from runner.publish.forges.local import LocalForge
from runner.publish.outputs import OUTPUTS, BotIdentity, Offer
from runner.publish.signing import Signer
from runner.store import LocalItems, LocalPullRequests, Store
from runner.workspace.changeset import Changeset, Edit
from tests.parts.repos import Scene, git, scene

publish = OUTPUTS.get("pull_request").publish

BRANCH = "skillrunner/docs/v1"
BOT = BotIdentity(name="bot", email="bot@example.com")
SIGNER = Signer(b"k" * 32).of_repository("o/r")


@dataclass
class Here:
    """A repository, the forge beside it, and a run that has something to publish there."""

    scene: Scene
    forge: LocalForge
    said: list[str] = field(default_factory=list)

    @property
    def changeset(self) -> Changeset:
        return Changeset(self.scene.state / "publish.git", self.scene.mirror.objects)

    def offer(self, files: Mapping[str, bytes] | None = None, **changes: Any) -> Offer:
        """What a run proposes that began at the commit which the mirror has."""
        base = self.scene.mirror.resolve("main")
        made = self.changeset.write(
            base,
            [Edit(path, 0o100644, content) for path, content in (files or {"docs/a.md": b"new\n"}).items()],
        )
        patch = self.changeset.patch(base, made)
        output = OutputSpec(
            kind="pull_request", options={"title": "docs: update", **changes.pop("options", {})}
        )
        trigger = {"kind": "release", "key": "release:1", "subject": "v1", **changes.pop("trigger", {})}
        spec = RunSpec(
            repository=Repository(name="o/r", url=str(self.scene.source), default_branch="main"),
            base_ref="main",
            base_sha=base,
            skill=SkillRef(
                name="docs", path="skills/docs", commit="c" * 40, digest="d" * 64, description="Keep docs"
            ),
            trigger=Trigger(at=datetime.now(UTC), **trigger),
            prompt="p",
            environment=Environment(sandbox="docker", image="i"),
            harness=HarnessSpec(kind="codex"),
            limits=Limits(),
            allowance=Allowance(),
            outputs=(output,),
        )
        proposal = Proposal(
            base_sha=base, tree_sha=made, patch_sha256=sha256(patch).hexdigest(), patch_bytes=len(patch)
        )
        offer = Offer(
            spec=spec,
            output=output,
            run_id="run-1",
            proposal=proposal,
            patch=patch,
            outcome=Outcome(ok=True),
            checks=(),
            bot=BOT,
            signer=SIGNER,
            say=self.said.append,
            warn=self.said.append,
        )
        return replace(offer, **changes)

    def publish(self, offer: Offer) -> Receipt:
        return publish(offer, self.forge, self.changeset)

    def forge_of(self, kind: type[LocalForge]) -> LocalForge:
        """The same forge, which behaves as another class says."""
        return kind(self.forge.path, self.forge.table, self.forge.author, self.forge.items)

    def pulls(self, name: str = BRANCH) -> list[PullRequest]:
        return list(self.forge.pull_requests(name))

    def head(self, name: str = BRANCH) -> str:
        return git(self.scene.source, "rev-parse", f"refs/heads/{name}")

    def log(self, *arguments: str) -> list[str]:
        return git(self.scene.source, "log", *arguments).splitlines()


@pytest.fixture(name="here")
def _here(tmp_path: Path) -> Iterator[Here]:
    made = scene(tmp_path)
    made.mirror.fetch(made.remote)
    store = Store(tmp_path / "store")
    kept = (store.engine, store.database, "o/r")
    yield Here(made, LocalForge(made.source, LocalPullRequests(*kept), "bot", LocalItems(*kept)))
    store.close()


def refused(action: Callable[[], object]) -> RunnerError:
    with pytest.raises(RunnerError) as caught:
        action()
    return caught.value


def human(here: Here, email: str = "ada@example.com", message: str = "mine") -> str:
    """A commit on top of what was proposed."""
    head = here.head()
    here.changeset.fetch(here.forge.remote(), f"+refs/heads/{BRANCH}:refs/looked/{BRANCH}")
    tree = here.changeset.write(head, [Edit("docs/a.md", 0o100644, b"better\n")])
    made = here.changeset.commit(tree, [head], message, "Ada", email, datetime.now(UTC))
    here.changeset.push(here.forge.remote(), made, BRANCH, head)
    return made
