"""The app: the webhooks of every event source, and whether we are alive and ready."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
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


@dataclass
class _Bodies:
    """Reads bodies within limits of size and time."""

    patience: float
    in_hand: int = 0

    @asynccontextmanager
    async def read(self, request: Request, max_body: int) -> AsyncIterator[bytes | RefusedDelivery]:
        """The body; it counts towards the limit until the context ends."""
        body = bytearray()
        try:
            async with asyncio.timeout(self.patience):
                refused = await self._read(request, body, max_body)
        except TimeoutError:
            refused = _SLOW
        except ClientDisconnect:
            refused = _GONE
        try:
            yield refused or bytes(body)
        finally:
            self.in_hand -= len(body)

    async def _read(self, request: Request, body: bytearray, max_body: int) -> RefusedDelivery | None:
        too_large = RefusedDelivery(413, f"the body is larger than {max_body / (1 << 20):.0f} MB")
        length = request.headers.get("content-length", "0")
        if length.isdigit() and int(length) > max_body:
            return too_large
        async for chunk in request.stream():
            body += chunk
            self.in_hand += len(chunk)
            if len(body) > max_body:
                return too_large
            if self.in_hand > _IN_HAND:
                return _BUSY
        return None


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
