"""The hidden line in a pull request's body by which any machine can tell what it is about.

Nobody outside can make one that counts: it is read from the end of our own footer, below all that others
wrote, and only together with the branch of its skill and key, which a stranger cannot push. It is signed; who
changes one that our key signed, as people with rights here can, makes one that does not count.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from runner.core.payload import parse_json
from runner.publish.signing import Signer

BRANCHES = "skillrunner/"
"""What all our branches begin with: nothing else is pushed."""

_KIND = "pull request"  # what is signed
_SLUG = 80  # characters of a key in a branch's name
_FOOTER = re.compile(
    r"^---\nrun [^\n]* · skill [^\n]*\n(?:(?!---$|<!-- skillrunner: )[^\n]*\n){0,8}"
    r"(?P<line><!-- skillrunner: (\{[^\n]*\}) -->)$",
    re.MULTILINE,
)
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_ACTING = re.compile(r"[^A-Za-z0-9]|[0-9A-Fa-f]{6}")  # a link to a commit takes seven digits


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """What a pull request was made from, and what we said of it: what differs now, a person has changed."""

    skill: str
    key: str
    cause: str  # the trigger's key
    head: str  # the commit that was pushed
    patch: str  # sha256 of the patch
    verified: bool = True
    title: str = ""  # digest of the title that we gave it; empty: not known
    sections: Mapping[str, str] = field(default_factory=dict)  # digests of what we wrote, by heading
    base: str = ""  # the branch that we had it go to; empty: not known
    draft: bool | None = None  # whether we made it a draft; None: not known
    labels: tuple[str, ...] = ()  # that we have set: what is gone of them, a person has taken away
    reviewers: tuple[str, ...] = ()  # who were asked
    ended: bool = False  # we closed it, as it was needed no more
    reopened: bool = False  # somebody has opened it again after that
    version: int = 2


def branch(skill: str, key: str) -> str:
    """The stable branch of a skill and key. A digest tells keys apart that the name alone would not."""
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", key).replace("..", "-").strip("-.")[:_SLUG]
    slug = slug.rstrip("-.").removesuffix(".lock") or "default"
    if key not in (slug, ""):
        slug += f"-{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
    return f"{BRANCHES}{skill}/{slug}"


def digest(text: str) -> str:
    """A short digest of a text, whatever its line ends: a forge's editor changes them."""
    plain = "\n".join(line.rstrip() for line in text.strip().splitlines())
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def write(marker: Marker, signer: Signer) -> str:
    """The line for a body. A squash merge copies it into a commit, where the words of an event could act."""
    data = asdict(marker)
    if signature := signer.sign(_KIND, data):
        data["signature"] = signature
    text = _STRING.sub(_inert_string, json.dumps(data, sort_keys=True))
    return f"<!-- skillrunner: {text} -->"


def _inert_string(found: re.Match[str]) -> str:
    """The same string of JSON, as letters and digits and escapes: no mention, number, address or commit."""
    return f'"{_ACTING.sub(_escape, parse_json(found[0]))}"'


def _escape(found: re.Match[str]) -> str:
    kept, last = found[0][:-1], found[0][-1]
    units = last.encode("utf-16-be", "surrogatepass").hex()
    return kept + "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def read(body: str, signer: Signer) -> Marker | None:
    """The marker at the end of our footer; None: there is none that counts, as people may edit bodies."""
    found = _find(unix_lines(body))
    if found is None:
        return None
    try:
        data = dict(parse_json(found[2]))
        signature = data.pop("signature", None)
        return _made(data) if signer.counts(_KIND, data, signature) else None
    except (TypeError, ValueError, AttributeError):
        return None


def of_branch(body: str, name: str, signer: Signer) -> Marker | None:
    """The marker of a pull request whose head is the branch `name`, if it is the one of its skill and key."""
    found = read(body, signer)
    return found if found is not None and branch(found.skill, found.key) == name else None


def replace_in(body: str, marker: Marker, signer: Signer) -> str:
    """The body with this marker in the place of the one that is read from it."""
    body = unix_lines(body)
    if (found := _find(body)) is None:
        return body
    return f"{body[: found.start('line')]}{write(marker, signer)}{body[found.end('line') :]}"


def around(body: str) -> tuple[str, str]:
    """What stands above our marker, all of it where there is none, and below it."""
    body = unix_lines(body)
    found = _find(body)
    return (body[: found.start("line")], body[found.end("line") :]) if found else (body, "")


def unix_lines(body: str) -> str:
    return body.replace("\r\n", "\n")


def _find(body: str) -> re.Match[str] | None:
    """The last one: others' text stands above our footer, and holds no comment."""
    return next(reversed(list(_FOOTER.finditer(body))), None)


def _made(data: Mapping[str, Any]) -> Marker:
    """The marker of what JSON holds; what a newer version says besides is left out."""
    known = {one.name: data[one.name] for one in fields(Marker) if one.name in data}
    lists = {name: tuple(map(str, known.get(name, ()))) for name in ("labels", "reviewers")}
    sections = {str(name): str(text) for name, text in known.get("sections", {}).items()}
    made = Marker(**{**known, **lists, "sections": sections})
    texts = (made.skill, made.key, made.cause, made.head, made.patch, made.title, made.base)
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("a marker holds texts")
    return made
