"""What each kind of GitHub token cannot do, whatever its permissions. Source: GitHub's docs on each."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TokenKind:
    """A kind of token, in words for people."""

    name: str
    cannot: str


JOB = TokenKind(
    "the token of a job (GITHUB_TOKEN)",
    "start workflows by what it does, change workflow files, reach another repository, or open pull"
    " requests and approve where the repository's Actions settings do not allow it",
)
APP = TokenKind(
    "the token of a GitHub App",
    "change workflow files without the permission `workflows`, approve its own pull requests, count as a code"
    " owner, or reach repositories on which the App is not installed",
)
FINE_GRAINED = TokenKind(
    "a fine-grained token of a person",
    "make check runs, approve pull requests of that person, change workflow files without the"
    " permission `workflows`, or reach repositories of another owner",
)
CLASSIC = TokenKind(
    "a classic token of a person",
    "make check runs, approve pull requests of that person, change workflow files without the scope"
    " `workflow`, or be kept to one repository: it reaches all that the person reaches",
)
OTHER = TokenKind(
    "a token of a kind that is not known here", "be said to do or not to do anything beforehand"
)


def kind_of(token: str, login: str = "") -> TokenKind:
    """The kind of a token by its beginning; `login` is whose it is, where GitHub tells."""
    if token.startswith("ghs_"):
        return JOB if login == "github-actions[bot]" else APP
    if token.startswith("github_pat_"):
        return FINE_GRAINED
    return CLASSIC if token.startswith("ghp_") else OTHER
