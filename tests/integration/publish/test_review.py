"""A review speaks of lines that the diff shows, gives no verdict it may not, and supersedes older ones."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from runner.core.errors import RunnerError
from runner.core.hunks import Hunk, find_line, parse_hunks
from runner.core.model import DeclaredOutput, Reason, RunSpec
from runner.publish.outputs import OUTPUTS
from tests.parts.items import Site, faults

OLD = b"".join(b"line %d\n" % number for number in range(1, 41))
NEW = OLD.replace(b"line 10\n", b"ten\n").replace(b"line 30\n", b"thirty\n")


@pytest.fixture
def number(site: Site) -> int:
    site.commit("main", {"src/long.py": OLD})
    site.commit("topic", {"src/long.py": NEW, "docs/new.md": b"a\nb\nc\n"})
    return site.open("topic")


def head(site: Site) -> str:
    return site.forge.pull_request_head(1).sha


def event(site: Site, number: int) -> Mapping[str, Any]:
    return {"number": number, "pull_request": {"number": number, "head": {"sha": head(site)}}}


def spec(site: Site, number: int, cause: str = "cause:1", **options: Any) -> RunSpec:
    return site.spec("review", event(site, number), options, cause, head(site))


def on(line: int, path: str = "src/long.py", **more: Any) -> Mapping[str, Any]:
    return {"path": path, "line": line, "body": f"About {path}:{line}.", **more}


def published(site: Site) -> list[Mapping[str, Any]]:
    """The reviews of #1: their states as people see them, and the comments on lines."""
    if site.model is None:
        return [{**item.data} for item in site.items.find("review", parent="1")]
    threads = site.model.threads.get(1, [])
    found = []
    for one in site.model.reviews.get(1, []):
        states = {"COMMENTED": "comment", "APPROVED": "approve", "CHANGES_REQUESTED": "request_changes"}
        state = "dismissed" if one["minimised"] else states.get(one["state"], "dismissed")
        said = [
            {**thread["comment"], "resolved": thread["isResolved"]}
            for thread in threads
            if thread["review"] == one["id"]
        ]
        found.append({**one, "state": state, "commit": one["commit_id"], "comments": said})
    return found


def test_a_review_with_comments_on_lines_is_submitted_once(site: Site, number: int) -> None:
    told = {"body": "Two things.", "comments": [on(12, start_line=9), on(2, "docs/new.md")]}
    offer = site.offer(spec(site, number), told)
    first = site.publish(offer)
    again = site.publish(offer)
    (review,) = published(site)
    assert (first.action, again.action, again.url) == ("created", "unchanged", first.url)
    assert (review["state"], review["commit"]) == ("comment", head(site))
    assert review["body"].startswith("Two things.\n\n---\nrun run-cause:1 · skill docs@")
    said = [(one["path"], one.get("start_line"), one["line"], one["side"]) for one in review["comments"]]
    assert said == [("src/long.py", 9, 12, "RIGHT"), ("docs/new.md", None, 2, "RIGHT")]
    assert site.warnings == []


def test_the_agent_is_told_of_lines_that_the_diff_does_not_show(site: Site, number: int) -> None:
    asked = spec(site, number)
    wrong = [
        on(20),
        on(10, "README.md"),
        on(14, start_line=12),
        on(9, start_line=11),
        on(40, side="LEFT"),
        on(1, "docs/new.md", side="LEFT"),
    ]
    item = DeclaredOutput(kind="review", fields={"body": "b", "comments": [on(10), on(33), *wrong]})
    found = OUTPUTS.get("review").check_there(item, asked, asked.outputs[0], site.forge)
    assert found == [
        "speaks of line 20 of 'src/long.py' (RIGHT), and the diff shows 7 to 13, 27 to 33",
        "speaks of 'README.md', and the pull request changes no such file",
        "speaks of lines 12 to 14 of 'src/long.py' (RIGHT), and the diff shows 7 to 13, 27 to 33",
        "begins at line 11 of 'src/long.py', after line 9, its last",
        "speaks of line 40 of 'src/long.py' (LEFT), and the diff shows 7 to 13, 27 to 33",
        "speaks of line 1 of 'docs/new.md' (LEFT), and the diff shows none",
    ]


def test_a_line_that_the_diff_does_not_show_is_left_out_and_told(site: Site, number: int) -> None:
    told = {"body": "b", "comments": [on(20), on(10)]}
    site.publish(site.offer(spec(site, number), told))
    (review,) = published(site)
    assert [one["line"] for one in review["comments"]] == [10]
    assert (
        "Left out, as the diff does not show these lines now:\n\n- `src/long.py`, line 20" in review["body"]
    )
    assert len(site.warnings) == 1


