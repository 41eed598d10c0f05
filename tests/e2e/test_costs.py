"""What a run costs, counted at the gateway while real agents work: exact, and never beyond the limit."""

import json
from decimal import Decimal
from typing import Any

import pytest

from runner.gateway.model import prices
from runner.gateway.model.prices import cost
from runner.gateway.model.usage import TokenUsage
from tests.parts import agents
from tests.parts.cli import Project, skill_files
from tests.parts.model_server import ModelServer
from tests.parts.protocols.steps import TOKENS_IN, TOKENS_OUT, Script
from tests.parts.sessions import AGENTS, OPTIONS

pytestmark = [pytest.mark.docker, pytest.mark.real_cli]

KINDS = {"claude": "claude-code", "acp-gemini": "acp"}  # of those whose name here is not their kind
YAML = """
description: Write a page
on: {{manual: {{}}}}
harness: {harness}
limits: {{{limits}}}
output: {{pull_request: {{title: "docs: a page"}}}}
"""
WORK: Script = [
    [{"write": {"path": "docs/page.md", "content": "# Page\n"}}],
    [{"shell": "cat docs/page.md"}],
    [{"say": "Done."}],
]
ENDLESS: Script = [[{"shell": f"seq {number}"}] for number in range(30)]  # some agents notice a loop


class Bench:
    """A project whose skill an agent carries out, by a script."""

    def __init__(self, agent: str, image: str, project: Project, server: ModelServer) -> None:
        self.agent, self.project, self.server = agent, project, server
        harness, model = AGENTS[agent]
        self.model = "gpt-4.1" if model == "scripted" else model
        # Gemini's API has the model in the address alone, and the scripted one does not look there.
        self.told = "scripted" if agent.endswith("gemini") else self.model
        self.kind, self.options = KINDS.get(agent, agent), OPTIONS.get(agent, {})
        access = harness.model_for(self.options)
        assert access is not None
        self.access, program = access, agent.removeprefix("acp-")
        installed = agents.AGENTS[program]()
        if installed.needs:
            image, self.config = agents.image_with(installed, program), ""
        else:
            self.config = f"harnesses:\n  {self.kind}:\n    binary: {installed.program}\n"
        key = {self.access.key_variable: "sk-the-real-key-0123"}
        project.variables.update({"SKILLRUNNER_IMAGE": image, **key})

    def run(self, script: Script, limits: str = "attempts: 1", config: str = "", model: str = "") -> Any:
        """The record of a run."""
        harness = {"kind": self.kind, "model": model or self.model, **self.options}
        yaml = YAML.format(harness=json.dumps(harness), limits=limits)
        self.project.commit({**skill_files("page", yaml), "skillrunner.yaml": self.config + config})
        self.project.variables[self.access.upstream_variable] = self.server.url(self.name, script)
        return self.project.skillrunner("run", "page", "--json").json()

    @property
    def name(self) -> str:
        return f"costs-{self.agent}-{self.project.home.parent.name}"

    @property
    def answers(self) -> int:
        """How often the model was called."""
        return len(self.server.asked(self.name))

    def calls(self) -> list[dict[str, Any]]:
        (path,) = self.project.state.rglob("calls.jsonl")
        return [json.loads(line) for line in path.read_text().splitlines()]

    def price(self, answers: int) -> Decimal:
        used = TokenUsage(input=TOKENS_IN, output=TOKENS_OUT)
        return answers * cost(used, prices.published_prices()[self.model])


@pytest.fixture(params=["claude", "codex"])
def bench(
    request: pytest.FixtureRequest, project: Project, local_image: str, model_server: ModelServer
) -> Bench:
    return Bench(str(request.param), local_image, project, model_server)


all_agents = pytest.mark.parametrize("bench", [*agents.AGENTS, "acp-gemini"], indirect=True)
one_agent = pytest.mark.parametrize("bench", ["claude"], indirect=True)  # whose program plays no part in it


@all_agents
def test_the_record_holds_what_the_answers_told_times_the_prices(bench: Bench) -> None:
    record = bench.run(WORK, "cost_usd: 5")
    assert record["state"] == "succeeded", record["end"]
    assert bench.answers == 3
    assert (record["tokens_in"], record["tokens_out"]) == (3 * TOKENS_IN, 3 * TOKENS_OUT)
    assert Decimal(str(record["cost_usd"])) == bench.price(3)
    for call in bench.calls():
        assert (call["model"], call["status"], call["input"], call["output"]) == (
            bench.told,
            200,
            TOKENS_IN,
            TOKENS_OUT,
        )
        assert Decimal(str(call["cost_usd"])) == bench.price(1)
        assert call.keys() == {
            *("at", "provider", "model", "status", "seconds", "cost_usd"),
            *("input", "output", "cached", "cache_written"),
        }
    assert "calls.jsonl" in {artifact["name"] for artifact in record["artifacts"]}
    assert "does not tell its cost" not in bench.project.skillrunner("show", "latest").out


# US dollars, at a thousand for a million tokens: what the first request of each may cost, and a few answers.
ENOUGH = {
    "claude": 36,
    "codex": 18,
    "gemini": 22,
    "copilot": 21,
    "opencode": 16,
    "qwen": 32,
    "acp-gemini": 22,
}


