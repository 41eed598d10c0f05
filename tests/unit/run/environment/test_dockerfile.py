"""What a Dockerfile can see of the repository: never less than the engine will ask for."""

import pytest

from runner.run.environment.dockerfile import context_paths

FILES = dict.fromkeys(("a.txt", "b.txt", "docs/a.md", "docs/deep/b.md", "src/app.py"), 0o100644)
ALL = set(FILES)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("FROM x\nRUN make\n", set()),
        ("FROM x\nCOPY a.txt /\n", {"a.txt"}),
        ("FROM x\ncopy --chown=1:1 ./a.txt b.txt /x/\n", {"a.txt", "b.txt"}),
        ("FROM x\nADD docs /docs\n", {"docs/a.md", "docs/deep/b.md"}),
        ("FROM x\nCOPY docs/*.md /\n", {"docs/a.md", "docs/deep/b.md"}),
        ('FROM x\nCOPY ["a.txt", "/a b"]\n', {"a.txt"}),
        ("FROM x AS y\nFROM z\nCOPY --from=y /bin/q /bin/\n", set()),
        ("FROM x\nADD https://example.com/a /\n", set()),
        ("FROM x\n# COPY . .\nCOPY \\\n  # why\n  a.txt \\\n  /\n", {"a.txt"}),
        ("FROM x\nCOPY . /\n", ALL),
        ("FROM x\nCOPY *.txt /\n", ALL),
        ("FROM x\nCOPY $WHAT /\n", ALL),
        ("FROM x\nCOPY ../a.txt /\n", ALL),
        ("FROM x\nCOPY not-there /\n", ALL),
        ("FROM x\nCOPY <<END /x\nEND\n", ALL),
        ("FROM x\nCOPY ['broken /x\n", ALL),
        ("FROM x\nONBUILD COPY a.txt /\n", ALL),
        ("FROM x\nRUN --mount=type=bind,target=/y make\n", ALL),
        ("# escape=`\nFROM x\nCOPY a.txt /\n", ALL),
    ],
)
def test_what_copy_and_add_name_is_seen(text: str, seen: set[str]) -> None:
    assert context_paths(text, FILES) == seen


def test_behind_a_link_may_be_anything() -> None:
    files = {**FILES, "link": 0o120000}
    assert context_paths("COPY link /", files) == set(files)