@pytest.mark.parametrize(
    ("verdicts", "wanted", "fault"),
    [
        ([], "approve", "has the verdict 'approve', and the skill allows comment"),
        (["comment", "request_changes"], "approve", "and the skill allows comment, request_changes"),
        (["approve"], "approve", ""),
        (["approve"], "request_changes", "has the verdict 'request_changes', and the skill allows approve"),
    ],
)
def test_a_verdict_is_one_that_the_skill_allows(
    site: Site, number: int, verdicts: list[str], wanted: str, fault: str
) -> None:
    asked = spec(site, number, **({"verdicts": verdicts} if verdicts else {}))
    found = faults(asked, {"body": "b", "verdict": wanted})
    assert [fault in one for one in found] == ([True] if fault else [])
    if not fault:
        site.publish(site.offer(asked, {"body": "b", "verdict": wanted}))
        assert published(site)[0]["state"] == wanted


def test_more_comments_than_the_skill_allows_are_refused(site: Site, number: int) -> None:
    found = faults(spec(site, number, max_comments=1), {"body": "b", "comments": [on(10), on(11)]})
    assert found == ["declares review, which has 2 comments, and the skill allows 1 (`max_comments`)"]


def test_nobody_judges_their_own_pull_request(site: Site) -> None:
    site.commit("topic", {"docs/new.md": b"a\n"})
    number = site.open("topic", "bot" if site.model is None else site.model.login)
    asked = spec(site, number, verdicts=["approve", "request_changes"])
    for position, verdict in enumerate(("approve", "request_changes")):
        site.publish(site.offer(asked, {"body": "b", "verdict": verdict}, position))
    assert [one["state"] for one in published(site)][-1] == "comment"
    assert "says no `approve`, as nobody can judge their own pull request" in site.warnings[0]


def test_after_a_push_lines_are_mapped_and_an_approval_is_none(site: Site, number: int) -> None:
    asked = spec(site, number, verdicts=["approve"])
    told = {"body": "b", "verdict": "approve", "comments": [on(10), on(30), on(10, side="LEFT")]}
    offer = site.offer(asked, told)
    site.commit("topic", {"src/long.py": b"first\nsecond\n" + NEW.replace(b"thirty", b"30")})
    site.publish(offer)
    (review,) = published(site)
    assert (review["state"], review["commit"]) == ("comment", head(site))
    assert [one["line"] for one in review["comments"]] == [12]
    assert [warning.partition(": ")[2] for warning in site.warnings[:2]] == [
        "a push has changed these lines since",
        "a line that was deleted cannot be found again after a push",
    ]
    assert "says no `approve`, as the run looked at" in site.warnings[2]


def test_after_a_force_push_of_what_is_gone_nothing_is_said_of_lines(site: Site, number: int) -> None:
    gone = {**event(site, number), "pull_request": {"number": number, "head": {"sha": "1" * 40}}}
    asked = site.spec("review", gone, {})
    site.publish(site.offer(asked, {"body": "b", "comments": [on(10)]}))
    (review,) = published(site)
    assert review["comments"] == []
    why = "the branch was pushed over, and what the agent looked at is gone"
    assert site.warnings == [f"a comment on src/long.py:10 was left out: {why}"]


def test_an_approval_needs_a_commit_that_the_run_stood_on(site: Site, number: int) -> None:
    asked = site.spec("review", {"issue": {"number": number}}, {"verdicts": ["approve"]})
    site.publish(site.offer(asked, {"body": "b", "verdict": "approve"}))
    assert published(site)[0]["state"] == "comment"
    assert "as the run stood on no commit of it" in site.warnings[0]
    stands = site.spec("review", {"issue": {"number": number}}, {"verdicts": ["approve"]}, "c:2", head(site))
    site.publish(site.offer(stands, {"body": "b", "verdict": "approve"}))
    assert published(site)[1]["state"] == "approve"


def test_a_run_that_stood_on_an_older_commit_of_the_branch_has_its_lines_mapped(
    site: Site, number: int
) -> None:
    stands = site.spec("review", {"issue": {"number": number}}, {}, "c:1", head(site))
    site.commit("topic", {"src/long.py": b"first\n" + NEW})
    site.publish(site.offer(stands, {"body": "b", "comments": [on(10)]}))
    assert [one["line"] for one in published(site)[0]["comments"]] == [11]