@all_agents
def test_a_budget_is_never_overspent(bench: Bench) -> None:
    own = f'prices:\n  "{bench.model[:6]}*": {{input: 1000, output: 1, cached: 0, cache_written: 0}}\n'
    limit = ENOUGH[bench.agent]
    record = bench.run(ENDLESS, f"cost_usd: {limit}", own)
    assert (record["state"], record["end"]["reason"]) == ("failed", "cost_limit"), record["end"]
    assert bench.answers > 0
    assert record["cost_usd"] == pytest.approx(bench.answers * (TOKENS_IN * 1e-3 + TOKENS_OUT * 1e-6))
    assert record["cost_usd"] <= limit
    assert "the next call may cost" in record["end"]["message"]
    assert f"`limits.cost_usd` allows ${limit}" in record["end"]["message"]
    assert len(bench.calls()) == bench.answers
    assert bench.project.branches() == ["main"]


@one_agent
def test_ones_own_prices_hold_for_the_record_and_the_budget(bench: Bench) -> None:
    own = f'prices:\n  "{bench.model[:6]}*": {{input: 0.5, output: 100, cached: 0, cache_written: 0}}\n'
    record = bench.run(WORK, "cost_usd: 5", own)
    assert record["state"] == "succeeded", record["end"]
    assert record["cost_usd"] == 0.012


@one_agent
def test_a_model_without_a_price_and_a_limit_go_not_together(bench: Bench) -> None:
    record = bench.run(WORK, "cost_usd: 5", model="mystery-1")
    assert (record["end"]["reason"], bench.answers) == ("invalid_config", 0), record["end"]
    assert "mystery-1" in record["end"]["message"]
    assert 'prices: {"mystery-1": {input: ' in record["end"]["hint"]


CHEAP = {"claude": "claude-haiku-4-5", "codex": "gpt-5-mini"}


def spent(model: str, answers: int) -> Decimal:
    return answers * cost(TokenUsage(input=TOKENS_IN, output=TOKENS_OUT), prices.published_prices()[model])


def test_each_request_gets_the_model_that_the_rules_choose(bench: Bench) -> None:
    """The first turn is the larger model's; what follows is routine."""
    cheap = CHEAP[bench.agent]
    routes = f"    routes: [{{when: {{turns_over: 0}}, model: {cheap}}}, {{model: {bench.model}}}]\n"
    record = bench.run(WORK, "cost_usd: 5", routes, model="auto")
    assert record["state"] == "succeeded", record["end"]
    asked = [one.body["model"] for one in bench.server.asked(bench.name)]
    assert asked == [bench.model, cheap, cheap]
    assert [call["model"] for call in bench.calls()] == asked
    assert Decimal(str(record["cost_usd"])) == spent(bench.model, 1) + spent(cheap, 2)


@one_agent
def test_auto_without_rules_starts_nothing(bench: Bench) -> None:
    yaml = YAML.format(harness=json.dumps({"kind": bench.kind, "model": "auto"}), limits="attempts: 1")
    bench.project.commit({**skill_files("page", yaml), "skillrunner.yaml": bench.config})
    ran = bench.project.skillrunner("run", "page")
    assert ran.code != 0
    assert f"`model: auto` needs rules that choose one, and {bench.kind} has none" in ran.err
    assert f"harnesses: {{{bench.kind}: {{routes: [" in ran.err


def test_another_provider_answers_where_the_first_is_busy(bench: Bench) -> None:
    other, model = f"{bench.name}-other", CHEAP[bench.agent]
    upstream = bench.server.url(other, WORK)
    bench.project.variables["OTHER_KEY"] = "sk-the-other-key-0123"
    fallback = f"    fallback: [{{upstream: '{upstream}', key: OTHER_KEY, model: {model}}}]\n"
    record = bench.run([[{"error": 529}]] * 9, "cost_usd: 5", fallback)
    assert record["state"] == "succeeded", record["end"]
    assert Decimal(str(record["cost_usd"])) == spent(model, 3)
    assert [call["model"] for call in bench.calls() if call["status"] == 200] == [model] * 3
    assert len(bench.server.asked(bench.name)) == 3  # and then it rests
    for name, key in ((bench.name, "sk-the-real-key-0123"), (other, "sk-the-other-key-0123")):
        for one in bench.server.asked(name):
            assert key in (
                one.headers.get("x-api-key"),
                one.headers.get("authorization", "")[len("Bearer ") :],
            )
    told = bench.project.skillrunner("show", "latest", "--json").json()["events"]
    said = "3 of the model's answers came from 127.0.0.1, in place of its own provider"
    assert [event["message"] for event in told].count(said) == 1


def test_a_case_with_rules_and_another_provider_is_replayed(bench: Bench) -> None:
    cheap, other = CHEAP[bench.agent], f"{bench.name}-other"
    upstream = bench.server.url(other, WORK)
    both = (
        f"    routes: [{{when: {{turns_over: 0}}, model: {cheap}}}, {{model: {bench.model}}}]\n"
        f"    fallback: [{{upstream: '{upstream}', key: OTHER_KEY}}]\n"
    )
    harness = json.dumps({"kind": bench.kind, "model": "auto"})
    yaml = YAML.format(harness=harness, limits="cost_usd: 5")
    bench.project.commit({**skill_files("page", yaml), "skillrunner.yaml": bench.config + both})
    bench.project.variables["OTHER_KEY"] = "sk-the-other-key-0123"
    bench.project.variables[bench.access.upstream_variable] = bench.server.url(
        bench.name, [[{"error": 529}]] * 9
    )
    recorded = bench.project.skillrunner("record", "page")
    assert recorded.code == 0, recorded.out + recorded.err
    assert [one.body["model"] for one in bench.server.asked(other)] == [bench.model, cheap, cheap]
    for name in ("OTHER_KEY", bench.access.key_variable, bench.access.upstream_variable):
        del bench.project.variables[name]
    replayed = bench.project.skillrunner("test")
    assert replayed.code == 0, replayed.out + replayed.err
    assert len(bench.server.asked(other)) == 3
