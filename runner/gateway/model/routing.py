"""Chooses a request's model where a skill says `model: auto`: by the first route whose conditions hold.

Pure.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from runner.core.model import Route
from runner.gateway.model.request import plain_name

_BYTES = 4  # approximate bytes of a request for each prompt token
_IN_PATH = re.compile(r"(/models/)[^/:]+(:)")  # how Gemini's API names the model


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFacts:
    """The facts of a request that routes test."""

    prompt_tokens: int  # estimated by the request's size
    turns: int  # the model's turns in the request's history
    tools: bool  # whether the model may call any: side questions, such as one for a title, offer none
    spent: float  # the spent share of the run's limit: 0.5 is half of it


def request_facts(body: Mapping[str, Any], size: int, spent: float) -> RequestFacts:
    """The facts of a request's parsed body, which is `size` bytes long."""
    history = next((body[key] for key in ("messages", "input", "contents") if key in body), ())
    entries = history if isinstance(history, list) else ()
    turns = sum(1 for by_model, _ in groupby(entries, _by_model) if by_model)
    return RequestFacts(prompt_tokens=size // _BYTES, turns=turns, tools=bool(body.get("tools")), spent=spent)


def choose_model(routes: Sequence[Route], facts: RequestFacts) -> str:
    """The model of the first route whose conditions hold; the last route has none."""
    return next(one.model for one in routes if one is routes[-1] or _fits(one, facts))


def with_model(path: str, told: Mapping[str, Any], model: str) -> tuple[str, Mapping[str, Any]]:
    """The path and body of a request, changed to this model. A request that names no model stays as it is."""
    if _IN_PATH.search(path):
        return _IN_PATH.sub(lambda found: f"{found[1]}{model}{found[2]}", path, count=1), told
    return path, {key: model if plain_name(key) == "model" else value for key, value in told.items()}


def _fits(route: Route, known: RequestFacts) -> bool:
    """Whether all conditions of a route hold."""
    over = (
        (route.prompt_tokens_over, known.prompt_tokens),
        (route.turns_over, known.turns),
        (route.spent_over, known.spent),
    )
    same = ((route.first, known.turns == 0), (route.tools, known.tools))
    return all(least is None or have > least for least, have in over) and all(
        wanted is None or wanted is have for wanted, have in same
    )


def _by_model(entry: Any) -> bool:
    """Whether the model wrote an entry. Some entries of the Responses API have a type instead of a role."""
    if not isinstance(entry, dict):
        return False
    if role := entry.get("role"):
        return role in ("assistant", "model")
    return not str(entry.get("type", "_output")).endswith("_output")
