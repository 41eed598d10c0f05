"""(skill, trigger, configuration) -> RunSpec: every value resolved, so that no stage resolves any. Pure."""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from typing import Any, TypeVar

from pydantic import ValidationError

from runner.config.documents import DocumentPath, Model
from runner.config.options import LimitOptions, ResourceOptions, all_approval_rules, approval_rules
from runner.core.errors import RunnerError
from runner.core.model import (
    Allowance,
    ApprovalRules,
    Environment,
    HarnessSpec,
    Limits,
    McpServer,
    OutputSpec,
    Phase,
    Reason,
    Repository,
    Resources,
    Route,
    RunSpec,
    SkillRef,
    Trigger,
)
from runner.harnesses import HARNESSES
from runner.publish.outputs import OUTPUTS
from runner.sandboxes import SANDBOXES
from runner.skills import (
    AllowanceOptions,
    McpOptions,
    PromptContext,
    Skill,
    Template,
    allowance,
    refusals,
    render_body,
    render_key,
    render_prompt,
    render_text,
    resolve_inputs,
)

AUTO_MODEL = "auto"
"""In place of a model's name: the gateway chooses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """The values for everything that the skill does not state, and those that replace what it states."""

    sandbox: str
    image: str
    limits: Limits = Limits()
    resources: Resources = Resources()
    guarded: tuple[str, ...] = ()
    locked: tuple[str, ...] = ()
    approval: ApprovalRules = ApprovalRules()  # which the skill only adds to
    maxima: Mapping[str, float] = field(default_factory=dict)  # by option: what no skill may exceed
    verify: tuple[str, ...] = ()  # besides what the skill verifies
    force_sandbox: str | None = None  # the flags of one run go before the skill
    force_image: str | None = None
    force_harness: str | None = None  # a kind
    force_model: str | None = None
    routes: Mapping[str, tuple[Route, ...]] = field(default_factory=dict)  # of `model: auto`, by harness


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """The commit that the work starts from."""

    repository: Repository
    ref: str
    sha: str
    tree: str = ""  # what `sha` is, where it is no head of `ref`: "the head of #7"
    trusted_sha: str = ""  # the head of the branch that set-up comes from; empty: `sha`
    is_strangers: bool = False


def plan(
    skill: Skill,
    commit: str | None,
    trigger: Trigger,
    base: Base,
    run_id: str,
    now: datetime,
    defaults: Defaults,
) -> RunSpec:
    """Resolve one run. `commit` is where the skill's text was read, None for files that are not committed.

    Raises RunnerError INVALID_INPUT when an input or a field of the event is missing or wrong, or when the
    skill asks for more than it may have.
    """
    trigger = replace(trigger, inputs=resolve_inputs(skill, trigger.inputs))
    reference = SkillRef(
        name=skill.name, path=skill.path, commit=commit, digest=skill.digest, description=skill.description
    )
    context = _context(skill, reference, trigger, base, run_id, now)
    harness = _harness(skill, defaults)
    outputs = _outputs(skill, base)
    spec = RunSpec(
        repository=base.repository,
        base_ref=base.ref,
        base_sha=base.sha,
        skill=reference,
        trigger=trigger,
        prompt=_prompt(skill, context),
        environment=_environment(skill, defaults, base),
        harness=harness,
        tools=_tools(skill, base),
        limits=_bounded(skill, "limits", skill.options.limits, defaults.limits, defaults),
        allowance=_allowance(outputs.values(), defaults),
        verify=(*skill.options.verify, *defaults.verify),
        draft_on_failed_verify=skill.options.on_verify_failure == "draft",
        approval=_approval(skill, defaults),
        outputs=tuple(
            OutputSpec(kind=kind, options=_render_options(skill, kind, options, context))
            for kind, options in outputs.items()
        ),
        tree=base.tree,
        trusted_sha=base.trusted_sha,
        is_strangers=base.is_strangers,
    )
    return replace(spec, digest=digest_of(spec))


_NO_BRANCH = re.compile(
    r"^[-/.]|[\x00-\x20~^:?*\[\\\x7f]|\.\.|@\{|//|/\.|[/.]$|\.lock(/|$)"
)  # git-check-ref-format(1)


def base_branch(
    skill: Skill, trigger: Trigger, repository: Repository, run_id: str, now: datetime
) -> str | None:
    """The branch that the skill's outputs ask to start from, rendered; None: the default branch.

    Raises RunnerError INVALID_INPUT where the template gives no branch's name.
    """
    template = skill.base_branch
    if template is None:
        return None
    trigger = replace(trigger, inputs=resolve_inputs(skill, trigger.inputs))
    reference = SkillRef(
        name=skill.name, path=skill.path, commit=None, digest=skill.digest, description=skill.description
    )
    context = _context(skill, reference, trigger, Base(repository=repository, ref="", sha=""), run_id, now)
    line = next((line for path, line in skill.lines.items() if path[2:] == ("base",)), 1)
    name = render_key(Template(text=template, file=skill.file, first_line=line), context)
    if not name or name == "@" or _NO_BRANCH.search(name):
        hint = f"see `base` in {skill.file}: {template}"
        raise RunnerError(Phase.PLAN, Reason.INVALID_INPUT, f"{name!r} is no branch's name", hint=hint)
    return name


def rendered_outputs(
    skill: Skill, trigger: Trigger, repository: Repository, run_id: str, now: datetime
) -> tuple[OutputSpec, ...]:
    """The outputs of a run that is not planned yet, rendered as far as that goes without its base.

    Raises RunnerError where a template asks for what the event does not have.
    """
    trigger = replace(trigger, inputs=resolve_inputs(skill, trigger.inputs))
    reference = SkillRef(
        name=skill.name, path=skill.path, commit=None, digest=skill.digest, description=skill.description
    )
    context = _context(skill, reference, trigger, Base(repository=repository, ref="", sha=""), run_id, now)
    return tuple(
        OutputSpec(kind=kind, options=_render_options(skill, kind, options, context))
        for kind, options in skill.outputs.items()
    )


def _prompt(skill: Skill, context: PromptContext) -> str:
    """The prompt. It tells where the skill's files lie, if there are any and it does not say so itself."""
    text = render_prompt(skill.prompt, context).text
    if not skill.has_files or skill.path in text:
        return text
    return f"{text.rstrip()}\n\nThe files that belong to these instructions lie in `{skill.path}/`.\n"


