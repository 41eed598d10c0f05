"""What stands in a pull request says something and does nothing."""

import json
import re
import time
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from runner.core.model import (
    Allowance,
    Check,
    DeclaredOutput,
    Environment,
    FileChange,
    HarnessSpec,
    Limits,
    Outcome,
    OutputSpec,
    Proposal,
    Repository,
    RunSpec,
    SkillRef,
    Trigger,
    Usage,
)
from runner.publish.outputs import BotIdentity, Offer, _marker
from runner.publish.outputs._body import LIMIT, body
from runner.publish.outputs._marker import Marker
from runner.publish.outputs.escape import fence, neutralise, one_line
from runner.publish.outputs.pull_request import branch
from runner.publish.signing import NO_KEY, Signer

MARKER = Marker(skill="docs", key="v1 --> x", cause="release:1", head="a" * 40, patch="b" * 64)


read, write = partial(_marker.read, signer=NO_KEY), partial(_marker.write, signer=NO_KEY)
FOOTER = "---\nrun run-1 · skill docs@c · codex\n\nHow to steer it."


def told(text: str) -> Marker | None:
    """The marker in a body, without what it says of the body itself."""
    found = read(text)
    return found and replace(found, sections={})


def footed(*markers: Marker) -> str:
    return "\n\n".join((FOOTER, *map(write, markers)))


def offer(**changes: Any) -> Offer:
    spec = RunSpec(
        repository=Repository(name="o/r", url="u", default_branch="main"),
        base_ref="main",
        base_sha="b" * 40,
        skill=SkillRef(
            name="docs", path="skills/docs", commit="c" * 40, digest="d" * 64, description="Keep docs"
        ),
        trigger=Trigger(kind="release", key="release:1", subject="v1", at=datetime.now(UTC)),
        prompt="p",
        environment=Environment(sandbox="docker", image="i"),
        harness=HarnessSpec(kind="codex"),
        limits=Limits(),
        allowance=Allowance(),
        outputs=(OutputSpec(kind="pull_request", options={"title": "t", "body": "Before all."}),),
    )
    change = FileChange(path="docs/a|`b.md", change="modified", additions=2, deletions=1)
    made = Offer(
        spec=spec,
        output=spec.outputs[0],
        run_id="run-1",
        proposal=Proposal(base_sha="b", tree_sha="t", changes=(change,), summary="Did it."),
        patch=b"",
        outcome=Outcome(ok=True, usage=Usage(tokens_in=1000, tokens_out=5, cost_usd=0.1234)),
        checks=(Check(command="make docs", exit_code=0, duration=1.25, output="fine\n```\nend", ok=True),),
        bot=BotIdentity(name="bot", email="b@x"),
    )
    return replace(made, **changes)


def with_lead(text: str) -> Offer:
    made = offer()
    (output,) = made.spec.outputs
    return replace(made, output=replace(output, options={"title": "t", "body": text}))


def test_body_tells_why_what_evidence_and_cost() -> None:
    text = body(offer(), MARKER)
    for expected in (
        "Keep docs",
        "Started by: release `v1`.",
        "Before all.",
        "Did it.",
        "| `docs/a??b.md` | modified | +2 -1 |",
        "✅ `make docs` (exit 0, 1.2 s)",
        "run run-1 · skill docs@cccccccccccc · codex · $0.1234 · 1,000 tokens in, 5 out",
        "Push a commit here",
    ):
        assert expected in text
    assert "````text\nfine\n```\nend\n````" in text
    assert told(text) == MARKER


def test_a_failed_verification_is_said_first() -> None:
    failed = Check(command="make", exit_code=None, duration=1, output="", ok=False)
    text = body(offer(checks=(failed,)), MARKER)
    assert text.startswith("> [!WARNING]")
    assert "❌ `make` (stopped, 1.0 s)" in text


def test_nothing_checked_is_said() -> None:
    assert "nothing was checked but the policy" in body(offer(checks=()), MARKER)


def test_what_the_harness_declares_goes_before_its_last_words() -> None:
    declared = (
        DeclaredOutput(kind="pull_request", fields={"body": "Declared."}),
        DeclaredOutput(kind="other"),
    )
    proposal = Proposal(base_sha="b", tree_sha="t", declared=declared, summary="Summary.")
    text = body(offer(proposal=proposal), MARKER)
    assert "Declared." in text
    assert "Summary." not in text


