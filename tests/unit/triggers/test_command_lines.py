"""Which lines of what people write are commands, and what follows them."""

import pytest

from runner.triggers._command_lines import command_lines


def _names(text: str) -> list[str]:
    return [one.name for one in command_lines(text)]


def test_a_line_that_begins_with_a_slash_is_a_command() -> None:
    (found,) = command_lines("/skillrunner run docs package=core")
    assert (found.name, found.words, found.values) == ("skillrunner", ("run", "docs"), {"package": "core"})
    assert found.rest == "run docs package=core"


def test_every_line_is_looked_at_and_they_keep_their_order() -> None:
    assert _names("Thanks!\n/approve abc\nand then\n\n/skillrunner retry") == ["approve", "skillrunner"]
    assert _names("Thanks!\r\n/approve abc\r\n") == ["approve"]


@pytest.mark.parametrize(
    "text",
    [
        "please /approve abc",
        "> /approve abc",
        "> quoted\n/approve abc",  # the quotation goes on
        "```\n/approve abc\n```",
        "~~~text\n/approve abc\n~~~",
        "    /approve abc",
        "`/approve abc`",
        "a ``code\n/approve abc`` span",
        "- /approve abc",
        "1. /approve abc",
        "# /approve abc",
        "<!-- \n/approve abc\n-->",
        "text <!--\n/approve abc\n-->",
        "<details>\n\n/approve abc\n\n</details>",
        "<blockquote>\n\n/approve abc\n\n</blockquote>",
        "<pre>\n/approve abc\n\n/approve abc\n</pre>",
        "<b>/approve</b> abc",
        "/usr/bin/approve abc",
        "/approve, abc",
        "//approve abc",
        "/ approve abc",
        "\u200b/approve abc",
        "/1approve",
        "",
    ],
)
def test_what_is_quoted_shown_or_hidden_is_no_command(text: str) -> None:
    assert command_lines(text) == ()


def test_what_follows_a_fold_that_was_closed_counts() -> None:
    assert _names("<details>\n\n/no\n\n</details>\n\n/approve abc") == ["approve"]


def test_the_dashes_of_a_signature_make_no_heading_of_a_command() -> None:
    assert _names("/approve abc\n-- \nAda") == ["approve"]


def test_case_does_not_matter_and_up_to_three_spaces_do_not() -> None:
    assert _names("/Approve abc") == ["approve"]
    assert _names("   /APPROVE abc") == ["approve"]


@pytest.mark.parametrize(
    ("rest", "words", "values"),
    [
        ('"a few words" more', ("a few words", "more"), {}),
        ("'a few words'", ("a few words",), {}),
        ('topic="a few words" x', ("x",), {"topic": "a few words"}),
        ("don't do what they don't", ("don't", "do", "what", "they", "don't"), {}),
        ('a "half', ("a", '"half'), {}),
        ("empty= x", ("x",), {"empty": ""}),
        ('empty=""', (), {"empty": ""}),
        ("a=b=c", (), {"a": "b=c"}),
        ("=x 1=2", ("=x", "1=2"), {}),
        ("`abc123`", ("abc123",), {}),
        ("__init__.py *.md", ("__init__.py", "*.md"), {}),
        ("a\\*b &amp; [x](y)", ("a\\*b", "&amp;", "[x](y)"), {}),
        ("x <!-- not said --> y", ("x", "y"), {}),
        ("x=<value>", (), {"x": "<value>"}),
    ],
)
def test_words_and_values(rest: str, words: tuple[str, ...], values: dict[str, str]) -> None:
    (found,) = command_lines(f"/docs {rest}")
    assert (found.words, found.values) == (words, values)


def test_a_mention_may_stand_before_a_command() -> None:
    (found,) = command_lines("@Ada-Bot run docs")
    assert (found.mention, found.name, found.words) == ("Ada-Bot", "run", ("docs",))
    (found,) = command_lines("@ada-bot, /docs core")
    assert (found.mention, found.name, found.words) == ("ada-bot", "docs", ("core",))
    (found,) = command_lines("@ada-bot")
    assert (found.mention, found.name, found.words) == ("ada-bot", "", ())
    assert command_lines("ask @ada-bot to run docs") == ()


def test_a_long_text_is_read_at_once() -> None:
    text = "/a\n" + "x [" * 20_000 + "\n\n/b"
    assert _names(text[-65_536:]) in (["b"], ["a", "b"])