def _context(
    skill: Skill, reference: SkillRef, trigger: Trigger, base: Base, run_id: str, now: datetime
) -> PromptContext:
    heard = skill.listener(trigger.kind, trigger.event)
    return PromptContext(
        skill={
            "name": reference.name,
            "description": reference.description,
            "path": reference.path,
            "commit": reference.commit or "",
        },
        repository=asdict(base.repository),
        run={"id": run_id, "base_ref": base.ref, "base_sha": base.sha, "tree": base.tree},
        now=now,
        event=trigger.event,
        inputs=trigger.inputs,
        are_inputs_untrusted=heard is not None and heard.takes_words,
    )


def _outputs(skill: Skill, base: Base) -> Mapping[str, Model]:
    """What the run publishes: on a stranger's commit what the skill allows for strangers."""
    if not base.is_strangers or not skill.publishes:
        return skill.outputs
    allowed = skill.options.outputs_for_strangers
    if found := {kind: options for kind, options in skill.outputs.items() if kind in allowed}:
        return found
    whose = f"{base.tree} is a stranger's" if base.tree else "the event is from a fork"
    message = f"{whose}, and {skill.name} publishes nothing for strangers"
    hint = f"write in {skill.file} which outputs may: strangers: [...]"
    raise RunnerError(Phase.PLAN, Reason.POLICY_REFUSED, message, hint=hint)


def _tools(skill: Skill, base: Base) -> tuple[str, ...]:
    """A stranger leaves no notes for later runs."""
    refused = ("note",) if base.is_strangers else ()
    return tuple(one for one in dict.fromkeys(skill.options.tools) if one not in refused)


