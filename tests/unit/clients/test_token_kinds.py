"""What `doctor` says of a token that has all the permissions that its kind can have."""

import pytest

from runner.clients.github.token_kinds import APP, CLASSIC, FINE_GRAINED, JOB, OTHER, TokenKind, kind_of


@pytest.mark.parametrize(
    ("token", "login", "kind", "words"),
    [
        ("ghs_x", "github-actions[bot]", JOB, "start workflows"),
        ("ghs_x", "acme[bot]", APP, "the App is not installed"),
        ("ghs_x", "", APP, "its own pull requests"),
        ("github_pat_x", "ada", FINE_GRAINED, "check runs"),
        ("ghp_x", "ada", CLASSIC, "the scope `workflow`"),
        ("gho_x", "ada", OTHER, "beforehand"),
        ("", "", OTHER, "beforehand"),
    ],
)
def test_each_kind_of_token_is_known_by_its_beginning(
    token: str, login: str, kind: TokenKind, words: str
) -> None:
    found = kind_of(token, login)
    assert found == kind
    assert words in found.cannot
