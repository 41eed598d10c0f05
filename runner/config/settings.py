"""The configuration: defaults < skillrunner.yaml < environment < flags, with the origin kept per value."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, PrivateAttr, model_validator

from runner.config.documents import (
    Data,
    Document,
    Fault,
    Many,
    Model,
    Text,
    check,
    parse,
    raise_faults,
)
from runner.config.documents.yaml import resolve
from runner.config.harness import HarnessConfig
from runner.config.options import (
    ApprovalChoice,
    Glob,
    KindName,
    LimitOptions,
    MaximaOptions,
    PriceOptions,
    ResourceOptions,
    Variable,
)
from runner.config.worker import WorkerConfig
from runner.core.model import Phase, Reason
from runner.core.paths import with_home
from runner.core.units import Maybe

FILE = "skillrunner.yaml"
PREFIX = "SKILLRUNNER_"
MAX_FILE = 256 * 1024

Url = Annotated[str, Field(pattern=r"^https?://[^\s@/?#]+(/[^\s?#]*)?$")]


RepositoryName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$", max_length=201)]
RepositoryPlace = Annotated[str, Field(pattern=r"^(https?://[^\s@?#]+|/[^\n]*|~/[^\n]*)$")]
ModelName = Annotated[str, Field(pattern=r"^\S+$", max_length=200)]


ImageName = Annotated[str, Field(pattern=r"^[^\s@]+$", max_length=300)]
ImageDigest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


class PolicySettings(Model):
    """What is guarded besides the built-in protected paths."""

    protected: Many[Glob] = Field(
        default=(), description="Further protected paths: refused but for skills that name them"
    )
    locked: Many[Glob] = Field(default=(), description="Paths that no skill may change, whatever it names")
    signed_marks: bool = Field(
        default=False, description="Hidden marks count only if they are signed by the key of this host"
    )
    approval: Maybe[ApprovalChoice] = Field(
        default=None,
        description="When a proposal waits for a person, besides what its skill says: required, or rules",
        examples=["required", {"paths": [".github/**"]}],
    )


class GitHubSettings(Model):
    """Where GitHub is, and which variable holds the token."""

    api_url: Url = Field(default="https://api.github.com", description="The REST API")
    git_url: Url = Field(
        default="https://github.com", description="Where repositories are fetched and pushed"
    )
    token_env: Variable = Field(default="GITHUB_TOKEN", description="The variable that holds the token")


class GatewaySettings(Model):
    """The only way out of a sandbox."""

    image: Text = Field(
        default="python:3.12-alpine", description="An image with Python, for sandboxes whose own has none"
    )
    private_hosts: Many[Text] = Field(
        default=(),
        description="Hosts that skills may name though their addresses are not on the public internet",
        examples=[["pypi.internal.example"]],
    )
    record: bool = Field(
        default=False, description="Keep what is said to models and by them, with each run: traffic.jsonl"
    )


RegistryName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*(:[0-9]{1,5})?$", max_length=200)]


class BuildSettings(Model):
    """How images of Dockerfiles are built."""

    registries: Many[RegistryName] = Field(
        default=(),
        description="Registries at which a Dockerfile's FROM is helped by this machine's docker login",
        examples=[["ghcr.io", "docker.io"]],
    )


class BotSettings(Model):
    """Who commits."""

    name: Text = Field(default="skillrunner[bot]", description="The name in commits")
    email: Annotated[str, Field(pattern=r"^[^\s@<>]+@[^\s@<>]+$")] = Field(
        default="skillrunner[bot]@users.noreply.github.com", description="The address in commits"
    )


class AttestationSettings(Model):
    """Who signs what says how a change came about."""

    signer: Literal["auto", "key", "sigstore", "none"] = Field(
        default="auto",
        description="key: a key of this machine; sigstore: the job's identity; none: nothing is attested; "
        "auto: sigstore where it is installed and the job of a public repository has an identity, else key",
    )


class SecretSource(Model):
    """Where one secret comes from: one of these."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    env: Maybe[Variable] = Field(default=None, description="An environment variable")
    file: Maybe[Annotated[str, Field(pattern=r"^(/|~/)")]] = Field(
        default=None, description="A file that holds nothing else", examples=["/run/secrets/docs"]
    )
    command: Maybe[Annotated[Many[Text], Field(min_length=1)]] = Field(
        default=None, description="A program that prints it, run without a shell", examples=[["pass", "docs"]]
    )
    keyring: Maybe[Annotated[str, Field(pattern=r"^[^\s]+/[^/\s]+$")]] = Field(
        default=None, description="SERVICE/USER in the system's keyring", examples=["docs.example.com/bot"]
    )
    oidc: Maybe[Annotated[str, Field(pattern=r"^[^\s]+$", max_length=200)]] = Field(
        default=None,
        description="An identity token of the platform for this audience (GitHub Actions)",
        examples=["sts.amazonaws.com"],
    )

    @model_validator(mode="after")
    def _one(self) -> "SecretSource":
        if len(self.model_fields_set) != 1:
            raise ValueError("should have exactly one of env, file, command, keyring and oidc")
        return self