def _sealed(environment: Environment, base: Base) -> Environment:
    """The environment of a run for a stranger: without secrets, and with no way out but the model.

    A stranger's is the commit that the run stands on, or the event alone: its texts are in the prompt.

    Set-up that saw secrets may have written them into what is kept of it, so that is not used.
    """
    if SANDBOXES.get(environment.sandbox).network:
        what = "a stranger's commit" if base.tree else "what an event from a fork starts"
        message = f"{what} runs sealed only, and the sandbox {environment.sandbox} seals nothing"
        raise RunnerError(Phase.PLAN, Reason.UNSUPPORTED, message, hint="use the sandbox docker")
    return replace(
        environment,
        secrets=(),
        network=(),
        repositories={},
        setup_key=() if environment.secrets else environment.setup_key,
        setup_again=False,
        mcp=tuple(one for one in environment.mcp if not one.url),
    )


def _environment(skill: Skill, defaults: Defaults, base: Base) -> Environment:
    made = _stated_environment(skill, defaults)
    return _sealed(made, base) if base.is_strangers else made


def _stated_environment(skill: Skill, defaults: Defaults) -> Environment:
    options = skill.options.environment
    sandbox = defaults.force_sandbox or options.sandbox or defaults.sandbox
    dockerfile, devcontainer = options.dockerfile or "", options.devcontainer or ""
    image = defaults.force_image or options.image or defaults.image
    stated = "build_timeout" in options.model_fields_set
    return Environment(
        sandbox=sandbox,
        image="" if (dockerfile or devcontainer) and not defaults.force_image else image,
        dockerfile="" if defaults.force_image else dockerfile,
        devcontainer=devcontainer,
        build_timeout=_bound(skill, "environment", "build_timeout", options.build_timeout, stated, defaults),
        setup=tuple(options.setup),
        setup_key=tuple(options.setup_key),
        setup_again=options.setup_again,
        variables=dict(options.variables),
        secrets=tuple(options.secrets),
        skills=tuple(options.skills),
        repositories=dict(options.repositories),
        fetch=tuple(options.fetch),
        network=tuple(options.network.allow),
        provider=tuple(options.network.provider),
        mcp=tuple(_server(name, server) for name, server in options.mcp.items()),
        resources=_bounded(skill, "environment.resources", options.resources, defaults.resources, defaults),
    )


Bounded = TypeVar("Bounded", Limits, Resources)


def _bounded(
    skill: Skill, section: str, options: LimitOptions | ResourceOptions, usual: Bounded, defaults: Defaults
) -> Bounded:
    """What the skill states, and what is usual, within what it may have."""
    merged = {one.name: getattr(usual, one.name) for one in fields(usual)}
    said = {name: getattr(options, name) for name in options.model_fields_set}
    merged |= {name: value for name, value in said.items() if value is not None}
    return type(usual)(
        **{name: _bound(skill, section, name, one, name in said, defaults) for name, one in merged.items()}
    )


def _bound(skill: Skill, section: str, name: str, value: Any, stated: bool, defaults: Defaults) -> Any:
    """The value of an option, within its maximum. Raises RunnerError where the skill states more."""
    most = defaults.maxima.get(name)
    if most is None or (value is not None and value <= most):
        return value
    if not stated:
        return type(value)(most) if value is not None else most
    message = f"{skill.file}: `{section}.{name}` is {value:,}, and no skill may have more than {most:,} here"
    hint = f"lower it, or ask whoever runs skillrunner for more: maxima.{name}"
    raise RunnerError(Phase.PLAN, Reason.INVALID_INPUT, message, hint=hint)


def _server(name: str, server: McpOptions) -> McpServer:
    variables, command = server.variables or {}, server.command or ()
    return McpServer(name=name, command=tuple(command), variables=dict(variables), url=server.url or "")


