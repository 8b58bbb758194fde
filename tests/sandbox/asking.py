"""Ways to talk to a sandbox: in process, over HTTP, and byte by byte."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx2

KEY = "sk-test-1234"
AUTHORIZED = {"authorization": f"Bearer {KEY}"}
CREATE = "/v1/videos/generations"
CHARACTER = {"model": "sora-character", "video_url": "https://example.com/video.mp4"}


class ManualClock:
    """A source of time that moves when told to."""

    def __init__(self, now_ms: int = 1_767_917_446_250) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        """The time, in milliseconds since the epoch."""
        return self.now_ms


def in_process(app: Any, **headers: str) -> httpx2.AsyncClient:
    """A client whose requests never leave the process."""
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=app),
        base_url="http://vendor.example.com",
        headers=AUTHORIZED | headers,
    )


def character(scenario: str = "", **fields: Any) -> dict[str, Any]:
    """The body of a creation, with a scenario in its address."""
    url = CHARACTER["video_url"] + (f"?sandbox={scenario}" if scenario else "")
    return CHARACTER | {"video_url": url} | fields


@dataclass
class Seen:
    """What a client saw on the wire: the bytes, and how the connection ended."""

    bytes: bytes
    ended: str

    @property
    def status(self) -> int | None:
        """The status of the answer, if one was begun."""
        return int(self.bytes.split(b" ", 2)[1]) if self.bytes else None

    @property
    def head(self) -> str:
        """The status line and the headers, in lower case."""
        return self.bytes.partition(b"\r\n\r\n")[0].decode().lower()

    @property
    def body(self) -> bytes:
        """What came after the headers, framing included."""
        return self.bytes.partition(b"\r\n\r\n")[2]


@dataclass
class Wire:
    """One raw connection to a sandbox."""

    url: str
    patience_s: float = 2.0
    connection: socket.socket = field(init=False)

    def __post_init__(self) -> None:
        """Connect."""
        parts = urlsplit(self.url)
        self.connection = socket.create_connection((parts.hostname, parts.port), self.patience_s)

    def __enter__(self) -> Wire:
        """Use the connection in a `with`."""
        return self

    def __exit__(self, *reason: object) -> None:
        """Close it."""
        self.connection.close()

    def send(self, method: str, path: str, body: Any = None, *, close: bool = True) -> None:
        """Send one request."""
        payload = b"" if body is None else json.dumps(body).encode()
        head = (
            f"{method} {path} HTTP/1.1\r\nhost: vendor.example.com\r\n"
            f"authorization: Bearer {KEY}\r\ncontent-length: {len(payload)}\r\n"
            f"{'connection: close' if close else 'x-keep: yes'}\r\n\r\n"
        )
        self.connection.sendall(head.encode() + payload)

    def read(self, *, until: bytes | None = None) -> Seen:
        """Read to the end, or to some bytes, or until patience is over."""
        found = b""
        while until is None or until not in found:
            try:
                piece = self.connection.recv(65536)
            except ConnectionResetError:
                return Seen(found, "reset")
            except TimeoutError:
                return Seen(found, "silent")
            if not piece:
                return Seen(found, "closed")
            found += piece
        return Seen(found, "open")


def on_the_wire(url: str, body: Any = None, *, patience_s: float = 2.0) -> Seen:
    """Create a task over a connection of its own, and see what happens to the connection."""
    with Wire(url, patience_s) as wire:
        wire.send("POST", CREATE, CHARACTER if body is None else body)
        return wire.read()


def await_entries(client: httpx2.Client, count: int) -> list[dict[str, Any]]:
    """Ask for the journal until it has so many entries; each asking takes a while by itself."""
    for _ in range(2000):
        entries: list[dict[str, Any]] = client.get("/_sandbox/journal").json()["entries"]
        if len(entries) >= count:
            return entries
    raise AssertionError(f"the journal has {len(entries)} entries, not {count}")
