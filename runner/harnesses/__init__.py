"""The agent CLIs. One module per kind, pure: command line, files and environment in; stream lines ->
transcript events; exit and events -> outcome.

A harness module offers:

`KINDS`   `{"claude-code": Options}`, the name in the skill file and the Pydantic model of its options;
`PROGRAM` the program that must be in the sandbox, or None when the skill names it;
`MODEL`   the `ModelAccess` by which it reaches its model, or None; where an option `api` chooses among
          several, `MODELS` holds them by name;
`PACKAGE` the `Package` that holds PROGRAM, where it can be installed; without it: it cannot;
`MCP`     "any": it can be told of servers of the Model Context Protocol; "ours": of the run's own alone;
          without it: of none;
`RESUMES` whether a session that has ended can go on with another prompt; without it: no;
`SESSIONS` the `Sessions` that it keeps, so that one can go on in another run or on another machine;
          without it none is kept;
`launch(task: Task) -> Launch`, which with `SESSIONS` or `RESUMES` heeds `Task.resume`;
`Reader`  a class whose `read(line: bytes) -> Iterable[TranscriptEvent]` turns the stream's lines into
          events, and whose `outcome(ended: Exit, changed: bool) -> Outcome` judges the whole. One that is
          a `Speaker` as well answers the program, whose standard input then stays open.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from runner.core import plugins
from runner.core.model import (
    Exit,
    HarnessSpec,
    Limits,
    McpServer,
    Outcome,
    Places,
    Stream,
    TranscriptEvent,
)

OURS = "skillrunner"
"""The name of the run's own server of the Model Context Protocol."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAccess:
    """How a harness is pointed at its model: the host's key goes to the gateway, never to the harness."""

    key_variable: str  # on the host: "ANTHROPIC_API_KEY"
    upstream_variable: str  # on the host: where the model really is, "ANTHROPIC_BASE_URL"
    upstream: str  # when the variable is not set: "https://api.anthropic.com"
    header: str  # how the real key is sent: "x-api-key" or "authorization"
    paths: tuple[str, ...]  # below the upstream: all that a harness needs of it, and the gateway lets through


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A package of the npm registry that holds a harness's program, and needs no other package.

    In its texts `{machine}` stands for "x64" or "arm64", `{arch}` for "x86_64" or "aarch64".
    """

    name: str
    version: str  # with which the harness is tested
    release: str = "{version}"  # what the registry calls a version
    program: str  # its path in the package
    node: bool = False  # the program is a script for the image's Node.js
    sha512: Mapping[str, str] = field(default_factory=dict)  # of the tested version, in base64, by machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a harness is asked to do, in the terms of the sandbox it runs in."""

    spec: HarnessSpec
    prompt: str
    limits: Limits
    places: Places
    model_url: str = ""  # the gateway's base URL for this run; empty: no model
    model_token: str = ""  # the placeholder that stands for the real key inside
    program: str = ""  # where PROGRAM is; empty: on the sandbox's PATH
    variables: Mapping[str, str] = field(default_factory=dict)  # what the skill and the configuration give it
    mcp: tuple[McpServer, ...] = ()
    resume: str = ""  # the session that goes on with the prompt; empty: a new one


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    argv: tuple[str, ...]
    stdin: bytes = b""
    variables: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)  # name in the exchange folder -> content
    home: Mapping[str, bytes] = field(default_factory=dict)  # path below the home -> content


Files = Mapping[str, bytes]
"""Path below the home -> content."""


def _as_they_are(files: Files, workspace: str) -> Files:
    del workspace
    return files


@dataclass(frozen=True, slots=True, kw_only=True)
class Sessions:
    """Where a program keeps its sessions, and how one goes on."""

    folder: str  # below the home
    command: Callable[[str, str | None], tuple[str, ...]]
    """Of a session's id and the model, if one was named: what a person types to go on with it."""
    moved: Callable[[Files, str], Files] = _as_they_are
    """Of its files and the path of a workspace: the files by which it is found from there."""


class Reader(Protocol):
    def read(self, stream: Stream, line: bytes) -> Iterable[TranscriptEvent]: ...

    def outcome(self, ended: Exit, changed: bool) -> Outcome: ...


@runtime_checkable
class Speaker(Protocol):
    """A reader that holds a conversation: what it says goes to the program's standard input.

    All of it is called by the thread that also calls `read`.
    """

    def begin(self, task: Task) -> None:
        """The program has been started for `task`."""
        ...

    def say(self) -> bytes | None:
        """See `runner.core.model.Say`."""
        ...

    def steer(self, text: str) -> bool:
        """Tell the agent something while it works; False: it is too late, all is said."""
        ...

    def interrupt(self) -> None:
        """Have the agent stop where it is, and end."""
        ...


class Harness(Protocol):
    KINDS: Mapping[str, type[Any]]
    PROGRAM: str | None
    MODEL: ModelAccess | None
    Reader: type[Reader]

    def launch(self, task: Task) -> Launch: ...


def sessions_of(kind: str) -> Sessions | None:
    """How sessions of a harness of this kind go on elsewhere; None: they do not."""
    found: Sessions | None = getattr(plugins.module("harnesses", kind), "SESSIONS", None)
    return found


def model_access(harness: Any, options: Mapping[str, Any]) -> ModelAccess | None:
    """How a harness with these options reaches its model."""
    choices: Mapping[str | None, ModelAccess] = getattr(harness, "MODELS", {})
    found: ModelAccess | None = choices.get(options.get("api"), harness.MODEL)
    return found


def model_of(asked: Any) -> ModelAccess | None:
    """How the harness of a skill, `skill.options.harness`, reaches its model."""
    return model_access(plugins.module("harnesses", asked.kind), asked.model_dump())
