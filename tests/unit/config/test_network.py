"""What a sandbox may reach: names and addresses."""

import ipaddress
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.config.network import (
    ECOSYSTEMS,
    FORGES,
    PATTERN,
    NetworkRules,
    check_allow_entry,
    is_public,
    network_rules,
)

PYPI = network_rules(["pypi", "api.example.com"])


@pytest.mark.parametrize(
    "entry", [*ECOSYSTEMS, "api.example.com", "xn--bcher-kva.example", "a.b.c.d-e.example"]
)
def test_what_can_be_named(entry: str) -> None:
    assert check_allow_entry(entry) == entry
    assert re.search(PATTERN, entry)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("pypy", "did you mean `pypi`"),
        ("localhost", "there is no ecosystem localhost"),
        ("API.example.com", "exact name"),
        ("*.example.com", "exact name"),
        ("https://example.com", "exact name"),
        ("example.com:443", "exact name"),
        ("example.com/path", "exact name"),
        ("example.com.", "exact name"),
        ("bücher.example", "exact name"),
        ("127.0.0.1", "exact name"),
        ("169.254.169.254", "exact name"),
        ("user@example.com", "exact name"),
        ("-a.example", "exact name"),
        (f"{'a' * 64}.example", "exact name"),
        *((forge, "github-read") for forge in FORGES),
    ],
)
def test_what_cannot(entry: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        check_allow_entry(entry)
    assert not re.search(PATTERN, entry)


@given(st.one_of(st.text(alphabet="ab.-0:/A", max_size=12), st.sampled_from([*ECOSYSTEMS, *FORGES])))
def test_the_schema_and_the_check_agree(entry: str) -> None:
    try:
        check_allow_entry(entry)
        accepted = True
    except ValueError:
        accepted = False
    assert accepted == bool(re.search(PATTERN, entry))


@pytest.mark.parametrize(
    ("host", "port", "scheme", "said"),
    [
        ("pypi.org", 443, "https", ""),
        ("files.pythonhosted.org", 443, "https", ""),
        ("api.example.com", 80, "http", ""),
        ("pypi.org.evil.example", 443, "https", "is not in"),
        ("evil-pypi.org", 443, "https", "is not in"),
        ("org", 443, "https", "exact name"),
        ("pypi.org.", 443, "https", "exact name"),
        ("pypi.org@evil.example", 443, "https", "exact name"),
        ("151.101.0.223", 443, "https", "exact name"),
        ("0x97650000", 443, "https", "exact name"),
        ("2540107776", 443, "https", "exact name"),
        ("[::1]", 443, "https", "exact name"),
        ("pypi.org\u200b", 443, "https", "exact name"),
        ("xn--pypi-123.org", 443, "https", "is not in"),
        ("pypi.org", 22, "https", "only port 443"),
        ("pypi.org", 8443, "https", "only port 443"),
        ("pypi.org", 443, "http", "only port 80"),
    ],
)
def test_who_is_let_through(host: str, port: int, scheme: str, said: str) -> None:
    refusal = PYPI.refusal(host, port, scheme)
    assert said in refusal
    assert bool(refusal) == bool(said)


def test_nothing_is_allowed_by_itself() -> None:
    assert "is not in `environment.network.allow`" in NetworkRules().refusal("pypi.org", 443, "https")


INSIDE = [
    "127.0.0.1",
    "10.1.2.3",
    "172.17.0.1",
    "192.168.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "255.255.255.255",
    "192.0.2.1",
    "198.18.0.1",
    "240.0.0.1",
    "::",
    "::1",
    "fe80::1",
    "fec0::1",
    "feff::1",
    "192.88.99.1",
    "64:ff9b:1::a00:1",
    "::ffff:0:10.0.0.1",
    "100:0:0:1::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "2002:7f00:1::",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "2001:db8::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
]


@pytest.mark.parametrize("address", INSIDE)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))
    assert address in PYPI.address_refusal("pypi.org", ["151.101.0.223", address])


@pytest.mark.parametrize("address", ["151.101.0.223", "2a04:4e42::223", "64:ff9b::808:808"])
def test_addresses_that_are(address: str) -> None:
    assert PYPI.address_refusal("pypi.org", [address]) == ""


def test_a_private_host_that_was_named_may_be_anywhere() -> None:
    own = network_rules(["pypi.corp.example"], ["pypi.corp.example"])
    assert own.address_refusal("pypi.corp.example", ["10.0.0.1"]) == ""
    assert own.refusal("pypi.corp.example", 8443, "https") == ""
    assert "10.0.0.1" in own.address_refusal("pypi.org", ["10.0.0.1"])
    assert "is not in" in network_rules([], ["pypi.corp.example"]).refusal("pypi.corp.example", 443, "https")
