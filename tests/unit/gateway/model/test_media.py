"""Pictures and documents in requests of every API are counted, whatever their bytes are."""

from typing import Any

import pytest

from runner.gateway.model.budget import Account
from runner.gateway.model.media import LONGEST_PROMPT, Media, media_of
from runner.gateway.model.refusals import BusyError
from runner.gateway.model.request import RequestError
from runner.gateway.model.usage import Dialect

PDF, PNG = "data:application/pdf;base64,AA", "data:image/png;base64,AA"
HAIKU = "claude-haiku-4-5"


def source(media_type: str) -> dict[str, str]:
    return {"type": "base64", "media_type": media_type, "data": "AA"}


IMAGE = {"type": "image", "source": source("image/png"), "cache_control": {"type": "ephemeral"}}
DOCUMENT = {"type": "document", "source": source("application/pdf"), "title": "t"}


def request(api: Dialect, *parts: Any) -> dict[str, Any]:
    match api:
        case "responses":
            return {"input": [{"role": "user", "content": list(parts)}]}
        case "gemini":
            return {"contents": [{"role": "user", "parts": list(parts)}]}
        case _:
            return {"messages": [{"role": "user", "content": list(parts)}]}


COUNTED: list[tuple[Dialect, Any, Media]] = [
    ("messages", IMAGE, Media(1, 0)),
    ("messages", {"type": "image", "source": {"type": "file", "file_id": "f"}}, Media(1, 0)),
    ("messages", {"type": "image", "source": {"type": "url", "url": "https://e.example"}}, Media(1, 0)),
    ("messages", {"type": "image", "source": source("application/pdf")}, Media(0, 1)),
    ("messages", DOCUMENT, Media(0, 1)),
    ("messages", {"type": "document", "source": {"type": "file", "file_id": "f"}}, Media(0, 1)),
    ("messages", {"type": "document", "source": {"type": "url", "url": "https://e.example"}}, Media(0, 1)),
    ("messages", {"type": "document", "source": {"type": "text", "data": "words"}}, Media(0, 0)),
    ("messages", {"type": "document", "source": {"type": "content", "content": [IMAGE]}}, Media(1, 0)),
    ("messages", {"type": "tool_result", "content": [IMAGE, DOCUMENT, IMAGE]}, Media(2, 1)),
    (
        "messages",
        {"type": "web_fetch_tool_result", "content": {"type": "web_fetch_result", "content": DOCUMENT}},
        Media(0, 1),
    ),
    ("messages", {"type": "tool_use", "name": "n", "input": {"content": [IMAGE]}}, Media(0, 0)),
    ("chat", {"type": "image_url", "image_url": {"url": PNG, "detail": "high"}}, Media(1, 0)),
    ("chat", {"type": "image_url", "image_url": PNG}, Media(1, 0)),
    ("chat", {"type": "image_url", "image_url": {"url": PDF}}, Media(0, 1)),
    ("chat", {"type": "image_url", "image_url": {"url": "https://e.example/a"}}, Media(0, 1)),
    ("chat", {"type": "text", "text": "", "imageUrl": PNG}, Media(1, 0)),
    ("chat", {"type": "file", "file": {"file_data": PDF}}, Media(0, 1)),
    ("chat", {"type": "file", "file": {"file_id": "f"}}, Media(0, 1)),
    ("chat", {"type": "document_url", "document_url": "https://e.example"}, Media(0, 1)),
    ("responses", {"type": "input_image", "image_url": PNG}, Media(1, 0)),
    ("responses", {"type": "input_image", "file_id": "f"}, Media(1, 0)),
    ("responses", {"type": "input_file", "file_data": PDF}, Media(0, 1)),
    ("responses", {"type": "input_file", "file_id": "f"}, Media(0, 1)),
    ("responses", {"type": "input_file", "file_url": "https://e.example"}, Media(0, 1)),
    ("gemini", {"inlineData": {"mimeType": "image/png", "data": "AA"}}, Media(1, 0)),
    ("gemini", {"inline_data": {"mime_type": "IMAGE/JPEG", "data": "AA"}}, Media(1, 0)),
    ("gemini", {"inlineData": {"mimeType": "application/pdf", "data": "AA"}}, Media(0, 1)),
    ("gemini", {"inlineData": {"mimeType": "text/plain", "data": "AA"}}, Media(0, 0)),
    ("gemini", {"fileData": {"mimeType": "text/plain", "fileUri": "files/1"}}, Media(0, 1)),
    ("gemini", {"file_data": {"mime_type": "image/webp", "file_uri": "files/1"}}, Media(1, 0)),
    (
        "gemini",
        {"functionResponse": {"parts": [{"inlineData": {"mimeType": "image/png"}}], "response": {"type": 1}}},
        Media(1, 0),
    ),
]


@pytest.mark.parametrize(("api", "part", "found"), COUNTED)
def test_pictures_and_documents_are_counted_in_each_api(api: Dialect, part: Any, found: Media) -> None:
    assert media_of(api, request(api, part)) == found
    assert media_of(api, request(api, part, part)) == Media(found.images * 2, found.documents * 2)


