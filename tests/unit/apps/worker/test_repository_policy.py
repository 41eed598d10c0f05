"""What a repository's own file may say on a worker: its policy adds to the worker's."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from runner.apps.worker.repository import place_of, read_repository
from runner.clients.github.rate_limit import RateLimiter
from runner.config.settings import Config, load_config
from runner.core.model import Allowance, FileChange
from runner.publish.policy import paths
from runner.run import bootstrap
from runner.store import Store
from tests.parts.cli import Project, skill_files

YAML = "on: {manual: {}}\nharness: {kind: command, command: [x]}\noutput: {none: {}}\n"
OURS = "policy: {protected: [infra/**], locked: [keys/**]}\nmaxima: {timeout: 1h}\n"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "state")
    yield made
    made.close()


def merged(project: Project, store: Store, tmp_path: Path, theirs: str) -> Config:
    project.commit({**skill_files("one", YAML), **({"skillrunner.yaml": theirs} if theirs else {})})
    project.git("push", "-q", "origin", "HEAD")
    (tmp_path / "worker.yaml").write_text(OURS)
    flags = {"state_dir": str(tmp_path / "state")}
    config = load_config(tmp_path, file=tmp_path / "worker.yaml", environ={}, flags=flags)
    place = place_of(config, str(project.origin), lambda: "", RateLimiter(), lambda _: "")
    return read_repository(str(project.origin), place, store, None).place.config


@pytest.mark.parametrize(
    "theirs",
    [
        "",
        "image: x\n",
        "policy: {}\n",
        "policy: {protected: []}\n",
        "policy: {locked: []}\n",
        "policy: {protected: [docs/**], locked: [legal/**]}\n",
        "maxima: {timeout: 9h}\npolicy: {protected: [docs/**]}\n",
    ],
)
def test_a_repositorys_policy_adds_to_the_workers_and_never_replaces_it(
    project: Project, store: Store, tmp_path: Path, theirs: str
) -> None:
    config = merged(project, store, tmp_path, theirs)
    made = bootstrap.make_defaults(config, {})
    lifts_all = replace(
        Allowance(), guarded=made.guarded, locked=made.locked, protected=("**", "infra/**", "keys/**")
    )
    changes = [FileChange(path=path, change="added") for path in ("infra/a", "keys/a", "src/a")]
    refused = [one.subject for one in paths.refusals(changes, lifts_all)]
    assert refused == ["infra/a", "keys/a"]
    assert config.maxima.timeout == 3600


def test_what_a_repository_protects_its_own_skills_may_name(
    project: Project, store: Store, tmp_path: Path
) -> None:
    config = merged(project, store, tmp_path, "policy: {protected: [docs/**], locked: [legal/**]}\n")
    assert config.policy.protected == ("docs/**",)
    assert config.policy.locked == ("infra/**", "keys/**", "legal/**")
