"""Which errors of a registry pass by themselves, in the words of engines, resolvers and registries."""

import pytest

from runner.clients.docker import build, images
from runner.core.model import Reason, Resources

LOOKUP = 'Get "https://registry-1.docker.io/v2/": dial tcp: lookup registry-1.docker.io'


@pytest.mark.parametrize(
    "cause",
    [
        f"{LOOKUP} on 127.0.0.53:53: server misbehaving",
        f"{LOOKUP}: no such host",
        f"{LOOKUP}: Temporary failure in name resolution",
        f"{LOOKUP} on 10.0.0.2:53: read udp 10.0.0.1:4->10.0.0.2:53: i/o timeout",
        'Head "https://ghcr.io/v2/a/b/manifests/1": dial tcp 1.2.3.4:443: connect: network is unreachable',
        'Get "https://r.example/v2/": dial tcp 1.2.3.4:443: connect: no route to host',
        'Get "https://r.example/v2/": net/http: TLS handshake timeout',
        'Get "https://r.example/v2/": context deadline exceeded',
        'Get "https://r.example/v2/": EOF',
        "received unexpected HTTP status: 502 Bad Gateway",
        "toomanyrequests: You have reached your pull rate limit",
    ],
)
def test_a_registry_that_cannot_be_reached_may_be_there_at_the_next_try(cause: str) -> None:
    error = images._no_image("python:3", cause, "docker pull python:3")
    assert (error.reason, error.retryable) == (Reason.IMAGE_NOT_FOUND, True)
    wanted = build.Build(
        key="a", name="D", dockerfile="D", text="", write=len, resources=Resources(), timeout=1
    )
    if "/v2/" in cause:
        assert build._failed(wanted, f"Step 1/2 : FROM python:3\n{cause}").retryable


@pytest.mark.parametrize(
    "cause",
    [
        "manifest unknown",
        "pull access denied for no/such, repository does not exist or may require 'docker login'",
        'Head "https://r.example/v2/a/manifests/1": unauthorized',
        'Get "https://r.example/v2/": x509: certificate signed by unknown authority',
    ],
)
def test_a_registry_that_refuses_is_not_asked_again(cause: str) -> None:
    assert not images._no_image("python:3", cause, "docker pull python:3").retryable


@pytest.mark.parametrize("output", ["could not resolve host: pypi.org", "lookup x on 1.1.1.1: no such host"])
def test_what_a_command_of_a_build_says_is_no_word_of_a_registry(output: str) -> None:
    wanted = build.Build(
        key="a", name="D", dockerfile="D", text="", write=len, resources=Resources(), timeout=1
    )
    said = f"Step 2/2 : RUN get\n{output}\nThe command '/bin/sh -c get' returned a non-zero code: 6"
    assert not build._failed(wanted, said).retryable


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("python", "python@sha256:1"),
        ("python:3.12-slim", "python@sha256:1"),
        ("r.example:5000/a/b", "r.example:5000/a/b@sha256:1"),
        ("r.example:5000/a/b:1", "r.example:5000/a/b@sha256:1"),
        ("python:3@sha256:0", "python@sha256:1"),
    ],
)
def test_an_image_is_named_by_its_content(image: str, expected: str) -> None:
    assert images.pinned(image, "sha256:1") == expected
