"""Each real agent with its default model makes one change in the real sandbox, through the gateway."""

import json
from pathlib import Path
from typing import Any

import pytest

from runner.core.model import FileEdit, Limits, SessionStart, ToolCall, Usage
from tests.parts import agents
from tests.parts.model_server import ModelServer
from tests.parts.protocols import responses
from tests.parts.sessions import KEY, PROMPT, WRITE, run_agent

pytestmark = [pytest.mark.docker, pytest.mark.real_cli]

LOOK = "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline > seen.txt 2>/dev/null; env >> seen.txt"
SCRIPT = [WRITE, [{"shell": LOOK}], [{"say": "Done."}]]
TOLD = Usage(tokens_in=3600, tokens_out=102)
HEADERS = {"claude": ("x-api-key", KEY), "gemini": ("x-goog-api-key", KEY)}
USAGE = {
    "claude": Usage(tokens_in=3600, tokens_out=102, cost_usd=0.01644),
    "codex": TOLD,
    "copilot": Usage(),
    "gemini": Usage(tokens_in=4800, tokens_out=136),  # it asks first which model shall do it
    "opencode": TOLD,
    "qwen": TOLD,
}
LATE = ("copilot", "gemini", "qwen")  # they print something before they name their session
INSTRUCTIONS = 'Say "please".\nAlways.'


def _tools_of_codex(body: Any) -> bool:
    return bool(isinstance(body.get("input"), list) and responses.tools(body))


@pytest.mark.parametrize("agent", agents.AGENTS)
def test_a_change_is_made_with_a_key_that_only_the_gateway_holds(
    agent: str, tmp_path: Path, local_image: str, model_server: ModelServer
) -> None:
    name = f"each-{agent}-{tmp_path.name}"
    options = {"append_system_prompt": INSTRUCTIONS}
    upstream = model_server.url(name, SCRIPT)
    limits = Limits(timeout=200)
    ran = run_agent(
        agent, agents.AGENTS[agent](), local_image, tmp_path, upstream, limits, options, names_model=False
    )

    assert ran.outcome.ok, (ran.outcome, ran.seen)
    assert (ran.workspace / "hello.txt").read_text() == "hello\n"
    assert (ran.outcome.summary, ran.outcome.usage) == ("Done.", USAGE[agent])
    assert ran.outcome.session_id == ran.of(SessionStart)[0].session_id
    assert len(ran.of(ToolCall)) == 2
    assert Path(ran.of(FileEdit)[0].path).name == "hello.txt"

    types = [json.loads(line)["type"] for line in (ran.kept / "transcript.jsonl").read_text().splitlines()]
    assert types == [event.type for event in ran.seen]
    assert (types[0] == "session", types[-1]) == (agent not in LATE, "end")

    seen = (ran.workspace / "seen.txt").read_bytes()
    assert b"SKILLRUNNER_PROMPT=" in seen
    assert KEY.encode() not in seen
    assert PROMPT.strip().encode() not in seen

    header, value = HEADERS.get(agent, ("authorization", f"Bearer {KEY}"))
    work = [one for one in model_server.asked(name) if one.body.get("tools") or _tools_of_codex(one.body)]
    assert len(work) == 3
    for request in work:
        body = json.dumps(request.body)
        assert request.headers[header] == value
        assert PROMPT.strip() in body
        assert json.dumps(INSTRUCTIONS)[1:-1] in body
        assert KEY not in body
