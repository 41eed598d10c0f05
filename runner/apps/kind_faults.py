"""Names of kinds in files that their models cannot know: which are installed is for the apps to say."""

from collections.abc import Iterator, Sequence

from runner.config.documents import Document, DocumentPath, Fault, closest, parse
from runner.config.settings import MAX_FILE
from runner.core.plugins import Family, Plugin


def kind_faults_of_config(file: str, raw: bytes) -> list[Fault]:
    """The faults of the sandbox, the forge and the harnesses that a configuration names."""
    from runner.harnesses import HARNESSES
    from runner.publish.forges import FORGES
    from runner.sandboxes import SANDBOXES

    document = _parsed(file, raw)
    _check(document, ("sandbox",), SANDBOXES)
    _check(document, ("forge",), FORGES, also=("auto",))
    for kind in _keys(document.data, "harnesses"):
        if kind not in HARNESSES.names():
            hint = closest(kind, HARNESSES.names())
            document.fault(document.key(("harnesses", kind)), "unknown harness", kind, hint)
    return sorted(document.faults)


def kind_faults_of_skill(file: str, raw: bytes) -> list[Fault]:
    """The fault of the sandbox that a skill names."""
    from runner.sandboxes import SANDBOXES

    document = _parsed(file, raw)
    _check(document, ("environment", "sandbox"), SANDBOXES)
    return sorted(document.faults)


def _parsed(file: str, raw: bytes) -> Document:
    """The document, without the faults that whoever checks its model tells."""
    document = parse(file, raw.replace(b"\r\n", b"\n"), limit=MAX_FILE)
    document.faults.clear()
    return document


def _check(document: Document, path: DocumentPath, family: Family[Plugin], also: Sequence[str] = ()) -> None:
    """Add the fault of a name at `path` that is no installed kind's."""
    value = document.data
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    if isinstance(value, str) and value.strip() and value not in (names := [*also, *family.names()]):
        document.fault(document.value(path), f"unknown {path[-1]}", value, closest(value, names))


def _keys(data: object, key: str) -> Iterator[str]:
    found = data.get(key) if isinstance(data, dict) else None
    yield from (str(one) for one in found) if isinstance(found, dict) else ()
