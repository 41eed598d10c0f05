"""Counts the pictures and documents in a request, whose tokens have nothing to do with their bytes. Pure.

A picture of one colour, a PDF of equal pages and a zipped text are small and are billed as if they were not.

Sources: Anthropic, "Vision" (at most 1,568 tokens, 4,784 in high resolution) and "PDF support" (text and a
picture of each page); OpenAI, "Images and vision" (gpt-4o-mini: 2,833 and 5,667 for each of at most 8 tiles;
10,000 patches times at most 2.46); Google, "Understand and count tokens" (258 for each tile; of 256 pixels,
144 fit in a picture of 3,072) and "Media resolution" (at most 2,240); each one's table of models.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from runner.gateway.model.request import RequestError, plain_name
from runner.gateway.model.usage import Dialect

LONGEST_PROMPT = 2_097_152  # tokens: no model takes more, whatever its documents hold
LIKELY_IMAGE = 2_000  # tokens of one picture
LIKELY_DOCUMENT = 50_000  # tokens of one document: some twenty pages
_IMAGE_OF_CLAUDE, _IMAGE = 5_000, 50_000  # tokens that no picture goes over

_Kind = Literal["image", "document", "text"]
_WORST: tuple[_Kind, ...] = ("document", "image")

_CONTENT = frozenset({"content", "contents", "input", "messages", "output", "parts", "system"})
_INERT = frozenset(  # keys of the agent's own data and of schemas, where no provider looks for pictures
    {
        *("arguments", "args", "response", "parameters", "metadata", "clientmetadata"),
        *("schema", "jsonschema", "inputschema", "outputschema", "responseschema", "responsejsonschema"),
        "parametersjsonschema",
    }
)
_SAME: Mapping[_Kind, Collection[str]] = {  # keys under which the data of what was counted stands
    "image": {"source", "filedata"},
    "document": {"source", "filedata", "file"},
    "text": {"filedata"},
}
_CALLS = re.compile(r".*(tool_use|_call)")  # parts whose `input` is the agent's own data
_TEXT = re.compile(  # types of parts and items that hold text, calls of tools and their results
    r"(input_|output_|summary_|reasoning_|encrypted_)?(text|content)|.*thinking|reasoning|refusal|.*message"
    r"|.*tool_use|.*tool_result(_error)?|.*_call|.*_call_output|.*_result|tool_reference|tool_search_output|function"
    r"|.*compaction(_summary|_trigger)?|ghost_snapshot|item_reference|additional_tools|container_upload|ephemeral"
    r"|mcp_list_tools|mcp_approval_(request|response)|custom"
)
_IMAGES = frozenset({"image", "imageurl", "inputimage", "computerscreenshot", "imagegenerationcall"})
_DOCUMENTS = frozenset({"document", "documenturl", "file", "inputfile", "fileurl", "pdf"})
_DATA_KEYS = frozenset({"imageurl", "fileurl", "documenturl", "filedata", "fileid", "fileuri", "inlinedata"})
_SOUND = frozenset({"audio", "audios", "video", "videos"})
_GEMINI_KEYS = frozenset(
    {
        *("text", "functioncall", "functionresponse", "inlinedata", "filedata", "executablecode"),
        *("codeexecutionresult", "thought", "thoughtsignature", "mediaresolution", "partmetadata"),
        *("toolcall", "toolresponse"),
    }
)
_MEDIA_TYPES: tuple[tuple[re.Pattern[str], _Kind], ...] = (
    (re.compile(r"image/(png|jpe?g|webp|gif|hei[cf]|bmp)"), "image"),
    (re.compile(r"text/[a-z0-9.+-]+|application/(json|xml|javascript|x-javascript|x-python)"), "text"),
    (re.compile(r"application/(pdf|msword|rtf|vnd\.[a-z0-9.-]+)|image/tiff"), "document"),
)
_DATA_URL = re.compile(r"data:([^;,]*)[;,]", re.I)


@dataclass(frozen=True, slots=True)
class Media:
    """How many pictures and documents a request holds."""

    images: int = 0
    documents: int = 0

    def most_tokens(self, model: str, text: int) -> int:
        """What no provider bills more than for a prompt with so many tokens of text, and these."""
        each = _IMAGE_OF_CLAUDE if "claude" in model.lower() else _IMAGE
        return max(text + self.images * each, LONGEST_PROMPT if self.documents else 0)

    def likely_tokens(self, text: int) -> int:
        """What such a prompt usually has."""
        return text + self.images * LIKELY_IMAGE + self.documents * LIKELY_DOCUMENT


def media_of(api: Dialect, told: Mapping[str, Any]) -> Media:
    """The pictures and documents of a request.

    Raises RequestError when it holds a part of which nobody knows what it may cost.
    """
    images = documents = 0
    waiting = [
        (value, plain_name(key)) for key, value in told.items() if plain_name(key) not in {"tools", *_INERT}
    ]
    while waiting:
        one, where = waiting.pop()
        if isinstance(one, list):
            waiting += [(child, where) for child in one]
        elif isinstance(one, dict):
            kind = _kind(api, one, where)
            images, documents = images + (kind == "image"), documents + (kind == "document")
            waiting += _children(one, _SAME[kind] if kind else ())
    return Media(images, documents)


def _children(part: Mapping[str, Any], without: Collection[str]) -> Iterator[tuple[Any, str]]:
    """What a provider may look into, and the key under which it stands."""
    if _CALLS.fullmatch(str(part.get("type"))):
        without = {*without, "input"}
    for key, child in part.items():
        name = plain_name(key)
        if isinstance(child, dict | list) and name not in _INERT and name not in without:
            yield child, name


def _kind(api: Dialect, part: Mapping[str, Any], where: str) -> _Kind | None:
    """What an object is; None: it holds none of the data itself."""
    if where in _CONTENT:
        _check_sound(part)
    kind = _only(part, "type")
    name = plain_name(kind) if isinstance(kind, str) else ""
    if name in _IMAGES:
        return _of_data(part, "image", by_address=api != "chat")
    if name in _DOCUMENTS:
        return _of_document(part)
    found = {
        _of_key(api, plain_name(key), value)
        for key, value in part.items()
        if plain_name(key) in _DATA_KEYS and value
    }
    if not found and where in _CONTENT:
        _check(api, part, kind, where)
    return next((one for one in _WORST if one in found), None)


def _check(api: Dialect, part: Mapping[str, Any], kind: Any, where: str) -> None:
    """Raises RequestError when nobody knows what a part holds."""
    if api == "gemini":
        if "parts" not in part:
            _check_keys(part)
    elif kind is None:
        if where == "content":
            raise _unknown("a part of no type")
    elif not (isinstance(kind, str) and _TEXT.fullmatch(kind)):
        raise _unknown(f"a part of the type {str(kind)[:50]}")


def _of_document(part: Mapping[str, Any]) -> _Kind | None:
    """Anthropic's documents may also be plain text, or a list of parts, which are counted by themselves."""
    source = _only(part, "source")
    if isinstance(source, dict) and _only(source, "type") in ("text", "content"):
        return None
    return _of_data(part, "document", by_address=True, least="document")


