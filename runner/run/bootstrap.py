"""The composition root: creates the objects that the configuration and a spec name."""

import os
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING, Any

from runner.clients.git import remote_host
from runner.clients.secrets import Secrets
from runner.config.documents import closest
from runner.config.harness import HarnessConfig
from runner.config.options import approval_rules
from runner.config.settings import FILE, Config
from runner.core.errors import RunnerError
from runner.core.model import Limits, Phase, Reason, Remote, Repository, Resources, RunSpec
from runner.core.paths import with_home
from runner.harnesses import HARNESSES, Harness
from runner.publish.forges import AUTO, Forge, ForgeContext, choose_kind, token_variables
from runner.publish.outputs import OUTPUTS, BotIdentity
from runner.publish.signing import KEY_VARIABLE, NO_KEY
from runner.run.place import Host, LocalPlace, Place, SecretLookup
from runner.run.plan import Base, Defaults
from runner.run.signing_key import find_signer
from runner.sandboxes import SANDBOXES
from runner.workspace.mirror import Mirror

if TYPE_CHECKING:
    from runner.gateway.model.provider import Fallback
    from runner.run.agent.transcript import ObserveTranscript
    from runner.run.context import Parts, RunOptions
    from runner.run.environment.install import Install, Program
    from runner.store import LocalItems, LocalPullRequests, Store


def make_forge(place: Place, runs: "Store") -> Forge:
    """Where pull requests go. Raises RunnerError when the kind is unknown, or `origin` is not on it.

    A remote on a host that no forge knows is never left aside silently: with a token at hand, it was meant.
    """
    kind = choose_kind(place.origin, place.config)
    is_there = bool(place.origin) and kind.serves(place.origin, place.config)
    if place.config.forge == AUTO and kind.fallback and not is_there:
        _refuse_unknown_host(place)
    context = ForgeContext(
        config=place.config,
        root=place.root,
        origin=place.origin,
        default_branch=place.default_branch,
        token=place.token,
        limited_token=place.limited_token,
        pacer=place.rate_limiter,
        pull_requests=partial(_pull_requests, runs),
        items=partial(_items, runs),
    )
    return kind.open(context)


def _refuse_unknown_host(place: Place) -> None:
    host = remote_host(place.origin)
    token = next((one for one in token_variables(place.config) if os.environ.get(one)), "")
    remotes = place.local.remotes if isinstance(place, LocalPlace) and not place.origin else {}
    if token and any(map(remote_host, remotes.values())):
        message = f"no remote is called origin, {token} is set, and there are {', '.join(sorted(remotes))}"
        hint = "git remote rename NAME origin; to keep pull requests on this machine: SKILLRUNNER_FORGE=local"
        raise RunnerError(Phase.LOAD, Reason.INVALID_CONFIG, message, hint=hint)
    if not host or not token:
        return
    message = f"the remote is on {host}, which no forge here serves, and {token} is set: {place.origin}"
    known = place.config.github.git_url
    hint = (
        f'if it is a GitHub server, write in {FILE}: github: {{git_url: "https://{host}", api_url:'
        f' "https://{host}/api/v3"}}; if it is another name of {known}: git remote set-url origin'
        f" {known}/OWNER/NAME; to keep pull requests on this machine: SKILLRUNNER_FORGE=local"
    )
    raise RunnerError(Phase.LOAD, Reason.INVALID_CONFIG, message, hint=hint)


def _pull_requests(runs: "Store", repository: str) -> "LocalPullRequests":
    from runner.store import LocalPullRequests

    return LocalPullRequests(runs.engine, runs.database, repository)


def _items(runs: "Store", repository: str) -> "LocalItems":
    from runner.store import LocalItems

    return LocalItems(runs.engine, runs.database, repository)


READ = {"contents": "read"}
"""What fetching needs, in the words of a workflow's `permissions:`."""


