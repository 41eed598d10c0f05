"""What a person wrote into the text of our pull request survives when we write ours anew."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from runner.core.model import Check, FileChange, Proposal
from runner.publish.outputs import Offer
from runner.publish.outputs._body import LIMIT, body
from runner.publish.outputs._marker import read
from runner.publish.signing import NO_KEY
from tests.unit.publish.test_pull_request_text import MARKER, offer

SECTION = "## For QA\n\nTry it.\n\n```sh\n# no heading\n---\n```\n\n---\n\n### Notes\n\n- [x] done"


def proposed(run: int, ok: bool = True) -> Offer:
    """What the run of this number proposes."""
    output = offer().output
    lead = {"title": "t", "body": f"Lead {run}."}
    changes = (FileChange(path=f"docs/{run}.md", change="added"),)
    return offer(
        output=replace(output, options=lead),
        run_id=f"run-{run}",
        proposal=Proposal(base_sha="b", tree_sha="t", changes=changes, summary=f"Did {run}."),
        checks=(Check(command=f"make {run}", exit_code=0, duration=1, output="# fine\n---", ok=ok),),
    )


def edited(change: Callable[[str], str], **first: Any) -> str:
    """The body after a person has changed it, and two other runs have written theirs."""
    text = body(proposed(1, **first), MARKER)
    assert change(text) != text
    text = change(text)
    for run in (2, 3):
        text = body(proposed(run), MARKER, text)
    assert "run run-3 · skill docs@cccccccccccc" in text
    for gone in ("run-1", "run-2", "docs/1.md", "docs/2.md", "make 1", "make 2"):
        assert gone not in text
    for heading in ("### Files", "### Evidence", "| `docs/3.md` |", "✅ `make 3`"):
        assert text.count(heading) == 1
    found = read(text, NO_KEY)
    assert found is not None
    assert replace(found, sections={}) == MARKER
    return text


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("before", ["### Why", "### What", "### Files", "### Evidence", "---\nrun"])
def test_a_persons_section_survives_where_it_stands(before: str, line_end: str) -> None:
    text = edited(lambda text: text.replace(before, f"{SECTION}\n\n{before}", 1).replace("\n", line_end))
    assert text.count(SECTION) == 1
    assert text.index(SECTION) < text.index(before)
    assert text.count("Lead 3.") == text.count("Did 3.") == 1
    assert "Lead 2." not in text


def test_what_a_person_wrote_below_or_above_all_survives() -> None:
    text = edited(lambda text: f"Mine, above.\n\n{text}\n\nMine, below.")
    assert text.startswith("Mine, above.\n\n### Why")
    assert text.endswith(" -->\n\nMine, below.")


def test_a_warning_goes_when_it_is_true_no_more_and_what_stood_above_it_stays() -> None:
    text = edited(lambda text: f"Mine.\n\n{text}", ok=False)
    assert text.startswith("Mine.\n\n### Why")
    assert "[!WARNING]" not in text


@pytest.mark.parametrize(("ours", "next_one"), [("Lead 1.", "Lead 3."), ("Did 1.", "Did 3.")])
def test_words_that_a_person_changed_are_theirs(ours: str, next_one: str) -> None:
    text = edited(lambda text: text.replace(ours, "A person's words."))
    assert text.count("A person's words.") == 1
    assert next_one not in text


@pytest.mark.parametrize("name", ["Why", "What"])
def test_a_section_of_words_that_a_person_deleted_stays_deleted(name: str) -> None:
    following = {"Why": "### What", "What": "### Files"}[name]
    text = edited(lambda text: text[: text.index(f"### {name}")] + text[text.index(following) :])
    assert f"### {name}" not in text


@pytest.mark.parametrize("before", ["### Evidence", "---\nrun", "<!-- skillrunner"])
def test_a_paragraph_beside_our_facts_survives_and_the_facts_are_new(before: str) -> None:
    text = edited(lambda text: text.replace(before, f"I looked at this.\n\n{before}"))
    assert text.count("I looked at this.") == 1


def test_facts_cannot_be_edited_into_something_else() -> None:
    text = edited(lambda text: text.replace("✅ `make 1` (exit 0", "✅ `make all` (exit 0"))
    assert "make all" not in text


@pytest.mark.parametrize("theirs", ["All mine.", "### Why\n\nBecause.", "---\nrun x · skill y\n"])
def test_a_body_that_a_person_wrote_anew_is_kept_above_ours(theirs: str) -> None:
    text = edited(lambda _: theirs)
    assert text.startswith(f"{theirs.strip()}\n\n### Why\n\nKeep docs")


def test_ours_is_written_anew_where_nobody_changed_it() -> None:
    first = body(proposed(1, ok=False), MARKER)
    assert body(proposed(2), MARKER, first) == body(proposed(2), MARKER)


@pytest.mark.parametrize("length", [11_000, 13_000, 20_000])
def test_a_very_long_text_of_a_persons_leaves_room_for_ours(length: int) -> None:
    text = body(proposed(2), MARKER, f"{'mine ' * length}\n\n{body(proposed(1), MARKER)}"[:LIMIT])
    assert len(text) <= LIMIT
    assert text.startswith("mine mine")
    assert read(text, NO_KEY) is not None
