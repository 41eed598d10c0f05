"""The safe subset of a devcontainer.json. Pure.

The format: https://containers.dev/implementors/json_reference/
"""

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from posixpath import dirname, join, normpath
from typing import Any

from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.core.payload import parse_json

REFUSAL_REASONS: Mapping[str, str] = {
    "initializeCommand": "it runs on the host",
    "mounts": "they show the container the host's files",
    "workspaceMount": "the workspace is the runner's own checkout",
    "runArgs": "they may give the container any right",
    "privileged": "it gives the container the host",
    "capAdd": "the sandbox has no capabilities",
    "securityOpt": "it may switch off what isolates",
    "appPort": "it opens ports of the host",
    "forwardPorts": "the sandbox has no network that ports could be forwarded from",
    "features": "they are programs from elsewhere that run as root: put them into a Dockerfile",
    "dockerComposeFile": "a sandbox is one container",
    "service": "a sandbox is one container",
    "runServices": "a sandbox is one container",
    "containerUser": "the sandbox has a user of its own",
    "remoteUser": "the sandbox has a user of its own",
    "postStartCommand": "nobody starts a sandbox again: use postCreateCommand",
    "postAttachCommand": "nobody attaches to a sandbox",
    "secrets": "name them in `environment.secrets` of the skill",
}
"""Keys that are not read in silence, and why."""

_HARMLESS = frozenset(
    """$schema name customizations workspaceFolder build image containerEnv remoteEnv hostRequirements
    onCreateCommand updateContentCommand postCreateCommand waitFor shutdownAction overrideCommand init
    updateRemoteUserUID userEnvProbe otherPortsAttributes portsAttributes extensions settings
    overrideFeatureInstallOrder dockerFile context""".split()  # noqa: SIM905 - best read as words
)
_COMMANDS = ("onCreateCommand", "updateContentCommand", "postCreateCommand")  # in the order of the format
_BUILD = ("dockerfile", "context")
_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
_COMMA = re.compile(r'("(?:\\.|[^"\\])*")|,(?=\s*[}\]])', re.DOTALL)
_VARIABLE = re.compile(r"\$\{([^}:]*)(?::([^}]*))?\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Devcontainer:
    """The values that the runner uses. Either `image` or `dockerfile` is set."""

    image: str = ""
    dockerfile: str = ""  # a path in the repository
    context: str = ""  # a folder of the repository; empty: all of it
    setup: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)


def parse_devcontainer(path: str, content: bytes, workspace: str) -> Devcontainer:
    """Parse the file `path`. `workspace` is the path of the repository inside the container.

    Raises RunnerError INVALID_SKILL, or UNSUPPORTED with every refused key and the reason.
    """
    data = _parse(path, content)
    _refuse(path, data)
    values = _expand(path, data, workspace)
    build = _build(path, values)
    image = _text(path, "image", values.get("image", ""))
    if bool(image) == bool(build):
        raise _invalid(path, "it names neither an `image` nor a `build.dockerfile`, or both")
    return Devcontainer(
        image=image,
        dockerfile=build[0] if build else "",
        context=build[1] if build else "",
        setup=tuple(one for key in _COMMANDS for one in _commands(path, key, values.get(key))),
        variables={**_variables(path, "containerEnv", values), **_variables(path, "remoteEnv", values)},
    )


