"""What a file's value should be, in words: a pattern or a library's own sentence says it to nobody."""

from collections.abc import Mapping
from typing import Any

PATTERNS: Mapping[str, str] = {
    r"\S": "not be empty",
    r"^(/|~/)": "be a whole path: /opt/x, or ~/x",
    r"^[A-Za-z0-9_-]{1,100}(\[bot\])?$": "be a login such as ada or renovate[bot]",
    r"^[a-z][a-z0-9-]{0,38}$": "be a command without its slash, such as docs: a-z, then 0-9 and hyphens too",
    r"^/[a-z0-9][a-z0-9-]{0,38}$": "be a command such as /fix-docs: a slash, then a-z, 0-9 and hyphens",
    r"^[a-z0-9]+(-[a-z0-9]+)*$": "be a name of a-z and 0-9, with single hyphens between them",
    r"^[a-z0-9][a-z0-9._-]{0,63}$": "be a name of a-z, 0-9, dots, hyphens and underscores",
    r"^[a-z0-9][a-z0-9_-]*$": "be a name of a-z, 0-9, hyphens and underscores",
    r"^[a-z][a-z0-9_-]{0,63}$": "be a name of a-z, 0-9, hyphens and underscores, with a letter first",
    r"^[a-z_][a-z0-9_]{0,63}$": "be a name of a-z, 0-9 and underscores that begins with no digit",
    r"^[A-Za-z0-9][A-Za-z0-9._-]*$": "be a name of letters, digits, dots, hyphens and underscores",
    r"^[A-Za-z_][A-Za-z0-9_]{0,127}$": "be a variable's name, such as API_KEY",
    r"^[A-Za-z0-9-]{1,100}\[bot\]$": "be a bot's login, such as renovate[bot]",
    r"^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$": "be a repository, such as owner/name",
    r"^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+(@[A-Za-z0-9_./+-]+)?$": "be a repository, such as owner/name or"
    " owner/name@branch",
    r"^[a-z0-9][A-Za-z0-9._/:@-]{0,254}$": "be a container image, such as python:3.12-slim",
    r"^[a-z0-9][a-z0-9.-]*(:[0-9]{1,5})?$": "be a registry's host, such as ghcr.io",
    r"^https://[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?(/[!-~]*)?$": "be an https address",
    r"^https?://[^\s@/?#]+(/[^\s?#]*)?$": "be an address such as https://host/path, and no more",
    r"^(https://[^\s@/?#]+|http://(127\.0\.0\.1|localhost)(:\d+)?)(/[^\s?#]*)?$": "be an https address,"
    " without a user or a query; http is for localhost alone",
    r"^(https?://[^\s@?#]+|/[^\n]*|~/[^\n]*)$": "be an address without a user, or a whole path",
    r"^[^\s@<>]+@[^\s@<>]+$": "be an e-mail address",
    r"^(tested|[0-9]+\.[0-9]+\.[0-9]+[0-9A-Za-z.-]*)$": "be `tested`, or a version such as 1.2.3",
    r"^[^\s]+/[^/\s]+$": "be service/user, as the keyring knows it",
    r"^[^\s@]+$": "be an image without a digest, such as python:3.12-slim",
    r"^([01][0-9]|2[0-3]):[0-5][0-9]-(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$": "be two times of a day, such as"
    " 09:00-17:00",
    r"^sha256:[0-9a-f]{64}$": "be a digest: sha256: and 64 digits of a-f and 0-9",
    r"^[^\s~^:\\?-][^\s~^:\\]{0,199}$": "be a branch, such as release/*, or one of the words for heads",
    r"^[^\s]+$": "be one word, without spaces",
    r"^\S+$": "be one word, without spaces",
    r"^[^\s:]+:[0-9]{1,5}$": "be host:port, such as 127.0.0.1:8080",
    r"^!?([\w.*?-]+/[\w.*?-]+|[./~][^\s]*)$": "be a repository (owner/name, owner/*) or a path, with `!`"
    " where it is left out",
    r"^([\w.*?-]+/[\w.*?-]+|[./~][^\s]*|\*)$": "be a repository (owner/name, owner/*), a path, or *",
    r"^([\w.*?-]+/[\w.*?-]+|[./~][^\s:]*|\*)(:[a-z0-9*?-]+)?$": "be a repository (owner/name, owner/*), a"
    " path, or *, with :skill after it where one skill is meant",
}
"""By the pattern of a model: what a value should do."""

_PLAIN: Mapping[str, str] = {
    "string_type": "be text",
    "int_type": "be a whole number",
    "int_from_float": "be a whole number",
    "float_type": "be a number",
    "finite_number": "be a number that is not infinite",
    "bool_type": "be true or false",
    "list_type": "be a list",
    "tuple_type": "be a list",
    "dict_type": "be a mapping",
    "model_type": "be a mapping",
    "model_attributes_type": "be a mapping",
    "nullable": "have a value",
}
_BOUNDS: Mapping[str, tuple[str, str]] = {
    "greater_than": ("be more than {}", "gt"),
    "greater_than_equal": ("be at least {}", "ge"),
    "less_than": ("be less than {}", "lt"),
    "less_than_equal": ("be at most {}", "le"),
    "string_too_long": ("have at most {} characters", "max_length"),
    "string_too_short": ("have at least {} characters", "min_length"),
    "too_long": ("have at most {} items", "max_length"),
    "too_short": ("have at least {} items", "min_length"),
}


def should(kind: str, context: Mapping[str, Any]) -> str | None:
    """What the value should do, for an error of Pydantic; None: it has no words here."""
    if kind in _PLAIN:
        return _PLAIN[kind]
    if kind == "literal_error":
        return f"be {context['expected']}"
    if kind == "string_pattern_mismatch":
        return PATTERNS.get(context["pattern"])
    if kind in ("string_too_short", "too_short") and context["min_length"] == 1:
        return "not be empty"
    if kind in _BOUNDS:
        text, key = _BOUNDS[kind]
        bound = context[key]
        return text.format(f"{bound:g}" if isinstance(bound, float) else bound).replace(" 1 items", " 1 item")
    return None
