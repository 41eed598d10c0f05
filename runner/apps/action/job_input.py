"""The input of the Action: GitHub's variables and the Action's inputs as one record.

The variables are those of GitHub's "Variables reference"; inputs come as `INPUT_*` from `action.yml`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.core.payload import parse_json

INPUTS = (
    "command",
    "skill",
    "key",
    "event",
    "config",
    "token",
    "app-id",
    "app-private-key",
    "dry-run",
    "sandbox",
    "verify",
    "working-directory",
    "allow",
)
"""The inputs of `action.yml` that the program reads. `version` is read before there is a program, and the
keys of models come as the variables that harnesses read anyway."""

_SECRET = ("token", "app-private-key")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobInput:
    """One step of a workflow that runs the Action."""

    event: str  # GitHub's name of what started the workflow
    payload: Mapping[str, Any]  # untrusted
    repository: str  # "owner/name"
    server_url: str
    api_url: str
    workspace: Path
    temp: Path
    run_id: str  # of the workflow run
    actor: str  # who GitHub says started it
    attempt: int  # above 1: somebody asked GitHub to run it again
    workflow: str  # the path of the workflow's file
    workflow_sha: str
    action_repository: str  # where the Action came from; empty: a folder of this repository
    outputs: Path | None  # files that the workflow commands of this step are written to
    summary: Path | None
    guarded: tuple[Path, ...]  # files through which a step changes the steps after it
    inputs: Mapping[str, str] = field(repr=False)  # all of INPUTS, empty where not given

    @property
    def secrets(self) -> tuple[str, ...]:
        return tuple(self.inputs[name] for name in _SECRET if self.inputs[name])

    def flag(self, name: str) -> bool:
        """An input that is true or false. Raises RunnerError when it is neither."""
        said = self.inputs[name].lower()
        if said not in ("", "true", "false"):
            raise _wrong(
                f"the input `{name}` should be true or false (value: {said})", "correct the workflow"
            )
        return said == "true"


def read_job_input(environ: Mapping[str, str]) -> JobInput:
    """Read the input from the environment. Raises RunnerError outside of a workflow's step."""
    if "GITHUB_REPOSITORY" not in environ or "GITHUB_EVENT_NAME" not in environ:
        hint = "this verb is for action.yml; on a machine of your own: skillrunner run SKILL"
        raise _wrong("GITHUB_REPOSITORY and GITHUB_EVENT_NAME are not set: this is no GitHub workflow", hint)
    inputs = {name: environ.get(_variable(name), "").strip() for name in INPUTS}
    files = {name: Path(path) for name in _FILES if (path := environ.get(name))}
    reference = environ.get("GITHUB_WORKFLOW_REF", "").split("@")[0]
    return JobInput(
        event=environ["GITHUB_EVENT_NAME"],
        payload=_payload(Path(inputs["event"] or environ.get("GITHUB_EVENT_PATH", ""))),
        repository=environ["GITHUB_REPOSITORY"],
        server_url=environ.get("GITHUB_SERVER_URL", "https://github.com"),
        api_url=environ.get("GITHUB_API_URL", "https://api.github.com"),
        workspace=Path(environ.get("GITHUB_WORKSPACE") or "."),
        temp=Path(environ.get("RUNNER_TEMP") or "/tmp"),  # noqa: S108 - what a workflow without one has
        run_id=environ.get("GITHUB_RUN_ID", "0"),
        actor=environ.get("GITHUB_ACTOR", ""),
        attempt=int(environ.get("GITHUB_RUN_ATTEMPT") or 1),
        workflow="/".join(reference.split("/")[2:]),
        workflow_sha=environ.get("GITHUB_WORKFLOW_SHA", ""),
        action_repository=environ.get("GITHUB_ACTION_REPOSITORY", ""),
        outputs=files.get("GITHUB_OUTPUT"),
        summary=files.get("GITHUB_STEP_SUMMARY"),
        guarded=tuple(files.values()),
        inputs=inputs,
    )


_FILES = ("GITHUB_ENV", "GITHUB_PATH", "GITHUB_OUTPUT", "GITHUB_STATE", "GITHUB_STEP_SUMMARY")


def _variable(name: str) -> str:
    return f"INPUT_{name.upper().replace('-', '_')}"


def _payload(path: Path) -> Mapping[str, Any]:
    try:
        found = parse_json(path.read_bytes()) if path.is_file() else {}
    except (OSError, ValueError) as error:
        raise _wrong(f"{path} is not an event's payload: {error}", "give one JSON object") from error
    if not isinstance(found, dict):
        raise _wrong(f"{path} holds {type(found).__name__}, not an object", "give one JSON object")
    return found


def _wrong(message: str, hint: str) -> RunnerError:
    return RunnerError(Phase.LOAD, Reason.INVALID_INPUT, message, hint=hint)
