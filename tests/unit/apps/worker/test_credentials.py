"""An App's token lives for an hour; what asks for it gets one that lives."""

from datetime import UTC, datetime, timedelta

import pytest

from runner.clients.github.app import RenewingToken, Token
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason

HOUR = 3600.0


class App:
    """Gives tokens, numbered, each for an hour."""

    def __init__(self) -> None:
        self.given = 0
        self.is_away = False
        self.clock = 1_000_000.0

    def new(self) -> Token:
        if self.is_away:
            raise RunnerError(Phase.PUBLISH, Reason.FORGE_UNAVAILABLE, "away", hint="wait", retryable=True)
        self.given += 1
        ends = datetime.now(UTC) + timedelta(seconds=HOUR)
        return Token(value=f"token-{self.given}", expires_at=ends, slug="an-app")


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
def token(app: App) -> RenewingToken:
    return RenewingToken(app.new, lambda: app.clock)


def test_it_is_asked_for_once_and_renewed_before_it_ends(app: App, token: RenewingToken) -> None:
    assert [token(), token()] == ["token-1", "token-1"]
    assert token.slug == "an-app"
    app.clock += HOUR - 700
    assert token() == "token-1"
    app.clock += 101
    assert [token(), token()] == ["token-2", "token-2"]


def test_one_that_cannot_be_renewed_is_used_for_as_long_as_it_lives(app: App, token: RenewingToken) -> None:
    token()
    app.is_away = True
    app.clock += HOUR - 5
    assert token() == "token-1"
    app.clock += 6
    with pytest.raises(RunnerError):
        token()
    app.is_away = False
    assert token() == "token-2"


def test_the_first_one_must_be_had(app: App, token: RenewingToken) -> None:
    app.is_away = True
    with pytest.raises(RunnerError):
        token()


def test_it_is_in_no_representation(token: RenewingToken) -> None:
    token()
    assert "token-1" not in repr(token)
