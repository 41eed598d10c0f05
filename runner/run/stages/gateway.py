"""The gateway of a run: it opens it, limits what the run spends there, and records both."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from decimal import Decimal

from runner.config.network import network_rules
from runner.core.errors import RunnerError
from runner.core.model import McpServer, Outcome, Phase, Reason, RunSpec
from runner.core.redact import Redactor, escape_invisible
from runner.gateway.egress import git
from runner.gateway.factory import EgressLog, ModelRouteOptions, open_gateway
from runner.gateway.model.budget import Account, Call
from runner.gateway.model.model_log import FailedAnswer, ModelLog
from runner.gateway.model.recorder import TrafficRecorder
from runner.gateway.server import GatewayAddress
from runner.harnesses import OURS, ModelAccess, Task
from runner.harnesses.outcome import worth_retrying
from runner.run.context import RunContext, RunOptions
from runner.run.recorder import RunRecorder
from runner.run.stages.tools import tools
from runner.sandboxes import Sandbox

CALLS = "calls.jsonl"
EGRESS = "egress.jsonl"
SETUP_EGRESS = "setup-egress.jsonl"
TRAFFIC = "traffic.jsonl"
_QUOTES, _QUOTED = 2, 200  # a provider's last answers that are quoted, and how many characters of each
_OF_THE_MODEL = frozenset(  # ends whose cause may be that the model did not answer
    {
        *(Reason.PROVIDER_ERROR, Reason.HARNESS_FAILED, Reason.NO_END_MARKER),
        *(Reason.IDLE, Reason.WALL_CLOCK),
    }
)
_MAX_REFUSAL_EVENTS = 10  # refused hosts of one run that its events tell of; all are in the file


def make_account(spec: RunSpec, record: RunRecorder, options: RunOptions) -> Account:
    """The account of what the run may spend on its model, with what earlier attempts spent."""
    record.begin_attempt()
    masked = Redactor(options.confidential)
    told = record.usage

    def keep(call: Call) -> None:
        with (record.folder / CALLS).open("ab") as file:
            file.write(call.line())

    return Account(
        spec.limits.cost_usd,
        options.prices,
        before=max(record.charged, Decimal(str(told.cost_usd or told.cost_at_least or 0))),
        keep=keep,
        shown=lambda name: escape_invisible(masked.redact(name)),
    )


def is_needed(context: RunContext) -> bool:
    """Whether the sandbox may reach anything."""
    spec = context.spec
    return _model(context) is not None or bool(spec.environment.network or spec.tools)


def is_needed_for_setup(context: RunContext) -> bool:
    """Whether set-up commands that see an agent's change may reach anything."""
    environment = context.spec.environment
    return environment.setup_again and bool(environment.network)


def _model(context: RunContext) -> ModelAccess | None:
    return context.parts.harness.model_for(context.spec.harness.options)


@contextmanager
def open_run_gateway(context: RunContext, box: Sandbox) -> Iterator[GatewayAddress]:
    """Open the gateway while the harness runs, and record every exchange and every refusal."""
    parts, options = context.parts, context.options
    log = EgressLog(context.record.folder / EGRESS)
    model = ModelRouteOptions(
        access=_model(context),
        key=options.model_key,
        upstream=options.model_upstream,
        fallback=options.fallback,
        routes=context.spec.harness.routes,
        allowed_uses=frozenset(context.spec.environment.provider),
        account=context.account,
        log=context.model_log,
        recorder=_traffic_recorder(context),
    )
    allowed = network_rules(context.spec.environment.network, options.private_hosts)
    try:
        with ExitStack() as stack:
            if parts.model_substitute is not None:
                model = stack.enter_context(parts.model_substitute(model, box.places))
            offered = tools(context)
            yield stack.enter_context(open_gateway(box.listener(), model, allowed, log.note_attempt, offered))
    finally:
        if model.recorder is not None:
            model.recorder.close()
        _record_traffic(context, log, model)


def _traffic_recorder(context: RunContext) -> TrafficRecorder | None:
    options = context.options
    return (
        TrafficRecorder(context.record.folder / TRAFFIC, options.confidential)
        if options.record_traffic
        else None
    )


@contextmanager
def egress(context: RunContext, box: Sandbox) -> Iterator[Mapping[str, str]]:
    """The variables by which commands reach the hosts that the skill names, for as long as this lasts."""
    log = EgressLog(context.record.folder / SETUP_EGRESS)
    allowed = network_rules(context.spec.environment.network, context.options.private_hosts)
    try:
        with open_gateway(box.listener(), ModelRouteOptions(), allowed, log.note_attempt) as opened:
            yield {**opened.proxy, **git.git_variables(opened.url, allowed, {})}
    finally:
        _record_egress(context.record, log)


