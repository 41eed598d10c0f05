"""The app: the webhooks of every event source, and whether we are alive and ready."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from runner.core.errors import RunnerError
from runner.core.model.decision import Event
from runner.triggers.sources import MAX_BODY, SOURCES, Delivery, IgnoredDelivery, Ping, RefusedDelivery

_IN_HAND = 4 * MAX_BODY  # bytes of all bodies that are being read or stored
_BUSY = RefusedDelivery(503, "too much at once: deliver it again")
_UNKNOWN = RefusedDelivery(404, "not found")
_GONE = RefusedDelivery(400, "the body did not come whole")
_SLOW = RefusedDelivery(408, "the body did not come in time")


def create_app(
    deliver: Callable[[Event, str], bool],
    secrets: Mapping[str, Sequence[str]],
    serves: Callable[[str], bool],
    health: Callable[[], Mapping[str, bool]],
    *,
    patience: float = 20.0,
) -> FastAPI:
    """The ASGI application of a worker.

    `deliver` stores an event of a repository, and returns False when it was known before; it is called from
    several threads. `secrets` are by event source. `serves` says whether a repository is ours. `health` tells
    by name what is in order. `patience` is how many seconds a body may take to come.
    """
    web = FastAPI(title="Skillrunner", docs_url=None, redoc_url=None, openapi_url=None)
    bodies = _Bodies(patience)

    @web.post("/webhooks/{name}")
    async def webhook(name: str, request: Request) -> JSONResponse:
        source = SOURCES.all().get(name)
        if source is None:
            return _refused(_UNKNOWN)
        async with bodies.read(request, source.max_body) as body:
            if isinstance(body, RefusedDelivery):
                return _refused(body)
            given, now = secrets.get(name, ()), datetime.now(UTC)
            received = source.receive(request.headers, body, given, serves, now)
            if isinstance(received, Delivery):
                return await run_in_threadpool(_deliver, deliver, received)
        return _answer(received)

    @web.get("/healthz")
    async def healthz() -> JSONResponse:
        return JSONResponse({"status": "ok"})

    @web.get("/readyz")
    def readyz() -> JSONResponse:
        found = dict(health())
        return JSONResponse(found, 200 if all(found.values()) else 503)

    return web


@dataclass(eq=False, slots=True)
class _Body:
    """A body that is being read, or stored."""

    limit: asyncio.Timeout
    content: bytearray = field(default_factory=bytearray)
    gave_way: bool = False

    def give_way(self) -> None:
        """Stop reading, for the sake of one that began later."""
        self.gave_way = True
        self.content = bytearray()
        if not self.limit.expired():
            self.limit.reschedule(0)


@dataclass
class _Bodies:
    """Reads bodies within limits of size and time.

    When all of them hold too much, the one that began first gives way: nobody knows yet who is who, and a
    delivery that is meant comes at once, while one that stalls is soon the oldest.
    """

    patience: float
    reading: dict[_Body, None] = field(default_factory=dict)  # the oldest first
    storing: int = 0  # bytes that came whole and are in hand

    @asynccontextmanager
    async def read(self, request: Request, max_body: int) -> AsyncIterator[bytes | RefusedDelivery]:
        """The body; it counts towards the limit until the context ends."""
        body = _Body(asyncio.timeout(self.patience))
        self.reading[body] = None
        try:
            async with body.limit:
                refused = await self._read(request, body, max_body)
        except TimeoutError:
            refused = _BUSY if body.gave_way else _SLOW
        except ClientDisconnect:
            refused = _GONE
        finally:
            self.reading.pop(body)
        size = 0 if refused else len(body.content)
        self.storing += size
        try:
            yield refused or bytes(body.content)
        finally:
            self.storing -= size

    async def _read(self, request: Request, body: _Body, max_body: int) -> RefusedDelivery | None:
        too_large = RefusedDelivery(413, f"the body is larger than {max_body / (1 << 20):.0f} MB")
        length = request.headers.get("content-length", "0")
        if length.isdigit() and int(length) > max_body:
            return too_large
        async for chunk in request.stream():
            body.content += chunk
            if len(body.content) > max_body:
                return too_large
            self._make_room()
            if body.gave_way:
                return _BUSY
        return None

    def _make_room(self) -> None:
        """Have bodies give way until all in hand is within the limit."""
        over = self.storing + sum(len(body.content) for body in self.reading) - _IN_HAND
        for body in self.reading if over > 0 else ():
            if over > 0 and body.content:
                over -= len(body.content)
                body.give_way()


def _deliver(deliver: Callable[[Event, str], bool], received: Delivery) -> JSONResponse:
    try:
        new = deliver(received.event, received.repository)
    except RunnerError as error:
        return _refused(RefusedDelivery(503, f"the event could not be stored: {error.reason}"))
    if new:
        return JSONResponse({"status": "taken", "key": received.event.key}, 202)
    return JSONResponse({"status": "known", "key": received.event.key}, 200)


def _answer(received: Ping | IgnoredDelivery | RefusedDelivery) -> JSONResponse:
    if isinstance(received, RefusedDelivery):
        return _refused(received)
    return JSONResponse({"status": "pong" if isinstance(received, Ping) else "ignored"}, 200)


def _refused(refused: RefusedDelivery) -> JSONResponse:
    """A refusal. The rest of the body is not read, so the connection is closed."""
    return JSONResponse({"status": "refused", "why": refused.why}, refused.status, {"Connection": "close"})