def test_a_newer_review_takes_the_place_of_the_older_ones(site: Site, number: int) -> None:
    options = {"verdicts": ["comment", "request_changes"]}
    for at, verdict in enumerate(("request_changes", "comment", "comment")):
        told = {"body": f"Round {at}.", "verdict": verdict, "comments": [on(10)]}
        site.publish(site.offer(spec(site, number, f"c:{at}", **options), told))
    found = published(site)
    assert [one["state"] for one in found] == ["dismissed", "dismissed", "comment"]
    assert [one["comments"][0]["resolved"] for one in found] == [True, True, False]
    assert site.warnings == []


def test_older_reviews_stay_where_the_skill_says_so_and_other_skills_always(site: Site, number: int) -> None:
    first = spec(site, number, "c:1")
    other = replace(first, skill=replace(first.skill, name="other"))
    site.publish(site.offer(first, {"body": "b"}))
    site.publish(site.offer(replace(other, trigger=replace(other.trigger, key="c:2")), {"body": "b"}))
    site.publish(site.offer(spec(site, number, "c:3", supersede=False), {"body": "b"}))
    assert [one["state"] for one in published(site)] == ["comment"] * 3


@pytest.mark.parametrize("site", ["github"], indirect=True)
def test_a_thread_in_which_a_person_has_spoken_stays_open(site: Site, number: int) -> None:
    assert site.model is not None
    site.publish(site.offer(spec(site, number, "c:1"), {"body": "b", "comments": [on(10), on(11)]}))
    site.model.threads[number][0]["said_by"].append("alice")
    site.publish(site.offer(spec(site, number, "c:2"), {"body": "b"}))
    assert [thread["isResolved"] for thread in site.model.threads[number]] == [False, True]


def test_a_mark_that_somebody_else_copied_does_not_count(site: Site, number: int) -> None:
    offer = site.offer(spec(site, number), {"body": "b"})
    site.publish(offer)
    if site.model is None:
        (item,) = site.items.find("review", parent="1")
        site.items.update(item.id, {"author": "eve"})
    else:
        site.model.reviews[1][0]["user"]["login"] = "eve"
    assert site.publish(offer).action == "created"
    assert published(site)[0]["state"] == "comment"


@pytest.mark.parametrize("site", ["github"], indirect=True)
def test_after_a_lost_answer_there_is_one_review(site: Site, number: int) -> None:
    assert site.model is not None
    site.model.lose = r"POST .*/reviews"
    assert site.publish(site.offer(spec(site, number), {"body": "b"})).url
    assert len(published(site)) == 1


def test_words_of_the_agent_are_inert_in_body_and_comments(site: Site, number: int) -> None:
    words = "@alice fixes #7 <script>x</script> ![x](https://evil.example/p.png)"
    site.publish(site.offer(spec(site, number), {"body": words, "comments": [{**on(10), "body": words}]}))
    (review,) = published(site)
    for text in (review["body"], review["comments"][0]["body"]):
        assert "@alice" not in text
        assert "<script>" not in text
        assert "![x]" not in text


def test_an_issue_or_nothing_cannot_be_reviewed(site: Site) -> None:
    asked = site.spec("review", {"issue": {"number": 77}})
    with pytest.raises(RunnerError) as caught:
        site.publish(site.offer(asked, {"body": "b"}))
    assert caught.value.reason is Reason.FORGE_NOT_FOUND


@pytest.mark.parametrize("site", ["local"], indirect=True)
def test_people_are_shown_reviews_of_the_local_forge(site: Site, number: int) -> None:
    site.publish(site.offer(spec(site, number), {"body": "Well.", "comments": [on(12, start_line=9)]}))
    _, said = site.forge.commands().show_pull_request(number)
    assert said[-1].startswith(f"review at {head(site)[:12]}: comment\n\nWell.")
    assert said[-1].endswith("src/long.py:9-12\nAbout src/long.py:12.")


@pytest.mark.parametrize(
    ("line", "there"), [(1, 1), (2, 4), (3, None), (4, None), (5, 5), (6, 6), (7, 7), (8, None), (9, 8)]
)
def test_lines_are_found_again_after_a_change(line: int, there: int | None) -> None:
    hunks = parse_hunks("@@ -1,0 +2,2 @@ f()\n+a\n+b\n@@ -3,2 +5,0 @@\n-c\n-d\n@@ -8 +7,0 @@\n-@@ -1 +1 @@\n")
    assert hunks == (Hunk(1, 0, 2, 2), Hunk(3, 2, 5, 0), Hunk(8, 1, 7, 0))
    assert find_line(line, hunks) == there