def test_body_fits_and_keeps_its_marker() -> None:
    checks = tuple(
        Check(command="x" * 300, exit_code=1, duration=1, output="y" * 9999, ok=False) for _ in range(60)
    )
    changes = tuple(FileChange(path=f"{n}" * 150, change="added") for n in range(200))
    proposal = Proposal(base_sha="b", tree_sha="t", changes=changes, summary="z" * 99_999)
    text = body(offer(checks=checks, proposal=proposal), MARKER)
    assert len(text) <= LIMIT
    assert told(text) == MARKER


@pytest.mark.parametrize("text", ["", "<!-- skillrunner: {} -->", "<!-- skillrunner: {bad} -->", "no"])
def test_what_is_no_marker_is_none(text: str) -> None:
    assert read(text) is None


@given(st.text(max_size=90), st.text(max_size=90))
def test_two_keys_have_two_branches(one: str, other: str) -> None:
    assert (branch("s", one) == branch("s", other)) is (one == other or {one, other} == {"", "default"})
    assert re.fullmatch(r"skillrunner/s/[A-Za-z0-9._-]{1,89}", branch("s", one))


@given(st.text(max_size=200))
def test_any_key_survives_in_a_marker(key: str) -> None:
    text = write(replace(MARKER, key=key))
    assert text.count("-->") == 1
    assert read(f"before\n{footed(replace(MARKER, key=key))}\nafter") == replace(MARKER, key=key)


@pytest.mark.parametrize(
    ("said", "gone"),
    [
        ("thanks @octocat and @org/team", ["@octocat", "@org"]),
        ("fixes #12, Closes: #3, resolves o/r#4", ["fixes #", "Closes: #", "#12", "#3", "#4"]),
        ("see #5 and GH-6", ["#5", "GH-6"]),
        ("![x](http://track.example/p.png?s=1)", ["http://track", "!["]),
        ("[click](javascript:alert(1))", ["](javascript"]),
        ("<img src=x> <!-- skillrunner: {} --> <details>", ["<img", "<!--", "<details"]),
        ("[a]: http://track.example/x", ["http://track"]),
        ("plain\u202etext\u200b", ["\u202e"]),
        (
            "`x`@octo /@slash &#64;entity &commat;named \\@escaped *a*@b",
            ["`@octo", "/@s", "@entity", "@named", "@e", "@b"],
        ),
        ("&#35;12 \\#13 GH-&#49; **#14**", ["#12", "#13", "GH-1", "#14"]),
        ("[![n](http://a/b)](https://ok.example)", ["http://a", "!["]),
        ("fixes https://github.com/o/r/issues/3", ["fixes https", "/github.com"]),
        ("[x](https://github.com/o/r/pull/3#issuecomment-1)", ["/github.com"]),
        ("see <https://github.com/o/r/issues/3>", ["/github.com"]),
        ("# Evidence\n\nEvidence\n===\n\nx\n\n---\n\n***", ["# Ev", "===", "---", "\n***"]),
        ("> [!NOTE]\n> all is verified", ["[!NOTE]"]),
        ("```mermaid\ngraph\n```", ["mermaid"]),
        ("~~~suggestion\nx\n~~~", ["suggestion"]),
        ("[a][b]\n\n[b]: javascript:x", ["](javascript", "]: java"]),
        ("a\n<div>\n\n**x** </div>", ["<div", "</div"]),
    ],
)
def test_words_that_act_are_disarmed(said: str, gone: list[str]) -> None:
    text = neutralise(said, 1000)
    assert [part for part in gone if part in text] == []


@pytest.mark.parametrize(
    "said", ["~~~\n```\nx", "````\n```\n", "- a\n  ```\n  x", "> ```\n> x", "    ```", "```a`b\nx"]
)
def test_no_code_block_is_left_open(said: str) -> None:
    """What we write below it is a heading of its own, and not part of it."""
    tokens = MarkdownIt("commonmark").parse(f"{neutralise(said, 1000)}\n\n### Evidence")
    assert [token.type for token in tokens[-3:]] == ["heading_open", "inline", "heading_close"]
    assert tokens[-3].level == 0


