"""Serves the app on a socket, to strangers as well: each connection has a limit of time until it has asked.

uvicorn waits without an end for a request's head, and for a body that nobody reads.
"""

import asyncio
from typing import Any, ClassVar

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_TIMEOUT = 10.0  # seconds that a request's head may take to come
BODY_TIMEOUT = 30.0  # seconds that a body may take to come, also one that nobody reads
MAX_CONNECTIONS = 256  # at a time; above that the one that has been asking for longest is cut


class IntakeProtocol(H11Protocol):
    """HTTP/1.1 for which a request that does not come whole in time ends the connection."""

    head_timeout: ClassVar[float] = HEAD_TIMEOUT
    body_timeout: ClassVar[float] = BODY_TIMEOUT
    max_connections: ClassVar[int] = MAX_CONNECTIONS

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self._limit: asyncio.TimerHandle | None = None
        self._state: object = None  # for which the limit was set
        self._since = 0.0  # when that was

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()
        if len(self.connections) > self.max_connections:
            asking = (one for one in self.connections if isinstance(one, IntakeProtocol) and one._limit)
            min(asking, key=lambda one: one._since)._cut()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def _watch(self) -> None:
        """Set the limit of what is still to come; a state that goes on keeps the limit that it has."""
        state = self.conn.their_state
        if state is self._state:
            return
        self._forget()
        if state in (h11.IDLE, h11.SEND_BODY):
            self._state, self._since = state, self.loop.time()
            seconds = self.head_timeout if state is h11.IDLE else self.body_timeout
            self._limit = self.loop.call_later(seconds, self._cut)

    def _forget(self) -> None:
        self._state = None
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def _cut(self) -> None:
        self._forget()
        self.transport.abort()


def make_server(web: FastAPI, host: str = "127.0.0.1", port: int = 0) -> uvicorn.Server:
    """A server of the app. It runs where its `run` or `serve` is called, until its `should_exit`."""
    settings = uvicorn.Config(
        web, host=host, port=port, log_config=None, http=IntakeProtocol, ws="none", lifespan="off"
    )
    return uvicorn.Server(settings)
