"""What every event source must do, ours and third parties', whatever comes to its webhook."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.clients.github.rate_limit import RateLimiter
from runner.config.settings import Config
from runner.triggers.sources import MAX_BODY, SOURCES, EventSource, PollTarget, RefusedDelivery

NOW = datetime(2026, 11, 21, tzinfo=UTC)
KINDS = SOURCES.names()


@pytest.fixture(params=KINDS)
def source(request: pytest.FixtureRequest) -> EventSource:
    return SOURCES.get(str(request.param))


headers = st.dictionaries(
    st.sampled_from(["content-type", "x-hub-signature-256", "x-signature", "x-github-event"])
    | st.text(max_size=20).map(str.lower),
    st.text(max_size=80),
    max_size=5,
)
bodies = st.binary(max_size=200) | st.sampled_from([b"{}", b"[]", b"null", b'{"id": 1}', b"[" * 100_000])


def test_its_name_stands_in_an_address(source: EventSource) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_-]*", source.name)
    assert 0 < source.max_body <= MAX_BODY


@pytest.mark.parametrize("kind", KINDS)
@given(headers=headers, body=bodies, secrets=st.lists(st.text(min_size=1, max_size=9), max_size=2))
def test_what_is_not_signed_starts_nothing(
    kind: str, headers: dict[str, str], body: bytes, secrets: list[str]
) -> None:
    asked: list[str] = []

    def serves(name: str) -> bool:
        asked.append(name)
        return True

    received = SOURCES.get(kind).receive(headers, body, secrets, serves, NOW)
    assert isinstance(received, RefusedDelivery)
    assert 400 <= received.status < 500
    assert received.why
    assert asked == []


@pytest.mark.parametrize("kind", KINDS)
@given(headers=headers, body=bodies)
def test_without_a_secret_nobody_comes_in(kind: str, headers: dict[str, str], body: bytes) -> None:
    for secrets in ((), ("",)):
        received = SOURCES.get(kind).receive(headers, body, secrets, lambda _: True, NOW)
        assert isinstance(received, RefusedDelivery)


def test_a_repository_elsewhere_is_not_polled_by_mistake(source: EventSource) -> None:
    target = PollTarget(
        repository="acme/lib", forge="nowhere", config=Config(), token=lambda: "", pacer=RateLimiter()
    )
    feed = source.connect(target)
    assert feed is None or feed.poll({}, (), NOW) is None
