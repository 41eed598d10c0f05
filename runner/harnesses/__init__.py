"""The agent CLIs. One file for each kind, pure: command line, files and environment in; stream lines ->
transcript events; exit and events -> outcome.

A file holds a class that derives from `Harness`, the model of its options, a class that derives from
`Reader`, and `PLUGINS = (TheClass,)`. Nothing here starts a process or opens a connection.

Who calls what when: a skill file is checked against `options`. A run is planned with `model_for`. Its
sandbox is opened, with the program where `package` or the configuration brings one; `launch` says what
runs in it, and a new `reader` is given every line. When it has ended, `Reader.outcome` judges. Where
`resumes`, what came for the agent meanwhile is a second `launch`. With `sessions` the agent's own session is
kept, and another run's `launch` goes on with it.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from runner.config.documents import Model
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
from runner.core.plugins import Family, Plugin

OURS = "skillrunner"
"""The name of the run's own server of the Model Context Protocol."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAccess:
    """How a harness is pointed at its model: the host's key goes to the gateway, never to the harness."""

    key_variable: str  # on the host: "ANTHROPIC_API_KEY"
    upstream_variable: str  # on the host: where the model really is, "ANTHROPIC_BASE_URL"
    upstream: str  # when the variable is not set: "https://api.anthropic.com"
    header: str  # how the real key is sent: "x-api-key" or "authorization"
    endpoints: tuple[str, ...]
    """All that a harness needs of it: each a method and a path below the upstream, "POST /v1/messages", with
    `*` for a model's name. The gateway lets nothing else through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A package of the npm registry that holds a harness's program, and needs no other package.

    A sandbox is shown the whole of it. In its texts `{machine}` stands for "x64" or "arm64", `{arch}` for
    "x86_64" or "aarch64".
    """

    name: str
    version: str  # with which the harness is tested
    release: str = "{version}"  # what the registry calls a version
    program: str  # its path in the package
    needs: str = ""  # its folder without which `program` does not work; empty: none
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
    program: str = ""  # where `Harness.program` is; empty: on the sandbox's PATH
    variables: Mapping[str, str] = field(default_factory=dict)  # what the skill and the configuration give it
    mcp: tuple[McpServer, ...] = ()
    provider: tuple[str, ...] = ()  # what the model's provider may do besides answering: "web_search"
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


class Speaker(Protocol):
    """Holds a conversation with the program: what it says goes to its standard input, which stays open.

    All of it is called by the thread that also calls `Reader.read`.
    """

    def begin(self, task: Task) -> None:
        """The program has been started for `task`. Called once, before anything else."""
        ...

    def say(self) -> bytes | None:
        """See `runner.core.model.NextInput`."""
        ...

    def steer(self, text: str) -> bool:
        """Tell the agent something while it works; False: it is too late, all is said."""
        ...

    def interrupt(self) -> None:
        """Have the agent stop where it is, and end."""
        ...


class Reader(Protocol):
    """Reads the stream of one run. It keeps what it needs for its judgement, and is used once."""

    @abstractmethod
    def read(self, stream: Stream, line: bytes) -> Iterable[TranscriptEvent]:
        """The events that a line tells. Called for each line as it comes; never raises."""

    @abstractmethod
    def outcome(self, ended: Exit, changed: bool) -> Outcome:
        """What became of it all. `changed`: files were changed, or outputs declared.

        Called after the last line, also more than once. An exit with 0 is no success by itself: what the
        stream says last has to be a good end.
        """

    def speaker(self) -> Speaker | None:
        """Who speaks with the program; None: it is given `Launch.stdin` and then hears no more."""
        return None


class Harness(Plugin, Protocol):
    """Everything that a harness may have; what has a value here need not be said.

    One object for each kind lives as long as the process, and keeps nothing of any run.
    """

    options: type[Model]
    """What a skill file may say of it, besides `kind` and `model`. Its docstring describes the harness in the
    schema. Read when the model of skill files is made; `HarnessSpec.options` holds what it has checked."""

    program: str | None = None
    """The program that must be in the sandbox; None: the skill's options name it.
    Read by `doctor`, and where a program of this machine is shown to the sandbox."""

    package: Package | None = None
    """Where `program` can be installed from, for `harnesses.<kind>.version`; None: it cannot be."""

    model: ModelAccess | None = None
    """How it reaches its model; None: not through the gateway, unless the skill chooses one of `models`."""

    models: Mapping[str, ModelAccess] = {}
    """How it does so where the option `api` chooses among several: by that option's value."""

    mcp: Literal["any", "ours", ""] = ""
    """Which servers of the Model Context Protocol it can be told of by `Task.mcp`: any, the run's own alone,
    or none. A skill that asks for more is refused when it is checked."""

    resumes: bool = False
    """Whether a session that has ended goes on with another prompt in the same sandbox: `Task.resume`."""

    sessions: Sessions | None = None
    """What it keeps of its sessions, so that one goes on in another run or on another machine, also by
    `Task.resume`; None: nothing."""

    @abstractmethod
    def launch(self, task: Task) -> Launch:
        """What is run in the open sandbox. Called once for each attempt, and again for a resumed session."""

    @abstractmethod
    def reader(self) -> Reader:
        """A new reader, for one run's stream."""

    def model_for(self, options: Mapping[str, Any]) -> ModelAccess | None:
        """How it reaches its model with these options."""
        return self.models.get(options.get("api") or "", self.model)


HARNESSES: Family[Harness] = Family("harnesses", __name__, Harness)


def sessions_of(kind: str) -> Sessions | None:
    """How sessions of a harness of this kind go on elsewhere; None: they do not, or it is not installed."""
    found = HARNESSES.all().get(kind)
    return found.sessions if found else None


def model_of(asked: Any) -> ModelAccess | None:
    """How the harness of a skill, `skill.options.harness`, reaches its model."""
    return HARNESSES.get(asked.kind).model_for(asked.model_dump())
