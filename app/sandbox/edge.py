"""The outermost part of the HTTP form: writes every request down, then lets it go wrong or not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from app.sandbox.answers import Answer, answer_of, refusal_response
from app.sandbox.delivery import Exchange, NoTransport, whole
from app.sandbox.faults import Fault
from app.sandbox.journal import Arrival, Entry, JournalFull
from app.sandbox.paths import CONTROL
from app.sandbox.problems import VendorRefusal
from app.sandbox.shaping import not_possible
from app.sandbox.state import Memory, Sandbox

ENTRY: Final = "sandbox.entry"
LARGEST_BODY_BYTES: Final = 64 * 1024 * 1024


class Edge:
    """Middleware around the vendor's routes; the controls pass it untouched."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        sandbox: Sandbox,
        memory: Memory,
        largest_body_bytes: int = LARGEST_BODY_BYTES,
    ) -> None:
        self._app = app
        self._sandbox = sandbox
        self._memory = memory
        self._largest_body_bytes = largest_body_bytes
        self._serving = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"].startswith(CONTROL):
            await self._app(scope, receive, send)
            return
        arrival = await self._arrival(scope, receive)
        with self._counted() as concurrent:
            try:
                entry = self._memory.journal.open(
                    arrival, at_ms=self._sandbox.clock.source_ms(), concurrent=concurrent
                )
            except JournalFull as reason:
                await _no_room(reason)(scope, receive, send)
                return
            exchange = Exchange(scope, receive, send, self._sandbox.stopping)
            if arrival.complete:
                await self._serve(arrival, entry, exchange)
            self._memory.journal.keep(entry)

    async def _arrival(self, scope: Scope, receive: Receive) -> Arrival:
        """Read the request to its end, or to the byte that shows that it is too large."""
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return Arrival(scope, bytes(body), complete=False)
            body += message.get("body", b"")
            if not message.get("more_body", False) or len(body) > self._largest_body_bytes:
                return Arrival(scope, bytes(body), complete=True)

    async def _serve(self, arrival: Arrival, entry: Entry, exchange: Exchange) -> None:
        fault = self._memory.faults.choose(arrival.route, arrival.key)
        if fault is None:
            answer = await self._act(arrival, entry)
            finished = await whole(exchange, answer, {})
        else:
            entry.fault = fault.name
            answer, finished = await self._misserve(fault, arrival, entry, exchange)
        entry.answer_status = answer.status if finished else None

    async def _misserve(
        self, fault: Fault, arrival: Arrival, entry: Entry, exchange: Exchange
    ) -> tuple[Answer, bool]:
        honest = await self._act(arrival, entry) if fault.mode.commits else Answer()
        answer = fault.mode.shape(honest, fault.params, arrival.route)
        try:
            return answer, await fault.mode.deliver(exchange, answer, fault.params)
        except NoTransport as reason:
            refusal = not_possible(reason)
            answer = Answer(refusal.status).saying(refusal.body())
            return answer, await whole(exchange, answer, {})

    async def _act(self, arrival: Arrival, entry: Entry) -> Answer:
        if len(arrival.body) > self._largest_body_bytes:
            return Answer(413).saying(VendorRefusal(413).body())
        return await answer_of(self._app, {**arrival.scope, ENTRY: entry}, arrival.body)

    @contextmanager
    def _counted(self) -> Iterator[int]:
        self._serving += 1
        try:
            yield self._serving
        finally:
            self._serving -= 1


def _no_room(reason: JournalFull) -> ASGIApp:
    return refusal_response(VendorRefusal(507, str(reason), kind="sandbox_error"))
