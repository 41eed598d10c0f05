"""Record sessions of the real agents for tests/transcripts, from a model that plays a script.

Run it after raising an agent's version in tests/parts/agents.py, and read the difference. Made otherwise are
`*-down`, with an address where nothing listens and no gateway, and `codex-unknown-model`, with such a model.
Those of Oz are written by hand after its public sources: it needs an account.

Usage: record_transcripts.py [NAME ...]
"""

import json
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

import local_image  # noqa: E402 - beside this file, which is not a package

from runner.core.model import Limits  # noqa: E402
from tests.parts import agents  # noqa: E402
from tests.parts.model_server import serving  # noqa: E402
from tests.parts.protocols.steps import Script  # noqa: E402
from tests.parts.sessions import GOOD, WRITE, run_agent  # noqa: E402

OVERLOADED: Script = [[{"error": 529, "message": "overloaded", "times": 2}, *WRITE], *GOOD[1:]]
COMMON: Mapping[str, tuple[Script, Limits, dict[str, Any]]] = {
    "ok": (GOOD, Limits(timeout=90), {}),
    "401": ([[{"error": 401, "message": "invalid key"}]], Limits(timeout=90), {}),
    "400-midway": ([WRITE, [{"error": 400, "message": "prompt is too long"}]], Limits(timeout=90), {}),
    "hang": ([WRITE, [{"delay": 60}]], Limits(timeout=4), {}),
    "lying": ([[{"say": "All done, I fixed everything."}]], Limits(timeout=90), {}),
    "429": ([[{"error": 429, "message": "slow down"}]], Limits(timeout=150), {}),
    "529-twice": (OVERLOADED, Limits(timeout=90), {}),
}
CUT: Script = [WRITE, [{"say": "Done.", "cut": 1}]]
MORE: Mapping[str, tuple[Script, Limits, dict[str, Any]]] = {
    **{name: COMMON[name] for name in ("ok", "401", "lying", "429")},
    "hang": ([WRITE, [{"delay": 60}]], Limits(timeout=30), {}),
    "nothing": ([[{"shell": "ls; exit 1"}], [{"say": "Nothing to change."}]], Limits(timeout=90), {}),
    "cut": (CUT, Limits(timeout=120), {}),
}
CLAUDE: Mapping[str, tuple[Script, Limits, dict[str, Any]]] = {
    "max-turns": (GOOD, Limits(timeout=90), {"max_turns": 1}),
    "budget": (GOOD, Limits(timeout=90, cost_usd=0.001), {}),
    "tool-denied": (GOOD, Limits(timeout=90), {"allowed_tools": ("Read",)}),
}
TURNS: Mapping[str, tuple[Script, Limits, dict[str, Any]]] = {
    "max-turns": (GOOD, Limits(timeout=90), {"max_turns": 1})
}
CASES = {
    "claude": {**COMMON, **CLAUDE},
    "codex": COMMON,
    "copilot": MORE,
    "gemini": {**MORE, **TURNS},
    "opencode": MORE,
    "qwen": {**MORE, **TURNS},
}
LISTS = (
    "slash_commands",
    "terminal_slash_commands",
    "agents",
    "skills",
    "plugins",
)  # long, and of no use here
REPEATED = "session.background_tasks_changed"  # Copilot says so dozens of times


def main() -> int:
    wanted = set(sys.argv[1:])
    image = local_image.build({})
    for agent, cases in CASES.items():
        for case, (script, limits, options) in cases.items():
            name = f"{agent}-{case}"
            if not wanted or name in wanted:
                with tempfile.TemporaryDirectory() as folder, serving() as model:
                    upstream = model.url(name, script)
                    installed = agents.AGENTS[agent]()
                    ran = run_agent(agent, installed, image, Path(folder), upstream, limits, options)
                    raw = (ran.kept / "transcript.raw").read_text()
                (ROOT / "tests/transcripts" / f"{name}.jsonl").write_text(scrubbed(raw))
                print(f"{name}: {ran.outcome.reason or 'ok'}")
    return 0


def scrubbed(raw: str) -> str:
    """The stream without this machine's addresses and the lists of what else the agent could do."""
    lines = []
    for line in raw.splitlines():
        data = {**json.loads(line)}
        if data["type"] == REPEATED:
            continue
        for part in (data, data.get("data", {})):
            part.update({name: [] for name in LISTS if isinstance(part.get(name), list)})
        text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
        lines.append(re.sub(r"http://[0-9.]+:\d+/[^\"/ ]+", "http://gateway/token", text) + "\n")
    return "".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