def _of_key(api: Dialect, name: str, value: Any) -> _Kind | None:
    """What stands under a key that names data, in a part whose type does not."""
    if name == "imageurl":
        return _of_data({name: value}, "image", by_address=api != "chat")
    if name not in ("inlinedata", "filedata") or not isinstance(value, dict):
        return "document"
    media_type = _only(value, "mimeType")
    if not isinstance(media_type, str):
        raise _unknown(f"{name} without a type")
    found = _by_media_type(media_type)
    return "document" if name == "filedata" and found == "text" else found


def _of_data(part: Mapping[str, Any], told: _Kind, *, by_address: bool, least: _Kind | None = None) -> _Kind:
    """What a part holds that claims to be `told`: its data says more than its type.

    `by_address`: at an address there is what the part claims to hold, since the provider takes nothing else.
    """
    found = [_by_media_type(one) for one in _media_types(part)]
    if least is not None or "document" in found or "text" in found:
        return "document"
    return told if found or by_address or not _has_address(part) else "document"


def _media_types(part: Any) -> Iterator[str]:
    """The media types that a part names, itself or in the address `data:`."""
    for key, value in part.items():
        if isinstance(value, dict):
            yield from _media_types(value)
        elif isinstance(value, str) and plain_name(key) in ("mediatype", "mimetype"):
            yield value
        elif isinstance(value, str) and (found := _DATA_URL.match(value.strip()[:200])) is not None:
            yield found[1]


def _has_address(part: Mapping[str, Any]) -> bool:
    return any(
        _has_address(value) if isinstance(value, dict) else plain_name(key) in {"url", "imageurl", "fileid"}
        for key, value in part.items()
        if value
    )


def _by_media_type(name: str) -> _Kind:
    plain = name.partition(";")[0].strip().lower()
    for pattern, kind in _MEDIA_TYPES:
        if pattern.fullmatch(plain):
            return kind
    raise _unknown(f"data of the type {name[:50] or 'that nobody names'}")


def _check_sound(part: Mapping[str, Any]) -> None:
    """An earlier answer's sound by its id, and data that some providers take beside a message's content."""
    for key, value in part.items():
        listed = value if isinstance(value, list) else [value]
        name = plain_name(key)
        if value and (
            name in _SOUND or (name in {"image", "images"} and any(isinstance(one, str) for one in listed))
        ):
            raise _unknown(f"a message with the key {key[:50]}")


def _check_keys(part: Mapping[str, Any]) -> None:
    """Google's parts have no type: their keys say what they are."""
    for key in part:
        if plain_name(key) not in _GEMINI_KEYS:
            raise _unknown(f"a part with the key {key[:50]}")


def _only(part: Mapping[str, Any], key: str) -> Any:
    """The value of a key. Raises RequestError when it stands there in two spellings: which one counts?"""
    found = [value for name, value in part.items() if plain_name(name) == plain_name(key)]
    if len(found) > 1:
        raise RequestError(400, f"a part of the request has the key {key!r} in two spellings")
    return found[0] if found else None


def _unknown(what: str) -> RequestError:
    return RequestError(
        400, f"nobody knows what {what} may cost, so `limits.cost_usd` cannot be held: ask without it"
    )