def _parse(path: str, content: bytes) -> dict[str, Any]:
    """Parse JSON with comments and trailing commas, as editors write it."""
    try:
        text = content.decode("utf-8-sig")
        bare = _TOKEN.sub(lambda found: found[0] if found[0][0] == '"' else " ", text)
        data = parse_json(_COMMA.sub(lambda found: found[1] or "", bare), object_pairs_hook=_unique_keys)
    except ValueError as error:
        raise _invalid(path, f"it is no JSON: {error}") from None
    if not isinstance(data, dict):
        raise _invalid(path, "it should be an object")
    return data


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _refuse(path: str, data: Mapping[str, Any]) -> None:
    causes = [
        f"`{key}`: {why}"
        for key, why in REFUSAL_REASONS.items()
        if data.get(key) not in (None, {}, [], False)
    ]
    causes += [f"`{key}` is not known" for key in data if key not in _HARMLESS and key not in REFUSAL_REASONS]
    build = data.get("build")
    if isinstance(build, dict):
        causes += [f"`build.{key}`: it is not read" for key in build if key not in _BUILD]
    if causes:
        hint = "take them out, or use `environment.image` or `environment.dockerfile`"
        message = f"{path} asks for what a sandbox does not give: {'; '.join(causes)}"
        raise RunnerError(Phase.SANDBOX, Reason.UNSUPPORTED, message, hint=hint)


def _expand(path: str, value: Any, workspace: str) -> Any:
    """Replace the format's variables in the value; no value of the host is ever inserted."""

    def known(found: re.Match[str]) -> str:
        name = found[1]
        if name == "containerWorkspaceFolder":
            return workspace
        if name == "containerWorkspaceFolderBasename":
            return workspace.rpartition("/")[2]
        why = "it has no value here" if name.startswith(("container", "dev")) else "it is the host's"
        raise RunnerError(
            Phase.SANDBOX,
            Reason.UNSUPPORTED,
            f"{path}: {found[0]} is refused: {why}",
            hint="write the value, or name a secret in `environment.secrets` of the skill",
        )

    if isinstance(value, str):
        return _VARIABLE.sub(lambda found: known(found) if _is_format_variable(found[1]) else found[0], value)
    if isinstance(value, dict):
        return {key: _expand(path, one, workspace) for key, one in value.items() if key != "customizations"}
    if isinstance(value, list):
        return [_expand(path, one, workspace) for one in value]
    return value


def _is_format_variable(name: str) -> bool:
    """Whether the variable belongs to the format; all others belong to the shell."""
    return name.startswith(("local", "container", "devcontainerId")) or name == "env"


def _build(path: str, data: Mapping[str, Any]) -> tuple[str, str] | None:
    """The Dockerfile and its context as paths in the repository; the file has them relative to itself."""
    build = data.get("build") or {}
    if not isinstance(build, dict):
        raise _invalid(path, "`build` should be an object")
    dockerfile = _text(path, "build.dockerfile", build.get("dockerfile", data.get("dockerFile", "")))
    context = _text(path, "build.context", build.get("context", data.get("context", ".")))
    if not dockerfile:
        return None
    folder = _inside(path, context)
    return _inside(path, dockerfile), "" if folder == "." else folder


def _inside(path: str, relative: str) -> str:
    found = normpath(join(dirname(path), relative))
    if found.startswith(("/", "../")) or found == "..":
        raise _invalid(path, f"{relative} is not in the repository")
    return found


def _commands(path: str, key: str, value: Any) -> Iterator[str]:
    """The commands of one key: a text, a list of words, or several by name, which run one after another."""
    if isinstance(value, dict):
        for one in value.values():
            yield from _commands(path, key, one)
    elif isinstance(value, list) and all(isinstance(word, str) for word in value):
        yield shlex.join(value)
    elif value:
        yield _text(path, key, value)


def _variables(path: str, key: str, data: Mapping[str, Any]) -> dict[str, str]:
    said = data.get(key) or {}
    if not isinstance(said, dict) or not all(_NAME.fullmatch(name) for name in said):
        raise _invalid(path, f"`{key}` should be an object of variables")
    return {name: _text(path, f"{key}.{name}", value) for name, value in said.items() if value is not None}


def _text(path: str, key: str, value: Any) -> str:
    if not isinstance(value, str):
        raise _invalid(path, f"`{key}` should be a text")
    return value


def _invalid(path: str, what: str) -> RunnerError:
    return RunnerError(Phase.SANDBOX, Reason.INVALID_SKILL, f"{path}: {what}", hint="correct and push it")