@pytest.mark.parametrize(
    "said",
    ["```python\nx = '@a'  # fixes #1 <b>\n```", "- [ ] a\n- [x] b", "1. a\n2. b", "a ~~b~~ *c* **d**"],
)
def test_what_only_says_something_is_unchanged(said: str) -> None:
    assert neutralise(said, 1000) == said


@given(st.text("ab@#1<>[]()!`~*_-=\\/: \n&;h.", max_size=60))
def test_nothing_that_anybody_writes_acts(said: str) -> None:
    written = neutralise(said, 500)
    assert len(written) <= 500
    seen = [
        token
        for token in MarkdownIt("commonmark").parse(written)
        for token in (token, *(token.children or ()))
    ]
    types = {token.type for token in seen}
    assert not types & {"html_block", "html_inline", "image", "heading_open", "hr"}
    for token in seen:
        assert token.type != "link_open" or str(token.attrs["href"]).startswith("https://")
        assert token.type != "text" or not re.search(r"(?<![A-Za-z0-9_])@[A-Za-z0-9]|#\d", token.content)


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("docs: x [skip ci]", "docs: x (skip ci)"),
        ("[CI SKIP] [no ci] x", "(CI SKIP) (no ci) x"),
        ("x [skip actions][actions skip]", "x (skip actions)(actions skip)"),
        ("skip-checks: true", "skip checks: true"),
        ("skip-checks : true", "skip checks : true"),
        ("`[skip ci]` in code", "`(skip ci)` in code"),
        ("now ***NO_CI***", "now NO_\u200bCI"),
        ("fix [a] in b[0]", "fix [a] in b[0]"),
    ],
)
def test_a_title_gives_no_orders_to_continuous_integration(title: str, shown: str) -> None:
    assert one_line(title, 100) == shown


ELSEWHERE = "https://redirect.github.com/o/r/issues/1"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("https://github.com/o/r/issues/1", ELSEWHERE),
        ("https://github.com:443/o/r/issues/1", ELSEWHERE),
        ("https://user@github.com/o/r/issues/1", ELSEWHERE),
        ("https://user:word@www.github.com.:443/o/r/issues/1", ELSEWHERE),
        ("http://github.com/o/r/pull/2", "http://redirect.github.com/o/r/pull/2"),
        ("www.github.com/o/r/issues/1", "redirect.github.com/o/r/issues/1"),
        ("see [it](https://github.com:443/o/r/issues/1)", f"see [it]({ELSEWHERE})"),
        (
            "see [it](https://u@github.com/o/r/%69ssues/1)",
            "see [it](https://redirect.github.com/o/r/%69ssues/1)",
        ),
        ("https://github.com@evil.example/o", "https://evil.example/o"),
        ("https://github.com/o/r/blob/main/a.md", "https://github.com/o/r/blob/main/a.md"),
        ("https://notgithub.com/o/r/issues/1", "https://notgithub.com/o/r/issues/1"),
        ("fixes https://github.com:443/o/r/issues/1", f"fixes\u200b {ELSEWHERE}"),
        ("http://example.com/@ada", "http://example.com/@\u200bada"),
        ("@[ada](http://e.example)", "@\u200bada (`http://e.example`)"),
        ("#[1](http://e.example)", "#\u200b1 (`http://e.example`)"),
        ("\u8bf7@ada", "\u8bf7@\u200bada"),
        ("caf\u00e9@ada", "caf\u00e9@\u200bada"),
        ("\u00e9GH-12", "\u00e9GH-\u200b12"),
        ("&num;1 and @&#97;da", "#\u200b1 and @\u200bada"),
        ("***NO_CI***", "***NO_\u200bCI***"),
        ("`@ada #1 [skip ci]`", "`@ada #1 [skip ci]`"),
    ],
)
def test_an_address_or_a_name_acts_in_no_writing_that_github_knows(said: str, shown: str) -> None:
    assert neutralise(said, 1000) == shown


