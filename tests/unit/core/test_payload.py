"""What stands at a path of a payload that strangers wrote."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from runner.core.payload import digest, mapping_at, scalar_at, text_at, value_at

PAYLOAD: dict[str, Any] = {
    "issue": {"number": 3, "title": "One", "user": None, "labels": ["a"]},
    "flag": True,
}
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


def test_what_is_there_is_found() -> None:
    assert value_at(PAYLOAD, "issue", "labels") == ["a"]
    assert text_at(PAYLOAD, "issue", "title") == "One"
    assert scalar_at(PAYLOAD, "issue", "number") == 3
    assert mapping_at(PAYLOAD, "issue") == PAYLOAD["issue"]
    assert value_at(PAYLOAD) is PAYLOAD


def test_what_is_not_there_or_of_another_type_is_nothing() -> None:
    assert value_at(PAYLOAD, "issue", "user", "login") is None
    assert value_at(PAYLOAD, "issue", "labels", "0") is None
    assert text_at(PAYLOAD, "issue", "number") == ""
    assert scalar_at(PAYLOAD, "issue") is None
    assert scalar_at("a text") is None
    assert mapping_at(PAYLOAD, "issue", "labels") == {}


@given(values, st.lists(st.sampled_from("abc"), max_size=4))
def test_every_payload_is_walked(payload: Any, path: list[str]) -> None:
    value = value_at(payload, *path)
    assert text_at(payload, *path) == (value if isinstance(value, str) else "")
    assert mapping_at(payload, *path) == (value if isinstance(value, dict) else {})
    assert scalar_at(payload, *path) in (value, None)


@given(st.dictionaries(st.text(max_size=3), values))
def test_a_digest_knows_no_order(payload: dict[str, Any]) -> None:
    assert digest(payload) == digest(dict(reversed(payload.items())))
    assert digest(payload) != digest({**payload, "one more": 1})


def test_the_spelling_of_a_digest_never_changes() -> None:
    assert digest({"b": 1, "a": [None, "\ud800"]}) == "02c1f4a4ce39f33cc2620948"
