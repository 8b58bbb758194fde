"""The server's HTTP protocol: uvicorn's, but for what it answers before any route runs."""

from __future__ import annotations

import json
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from app.api.front import new_request_id
from app.errors import InvalidRequest

MAX_HEAD_BYTES: Final = 65_536
"""Longest request head that is read; clients of the vendor send well under 2 KiB."""


_TOO_LONG: Final = (
    f"The head of the request is longer than {MAX_HEAD_BYTES} bytes: send fewer or shorter headers"
)
_NO_HTTP: Final = (
    "This is no HTTP/1.1 request: check the request line, the names and values of headers,"
    " Content-Length and Transfer-Encoding"
)


class HeadTooLong(Exception):
    """A request's head passes the limit."""


class EnvelopeProtocol(HttpToolsProtocol):
    """Answers what is no HTTP request in the same envelope as everything else, and bounds heads.

    Whoever answers learns that the client has gone, also where the client has sent further
    requests meanwhile: the server itself tells the newest request alone.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._head_bytes = 0
        self._why = _NO_HTTP
        self._in_head = True
        self._answering: RequestResponseCycle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the request that is being answered; those behind it will never begin."""
        cycle = self._answering
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what arrived; the parser itself would collect a head without end."""
        super().data_received(data)
        if not self._in_head or self.transport.is_closing():
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES:
            self._why = _TOO_LONG
            self.send_400_response(_TOO_LONG)

    def on_message_begin(self) -> None:
        """Begin to count a new head."""
        self._head_bytes, self._in_head = 0, True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Refuse a head that came whole and is too long; else what follows is a body.

        Raises:
            HeadTooLong: to the parser, which ends the connection's reading by an error of its own.
        """
        self._in_head = False
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > MAX_HEAD_BYTES:
            self._why = _TOO_LONG
            raise HeadTooLong
        # For streams whose clients read nothing: closing would wait for them to read on.
        self.scope["reelgate.abort"] = self.transport.abort  # type: ignore[typeddict-unknown-key]
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Have a request answered: the only one of its connection that is, for the time being."""
        self._answering = cycle
        if cycle.scope["http_version"] < "1.1":
            app = _without_chunks(app, cycle)
        super()._start_asgi_task(cycle, app)

    def send_400_response(self, msg: str) -> None:
        """Answer and close: after such bytes nothing on the connection can be trusted.

        The server's own words for it, `msg`, name no rule and no remedy.
        """
        request_id = new_request_id()
        body = json.dumps(InvalidRequest(self._why).envelope(request_id)).encode("ascii")
        head = (
            "HTTP/1.1 400 Bad Request\r\n"
            "content-type: application/json\r\n"
            f"content-length: {len(body)}\r\n"
            f"x-request-id: {request_id}\r\n"
            "cache-control: no-store\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(head.encode("ascii") + body)
        self.transport.close()


def _without_chunks(app: ASGIApp, cycle: RequestResponseCycle) -> ASGIApp:
    """Return the application for a client of HTTP/1.0, to which chunks would be a part of the text.

    An answer of unknown length ends for it with the connection, which is closed after every answer.
    """

    async def answered(scope: Scope, receive: Receive, send: Send) -> None:
        has_length = True

        async def sent(message: Message) -> None:
            nonlocal has_length
            if message["type"] == "http.response.start":
                has_length = any(name == b"content-length" for name, _ in message["headers"])
                if not has_length:
                    cycle.chunked_encoding = False
            elif not has_length:
                # The server lets pass as much as it still expects.
                cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        await app(scope, receive, sent)

    return answered
