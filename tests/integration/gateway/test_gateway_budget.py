"""Many calls at once, and requests that hide what they cost, at a real gateway: the budget holds."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import urlsplit

import pytest

from runner.config.network import NetworkRules
from runner.gateway import factory
from runner.gateway.factory import ModelRouteOptions
from runner.gateway.model.budget import Account
from runner.gateway.model.refusals import BudgetError
from runner.gateway.server import GatewayAddress
from runner.harnesses import ModelAccess
from runner.harnesses.model_apis import ANTHROPIC, GEMINI, OPENAI
from tests.parts.model_server import Server

KEY = "sk-the-real-key-0123456789"
OPUS = "claude-opus-4-5"  # 5 and 25 dollars
PARALLEL = 100


@dataclass(slots=True)
class Provider:
    """Answers with as many tokens as it is told to, or as a request allows; and counts what it earned."""

    output: int
    seconds: float = 0.02  # of each answer
    requests: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)  # path, headers, body
    earned: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)
    others_answered: threading.Event | None = None  # it waits until all calls but one have their answer

    def answer(self, path: str, headers: dict[str, str], body: Any) -> bytes:
        time.sleep(self.seconds)
        if self.others_answered is not None:
            assert self.others_answered.wait(30)
        allowed = body.get("max_tokens") or body.get("max_output_tokens") or self.output
        written = min(self.output, allowed)
        with self.lock:
            self.requests.append((path, headers, body))
            self.earned += (1_000 * 5 + written * 25) / 1e6
        usage = {"input_tokens": 1_000, "output_tokens": written}
        return json.dumps({"type": "message", "model": body["model"], "usage": usage}).encode()


@contextmanager
def earning(provider: Provider) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            headers = {name.lower(): value for name, value in self.headers.items()}
            content = provider.answer(self.path, headers, body)
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it overrides has
            pass

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def metered(
    provider: Provider, account: Account, access: ModelAccess = ANTHROPIC, uses: frozenset[str] = frozenset()
) -> Iterator[GatewayAddress]:
    with earning(provider) as upstream:
        model = ModelRouteOptions(
            access=access, key=KEY, upstream=upstream, account=account, allowed_uses=uses
        )
        listener = socket.create_server(("127.0.0.1", 0), backlog=PARALLEL)
        with factory.open_gateway(listener, model, NetworkRules(), lambda _: None) as opened:
            yield opened


def post(
    opened: GatewayAddress, body: Any, path: str = "/v1/messages", headers: dict[str, str] | None = None
) -> tuple[int, Any]:
    url = urlsplit(opened.url)
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    with closing(http.client.HTTPConnection(url.hostname or "", url.port, timeout=60)) as connection:
        connection.request("POST", url.path + path, content, headers or {})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read() or b"null")


def at_once(opened: GatewayAddress, body: Any, others_answered: threading.Event | None = None) -> list[int]:
    """The statuses of so many calls side by side; the event is set when all but one are answered."""
    statuses: list[int] = []
    start = threading.Barrier(PARALLEL)

    def call() -> None:
        start.wait()
        statuses.append(post(opened, body)[0])
        if others_answered is not None and len(statuses) >= PARALLEL - 1:
            others_answered.set()

    clients = [threading.Thread(target=call) for _ in range(PARALLEL)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    return statuses


def asking(**more: Any) -> dict[str, Any]:
    return {"model": OPUS, "messages": [{"role": "user", "content": "hi"}], **more}


@pytest.mark.parametrize("asked", [{"max_tokens": 32_000}, {"max_tokens": 2_000}, {}])
def test_a_hundred_calls_at_once_cannot_overspend(asked: dict[str, int]) -> None:
    """Each would cost up to 80 cents of the dollar that the run has."""
    provider, account = Provider(output=32_000), Account(limit=1)
    with metered(provider, account) as opened:
        statuses = at_once(opened, asking(**asked))
        provider.seconds = 0
        while (status := post(opened, asking(**asked))[0]) == 200:
            statuses.append(status)
    assert 200 in statuses
    assert set(statuses) <= {200, 402, 429}
    assert 0 < provider.earned <= 1
    assert account.usage.cost_usd == pytest.approx(provider.earned)
    with pytest.raises(BudgetError, match=r"limits\.cost_usd"):
        account.check()


def test_who_has_to_wait_is_not_stopped() -> None:
    """What is held for calls under way is free again when they end: the run goes on."""
    answered = threading.Event()
    provider, account = Provider(output=10, others_answered=answered), Account(limit=1)
    with metered(provider, account) as opened:
        statuses = at_once(opened, asking(max_tokens=32_000), answered)
        assert (statuses.count(200), statuses.count(429)) == (1, PARALLEL - 1)
        account.check()
        assert post(opened, asking(max_tokens=32_000))[0] == 200
    assert account.usage.cost_usd == 0.0105


def test_a_call_that_does_not_fit_never_reaches_the_provider() -> None:
    provider, account = Provider(output=10), Account(limit=0.5)
    with metered(provider, account) as opened:
        status, told = post(opened, asking(max_tokens=32_000))
    assert (status, told["error"]["type"], provider.requests) == (402, "billing_error", [])
    with pytest.raises(BudgetError, match=r"it has cost \$0.0000, the next call may cost \$0.80") as caught:
        account.check()
    assert "raise the limit to $0.81 or more" in caught.value.hint


@pytest.mark.parametrize(
    ("access", "path", "model", "key"),
    [
        (ANTHROPIC, "/v1/messages", OPUS, "max_tokens"),
        (OPENAI, "/chat/completions", "gpt-5", "max_tokens"),  # as all know it that are not OpenAI's host
        (OPENAI, "/responses", "gpt-5", "max_output_tokens"),
    ],
)
def test_an_answer_gets_a_length_where_its_request_sets_none(
    access: ModelAccess, path: str, model: str, key: str
) -> None:
    provider = Provider(output=10)
    with metered(provider, Account(limit=5), access) as opened:
        assert post(opened, {"model": model, "messages": []}, path)[0] == 200
    ((_, _, body),) = provider.requests
    assert 1_024 <= body[key] <= 32_768
    with metered(provider, Account(), access) as opened:
        post(opened, {"model": model, "messages": []}, path)
    assert provider.requests[1][2] == {"model": model, "messages": []}, "without a limit nothing is added"


HIDING = [
    (b'{"model": "claude-haiku-4-5", "model": "claude-opus-4-5", "messages": []}', 400, "twice"),
    (b'{"model": "claude-haiku-4-5", "Model": "claude-opus-4-5", "messages": []}', 400, "two spellings"),
    (b'{"model": "m", "messages": [{"a": 1, "a": 2}]}', 400, "twice"),
    (b'{"model": "m", "x": NaN}', 400, "NaN"),
    (b'{"model": "m", "max_tokens": 1e999}', 400, "too large"),
    (b'{"model": "m", "max_tokens": ' + b"9" * 5_000 + b"}", 400, "too large"),
    (b'{"model": "m", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400, "more than 100 levels"),
    (b'{"model": "m", "x": ' + b"[" * 200 + b"]" * 200 + b"}", 400, "more than 100 levels"),
    (b"\xef\xbb\xbf{}", 400, "JSON in UTF-8"),
    ('{"model": "m"}'.encode("utf-16"), 400, "JSON in UTF-8"),
    (b'[{"model": "m"}]', 400, "no JSON object"),
    (b"model=m&background=true", 400, "JSON in UTF-8"),
    (b'{"model": "m"} {"model": "n"}', 400, "JSON in UTF-8"),
    (b"", 400, "JSON in UTF-8"),
]


@pytest.mark.parametrize(("body", "status", "words"), HIDING)
@pytest.mark.parametrize("limit", [None, 1.0])
def test_a_body_that_two_programs_read_differently_is_refused(
    body: bytes, status: int, words: str, limit: float | None
) -> None:
    provider = Provider(output=10)
    with metered(provider, Account(limit)) as opened:
        answered, told = post(opened, body)
    assert (answered, provider.requests) == (status, [])
    assert words in told["error"]["message"]
    assert told["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Encoding": "gzip"},
        {"Content-Encoding": "identity, zstd"},
    ],
)
def test_an_encoded_body_is_refused(headers: dict[str, str]) -> None:
    provider = Provider(output=10)
    with metered(provider, Account()) as opened:
        assert post(opened, asking(max_tokens=9), headers=headers)[0] == 415
        assert (
            post(opened, asking(max_tokens=9), headers={"Content-Type": "text/plain; charset=utf-16"})[0]
            == 200
        )
    ((_, sent, _),) = provider.requests
    assert sent["content-type"] == "application/json", "what is sent is what was read"


@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("/responses", {"background": True}),
        ("/responses", {"service_tier": "priority"}),
        ("/responses", {"service_tier": "flex"}),
        ("/chat/completions", {"service_tier": "priority"}),
        ("/chat/completions", {"modalities": ["text", "audio"], "audio": {"voice": "x"}}),
        ("/chat/completions", {"prediction": {"type": "content", "content": "x"}}),
        ("/chat/completions", {"messages": [{"content": [{"type": "input_audio", "input_audio": {}}]}]}),
        ("/v1/messages", {"speed": "fast"}),
        ("/v1/messages", {"inference_geo": "us"}),
    ],
)
def test_what_has_no_known_price_is_refused_under_a_limit_and_unknown_without(
    path: str, more: dict[str, Any]
) -> None:
    access = ANTHROPIC if path == "/v1/messages" else OPENAI
    body = {"model": OPUS if access is ANTHROPIC else "gpt-5", "messages": [], "max_tokens": 9, **more}
    provider, limited, free = Provider(output=10), Account(limit=1), Account()
    with metered(provider, limited, access) as opened:
        status, told = post(opened, body, path)
    assert (status, provider.requests) == (400, [])
    assert "nobody knows what" in told["error"]["message"]
    limited.check()
    with metered(provider, free, access) as opened:
        assert post(opened, body, path)[0] == 200
    assert (free.usage.cost_usd, free.usage.tokens_in) == (None, 1_000)


@pytest.mark.parametrize("asked", ["9", 0, -1, 1.5, True, [9]])
def test_a_length_that_is_no_number_is_refused_under_a_limit(asked: Any) -> None:
    provider = Provider(output=10)
    with metered(provider, Account(limit=1)) as opened:
        assert post(opened, asking(max_tokens=asked))[0] == 400
    assert provider.requests == []


def test_several_answers_at_once_are_all_reserved() -> None:
    provider, account = Provider(output=10), Account(limit=1)
    with metered(provider, account, OPENAI) as opened:
        body = {"model": "gpt-5", "messages": [], "max_completion_tokens": 10_000, "n": 50}
        status, told = post(opened, body, "/chat/completions")
    assert (status, told["error"]["code"], provider.requests) == (429, "insufficient_quota", [])


def test_an_answer_that_broke_off_counts_as_much_as_it_may_have_cost() -> None:
    account = Account(limit=1)
    ongoing = account.begin("POST", "/v1/messages", asking(max_tokens=20_000))
    ongoing.status = 200
    ongoing.end(whole=False)
    assert (account.usage.cost_usd, account.calls) == (None, 1)
    assert 0.5 < float(account.charged) < 0.6
    with pytest.raises(BudgetError, match=r"calls that broke off may have cost \$0.50"):
        account.begin("POST", "/v1/messages", asking(max_tokens=20_000))


def test_the_method_in_geminis_path_decides_and_no_other() -> None:
    provider = Provider(output=10)
    with metered(provider, Account(), GEMINI) as opened:
        for method in ("batchGenerateContent", "embedContent", "predict", "asyncBatchEmbedContent"):
            assert post(opened, {"contents": []}, f"/v1beta/models/gemini-2.5-pro:{method}")[0] == 404
    assert provider.requests == []
