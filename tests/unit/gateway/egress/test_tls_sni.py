"""The first thing that a TLS client says."""

import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.gateway.egress.tls_sni import NotTlsError, record_length, server_name


def said(host: str | None) -> bytes:
    """What a real client begins with."""
    context = ssl.create_default_context()
    context.check_hostname = False
    out = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=host)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return out.read()


@pytest.mark.parametrize("host", ["pypi.org", "a.very-long.name.of.a.host.example"])
def test_the_host_that_it_asks_for(host: str) -> None:
    hello = said(host)
    assert record_length(hello[:5]) == len(hello)
    assert server_name(hello) == host


def test_a_name_is_the_same_in_capitals() -> None:
    assert server_name(said("PyPI.org")) == "pypi.org"


def test_no_name() -> None:
    assert server_name(said(None)) == ""


@pytest.mark.parametrize(
    "start", [b"GET /", b"SSH-2", b"\x16\x02\x00\x00\x05", b"\x17\x03\x03\x00\x05", b"\x16\x03\x01\xff\xff"]
)
def test_what_is_no_tls(start: bytes) -> None:
    with pytest.raises(NotTlsError):
        record_length(start)


def test_a_hello_that_is_cut() -> None:
    hello = said("pypi.org")
    for size in range(5, len(hello) - 1, 7):
        with pytest.raises(NotTlsError):
            server_name(hello[:size])


def test_another_handshake() -> None:
    with pytest.raises(NotTlsError, match="no ClientHello"):
        server_name(b"\x16\x03\x01\x00\x04\x02\x00\x00\x00")


def with_extension(hello: bytes, kind: int, content: bytes) -> bytes:
    """The hello with one more extension at its end, and every length around it right."""
    body = hello[9:]
    at = 2 + 32
    at += 1 + body[at]
    at += 2 + int.from_bytes(body[at : at + 2])
    at += 1 + body[at]
    extensions = body[at + 2 :] + kind.to_bytes(2) + len(content).to_bytes(2) + content
    body = body[:at] + len(extensions).to_bytes(2) + extensions
    return hello[:3] + (len(body) + 4).to_bytes(2) + hello[5:6] + len(body).to_bytes(3) + body


def names(*hosts: bytes) -> bytes:
    listed = b"".join(b"\0" + len(host).to_bytes(2) + host for host in hosts)
    return len(listed).to_bytes(2) + listed


def test_a_second_name_is_refused_wherever_it_stands() -> None:
    assert server_name(with_extension(said(None), 0, names(b"pypi.org"))) == "pypi.org"
    with pytest.raises(NotTlsError, match="extension twice"):
        server_name(with_extension(said("pypi.org"), 0, names(b"evil.example")))
    with pytest.raises(NotTlsError, match="more than one host"):
        server_name(with_extension(said(None), 0, names(b"pypi.org", b"evil.example")))


def test_an_encrypted_hello_is_refused() -> None:
    with pytest.raises(NotTlsError, match="encrypted ClientHello"):
        server_name(with_extension(said("pypi.org"), 0xFE0D, b"\0" * 40))


@given(st.binary(max_size=300))
def test_anything_else_is_an_error_of_one_kind(data: bytes) -> None:
    try:
        assert isinstance(server_name(b"\x16\x03\x01" + len(data).to_bytes(2) + data), str)
    except NotTlsError:
        return