class Config(Model):
    """How the runner works here."""

    forge: KindName = Field(
        default="auto",
        description="Where pull requests go; auto: the forge that serves `origin`, else local",
        examples=["auto", "github", "local"],
    )
    sandbox: Text = Field(
        default="docker",
        description="What isolates harnesses: docker, process by choice, or a kind that a package adds",
    )
    image: str = Field(default="", description="The image of skills that name none")
    skills: Annotated[Many[Glob], Field(min_length=1)] = Field(
        default=("skills", ".agents/skills", ".github/skills"), description="Folders that hold skills"
    )
    state_dir: Text = Field(
        default="~/.local/state/skillrunner", description="Where runs, mirrors and pull requests are kept"
    )
    harnesses: dict[KindName, HarnessConfig] = Field(default={}, description="By kind of harness")
    limits: LimitOptions = Field(
        default=LimitOptions.model_construct(), description="Limits of skills that state none"
    )
    resources: ResourceOptions = Field(
        default=ResourceOptions.model_construct(), description="Resources of skills that state none"
    )
    maxima: MaximaOptions = Field(
        default=MaximaOptions.model_construct(), description="What no skill may exceed"
    )
    repositories: dict[RepositoryName, RepositoryPlace] = Field(
        default={},
        description="Where repositories are that skills read besides their own; default: on the forge",
        examples=[{"acme/docs": "https://git.example.com/docs.git"}],
    )
    secrets: dict[Variable, SecretSource] = Field(
        default={},
        description="Where secrets come from, by name; default: the environment variable of that name",
    )
    digests: dict[ImageName, ImageDigest] = Field(
        default={},
        description="By image: the content that runs use, so that a tag that moves changes nothing",
        examples=[{"python:3.12-slim": "sha256:" + "0" * 64}],
    )
    commands: bool = Field(
        default=False,
        description="Whether people who may write can ask a worker for runs in comments: /skillrunner",
    )
    policy: PolicySettings = Field(default=PolicySettings.model_construct(), description="What is guarded")
    github: GitHubSettings = Field(default=GitHubSettings.model_construct(), description="The forge")
    builds: BuildSettings = Field(
        default=BuildSettings.model_construct(), description="How images of Dockerfiles are built"
    )
    bot: BotSettings = Field(default=BotSettings.model_construct(), description="Who commits")
    attestation: AttestationSettings = Field(
        default=AttestationSettings.model_construct(), description="Who signs how a change came about"
    )
    worker: WorkerConfig = Field(
        default=WorkerConfig.model_construct(), description="The daemon that runs what is due"
    )
    prices: dict[ModelName, PriceOptions] = Field(
        default={}, description="By a model's name or a glob, before the published prices"
    )
    gateway: GatewaySettings = Field(
        default=GatewaySettings.model_construct(), description="The only way out of a sandbox"
    )

    _origins: dict[str, str] = PrivateAttr(default_factory=dict)
    _root: Path = PrivateAttr(default=Path())

    def origin(self, key: str) -> str:
        """Where a value comes from: "default", a file, a variable or a flag. Keys are dotted: "bot.name"."""
        return self._origins.get(key, "default")

    def other_keys(self, kind: str) -> list[str]:
        """The names of the secrets that hold the keys of a harness's fallback providers."""
        return [one.key for one in self.harnesses[kind].fallback] if kind in self.harnesses else []

    @property
    def state(self) -> Path:
        """The absolute path of the state directory."""
        return (self._root / with_home(self.state_dir)).absolute()


