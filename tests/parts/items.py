"""A repository on the local forge or on the model of GitHub, and runs that publish items there."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from runner.core.model import (
    Allowance,
    DeclaredOutput,
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
from runner.publish.forges import Forge, NewPullRequest
from runner.publish.forges.local import LocalForge
from runner.publish.outputs import OUTPUTS, BotIdentity, Offer
from runner.publish.policy import declared
from runner.store import LocalItems, LocalPullRequests, Store
from runner.workspace.changeset import Changeset
from tests.parts.github_model import GitHubModel
from tests.parts.repos import Scene, commit, git, scene

FORGES = ("local", "github")


@dataclass
class Site:
    """The forge, and a run's kind of output. What it warns of and says is kept."""

    scene: Scene
    forge: Forge
    model: GitHubModel | None  # of GitHub; None: it is the local forge
    items: LocalItems
    warnings: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    @property
    def changeset(self) -> Changeset:
        return Changeset(self.scene.state / "publish.git", self.scene.mirror.objects)

    def commit(self, branch: str, files: Mapping[str, bytes], message: str = "change") -> str:
        if not git(self.scene.source, "for-each-ref", f"refs/heads/{branch}"):
            git(self.scene.source, "branch", branch, "main")
        return commit(self.scene.source, dict(files), branch, message)

    def open(self, branch: str, author: str = "alice") -> int:
        """Open a pull request of somebody's with this branch."""
        if self.model is not None:
            return self.model.open_pull_request(branch, author)
        assert isinstance(self.forge, LocalForge)
        new = NewPullRequest(branch=branch, base="main", title="A change", body="")
        return self.forge.table.insert(new, author)[0].number

    def spec(
        self,
        kind: str,
        event: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        cause: str = "cause:1",
        base_sha: str = "",
    ) -> RunSpec:
        valid = OUTPUTS.get(kind).options.model_validate(dict(options or {})).model_dump()
        return RunSpec(
            repository=Repository(name="o/r", url=str(self.scene.source), default_branch="main"),
            base_ref="main",
            base_sha=base_sha or git(self.scene.source, "rev-parse", "main"),
            skill=SkillRef(name="docs", path="skills/docs", commit="c" * 40, digest="d", description="D"),
            trigger=Trigger(kind="manual", key=cause, at=datetime(2026, 1, 2, tzinfo=UTC), event=event or {}),
            prompt="p",
            environment=Environment(sandbox="docker", image="i"),
            harness=HarnessSpec(kind="codex"),
            limits=Limits(),
            allowance=Allowance(),
            outputs=(OutputSpec(kind=kind, options=valid),),
        )

    def offer(self, spec: RunSpec, fields: Mapping[str, Any], position: int = 0, **changes: Any) -> Offer:
        item = DeclaredOutput(kind=spec.outputs[0].kind, fields=fields)
        assert declared.faults(item, spec) == []
        offer = Offer(
            spec=spec,
            output=spec.outputs[0],
            run_id=f"run-{spec.trigger.key}",
            proposal=Proposal(base_sha=spec.base_sha, tree_sha="", declared=(item,)),
            patch=b"",
            outcome=Outcome(ok=True),
            checks=(),
            bot=BotIdentity(name="bot", email="bot@example.com"),
            item=item,
            position=position,
            say=self.said.append,
            warn=self.warnings.append,
        )
        return replace(offer, **changes)

    def publish(self, offer: Offer) -> Receipt:
        return OUTPUTS.get(offer.output.kind).publish(offer, self.forge, self.changeset)


def faults(spec: RunSpec, fields: Mapping[str, Any]) -> list[str]:
    return declared.faults(DeclaredOutput(kind=spec.outputs[0].kind, fields=fields), spec)


@pytest.fixture(name="site", params=FORGES)
def _site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """A site on each forge in turn. Requests to GitHub's model are held against GitHub's description."""
    made = scene(tmp_path)
    made.mirror.fetch(made.remote)
    store = Store(tmp_path / "store")
    kept = (store.engine, store.database, "o/r")
    items = LocalItems(*kept)
    if request.param == "local":
        yield Site(made, LocalForge(made.source, LocalPullRequests(*kept), "bot", items), None, items)
    else:
        model: GitHubModel = request.getfixturevalue("github_model")
        yield Site(made, model.forge(), model, items)
    store.close()
