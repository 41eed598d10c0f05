"""From a release event to a pull request, on this machine, with nothing else.

Builds a small project whose manual is out of date after its release 1.1.0, gives it the shipped skill
`docs-after-release`, and plays the release's event to it. Run again, it finds nothing to update.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

DEMO = Path(__file__).parent
ROOT = DEMO.parent
PLACE = ROOT / ".skillrunner-demo"
PROJECT, ORIGIN = PLACE / "project", PLACE / "origin.git"
SKILL = "docs-after-release"
STAND_IN = 'harness: {kind: command, command: ["python3", ".demo/agent.py"]}'
KEYS = {"claude-code": ("claude", "ANTHROPIC_API_KEY"), "codex": ("codex", "OPENAI_API_KEY")}


def main() -> int:
    harness = os.environ.get("HARNESS", "")
    if harness and harness not in KEYS:
        return say(f"HARNESS={harness} is not known here: {', '.join(KEYS)}", code=2)
    if harness and not os.environ.get(KEYS[harness][1]):
        return say(f"HARNESS={harness} needs a key: export {KEYS[harness][1]}=...", code=2)
    variables = environment(harness)
    if not PROJECT.exists():
        build(harness, variables)
    say(f"\nThe project is in {PROJECT}; its release v1.1.0 has just been published.\n")
    done = skillrunner(variables, "run", SKILL, "--event", str(DEMO / "release.json"))
    if done:
        return done
    say("\n--- the pull request " + "-" * 50)
    skillrunner(variables, "pr", "show", "1")
    say("\n--- its diffstat " + "-" * 54)
    skillrunner(variables, "diff", first_run(variables), "--stat")
    say(f"""
--- to look further
  export SKILLRUNNER_STATE_DIR={PLACE / "state"} PATH={Path(sys.executable).parent}:$PATH
  cd {PROJECT}
  skillrunner list                 # all runs of this demo
  skillrunner show latest          # the last one: states, checks, files
  skillrunner logs latest          # what the agent did
  skillrunner diff {first_run(variables)}   # the patch
  skillrunner pr merge 1           # accept it
Run `make demo` again: nothing has changed, so nothing will be updated.""")
    return 0


def say(text: str, code: int = 0) -> int:
    print(text, flush=True)
    return code


def environment(harness: str) -> dict[str, str]:
    """The environment of the runs: everything that they keep is in the demo's own folder."""
    variables = {**os.environ, "SKILLRUNNER_STATE_DIR": str(PLACE / "state"), **sandbox(harness)}
    return variables | {"SKILLRUNNER_FORGE": "local"}


def sandbox(harness: str) -> Mapping[str, str]:
    """Docker where an engine answers, with an image made of what this machine has."""
    from runner.clients.docker import engine
    from runner.core.errors import RunnerError

    try:
        engine.client()
    except RunnerError as error:
        say(f"{error.message}.\nWithout Docker the demo uses `--sandbox process`, which isolates NOTHING.")
        return {"SKILLRUNNER_SANDBOX": "process"}
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts/local_image.py")], capture_output=True, text=True, check=False
    )
    if done.returncode:
        say(f"No image could be made ({done.stderr.strip()[-300:]}): the demo uses `--sandbox process`.")
        return {"SKILLRUNNER_SANDBOX": "process"}
    image = done.stdout.strip()
    say(f"Docker answers: the agent works in a container of {image}, made of what this machine has.")
    return {"SKILLRUNNER_SANDBOX": "docker", "SKILLRUNNER_IMAGE": image}


def build(harness: str, variables: Mapping[str, str]) -> None:
    """The project: a clone of a bare repository, with two tagged releases and the skill."""
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir()
    git(PLACE, "init", "-q", "--bare", "-b", "main", str(ORIGIN))
    git(PLACE, "init", "-q", "-b", "main", str(PROJECT))
    git(PROJECT, "remote", "add", "origin", str(ORIGIN))
    release("v1.0.0", "2026-01-12T09:00:00Z", "First release")
    install_skill(harness)
    release("v1.1.0", "2026-03-02T09:00:00Z", "Rename --shout to --loud; add farewell; greet twice")
    git(PROJECT, "push", "-q", "origin", "main", "--tags")


def release(tag: str, at: str, message: str) -> None:
    shutil.copytree(DEMO / "project" / tag, PROJECT, dirs_exist_ok=True)
    git(PROJECT, "add", "-A")
    git(PROJECT, "commit", "-q", "-m", message, at=at)
    git(PROJECT, "tag", tag)


def install_skill(harness: str) -> None:
    """The shipped skill as it is; where no model is used, only its harness is another one."""
    folder = PROJECT / "skills" / SKILL
    shutil.copytree(ROOT / "skills" / SKILL, folder, ignore=shutil.ignore_patterns("cases", "__pycache__"))
    skill = folder / "skill.yaml"
    lines = skill.read_text().splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("harness:"))
    lines[at] = f"harness: {{kind: {harness}}}" if harness else STAND_IN
    skill.write_text("\n".join(lines) + "\n")
    if harness:
        program = shutil.which(KEYS[harness][0])
        if program:
            config = f"harnesses:\n  {harness}: {{binary: {Path(program).resolve()}}}\n"
            (PROJECT / "skillrunner.yaml").write_text(config)
        else:
            say(f"`{KEYS[harness][0]}` is not on the PATH: the container's image has to hold it.")
    else:
        (PROJECT / ".demo").mkdir()
        shutil.copy(DEMO / "agent.py", PROJECT / ".demo" / "agent.py")


def git(where: Path, *args: str, at: str = "2026-03-02T09:00:00Z") -> None:
    who = {"NAME": "Ada", "EMAIL": "ada@example.com", "DATE": at}
    variables = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()}
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    alone = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", *args], cwd=where, env={**clean, **alone, **variables}, check=True)


def skillrunner(variables: Mapping[str, str], *args: str) -> int:
    command = [sys.executable, "-m", "runner", *args]
    say(f"$ skillrunner {' '.join(args)}")
    return subprocess.run(command, cwd=PROJECT, env=dict(variables), check=False).returncode


def first_run(variables: Mapping[str, str]) -> str:
    """The run that opened the pull request."""
    command = [sys.executable, "-m", "runner", "list", "--state", "succeeded", "--json"]
    done = subprocess.run(
        command, cwd=PROJECT, env=dict(variables), capture_output=True, text=True, check=True
    )
    return str(json.loads(done.stdout)[-1]["id"])


if __name__ == "__main__":
    sys.exit(main())
