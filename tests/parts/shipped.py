"""What the scripted model says in the cases of the shipped skills.

`python -m tests.parts.shipped IMAGE` records them again, in the image that scripts/local_image.py makes: a
new Claude Code that asks in another way needs it.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.parts import agents
from tests.parts.cli import clean_environment
from tests.parts.model_server import serving
from tests.parts.protocols.steps import Script

ROOT = Path(__file__).parent.parent.parent

SCRIPTS: Mapping[tuple[str, str], Script] = {
    ("docs-after-release", "renamed-option"): [
        [
            {"say": "I will look at what the release changed."},
            {"shell": "python3 skills/docs-after-release/scripts/changes.py"},
        ],
        [{"shell": "cat README.md docs/guide.md greeter/__init__.py greeter/__main__.py"}],
        [
            {"say": "The README names an option that is gone, and the guide lacks the new function."},
            {
                "shell": "sed -i 's/--shout/--loud/' README.md"
                " && printf '\\nCall `farewell` to say goodbye.\\n' >> docs/guide.md"
            },
        ],
        [{"shell": "python3 skills/docs-after-release/scripts/check_docs.py"}],
        [{"say": "README.md named --shout, which is --loud now; docs/guide.md has farewell."}],
    ],
    ("dead-feature-flags", "mixed-languages"): [
        [
            {"say": "I will look for flags that are decided."},
            {"shell": "python3 skills/dead-feature-flags/scripts/find_flags.py --days 90"},
        ],
        [{"shell": "python3 skills/dead-feature-flags/scripts/remove_flag.py new-checkout"}],
        [
            {"say": "Python is done; the others are mine."},
            {
                "shell": "sed -i 's/^if (.*) { go(); }$/go();/' app/cart.js"
                " && sed -i 's/pay if .*/pay/' app/cart.rb"
                " && sed -i '/isEnabled/,+1d' app/main.go"
            },
        ],
        [{"shell": "python3 skills/dead-feature-flags/scripts/check_removed.py"}],
        [{"say": "new-checkout is gone: each place keeps the new way. The other flags are not decided."}],
    ],
}


def configuration(folder: Path) -> Path:
    """A configuration with the real Claude Code."""
    path = folder / "skillrunner.yaml"
    path.write_text(f"harnesses:\n  claude-code: {{binary: {agents.claude()}}}\n")
    return path


def main() -> None:
    """Record every case."""
    image = sys.argv[1]
    with serving() as model, tempfile.TemporaryDirectory() as folder:
        config = configuration(Path(folder))
        for (skill, case), script in SCRIPTS.items():
            given = {
                "ANTHROPIC_API_KEY": "sk-no-real-key-is-needed",
                "ANTHROPIC_BASE_URL": model.url(case, script),
            }
            told = ("-C", str(ROOT), "--config", str(config), "record", skill, "--case", case)
            subprocess.run(
                [sys.executable, "-m", "runner", *told, "--image", image],
                env={**clean_environment(Path(folder)), **given, "PATH": os.environ["PATH"]},
                check=True,
            )


if __name__ == "__main__":
    main()
