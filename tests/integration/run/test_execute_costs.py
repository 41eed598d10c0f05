"""The main path with a harness that calls its model through the gateway: whose numbers the record gets."""

import json
import sys
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from runner.config.documents import Model
from runner.core.model import End, Environment, Exit, Limits, Outcome, Reason, RunState, Stream, Usage
from runner.gateway.model.prices import Price
from runner.harnesses import Harness, Launch, Reader, Task
from runner.harnesses.claude_code import ClaudeCode
from runner.sandboxes import SANDBOXES
from tests.integration.run.test_execute import Scene, scene  # noqa: F401 - a fixture
from tests.parts.model_server import ModelServer
from tests.parts.protocols.steps import TOKENS_IN, TOKENS_OUT

MODEL = "claude-sonnet-4-5"
ONE = 0.00411
CALL = """
import json, os, sys, urllib.error, urllib.request
url, model, wanted = os.environ["MODEL_URL"], sys.argv[1], int(sys.argv[2])
open("made.txt", "w").write("made")
print("begun", flush=True)
for _ in range(wanted):
    body = json.dumps({"model": model, "max_tokens": 9, "stream": True, "messages": []}).encode()
    try:
        urllib.request.urlopen(urllib.request.Request(url + "/v1/messages", body)).read()
    except urllib.error.HTTPError as error:
        print(error.code, error.read().decode(), flush=True)
"""
TOLD = Usage(tokens_in=5, tokens_out=6, cost_usd=0.7)


class ContentReader(Reader):
    """A harness that is content with itself, and has its own idea of what it cost."""

    def read(self, stream: Stream, line: bytes) -> Iterable[Any]:
        return []

    def outcome(self, ended: Exit, changed: bool) -> Outcome:
        return Outcome(ok=ended.cause == "exited", reason=Reason.HARNESS_FAILED, usage=TOLD)


class CallingHarness(Harness):
    """A program that calls the model so many times."""

    name, options, model = "calling", Model, ClaudeCode.model

    def __init__(self, asked: str, calls: int) -> None:
        self.asked, self.calls = asked, calls

    def launch(self, task: Task) -> Launch:
        argv = (sys.executable, "-c", CALL, self.asked, str(self.calls))
        return Launch(argv=argv, variables={"MODEL_URL": task.model_url})

    def reader(self) -> Reader:
        return ContentReader()


class Costs:
    def __init__(self, scene: Scene, server: ModelServer) -> None:  # noqa: F811
        self.scene, self.server = scene, server
        self.name = f"execute-{scene.project.home.parent.name}"

    def run(
        self, calls: int, limit: float | None = None, model: str = MODEL, **parts: Any
    ) -> tuple[str, End]:
        spec = self.scene.spec(
            environment=Environment(sandbox="process", image=""),
            limits=Limits(timeout=120, idle=120, cost_usd=limit),
        )
        return self.scene.run(
            spec,
            sandbox=SANDBOXES.get("process"),
            harness=CallingHarness(model, calls),
            model_key="sk-the-real-key-0123456789",
            model_upstream=self.server.url(self.name, [[{"say": "Hello."}]]),
            **parts,
        )

    def usage(self, run_id: str) -> Usage:
        run = self.scene.store.run(run_id)
        return Usage(tokens_in=run.tokens_in, tokens_out=run.tokens_out, cost_usd=run.cost_usd)

    def kept(self, run_id: str, name: str) -> list[Any]:
        (path,) = [one.path for one in self.scene.store.artifacts(run_id) if one.name == name]
        return [json.loads(line) for line in Path(path).read_text().splitlines()]


@pytest.fixture
def costs(scene: Scene, model_server: ModelServer) -> Costs:  # noqa: F811
    return Costs(scene, model_server)


def test_what_the_gateway_saw_goes_before_what_the_harness_says(costs: Costs) -> None:
    run_id, end = costs.run(2)
    assert end.state is RunState.SUCCEEDED, end
    assert costs.usage(run_id) == Usage(tokens_in=2 * TOKENS_IN, tokens_out=2 * TOKENS_OUT, cost_usd=2 * ONE)
    assert [one["cost_usd"] for one in costs.kept(run_id, "calls.jsonl")] == [ONE, ONE]


def test_where_it_saw_nothing_the_harness_is_believed(costs: Costs) -> None:
    run_id, end = costs.run(0, limit=1)
    assert end.state is RunState.SUCCEEDED, end
    assert costs.usage(run_id) == replace(TOLD, tokens_cached=0)
    assert "calls.jsonl" not in {one.name for one in costs.scene.store.artifacts(run_id)}


def test_where_it_knows_no_price_the_harness_may(costs: Costs) -> None:
    run_id, end = costs.run(1, model="mystery-1")
    assert end.state is RunState.SUCCEEDED, end
    assert costs.usage(run_id) == Usage(tokens_in=TOKENS_IN, tokens_out=TOKENS_OUT, cost_usd=0.7)
    assert costs.kept(run_id, "calls.jsonl")[0]["cost_usd"] is None


