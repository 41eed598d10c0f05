"""What the engine would fetch for a Dockerfile, whatever way it is written."""

import pytest

from runner.clients.docker.dockerfile import base_images, remote_sources

METADATA = "http://169.254.169.254/latest/meta-data/"


@pytest.mark.parametrize(
    "line",
    [
        f"ADD {METADATA} /x",
        f"add {METADATA} /x",
        f"  \tAdd\t{METADATA}\t/x",
        f"ADD --chown=1:1 --checksum=sha256:1 {METADATA} /x",
        f'ADD ["{METADATA}", "/x"]',
        f'ADD --chown=1:1 ["a.txt", "{METADATA}", "/x/"]',
        'ADD ["\\u0068ttp://127.0.0.1:2375/info", "/x"]',
        f"ADD a.txt {METADATA} /x/",
        f"ADD \\\n  {METADATA} /x",
        f"AD\\\nD {METADATA} /x",
        f"ADD \\\n# a comment\n\n {METADATA} \\\n /x",
        f"# escape=`\nADD `\n{METADATA} /x",
        f"# escape=`\nRUN echo \\\nADD {METADATA} /x",
        f"RUN x \\\\\nADD {METADATA} /x",
        f"ONBUILD ADD {METADATA} /x",
        f"onbuild add {METADATA} /x",
        f"ARG U={METADATA}\nADD $U /x",
        f"ARG U={METADATA}\nADD ${{U}} /x",
        "ARG U=ttp://127.0.0.1/\nADD h$U /x",
        'ARG E=\nADD "${E}http://127.0.0.1/" /x',
        "ADD 'http://127.0.0.1/' /x",
        "ADD h\\ttp://127.0.0.1/ /x",
        "ADD HTTPS://127.0.0.1/ /x",
        "ADD git@example.com:a/b.git /x",
        "ADD https://github.com/a/b.git#main /x",
        f"\ufeffADD {METADATA} /x",
        f"FROM x\r\nADD {METADATA} /x\r\n",
        f"ADD {METADATA}",
    ],
)
def test_add_from_another_machine_is_seen(line: str) -> None:
    assert remote_sources(line) != []


@pytest.mark.parametrize(
    "line",
    [
        "ADD a.txt /x",
        "ADD app-${VERSION}.tar.gz /opt/",
        "ADD a.txt $HOME/",
        "ADD --chown=$USER a.txt /x",
        "ADD [ab].txt /x",
        'ADD ["a b.txt", "/x"]',
        f"# ADD {METADATA} /x",
        f"RUN curl {METADATA}",
        f"ENV ADD={METADATA}",
        f"COPY {METADATA} /x",
        f"LABEL a=b \\\n  c={METADATA}",
        "ADDITION http://x /y",
        "",
    ],
)
def test_what_is_here_is_let_through(line: str) -> None:
    assert remote_sources(line) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FROM python:3.12", ["python:3.12"]),
        ("from --platform=linux/amd64 a AS build\nFROM b\nCOPY --from=build /x /", ["a", "b"]),
        ("FROM a AS Base\nFROM base\nFROM scratch", ["a"]),
        ("ARG V=3.12\nARG I=python:$V\nFROM ${I}-slim", ["python:3.12-slim"]),
        ('ARG V="3.12" W=x\nFROM python:${V}', ["python:3.12"]),
        ("FROM python:${V:-3.11}", ["python:3.11"]),
        ("FROM \\\n  a/\\\nb", ["a/b"]),
        ("# escape=`\nFROM `\n  a", ["a"]),
        ("FROM a@sha256:" + "0" * 64, ["a@sha256:" + "0" * 64]),
        ("FROM a\nARG V=1\nRUN echo \\\n FROM b", ["a"]),
    ],
)
def test_the_base_images_are_known(text: str, expected: list[str]) -> None:
    assert base_images(text) == expected


@pytest.mark.parametrize(
    "text", ["FROM $V", "ARG V\nFROM ${V}", "FROM ${V:+a}", "FROM a\\ b", "FROM ${V%x}y"]
)
def test_a_base_image_that_cannot_be_told_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        base_images(text)