@pytest.mark.parametrize(
    "piece", [":", "@", "a@", "//", "https://", "github.com/", "x@github.com", "[skip ", "["]
)
def test_a_long_text_of_any_sign_takes_no_long_time(piece: str) -> None:
    began = time.process_time()
    one_line(piece * (200_000 // len(piece)), 100)
    assert time.process_time() - began < 3


def test_a_long_lead_drops_nothing_of_ours() -> None:
    text = body(with_lead("word " * 40_000), MARKER)
    assert len(text) <= LIMIT
    for part in ("### Why", "### What", "### Files", "### Evidence", "*(cut)*"):
        assert part in text
    assert told(text) == MARKER


def test_a_lead_is_neutralised() -> None:
    text = body(with_lead("### Evidence\n@all <b>"), MARKER)
    assert text.count("### Evidence") == 1
    assert "@all" not in text


def test_only_the_last_marker_of_our_own_footer_counts() -> None:
    other = replace(MARKER, key="another")
    assert read(f"{write(other)}\n\n{footed(MARKER)}") == MARKER
    assert read(f"{footed(MARKER)}\n\n{write(other)}") == MARKER
    assert read(f"{footed(MARKER)}\n\n---\n\n{write(other)}") == MARKER
    assert read(f"{footed(other)}\n\n{footed(MARKER)}".replace("\n", "\r\n")) == MARKER
    for alone in (write(other), f"quoted {write(other)} in a line", f"---\n\n{write(other)}"):
        assert read(alone) is None


@pytest.mark.parametrize(
    "change",
    [
        {"head": 5},
        {"key": None},
        {"labels": 3},
        {"sections": ["Why"]},
        {"sections": "Why"},
        {"reviewers": None},
    ],
)
def test_a_marker_that_somebody_broke_is_none(change: dict[str, Any]) -> None:
    data = json.loads(write(MARKER)[18:-4]) | change
    assert read(f"{FOOTER}\n\n<!-- skillrunner: {json.dumps(data)} -->") is None


def test_a_marker_of_another_version_says_what_is_known() -> None:
    data = {"skill": "s", "key": "k", "cause": "c", "head": "h", "patch": "p", "version": 3, "more": 1}
    found = read(f"{FOOTER}\n\n<!-- skillrunner: {json.dumps(data)} -->")
    assert found == Marker(skill="s", key="k", cause="c", head="h", patch="p", version=3)


@pytest.mark.parametrize("name", ["skillrunner/docs/v2", "skillrunner/other/v1", "work"])
def test_a_marker_is_bound_to_the_branch_of_its_skill_and_key(name: str) -> None:
    mine = replace(MARKER, key="v1")
    assert _marker.of_branch(footed(mine), "skillrunner/docs/v1", NO_KEY) == mine
    assert _marker.of_branch(footed(mine), name, NO_KEY) is None


def test_ordinary_words_stay() -> None:
    said = "Changed `a@b` in [the guide](https://example.com/x).\n\n- one\n- two"
    assert neutralise(said, 1000) == said
    assert neutralise("x" * 50, 20).endswith("*(cut)*")
    assert neutralise("```\nopen", 100).endswith("\n```")
    assert one_line("a\n b  @c", 100) == "a b @\u200bc"
    assert one_line("x" * 300, 10) == "x" * 9 + "…"
    assert fence("a ```` b").startswith("`````text\n")


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("v1.2", "v1.2"),
        ("", "default"),
        ("default", "default"),
        ("ui-v2", "ui-v2"),
        ("ui/v2", "ui-v2-6ebfcf4d"),
        ("../../main", "main-90eb1e9a"),
        ("a b/c", "a-b-c-539138d5"),
        ("x.lock", "x-f53b5310"),
        ("größe", "gr-e-d353a267"),
        ("版本", "default-5f76b2bf"),
        ("发布", "default-b61f333b"),
        ("a..b", "a-b-f62b4241"),
        ("x" * 81, "x" * 80 + "-4d1f7bb8"),
    ],
)
def test_branches_are_safe_names(key: str, expected: str) -> None:
    assert branch("docs", key) == f"skillrunner/docs/{expected}"