def test_items_of_responses_are_counted_by_what_they_hold() -> None:
    items = [
        {"type": "message", "role": "user", "content": "hi"},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "t"}], "encrypted_content": "x"},
        {"type": "function_call", "name": "n", "arguments": "{}"},
        {"type": "function_call_output", "output": [{"type": "input_image", "image_url": PNG}]},
        {"type": "custom_tool_call", "input": "x"},
        {"type": "custom_tool_call_output", "output": "x"},
        {"type": "local_shell_call", "action": {"type": "exec", "command": []}},
        {
            "type": "shell_call_output",
            "output": [{"stdout": "", "outcome": {"type": "exit", "exit_code": 0}}],
        },
        {"type": "computer_call_output", "output": {"type": "computer_screenshot", "image_url": PNG}},
        {"type": "image_generation_call", "result": "AA"},
        {"type": "tool_search_output", "tools": [{"type": "function", "parameters": {"type": "object"}}]},
    ]
    schema = {
        "type": "object",
        "properties": {"content": {"type": "string"}, "image_url": {"type": "string"}},
    }
    told = {
        "input": items,
        "text": {"format": {"type": "json_schema", "schema": schema}},
        "tools": [{"type": "function", "parameters": schema}],
    }
    assert media_of("responses", told) == Media(3, 0)


@pytest.mark.parametrize(
    ("api", "part", "words"),
    [
        ("messages", {"type": "hologram", "source": source("image/png")}, "a part of the type hologram"),
        ("messages", {"type": "image", "source": source("video/mp4")}, "video/mp4"),
        ("messages", {"type": "tool_result", "content": [{"type": "audio"}]}, "a part of the type audio"),
        ("messages", {"type": "text", "Type": "image"}, "two spellings"),
        ("messages", {"type": ["text"]}, "a part of the type"),
        ("chat", {"type": "video_url", "video_url": {"url": PNG}}, "video_url"),
        ("chat", {"type": "image_url", "image_url": {"url": "data:video/mp4;base64,AA"}}, "video/mp4"),
        (
            "chat",
            {"type": "file", "file": {"file_data": "data:application/zip;base64,AA"}},
            "application/zip",
        ),
        ("chat", {"text": "t"}, "a part of no type"),
        ("responses", {"type": "input_audio", "data": "AA"}, "input_audio"),
        ("gemini", {"inlineData": {"mimeType": "audio/ogg", "data": "AA"}}, "audio/ogg"),
        ("gemini", {"inlineData": {"mimeType": "text/plain", "mime_type": "image/png"}}, "two spellings"),
        ("gemini", {"fileData": {"fileUri": "https://video.example/1"}}, "filedata without a type"),
        ("gemini", {"text": "t", "videoMetadata": {}}, "videoMetadata"),
    ],
)
def test_a_part_that_nobody_knows_is_refused_under_a_limit_alone(api: Dialect, part: Any, words: str) -> None:
    with pytest.raises(RequestError, match=words) as refused:
        media_of(api, request(api, part))
    assert refused.value.status == 400
    if api == "messages":
        told = {"model": HAIKU, "max_tokens": 9, **request(api, part)}
        Account().begin("POST", "/v1/messages", told)
        with pytest.raises(RequestError):
            Account(limit=1).begin("POST", "/v1/messages", told)


@pytest.mark.parametrize(
    "more", [{"audio": {"id": "a"}}, {"images": ["AA"]}, {"image": "AA"}, {"videos": ["AA"]}]
)
def test_data_beside_the_content_of_a_message_is_refused(more: dict[str, Any]) -> None:
    (key,) = more
    with pytest.raises(RequestError, match=f"a message with the key {key} may cost"):
        media_of("chat", {"messages": [{"role": "assistant", "content": "hi", **more}]})
    pictured = {"role": "assistant", "images": [{"type": "image_url", "image_url": {"url": PNG}}]}
    assert media_of("chat", {"messages": [pictured]}) == Media(1, 0)


def test_a_request_of_text_holds_none() -> None:
    parts = [{"type": "text", "text": PDF}, {"type": "thinking", "thinking": "t"}, {"type": "tool_reference"}]
    told = {"system": [{"type": "text", "text": "s"}], **request("messages", *parts)}
    assert media_of("messages", told) == Media()
    assert media_of("chat", {"messages": [{"role": "user", "content": "hi"}]}) == Media()


def test_what_is_reserved_is_never_below_what_is_billed() -> None:
    """Anthropic bills up to 4,784 tokens for a picture, OpenAI up to 48,169."""
    assert Media(20, 0).most_tokens(HAIKU, 100) >= 100 + 20 * 4_784
    assert Media(1, 0).most_tokens("gpt-4o-mini", 0) >= 2_833 + 8 * 5_667
    assert Media(0, 1).most_tokens(HAIKU, 100) == LONGEST_PROMPT
    assert Media().most_tokens(HAIKU, 100) == Media().likely_tokens(100) == 100


@pytest.mark.parametrize(("parts", "passed"), [([DOCUMENT], 1), ([IMAGE] * 20, 2), ([IMAGE], 40)])
def test_calls_with_small_media_side_by_side_stay_in_the_limit(parts: list[Any], passed: int) -> None:
    """A hundred pages in one document bill 190,000 tokens, each picture 1,568, whatever their bytes are."""
    account, begun = Account(limit=0.3), []
    for _ in range(40):
        try:
            told = {"model": HAIKU, "max_tokens": 10, **request("messages", *parts)}
            begun.append(account.begin("POST", "/v1/messages", told))
        except BusyError:
            break
    assert len(begun) == passed
    billed = 190_000 if parts == [DOCUMENT] else 1_568 * len(parts)
    assert len(begun) * billed * 1.25 / 1e6 <= 0.3