def find_base(
    place: Place,
    target: Forge,
    wanted: str | Callable[[Repository], str | None] | None,
    is_typed: bool = False,
) -> tuple[Base, Mirror]:
    """The commit that the work starts from: the head of the branch `wanted`, or of the default branch.

    A function tells which is wanted in a repository. Raises RunnerError INVALID_INPUT with the branches that
    there are, where a person typed another's name, and else REF_NOT_FOUND.
    """
    remote = target.limited_to(READ).remote()
    mirror = Mirror(place.config.state, remote.url)
    mirror.fetch(remote)
    default = target.default_branch()
    repository = Repository(name=target.repository, url=remote.url, default_branch=default)
    ref = (wanted(repository) if callable(wanted) else wanted) or default
    if is_typed and ref not in (known := mirror.branches()):
        message = f"{remote.url} has no branch {ref!r}"
        raise RunnerError(Phase.PLAN, Reason.INVALID_INPUT, message, hint=closest(ref, known))
    return Base(repository=repository, ref=ref, sha=mirror.resolve(f"refs/heads/{ref}")), mirror


def make_defaults(config: Config, force: Mapping[str, Any]) -> Defaults:
    """The values that hold where a skill states none; `force` has what the flags of this run ask for."""
    folders = tuple(f"{folder.rstrip('/')}/**" for folder in config.skills)
    return Defaults(
        sandbox=config.sandbox,
        image=config.image,
        limits=config.limits.merge(Limits()),
        resources=config.resources.merge(Resources()),
        guarded=(*folders, *config.policy.protected),
        locked=tuple(config.policy.locked),
        approval=approval_rules(config.policy.approval),
        maxima=config.maxima.model_dump(exclude_none=True, exclude={"run"}),
        routes={kind: tuple(one.route for one in own.routes) for kind, own in config.harnesses.items()},
        **force,
    )


def _go_on() -> None:
    """The default of `stop`: nobody stops the run."""


def make_parts(
    host: Host, spec: RunSpec, mirror: Mirror, observe: "ObserveTranscript", stop: Callable[[], None] = _go_on
) -> "Parts":
    """The objects that do the work of `spec`. Raises RunnerError when it names an unknown kind."""
    from runner.run.context import Parts

    harness = HARNESSES.get(spec.harness.kind)
    return Parts(
        sandbox=SANDBOXES.get(spec.environment.sandbox),
        harness=harness,
        outputs={output.kind: OUTPUTS.get(output.kind) for output in spec.outputs},
        forge=host.forge,
        mirror=mirror,
        install=_install(host.place, harness, spec.harness.kind),
        remote_of=partial(_other_remote, host.place, host.forge, spec.skill.name),
        observe=observe,
        stop=stop,
    )


def make_options(place: Place, spec: RunSpec, find: SecretLookup | None = None) -> "RunOptions":
    """What the configuration says of the run of `spec`. Raises RunnerError when a secret is missing.

    `find` gets secrets from elsewhere than the environment.
    """
    from runner.gateway.model.prices import configured_prices
    from runner.publish.attestation.signers import choose_signer
    from runner.run.context import RunOptions

    kind, gateway, bot = spec.harness.kind, place.config.gateway, place.config.bot
    model = HARNESSES.get(kind).model_for(spec.harness.options)
    configured = place.config.harnesses.get(kind)
    publishes = any(OUTPUTS.get(output.kind).publishes for output in spec.outputs)
    signer = NO_KEY if find else find_signer(place, publishes=publishes)
    find = find or Secrets(place.config.secrets).value
    return RunOptions(
        bot=BotIdentity(name=bot.name, email=bot.email),
        signer=signer,
        statement_signer=choose_signer(place.config.attestation.signer, place.config.state),
        secrets={name: _allowed_secret(place, name, spec, find) for name in spec.environment.secrets},
        output_secrets={name: _allowed_secret(place, name, spec, find) for name in output_secrets(spec)},
        model_key=find(model.key_variable, kind) if model else "",
        model_upstream=os.environ.get(model.upstream_variable, "") if model else "",
        fallback=_fallback(configured, kind, find) if model else (),
        prices=configured_prices(place.config.prices),
        record_traffic=gateway.record,
        program=_program(place, configured.binary if configured else None, kind),
        harness_variables=dict(configured.variables) if configured else {},
        helper_image=gateway.image,
        build_registries=tuple(place.config.builds.registries),
        image_digests=dict(place.config.digests),
        max_duration=place.config.maxima.run,
        private_hosts=tuple(gateway.private_hosts),
    )


def output_secrets(spec: RunSpec) -> Sequence[str]:
    """The names of secrets that the outputs of a run need."""
    options = ((OUTPUTS.get(one.kind), one.options) for one in spec.outputs)
    return sorted({name for kind, said in options for name in kind.secrets(said)})


