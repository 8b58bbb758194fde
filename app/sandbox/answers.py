"""Answers as values, so that a fault can change one before it leaves."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Scope, Send

from app.sandbox.problems import VendorRefusal

Headers = tuple[tuple[bytes, bytes], ...]


def json_response(
    value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """An answer of the vendor: always JSON, always with a request id."""
    return Response(
        json.dumps(value, separators=(",", ":")),
        status,
        {"x-request-id": secrets.token_hex(12), **(headers or {})},
        "application/json",
    )


def refusal_response(refusal: VendorRefusal) -> Response:
    """A refusal as the vendor answers it."""
    return json_response(refusal.body(), status=refusal.status)


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer, complete."""

    status: int = 200
    headers: Headers = ((b"content-type", b"application/json"),)
    body: bytes = b"{}"

    def header(self, name: bytes, value: bytes) -> Answer:
        """The same with that header set, in place of any of that lower-case name."""
        return replace(self, headers=(*self._without(name), (name, value)))

    def saying(self, value: Any) -> Answer:
        """The same with another JSON body."""
        return self.containing(json.dumps(value, separators=(",", ":")).encode())

    def containing(self, body: bytes) -> Answer:
        """The same with other bytes as its body."""
        return replace(self, body=body)

    def json(self) -> Any:
        """The JSON of the body."""
        return json.loads(self.body)

    def start(self, *, length: int | None) -> Message:
        """The message that opens the answer; without a length it goes out in chunks."""
        headers = self._without(b"content-length")
        if length is not None:
            headers = (*headers, (b"content-length", str(length).encode()))
        return {"type": "http.response.start", "status": self.status, "headers": list(headers)}

    async def send(self, send: Send) -> None:
        """Send all of it."""
        await send(self.start(length=len(self.body)))
        await send({"type": "http.response.body", "body": self.body})

    def _without(self, name: bytes) -> Headers:
        return tuple(pair for pair in self.headers if pair[0].lower() != name)


@dataclass(slots=True)
class _Collector:
    status: int = 500
    headers: Headers = ()
    body: bytearray = field(default_factory=bytearray)

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = tuple(message["headers"])
        else:
            self.body += message.get("body", b"")


async def answer_of(app: ASGIApp, scope: Scope, body: bytes) -> Answer:
    """Let `app` answer a request whose body was read already."""
    collector = _Collector()

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    await app(scope, receive, collector.send)
    return Answer(collector.status, collector.headers, bytes(collector.body))
