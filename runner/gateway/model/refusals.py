"""Why a call of a model is refused, and the answers that say so in each API's own words. Pure."""

import json
from collections.abc import Mapping
from decimal import ROUND_UP, Decimal
from typing import Any

from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.gateway.model.usage import dialect


class BudgetError(RunnerError):
    """The run may make no more calls to its model."""


class BusyError(Exception):
    """The call may be made when others, for which the rest of the limit is held, have ended."""


def limit_error(
    limit: Decimal, cost: Decimal, charged: Decimal, needed: Decimal, partly: bool
) -> BudgetError:
    """`cost`: what is known; `charged`: with what broken answers may have cost; `needed`: for the next
    call; `partly`: there is a cost that is not known."""
    least, open_ = "at least " if partly else "", charged - cost
    broken = f", calls that broke off may have cost ${open_:.4f} more" if open_ > 0 else ""
    more = f", the next call may cost ${needed:.4f} more" if needed else ""
    message = f"it has cost {least}${cost:.4f}{broken}{more}, and `limits.cost_usd` allows ${limit}"
    hint = "raise the limit, or give the skill less to do"
    if needed:
        enough = (charged + needed).quantize(Decimal("0.01"), ROUND_UP)
        hint = f"raise the limit to ${enough} or more, or have the agent ask for shorter answers"
    return BudgetError(Phase.HARNESS, Reason.COST_LIMIT, message, hint=hint)


def price_error(model: str, limit: Decimal) -> BudgetError:
    entry = f"prices: {{{json.dumps(model)}: {{input: ..., output: ..., cached: ..., cache_written: ...}}}}"
    return BudgetError(
        Phase.HARNESS,
        Reason.INVALID_CONFIG,
        f"nobody knows the price of the model {model}, so the limit of ${limit} cannot be held",
        hint=f"write in skillrunner.yaml, in US dollars per million tokens: {entry}",
    )


def usage_error(limit: Decimal, unpriced: str) -> BudgetError:
    what = f"used something without a known price ({unpriced})" if unpriced else "does not tell what it used"
    message = f"an answer of the model {what}, so the limit of ${limit} cannot be held"
    hint = "very large answers do not tell: look at calls.jsonl, or drop limits.cost_usd"
    return BudgetError(Phase.HARNESS, Reason.COST_LIMIT, message, hint=hint)


def unpriced_message(what: str, limit: Decimal) -> str:
    return f"nobody knows what {what} costs, so the limit of ${limit} cannot be held: ask without it"


def budget_answer(path: str, message: str) -> tuple[int, Mapping[str, Any]]:
    """(status, JSON) of the answer with which this API's provider says that the budget is used up."""
    match dialect(path):
        case "responses" | "chat":
            code = "insufficient_quota"
            return 429, {"error": {"message": message, "type": code, "param": None, "code": code}}
        case "gemini":
            return 429, {"error": {"code": 429, "message": message, "status": "RESOURCE_EXHAUSTED"}}
        case _:
            return 402, {"type": "error", "error": {"type": "billing_error", "message": message}}


def refusal_answer(path: str, status: int, message: str) -> Mapping[str, Any]:
    """The JSON with which this API's provider says that it does not do what a request asks, or not now."""
    kind = {403: "permission_error", 429: "rate_limit_error"}.get(status, "invalid_request_error")
    match dialect(path):
        case "responses" | "chat":
            code = "rate_limit_exceeded" if status == 429 else kind
            return {"error": {"message": message, "type": kind, "param": None, "code": code}}
        case "gemini":
            code = {403: "PERMISSION_DENIED", 429: "RESOURCE_EXHAUSTED"}.get(status, "INVALID_ARGUMENT")
            return {"error": {"code": status, "message": message, "status": code}}
        case _:
            return {"type": "error", "error": {"type": kind, "message": message}}