def _harness(skill: Skill, defaults: Defaults) -> HarnessSpec:
    """The skill's own harness, or the one that this run asks for, which has to support the same options."""
    said = skill.options.harness
    own = said.model_dump(exclude={"kind", "model"}, exclude_unset=False)
    kind, asked = defaults.force_harness or said.kind, skill.options
    for key, message in refusals(kind, bool(asked.environment.mcp), bool(asked.tools)):
        hint = f"leave `{key}` out of {skill.file}, or choose another harness"
        raise RunnerError(Phase.PLAN, Reason.INVALID_INPUT, message, hint=hint)
    own_spec = HarnessSpec(kind=said.kind, model=said.model, options=own)
    spec = own_spec if kind == said.kind else _other_harness(kind)
    spec = replace(spec, model=defaults.force_model or spec.model)
    return replace(spec, routes=_routes(spec, defaults)) if spec.model == AUTO_MODEL else spec


def _other_harness(kind: str) -> HarnessSpec:
    """A harness that the skill does not name, with its defaults. Raises RunnerError where it needs more."""
    try:
        options = HARNESSES.get(kind).options()
    except ValidationError as error:
        needed = ", ".join(str(one["loc"][0]) for one in error.errors())
        message = f"the harness {kind} needs options that the skill does not give: {needed}"
        hint = f"write `harness: {{kind: {kind}, ...}}` in a skill of its own"
        raise RunnerError(Phase.PLAN, Reason.INVALID_INPUT, message, hint=hint) from None
    return HarnessSpec(kind=kind, options=options.model_dump())


def _routes(spec: HarnessSpec, defaults: Defaults) -> tuple[Route, ...]:
    """The rules by which the gateway chooses a model. A harness that calls its model itself has none."""
    access = HARNESSES.get(spec.kind).model_for(spec.options)
    if access is None:
        return ()
    if not (found := defaults.routes.get(spec.kind, ())):
        message = f"`model: {AUTO_MODEL}` needs rules that choose one, and {spec.kind} has none"
        rules = "[{when: {tools: false}, model: SMALL}, {model: LARGE}]"
        hint = f"write in skillrunner.yaml: harnesses: {{{spec.kind}: {{routes: {rules}}}}}"
        raise RunnerError(Phase.PLAN, Reason.INVALID_CONFIG, message, hint=hint)
    return found


def _approval(skill: Skill, defaults: Defaults) -> ApprovalRules:
    """When a person has to approve: what the skill says, and what whoever runs it says besides."""
    made = all_approval_rules(approval_rules(skill.options.approval), defaults.approval)
    for kind in made.outputs:
        OUTPUTS.get(kind)  # a misspelt one would never ask
    return made


def _allowance(outputs: Iterable[Model], defaults: Defaults) -> Allowance:
    """What the output with the changed files allows; where no output publishes files, none may change."""
    stated = [allowance(options) for options in outputs if isinstance(options, AllowanceOptions)]
    return replace(
        stated[0] if stated else Allowance(paths=()), guarded=defaults.guarded, locked=defaults.locked
    )


def _render_options(skill: Skill, kind: str, options: Model, context: PromptContext) -> dict[str, Any]:
    """Render every text in the output's options."""
    own = {name for name in type(options).model_fields if name not in AllowanceOptions.model_fields}
    dumped = options.model_dump(include=own)
    renderers = {"body": render_body, "key": render_key}
    return {
        name: _render(skill, ("output", kind, name), value, context, renderers.get(name, render_text))
        for name, value in dumped.items()
    }


def _render(
    skill: Skill,
    path: DocumentPath,
    value: Any,
    context: PromptContext,
    render: Callable[[Template, PromptContext], str],
) -> Any:
    if isinstance(value, str):
        template = Template(text=value, file=skill.file, first_line=skill.lines.get(path, 1))
        return render(template, context)
    if isinstance(value, (list, tuple)):
        return tuple(_render(skill, (*path, at), item, context, render) for at, item in enumerate(value))
    return value


def digest_of(spec: RunSpec) -> str:
    """A digest over everything that the spec says."""
    said = {item.name: getattr(spec, item.name) for item in fields(spec) if item.name != "digest"}
    text = json.dumps(said, sort_keys=True, default=_to_json)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _to_json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else asdict(value)