def test_the_harness_is_stopped_when_the_money_is_spent(costs: Costs) -> None:
    run_id, end = costs.run(10_000, limit=0.05)
    assert (end.state, end.reason) == (RunState.FAILED, Reason.COST_LIMIT)
    assert end.message == (
        "it has cost $0.0493, the next call may cost $0.0038 more, and `limits.cost_usd` allows $0.05"
    )
    assert end.hint == "raise the limit to $0.06 or more, or have the agent ask for shorter answers"
    assert costs.usage(run_id).cost_usd == 0.04932
    assert len(costs.server.asked(costs.name)) == len(costs.kept(run_id, "calls.jsonl")) == 12
    names = {one.name for one in costs.scene.store.artifacts(run_id)}
    assert {"patch", "transcript.jsonl", "transcript.raw"} <= names
    assert costs.scene.project.branches() == ["main"]


def test_an_end_by_itself_comes_too_late_when_the_last_answer_was_too_dear(costs: Costs) -> None:
    """The scripted provider answers with more tokens than the request could have."""
    run_id, end = costs.run(1, limit=0.004)
    assert (end.state, end.reason) == (RunState.FAILED, Reason.COST_LIMIT)
    assert costs.usage(run_id).cost_usd == ONE
    assert costs.scene.project.branches() == ["main"]


def test_an_unknown_price_under_a_limit_costs_nothing(costs: Costs) -> None:
    run_id, end = costs.run(3, limit=1, model="mystery-1")
    assert (end.state, end.reason) == (RunState.ERROR, Reason.INVALID_CONFIG)
    assert costs.server.asked(costs.name) == []
    free = Price(**dict.fromkeys(("input", "output", "cached", "cache_written"), Decimal(0)))  # type: ignore[arg-type]
    run_id, end = costs.run(3, limit=1, model="mystery-1", prices={"mystery-*": free})
    assert (end.state, costs.usage(run_id).cost_usd) == (RunState.SUCCEEDED, 0)


def test_a_secret_in_a_models_name_is_masked(costs: Costs) -> None:
    secrets = {"TOKEN": "abcdefghijklmnop"}
    run_id, end = costs.run(1, model="abcdefghijklmnop", secrets=secrets)
    assert costs.kept(run_id, "calls.jsonl")[0]["model"] == "***"
    run_id, end = costs.run(1, limit=1, model="abcdefghijklmnop", secrets=secrets)
    assert "abcdefghijklmnop" not in end.message + end.hint


class FailingReader(ContentReader):
    """A harness whose model does not answer, and that cannot say why."""

    def outcome(self, ended: Exit, changed: bool) -> Outcome:
        return Outcome(ok=False, reason=Reason.HARNESS_FAILED, message="the agent exited with code 1")


class FailingHarness(CallingHarness):
    def reader(self) -> Reader:
        return FailingReader()


def failed(costs: Costs, status: int, message: str, calls: int = 1, attempts: int = 1) -> tuple[str, End]:
    costs.server.scripts[costs.name] = script = [[{"error": status, "message": message}]]
    spec = costs.scene.spec(
        environment=Environment(sandbox="process", image=""),
        limits=Limits(timeout=120, idle=120, attempts=attempts),
    )
    return costs.scene.run(
        spec,
        sandbox=SANDBOXES.get("process"),
        harness=FailingHarness(MODEL, calls),
        model_key="sk-the-real-key-0123456789",
        model_upstream=costs.server.url(costs.name, script),
    )


def test_a_refused_key_is_named_with_its_variable_and_host(costs: Costs) -> None:
    _, end = failed(costs, 401, "invalid x-api-key: sk-the-real-key-0123456789\x1b[2J")
    assert (end.state, end.reason, end.retryable) == (RunState.FAILED, Reason.PROVIDER_ERROR, False)
    assert end.message.startswith(
        "the agent exited with code 1; its model: 127.0.0.1 answered 401 to the key in ANTHROPIC_API_KEY:"
        " invalid x-api-key: ***"
    )
    assert "\x1b" not in end.message


def test_the_last_answers_of_a_provider_are_quoted(costs: Costs) -> None:
    _, end = failed(costs, 400, "prompt is too long", calls=3)
    assert (
        end.message == "the agent exited with code 1; its model: 127.0.0.1 answered 400: prompt is too long"
    )
    assert end.reason is Reason.PROVIDER_ERROR


def test_what_failed_before_a_good_answer_is_not_blamed(costs: Costs) -> None:
    costs.server.failures.clear()
    _, end = costs.run(1)
    assert end.state is RunState.SUCCEEDED, end
    assert "answered" not in end.message


def test_a_refused_request_is_an_event_of_the_run(costs: Costs) -> None:
    searching = CALL.replace('"messages": []', '"messages": [], "tools": [{"type": "web_search_20250305"}]')

    class Searching(CallingHarness):
        def launch(self, task: Task) -> Launch:
            one = super().launch(task)
            return replace(one, argv=(sys.executable, "-c", searching, *one.argv[3:]))

    spec = costs.scene.spec(
        environment=Environment(sandbox="process", image=""), limits=Limits(timeout=120, idle=120)
    )
    run_id, _ = costs.scene.run(
        spec,
        sandbox=SANDBOXES.get("process"),
        harness=Searching(MODEL, 2),
        model_key="sk-the-real-key-0123456789",
        model_upstream=costs.server.url(costs.name, [[{"say": "Hello."}]]),
    )
    assert costs.server.asked(costs.name) == []
    told = [one.message for _, one in costs.scene.store.events(run_id)]
    assert any(
        one.startswith("not passed on to the model: the skill does not allow the tool web_search_20250305")
        and one.endswith("(2 times)")
        for one in told
    )
