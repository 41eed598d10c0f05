"""Environments as a user writes them: the command line, a real repository, a real engine."""

import json

import pytest

from runner.clients.docker import build, engine
from tests.parts.cli import Project, skill_files

# Another tier's tests prune the images that these build.
pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("built images")]

SKILL = """
on: {manual: {}}
environment: {%s}
harness: {kind: command, command: [sh, -c, "%s"]}
output: {pull_request: {title: "docs", paths: ["docs/**"]}}
"""


@pytest.fixture
def docked(project: Project, local_image: str) -> Project:
    project.variables["SKILLRUNNER_SANDBOX"] = "docker"
    project.variables["SKILLRUNNER_IMAGE"] = local_image
    return project


def made_by(project: Project, path: str) -> str:
    return project.git("show", f"skillrunner/s/default:{path}", cwd=project.origin)


def test_a_skill_works_in_the_image_of_its_dockerfile(docked: Project, local_image: str) -> None:
    dockerfile = f"FROM {local_image}\nCOPY docs/guide.md /guide\nRUN echo {docked.root} >> /guide\n"
    files = skill_files("s", SKILL % ("dockerfile: env/Dockerfile", "cp /guide docs/new.md"))
    docked.commit({**files, "env/Dockerfile": dockerfile})
    docked.write({"env/Dockerfile": "FROM never-built\n"})  # the work tree has no say
    done = docked.skillrunner("run", "s", "--json")
    assert done.code == 0, done.err
    record = json.loads(done.out)
    try:
        assert made_by(docked, "docs/new.md") == f"# Guide\n\nOld text.\n{docked.root}"
        assert record["image_digest"].startswith("sha256:")
        again = docked.skillrunner("run", "s", "--json")
        assert "is there already" in again.err
        assert json.loads(again.out)["image_digest"] == record["image_digest"]
    finally:
        for tag in engine.client().inspect_image(record["image_digest"])["RepoTags"]:
            assert tag.startswith(build.REPOSITORY)
            engine.client().remove_image(tag)


def test_a_build_that_fails_ends_the_run(docked: Project, local_image: str) -> None:
    files = skill_files("s", SKILL % ("dockerfile: Dockerfile", "true"))
    docked.commit({**files, "Dockerfile": f"FROM {local_image}\nRUN echo no such thing; exit 4\n"})
    done = docked.skillrunner("run", "s", "--json")
    end = json.loads(done.out)["end"]
    assert (done.code, end["phase"], end["reason"]) == (1, "sandbox", "image_build_failed")
    assert "no such thing" in end["message"]
    run_id = json.loads(done.out)["id"]
    assert "no such thing" in (docked.state / "runs" / run_id / "image.log").read_text()


SETUP = """
on: {manual: {}}
environment:
  setup:
    - mkdir -p $HOME/.local node_modules/x docs/.cache/empty && ln -s /usr/bin/env node_modules/link
    - od -An -N8 -tx1 /dev/urandom | tee node_modules/x/a $HOME/.local/a > /tmp/a
  setup_key: [lockfiles, "tools/*"]
harness: {kind: command, command: [sh, -c, "cat node_modules/x/a ~/.local/a /tmp/a > docs/new.md; %s"]}
verify: ["cat node_modules/x/a ~/.local/a /tmp/a | diff - docs/new.md && test -d docs/.cache/empty"]
output: {pull_request: {title: "docs", paths: ["**"], protected: ["**"]}}
"""


@pytest.fixture
def keeping(docked: Project) -> Project:
    docked.commit(
        {**skill_files("s", SETUP % "true"), ".gitignore": "node_modules/\n", "package.json": "{}\n"}
    )
    return docked


def notes(project: Project) -> str:
    done = project.skillrunner("run", "s", "--again")
    assert done.code == 0, done.err
    return done.err


def test_what_set_up_made_is_used_again(keeping: Project) -> None:
    first = notes(keeping)
    assert first.count("set up: mkdir") == 1  # not for verification
    assert "is kept for later runs" in first
    made = made_by(keeping, "docs/new.md")
    keeping.commit({"docs/guide.md": "Something else\n"})
    second = notes(keeping)
    assert "set up: mkdir" not in second
    assert "set up from what is kept" in second
    assert made_by(keeping, "docs/new.md") == made
    keeping.commit({"package.json": '{"name": "x"}\n'})
    assert notes(keeping).count("set up: mkdir") == 1
    assert made_by(keeping, "docs/new.md") != made


def test_a_patch_that_changes_what_set_up_reads_is_verified_with_the_bases(docked: Project) -> None:
    files = skill_files("s", (SETUP % "echo '{}' > package.json").replace("| diff - docs/new.md", "> /tmp/x"))
    docked.commit({**files, ".gitignore": "node_modules/\n"})
    assert notes(docked).count("set up: mkdir") == 1
    assert len(list((docked.state / "prepared").glob("*.tar"))) == 1  # nothing of what an agent wrote


def test_what_lies_in_the_way_of_the_repositorys_own_is_not_put_back(keeping: Project) -> None:
    notes(keeping)
    keeping.git("rm", "-q", ".gitignore")
    keeping.commit({"docs/.cache/empty": "now a file\n"})
    done = keeping.skillrunner("run", "s")
    assert "set up: mkdir" in done.err
    assert (done.code, "mkdir" in done.out + done.err) == (1, True)


def test_set_up_that_changes_the_repositorys_own_files_is_not_kept(docked: Project) -> None:
    command = "environment: {setup: ['echo more >> docs/guide.md'], setup_key: [lockfiles]}"
    docked.commit(skill_files("s", (SKILL % ("", "true")).replace("environment: {}", command)))
    for _ in range(2):
        said = notes(docked)
        assert "not kept: set-up changes the repository's own docs/guide.md" in said
        assert "set up: echo more" in said


def test_a_damaged_archive_is_removed(keeping: Project) -> None:
    notes(keeping)
    (archive,) = (keeping.state / "prepared").glob("*.tar")
    archive.write_bytes(b"no archive")
    done = keeping.skillrunner("run", "s", "--json")
    end = json.loads(done.out)["end"]
    assert (end["reason"], end["retryable"]) == ("setup_failed", True)
    assert not archive.exists()


def test_a_skill_works_in_a_devcontainer(docked: Project, local_image: str) -> None:
    content = {
        "image": local_image,
        "containerEnv": {"A": "1", "B": "2"},
        "postCreateCommand": "echo $A$B > ${containerWorkspaceFolder}/docs/new.md",
    }
    environment = "devcontainer: .devcontainer/devcontainer.json, variables: {B: '3'}"
    files = skill_files("s", SKILL % (environment, "echo $A$B >> docs/new.md"))
    docked.commit({**files, ".devcontainer/devcontainer.json": f"// ours\n{json.dumps(content)}"})
    docked.variables["SKILLRUNNER_IMAGE"] = ""
    done = docked.skillrunner("run", "s")
    assert done.code == 0, done.err
    assert made_by(docked, "docs/new.md") == "13\n13"


def test_a_devcontainer_that_reaches_for_the_host_starts_nothing(docked: Project) -> None:
    content = {"image": "x", "initializeCommand": f"touch {docked.home}/was-here"}
    files = skill_files("s", SKILL % ("devcontainer: .devcontainer.json", "true"))
    docked.commit({**files, ".devcontainer.json": json.dumps(content)})
    done = docked.skillrunner("run", "s", "--json")
    end = json.loads(done.out)["end"]
    assert (end["reason"], "`initializeCommand`: it runs on the host" in end["message"]) == (
        "unsupported",
        True,
    )
    assert not (docked.home / "was-here").exists()