def _record_traffic(context: RunContext, log: EgressLog, model: ModelRouteOptions) -> None:
    """Record what the closed gateway saw, however the run goes on."""
    record = context.record
    record.charged = context.account.charged_in_all
    record.attempt_usage = context.account.usage
    for path in (record.folder / name for name in (CALLS, TRAFFIC)):
        if path.exists():
            record.register_artifact(path.name, path, "application/jsonl")
    _record_requests(record, model.log, Redactor(context.options.confidential))
    _record_egress(record, log)


def _record_requests(record: RunRecorder, log: ModelLog, masked: Redactor) -> None:
    for host, times in log.fallbacks.items():
        if times:
            record.add_event(f"{times} of the model's answers came from {host}, in place of its own provider")
    for told, counted in (
        ("not passed on to the model", log.refusals),
        ("left out of requests", log.omissions),
    ):
        for what, times in counted.most_common(_MAX_REFUSAL_EVENTS):
            shown = escape_invisible(masked.redact(what))
            record.add_event(f"{told}: {shown}" + (f" ({times} times)" if times > 1 else ""))


def _record_egress(record: RunRecorder, log: EgressLog) -> None:
    if log.path.exists():
        record.register_artifact(log.path.name, log.path, "application/jsonl")
    for what, times in log.refusals.most_common(_MAX_REFUSAL_EVENTS):
        record.add_event(f"not let out: {what}" + (f" ({times} times)" if times > 1 else ""))


def task_with_gateway(task: Task, context: RunContext, opened: GatewayAddress) -> Task:
    """The task with the addresses and variables of the gateway."""
    routes = task.spec.routes
    variables = task.variables
    if not context.parts.sandbox.network:
        reached = network_rules(context.spec.environment.network)
        variables = {**opened.proxy, **variables, **git.git_variables(opened.url, reached, variables)}
    ours = (McpServer(name=OURS, url=opened.mcp),) if context.spec.tools else ()
    return replace(
        task,
        spec=replace(task.spec, model=routes[-1].model) if routes else task.spec,
        mcp=(*ours, *task.mcp),
        model_url=opened.url if _model(context) else "",
        model_token=opened.token,
        variables=variables,
    )


def outcome_with_usage(context: RunContext, outcome: Outcome) -> Outcome:
    """The outcome with the usage that the gateway saw; the harness's own figures fill what it did not see."""
    seen, said = context.account.usage, outcome.usage
    if context.account.calls == 0:
        context.record.attempt_usage = said
        return outcome
    if seen.cost_usd is None and said.cost_usd is not None and said.cost_usd >= (seen.cost_at_least or 0):
        seen = replace(seen, cost_usd=said.cost_usd, cost_at_least=None)
    context.record.attempt_usage = seen
    return replace(outcome, usage=seen)


def outcome_with_answers(context: RunContext, outcome: Outcome) -> Outcome:
    """The outcome of a failure, with what the model's provider said last in place of an answer."""
    failures = tuple(context.model_log.failures)
    if outcome.ok or not failures or outcome.reason not in _OF_THE_MODEL:
        return outcome
    masked = Redactor(context.options.confidential)
    quotes = dict.fromkeys(_quoted(one, masked) for one in failures)
    message = f"{outcome.message}; its model: {'; '.join([*quotes][-_QUOTES:])}"
    if outcome.reason not in (Reason.HARNESS_FAILED, Reason.NO_END_MARKER):
        return replace(outcome, message=message)
    retryable = worth_retrying(failures[-1].status or None)
    return replace(outcome, message=message, reason=Reason.PROVIDER_ERROR, retryable=retryable)


def _quoted(failed: FailedAnswer, masked: Redactor) -> str:
    said = " ".join(escape_invisible(masked.redact(failed.message)).split())[:_QUOTED]
    if not failed.status:
        return f"{failed.host}: {said}"
    key = f" to the key in {failed.key_name}" if failed.status in (401, 403) else ""
    return f"{failed.host} answered {failed.status}{key}" + (f": {said}" if said else "")


def check_cost(context: RunContext, outcome: Outcome) -> None:
    """Check the cost that the gateway did not see. Raises RunnerError COST_LIMIT; an unknown cost passes."""
    limit, cost = context.spec.limits.cost_usd, outcome.usage.cost_usd
    if limit is None or context.account.calls:
        return
    if cost is None:
        context.record.add_event(
            f"{context.spec.harness.kind} does not tell its cost: the limit of ${limit} is not checked"
        )
    elif cost > limit:
        message = f"it cost ${cost:.4f}, more than the ${limit} of `limits.cost_usd`"
        hint = "raise the limit, or give the skill less to do"
        raise RunnerError(Phase.HARNESS, Reason.COST_LIMIT, message, hint=hint)
