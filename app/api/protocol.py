"""The server's HTTP protocol: uvicorn's, but for what it answers before any route runs."""

from __future__ import annotations

import json
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.api.front import new_request_id
from app.errors import InvalidRequest

MAX_HEAD_BYTES: Final = 65_536
"""Longest request head that is read; clients of the vendor send well under 2 KiB."""


class EnvelopeProtocol(HttpToolsProtocol):
    """Answers what is no HTTP request in the same envelope as everything else, and bounds heads."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._head_bytes = 0
        self._in_head = True

    def data_received(self, data: bytes) -> None:
        """Take what arrived; the parser itself would collect a head without end."""
        super().data_received(data)
        if not self._in_head or self.transport.is_closing():
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES:
            self.send_400_response(f"The head of the request is longer than {MAX_HEAD_BYTES} bytes")

    def on_message_begin(self) -> None:
        """Begin to count a new head."""
        self._head_bytes, self._in_head = 0, True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Stop counting: what follows is a body."""
        self._in_head = False
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer and close: after such bytes nothing on the connection can be trusted."""
        request_id = new_request_id()
        body = json.dumps(InvalidRequest(msg).envelope(request_id)).encode("ascii")
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
