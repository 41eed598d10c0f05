"""Parses the text of a GitHub workflow into jobs and steps, each part with its line.

Read as GitHub's "Workflow syntax for GitHub Actions" says: keys and values are text, anchors and aliases
stand for what they name, merge keys and keys that stand twice are refused.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

MAX_FILE = 512 * 1024

Node = Any
"""A node of ruamel's tree. Aliased nodes stand in several places, and may contain themselves."""


class UnreadableFile(Exception):  # noqa: N818 - what is wrong is the file
    """GitHub would not run the text as a workflow."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class YamlText:
    """A scalar. Lines count from 1."""

    value: str
    line: int
    block: bool = False  # written as `|` or `>`: it begins on the next line

    def line_of(self, offset: int) -> int:
        """The line on which the character at `offset` stands; of a folded text, about there."""
        return self.line + self.block + self.value.count("\n", 0, offset)


Texts = Mapping[str, YamlText]
NOTHING = YamlText(value="", line=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPermissions:
    line: int
    everything: str = ""  # "write-all" or "read-all"
    scopes: Texts


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowStep:
    line: int
    uses: YamlText
    run: YamlText
    inputs: Texts  # names in lower case: GitHub tells no case apart
    env: Texts


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowJob:
    name: str
    line: int
    uses: YamlText  # the reusable workflow that it is; empty: it has steps
    steps: Sequence[WorkflowStep]
    needs: frozenset[str]
    permissions: TokenPermissions | None  # None: not stated
    env: Texts
    runs_on: frozenset[str]
    timeout: bool
    secrets: YamlText  # "inherit", or empty
    texts: Sequence[YamlText]  # all of them, whatever they are


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    file: str
    triggers: frozenset[str]
    permissions: TokenPermissions | None
    env: Texts
    jobs: Sequence[WorkflowJob]


def read_workflow(file: str, raw: bytes) -> Workflow:
    """Raises Unreadable."""
    root = _composed(raw)
    _check(root)
    if not isinstance(root, MappingNode):
        raise UnreadableFile(_line(root), "it holds no workflow")
    jobs = _get(root, "jobs")
    return Workflow(
        file=file,
        triggers=_words(_get(root, "on")),
        permissions=_permissions(root),
        env=_texts(_get(root, "env"), "env"),
        jobs=[_job(key, node) for key, node in jobs.value] if _mapping(jobs, "jobs") else [],
    )


def _composed(raw: bytes) -> Node:
    if len(raw) > MAX_FILE:
        raise UnreadableFile(1, f"it has {len(raw)} bytes, more than the {MAX_FILE} that are read")
    try:
        root = YAML(typ="safe", pure=True).compose(raw.decode("utf-8-sig"))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise UnreadableFile(mark.line + 1 if mark else 1, f"not valid YAML: {error.problem}") from None
    except UnicodeDecodeError as error:
        raise UnreadableFile(raw.count(b"\n", 0, error.start) + 1, "not UTF-8") from None
    except YAMLError:
        raise UnreadableFile(1, "not valid YAML: a control character") from None
    except RecursionError:
        raise UnreadableFile(1, "nested too deeply") from None
    return root


def _check(root: Node) -> None:
    """Refuse what GitHub refuses, and what parsers read differently."""
    for node in _below(root):
        seen = set()
        for key in [key for key, _ in node.value] if isinstance(node, MappingNode) else ():
            if not isinstance(key, ScalarNode):
                raise UnreadableFile(_line(key), "a key that is not text")
            if key.value == "<<":
                raise UnreadableFile(_line(key), "a merge key, which GitHub does not read")
            if key.value in seen:
                raise UnreadableFile(_line(key), f"the key `{key.value}` stands there twice")
            seen.add(key.value)


def _below(root: Node) -> Iterator[Node]:
    """`root` and every node below it, each once, in the order of the file."""
    waiting, seen = [root], set()
    while waiting:
        node = waiting.pop()
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        if isinstance(node, MappingNode):
            waiting.extend(part for pair in reversed(node.value) for part in reversed(pair))
        elif isinstance(node, SequenceNode):
            waiting.extend(reversed(node.value))


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1 if node is not None else 1


def _empty(node: Node) -> bool:
    return node is None or (isinstance(node, ScalarNode) and node.value in ("", "~", "null"))


def _mapping(node: Node, what: str) -> dict[str, Node]:
    if _empty(node):
        return {}
    if not isinstance(node, MappingNode):
        raise UnreadableFile(_line(node), f"`{what}` is not a mapping")
    return {str(key.value): value for key, value in node.value}


def _list(node: Node, what: str) -> Sequence[Node]:
    if _empty(node):
        return []
    if not isinstance(node, SequenceNode):
        raise UnreadableFile(_line(node), f"`{what}` is not a list")
    return list(node.value)


def _get(node: Node, key: str) -> Node:
    return _mapping(node, "the workflow").get(key)


def _text(node: Node, what: str) -> YamlText:
    if node is None:
        return NOTHING
    if not isinstance(node, ScalarNode):
        raise UnreadableFile(_line(node), f"`{what}` is not text")
    return YamlText(value=str(node.value), line=_line(node), block=node.style in ("|", ">"))


def _texts(node: Node, what: str) -> Texts:
    if isinstance(node, ScalarNode) and "${{" in node.value:  # `env: ${{ fromJSON(...) }}`
        return {"*": _text(node, what)}
    return {name: _text(value, name) for name, value in _mapping(node, what).items()}


def _words(node: Node) -> frozenset[str]:
    """What a text, a list or a mapping's keys and lists name, in lower case: `on`, `needs`, `runs-on`."""
    if isinstance(node, MappingNode):
        return frozenset(str(key.value).lower() for key, _ in node.value)
    return frozenset(str(one.value).lower() for one in _below(node) if isinstance(one, ScalarNode))


def _permissions(parent: Node) -> TokenPermissions | None:
    node = _get(parent, "permissions")
    if _empty(node):
        return None
    if isinstance(node, ScalarNode):
        return TokenPermissions(line=_line(node), everything=node.value.strip().lower(), scopes={})
    scopes = {name.lower(): text for name, text in _texts(node, "permissions").items()}
    return TokenPermissions(line=_line(node), scopes=scopes)


def _job(key: Node, node: Node) -> WorkflowJob:
    parts = _mapping(node, key.value)
    secrets = parts.get("secrets")
    return WorkflowJob(
        name=str(key.value),
        line=_line(key),
        uses=_text(parts.get("uses"), "uses"),
        steps=[_step(one) for one in _list(parts.get("steps"), "steps")],
        needs=_words(parts.get("needs")),
        permissions=_permissions(node),
        env=_texts(parts.get("env"), "env"),
        runs_on=_labels(parts.get("runs-on")),
        timeout="timeout-minutes" in parts,
        secrets=_text(secrets, "secrets") if isinstance(secrets, ScalarNode) else NOTHING,
        texts=[_text(one, "") for one in _below(node) if isinstance(one, ScalarNode)],
    )


def _labels(node: Node) -> frozenset[str]:
    """The labels of `runs-on`, which may be a text, a list, or a mapping with `labels`."""
    return _words(_mapping(node, "runs-on").get("labels") if isinstance(node, MappingNode) else node)


def _step(node: Node) -> WorkflowStep:
    parts = _mapping(node, "a step")
    inputs = _texts(parts.get("with"), "with")
    return WorkflowStep(
        line=_line(node),
        uses=_text(parts.get("uses"), "uses"),
        run=_text(parts.get("run"), "run"),
        inputs={name.lower(): text for name, text in inputs.items()},
        env=_texts(parts.get("env"), "env"),
    )
