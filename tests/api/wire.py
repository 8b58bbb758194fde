"""One raw connection to a gateway, for what no HTTP client would send."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True)
class Received:
    """One answer as it came over the wire."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """Return the first header of that lower-case name."""
        return next((value for given, value in self.headers if given == name), None)

    def error(self) -> dict[str, Any]:
        """Return the `error` of an answer that must be in the envelope."""
        assert self.header("content-type") == "application/json", self.body
        error: dict[str, Any] = json.loads(self.body)["error"]
        assert error["code"] == self.status
        assert error["request_id"] == self.header("x-request-id")
        return error


class Line:
    """A connection; closed when the block ends."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        self._socket = socket.create_connection((parts.hostname, parts.port), PATIENCE_S)
        self._kept = b""

    def send(self, content: bytes) -> None:
        """Send bytes as they are."""
        self._socket.sendall(content)

    def push(self, piece: bytes, most_bytes: int) -> int:
        """Send `piece` again and again; returns how many bytes left before the line was ended."""
        sent = 0
        try:
            while sent < most_bytes:
                self._socket.sendall(piece)
                sent += len(piece)
        except OSError:
            return sent
        return sent

    def receive(self, *, to_head: bool = False) -> Received:
        """Read one answer; the answer to a HEAD has no body, whatever its length says."""
        while b"\r\n\r\n" not in self._kept:
            self._more()
        head, _, self._kept = self._kept.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = (line.partition(": ") for line in lines)
        headers = tuple((name.lower(), value) for name, _, value in pairs)
        length = 0 if to_head else int(dict(headers).get("content-length", "0"))
        while len(self._kept) < length:
            self._more()
        body, self._kept = self._kept[:length], self._kept[length:]
        return Received(int(first.split(" ")[1]), headers, body)

    def rest(self) -> bytes:
        """Read until the other side ends the connection."""
        while piece := self._socket.recv(65_536):
            self._kept += piece
        return self._kept

    def is_ended(self) -> bool:
        """Wait for the other side to end the connection; say whether it did, and sent no more."""
        try:
            return self._kept == b"" and self._socket.recv(1) == b""
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False

    def hang_up(self) -> None:
        """Close without a word."""
        self._socket.close()

    def _more(self) -> None:
        piece = self._socket.recv(65_536)
        assert piece, f"the connection ended within an answer: {self._kept!r}"
        self._kept += piece

    def __enter__(self) -> Self:
        """Use it in a `with`."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.hang_up()