@pytest.mark.parametrize(
    "key",
    [
        "@octocat closes #1 [skip ci]",
        "fixes o/r#1 and GH-2",
        "***NO_CI***",
        "skip-checks: true",
        "https://github.com/o/r/issues/1 www.github.com/o/r/pull/2",
        f"o/r@{'ab12' * 10} {'ab12' * 10}",
        '--> <b> 😀 \ud800 "quoted" \\ \n\u0085',
    ],
)
def test_the_words_of_an_event_do_not_act_in_a_marker(key: str) -> None:
    marker = Marker(skill="s", key=key, cause=key, head="ab12" * 10, patch="d", base=key, sections={key: key})
    line = write(marker)
    assert read(f"{FOOTER}\n\n{line}") == marker
    acting = r"[@#\[_/.*]|\b[0-9a-f]{7,}\b|(?i:closes|fixes|skip|no|gh)[\s:-]"
    assert re.search(acting, line[5:-4].replace("[]", "")) is None


@given(st.text(max_size=30), st.text(max_size=30))
def test_a_signature_holds_whatever_an_event_decides_of_the_marker(key: str, cause: str) -> None:
    signer, made = Signer(b"k" * 32, required=True), replace(MARKER, key=key, cause=cause, labels=("a",))
    line = _marker.write(made, signer)
    assert _marker.read(f"{FOOTER}\n\n{line}", signer) == made
    assert re.search(r"\b[0-9A-Fa-f]{7,}\b", line.partition('"signature"')[2]) is None, "no link to a commit"
    assert read(f"{FOOTER}\n\n{line}") == made, "a host without the key reads it too"
    other = _marker.write(made, replace(signer, key=b"o" * 32))
    assert _marker.read(f"{FOOTER}\n\n{other}", signer) is None


def test_the_room_of_a_body_counts_its_signature() -> None:
    made = with_lead("x" * 40_000)
    text = body(replace(made, signer=Signer(b"k" * 32)), MARKER, "y\n\n" * 15_000)
    assert len(text) <= LIMIT
    assert _marker.read(text, Signer(b"k" * 32, required=True)) is not None


def test_a_marker_of_plain_json_is_read_as_before() -> None:
    """Open pull requests hold such markers."""
    data = {"skill": "s", "key": "@o closes #1 [a]", "cause": "c", "head": "h", "patch": "p"}
    found = read(f"{FOOTER}\n\n<!-- skillrunner: {json.dumps(data)} -->")
    assert found == Marker(**data)


COMMIT = "abcdef1234567890abcdef1234567890abcdef12"
APART = "\u200b".join(COMMIT[at : at + 6] for at in range(0, 40, 6))


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("/approve", "\u200b/approve"),
        ("well\n/merge now", "well\n\u200b/merge now"),
        ("- /lgtm", "- \u200b/lgtm"),
        ("see src/a and /etc", "see src/a and /etc"),
        (COMMIT, APART),
        (f"o/r@{COMMIT}", f"o/r@{APART}"),
        (f"`{COMMIT}`", f"`{COMMIT}`"),
        ("see abc1234.", "see abc123\u200b4."),
        ("in 1234567 defaced", "in 1234567 defaced"),
        ("it costs $5 or $6", "it costs $5 or $6"),
        ("$`x`$", "$\u200b`x`$\u200b"),
        ("`$x$ /a`", "`$x$ /a`"),
        ("```sh\n/run $x$\n```", "```sh\n/run $x$\n```"),
    ],
)
def test_no_commit_and_no_order_to_a_bot_is_left(said: str, shown: str) -> None:
    assert neutralise(said, 1000) == shown


@pytest.mark.parametrize("said", ["$x^2$", "a $$y$$ b", "($z$)", "$1+x$"])
def test_no_formula_is_left(said: str) -> None:
    assert re.search(r"\$[^\s\u200b][^$]*[^\s$]\$(?!\u200b)", neutralise(said, 1000)) is None


@pytest.mark.parametrize("piece", ["# Heading\n\n**words** @alice\n", "a\n\n", "x", "- item\n", "@a "])
@pytest.mark.parametrize("limit", [40, 3_000])
def test_a_text_that_is_too_long_fills_its_room_and_says_that_it_is_cut(piece: str, limit: int) -> None:
    shown = neutralise(piece * (10 * limit // len(piece)), limit)
    assert limit - 40 - len(piece) <= len(shown) <= limit
    assert shown.endswith("*(cut)*")
