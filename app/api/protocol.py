"""The server's HTTP protocol: uvicorn's, but for what it answers before any route runs."""

from __future__ import annotations

import json

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.api.front import new_request_id
from app.errors import InvalidRequest


class EnvelopeProtocol(HttpToolsProtocol):
    """Answers what is no HTTP request in the same envelope as everything else."""

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