def load_config(
    root: Path,
    *,
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, Data] | None = None,
    read: Callable[[Path], bytes] = Path.read_bytes,
) -> Config:
    """The configuration of the repository at `root`.

    `flags` maps dotted keys to values; None means that a flag was not given. `read` gets the file's content
    from elsewhere than the disk, and raises OSError as a disk would. Raises RunnerError INVALID_CONFIG with
    every fault, each with its place.
    """
    variables = os.environ if environ is None else environ
    path = file or root / FILE
    layers = [*_state_home(variables), *_file_layer(path, read, required=file is not None)]
    faults: list[Fault] = [fault for layer in layers for fault in layer.faults]
    for layer in (*_variables(variables), *_flags(flags or {})):
        faults.extend(layer.faults)
        layers.append(layer)
    if faults:
        raise_faults(faults, Phase.LOAD, Reason.INVALID_CONFIG)
    return _merged(layers, root)


def config_faults(file: str, raw: bytes) -> list[Fault]:
    """What is wrong with a configuration file."""
    document = parse(file, raw.replace(b"\r\n", b"\n"), limit=MAX_FILE)
    if not document.is_broken and document.data is not None:
        check(Config, document)
    return sorted(document.faults)


def _merged(layers: list[Document], root: Path) -> Config:
    data: dict[str, Data] = {}
    origins: dict[str, str] = {}
    for layer in layers:
        for path, value in _leaves(layer.data or {}):
            _put(data, path, value)
            origins[".".join(path)] = layer.file
    config = Config.model_validate(data)
    config._origins.update(origins)
    config._root = root
    return config


def _file_layer(path: Path, read: Callable[[Path], bytes], *, required: bool) -> Iterator[Document]:
    try:
        raw = read(path)
    except OSError as error:
        if required or not isinstance(error, FileNotFoundError):
            document = Document(str(path))
            document.fault((1, 1), f"cannot be read: {error.strerror}", None, "check the path")
            yield document
        return
    document = parse(str(path), raw.replace(b"\r\n", b"\n"), limit=MAX_FILE)
    if not document.is_broken and document.data is not None:
        check(Config, document)
    yield document


def _state_home(variables: Mapping[str, str]) -> Iterator[Document]:
    """The XDG base directory specification's place for state, where it is set."""
    home = variables.get("XDG_STATE_HOME", "")
    if home.startswith("/"):
        yield Document("XDG_STATE_HOME", data={"state_dir": f"{home}/skillrunner"})


def _variables(variables: Mapping[str, str]) -> Iterator[Document]:
    keys = {PREFIX + key.replace(".", "_").upper(): key for key in _keys(Config)}
    for name, text in sorted(variables.items()):
        if name in keys:
            readings = (text, resolve(text), [part.strip() for part in text.split(",")])
            yield from [_layer(name, keys[name], readings)] if text else []
        elif name.startswith(PREFIX) and (near := get_close_matches(name, keys, n=1, cutoff=0.9)):
            document = Document(name)
            document.fault((1, 1), "is not a variable that is read", None, f"did you mean `{near[0]}`?")
            yield document


def _flags(flags: Mapping[str, Data]) -> Iterator[Document]:
    for key, value in flags.items():
        if value is not None:
            yield _layer(f"--{key.replace('.', '-').replace('_', '-')}", key, (value,))


def _layer(name: str, key: str, readings: tuple[Data, ...]) -> Document:
    """One value as a layer of its own; the first reading that the model accepts."""
    documents = []
    for reading in readings:
        data: dict[str, Data] = {}
        _put(data, key.split("."), reading)
        documents.append(Document(name, data=data))
        if check(Config, documents[-1]) is not None:
            return documents[-1]
    return documents[0]


def _keys(model: type[Model], before: str = "") -> Iterator[str]:
    """The dotted keys of single values and lists."""
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, Model):
            yield from _keys(inner, f"{before}{name}.")
        elif not str(inner).startswith("dict"):
            yield before + name


def _leaves(data: Mapping[str, Any], before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Data]]:
    """Single values with the keys that lead to them, which may hold dots themselves, as models' names do."""
    for key, value in data.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, (*before, key))
        else:
            yield (*before, key), value


def _put(data: dict[str, Data], path: Sequence[str], value: Data) -> None:
    *parents, last = path
    for parent in parents:
        data = data.setdefault(parent, {})
    data[last] = value