def make_publishing_options(place: Place, spec: RunSpec) -> "RunOptions":
    """What the configuration says of a run whose work is done: it needs no secret of an agent.

    Raises RunnerError when a secret of its outputs is missing.
    """
    from runner.publish.attestation.signers import choose_signer
    from runner.run.context import RunOptions

    bot, find = place.config.bot, Secrets(place.config.secrets).value
    publishes = any(OUTPUTS.get(output.kind).publishes for output in spec.outputs)
    return RunOptions(
        bot=BotIdentity(name=bot.name, email=bot.email),
        signer=find_signer(place, publishes=publishes),
        statement_signer=choose_signer(place.config.attestation.signer, place.config.state),
        secrets={},
        output_secrets={name: _allowed_secret(place, name, spec, find) for name in output_secrets(spec)},
        only_publishes=True,
    )


def _fallback(configured: HarnessConfig | None, kind: str, find: SecretLookup) -> tuple["Fallback", ...]:
    from runner.gateway.model.provider import Fallback

    return tuple(
        Fallback(
            upstream=one.upstream,
            key=find(one.key, f"harnesses.{kind}.fallback"),
            key_name=one.key,
            model=one.model or "",
        )
        for one in (configured.fallback if configured else ())
    )


def _allowed_secret(place: Place, name: str, spec: RunSpec, find: SecretLookup) -> str:
    """The secret's value, if the skill may have it: a worker's environment has those of other skills too."""
    if name == KEY_VARIABLE:
        message = f"the skill {spec.skill.name} may not have {name}, which signs what skillrunner writes"
        raise RunnerError(
            Phase.PLAN, Reason.SECRET_MISSING, message, hint="take it out of `environment.secrets`"
        )
    if place.allowed_secrets is not None and name not in place.allowed_secrets(spec.skill.name):
        message = f"the skill {spec.skill.name} of {spec.repository.name} may not have {name}"
        hint = f"whoever runs the worker can allow it: worker.secrets: {{'{spec.repository.name}': [{name}]}}"
        raise RunnerError(Phase.PLAN, Reason.SECRET_MISSING, message, hint=hint)
    return find(name, f"the skill {spec.skill.name}")


def _other_remote(place: Place, target: Forge, skill: str, name: str) -> Remote:
    """The remote of another repository than the one of the skill."""
    if place.allowed_repositories is not None and not any(
        fnmatchcase(name, one) for one in place.allowed_repositories(skill)
    ):
        message = f"the skill {skill} may not read {name}"
        hint = f"whoever runs the worker can allow it: worker.reads: {{'owner/name': [{name}]}}"
        raise RunnerError(Phase.CHECKOUT, Reason.FORGE_DENIED, message, hint=hint)
    if (where := place.config.repositories.get(name)) is not None:
        return Remote(url=str(with_home(where)) if where[0] in "/~" else where)
    return target.remote_of(
        name, place.token if place.read_token is None else partial(place.read_token, name)
    )


def _program(place: Place, configured: str | None, kind: str) -> "Program | None":
    from runner.run.environment.install import FOLDER, configured_program

    if configured is None:
        return None
    path = with_home(configured).resolve()
    if not path.is_file():
        message = f"harnesses.{kind}.binary: there is no file {path}"
        raise RunnerError(Phase.PLAN, Reason.INVALID_CONFIG, message, hint="correct it in skillrunner.yaml")
    harness = HARNESSES.get(kind)
    return configured_program(path, harness.program or kind, harness.package, place.config.state / FOLDER)


def _install(place: Place, harness: Harness, kind: str) -> "Install | None":
    from runner.run.environment.install import FOLDER, Install

    configured = place.config.harnesses.get(kind)
    version = configured.version if configured else None
    if version is None:
        return None
    package, program = harness.package, harness.program
    if package is None or program is None:
        message = f"harnesses.{kind}.version: nobody knows a package for {kind}"
        hint = f"install it in the image, or name a program of this machine: harnesses.{kind}.binary"
        raise RunnerError(Phase.PLAN, Reason.INVALID_CONFIG, message, hint=hint)
    folder = place.config.state / FOLDER
    return Install(package=package, name=program, version=version, folder=folder)
