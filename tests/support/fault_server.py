"""An HTTP server on loopback that counts what reaches it and misbehaves on request."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import socket
import ssl
import struct
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Self

_FLOOD_PIECE = bytes(64 * 1024)
_FLOOD_LIMIT_BYTES = 1024**3
_BACKLOG = 4096


class Fault(enum.Enum):
    """What the server does with one request."""

    ANSWER = "reads it and answers 200"
    ANSWER_AND_CLOSE = "reads it, answers 200 and closes without announcing it"
    REDIRECT = "reads it and answers 302 with a cookie"
    CLOSE = "reads it, then closes"
    RESET = "reads it, then resets"
    HANG = "reads it, then says nothing"
    TRUNCATE_HEAD = "reads it, breaks off within the answer's head"
    TRUNCATE_BODY = "reads it, breaks off within the answer's body"
    RESET_BODY = "reads it, resets within the answer's body"
    GARBAGE = "reads it, then sends what is not HTTP"
    FLOOD = "reads it, then sends a body without end"
    SPEAK_AGAIN = "reads and answers it, and a little later sends a second answer"
    HANG_UP_UNREAD = "resets as its first byte arrives"
    STOP_READING = "reads the head, and the body only once `carry_on` is set"


AFTER_READING = (
    Fault.CLOSE,
    Fault.RESET,
    Fault.HANG,
    Fault.TRUNCATE_HEAD,
    Fault.TRUNCATE_BODY,
    Fault.RESET_BODY,
    Fault.GARBAGE,
)
"""Faults after which the request may have been acted on, and the answer is lost."""

_BROKEN_OFF = b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"request": '

_SENT = {
    Fault.REDIRECT: (
        b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n"
        b"Content-Length: 0\r\n\r\n"
    ),
    Fault.CLOSE: b"",
    Fault.RESET: b"",
    Fault.TRUNCATE_HEAD: _BROKEN_OFF[:25],
    Fault.TRUNCATE_BODY: _BROKEN_OFF,
    Fault.RESET_BODY: _BROKEN_OFF,
    Fault.GARBAGE: b"\x00\xffnot HTTP at all\r\n\r\n",
}
"""What goes out for a fault in place of the plain answer."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as it arrived."""

    line: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


class FaultServer:
    """Serves one planned fault per request, then plain answers; use it as a context manager."""

    def __init__(self, *faults: Fault, delay_s: float = 0, tls: ssl.SSLContext | None = None):
        self._plan = deque(faults)
        self._delay_s = delay_s
        self._tls = tls
        self._writers: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}
        self._none_open = asyncio.Event()
        self._none_open.set()
        self.requests_begun = 0
        self.connections_made = 0
        self.flooded_bytes = 0
        self.seen: list[Seen] = []
        self.spoke_again = asyncio.Event()
        self.carry_on = asyncio.Event()

    @property
    def posts(self) -> int:
        """POST requests read to their last byte."""
        return sum(request.line.startswith("POST ") for request in self.seen)

    @property
    def connections_open(self) -> int:
        """Connections neither side has ended."""
        return len(self._writers)

    @property
    def url(self) -> str:
        """Where the server listens."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", 0, backlog=_BACKLOG, ssl=self._tls
        )
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        serving = dict(self._writers)
        self.carry_on.set()
        for writer in serving:
            writer.transport.abort()  # closing would wait for a client that does not read
        await asyncio.gather(*serving.values(), return_exceptions=True)
        await self._server.wait_closed()

    def plan(self, *faults: Fault) -> None:
        """Add faults for requests to come."""
        self._plan.extend(faults)

    async def all_closed(self) -> None:
        """Wait until no connection is open.

        Raises:
            TimeoutError: one is still open after five seconds.
        """
        async with asyncio.timeout(5):
            await self._none_open.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._writers[writer] = task
        self._none_open.clear()
        self.connections_made += 1
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while await self._serve_one(reader, writer):
                    pass
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            del self._writers[writer]
            if not self._writers:
                self._none_open.set()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        first = await reader.read(1)
        if not first:
            return False
        self.requests_begun += 1
        fault = self._plan.popleft() if self._plan else Fault.ANSWER
        if fault is Fault.HANG_UP_UNREAD:
            _reset(writer)
            return False
        head = first + await reader.readuntil(b"\r\n\r\n")
        if fault is Fault.STOP_READING:
            await self.carry_on.wait()
        self.seen.append(await _request(head, reader))
        await asyncio.sleep(self._delay_s)
        if fault is Fault.HANG:
            await reader.read()  # ends when the client goes away
            return False
        goes_on = await self._answer(fault, writer, number=len(self.seen))
        if fault in (Fault.RESET, Fault.RESET_BODY):
            _reset(writer)
        return goes_on

    async def _answer(self, fault: Fault, writer: asyncio.StreamWriter, *, number: int) -> bool:
        """Act out `fault`; tell whether the connection goes on."""
        body = b'{"request": %d}' % number
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        match fault:
            case Fault.FLOOD:
                await self._flood(writer)
            case Fault.SPEAK_AGAIN:
                await _send(writer, answer)
                # The first answer has to be read as whole before more of it comes.
                await asyncio.sleep(0.02)
                await _send(writer, answer.replace(b"request", b"unasked"))
                self.spoke_again.set()
            case _:
                await _send(writer, _SENT.get(fault, answer))
        return fault in (Fault.ANSWER, Fault.REDIRECT, Fault.SPEAK_AGAIN)

    async def _flood(self, writer: asyncio.StreamWriter) -> None:
        await _send(writer, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % _FLOOD_LIMIT_BYTES)
        while self.flooded_bytes < _FLOOD_LIMIT_BYTES:
            await _send(writer, _FLOOD_PIECE)
            self.flooded_bytes += len(_FLOOD_PIECE)


async def _send(writer: asyncio.StreamWriter, content: bytes) -> None:
    writer.write(content)
    await writer.drain()


async def _request(head: bytes, reader: asyncio.StreamReader) -> Seen:
    line, *fields = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    headers = tuple((name, value) for name, _, value in (field.partition(": ") for field in fields))
    named = {name.lower(): value for name, value in headers}
    if named.get("transfer-encoding") == "chunked":
        body = b"".join([piece async for piece in _chunks(reader)])
    else:
        body = await reader.readexactly(int(named.get("content-length", "0")))
    return Seen(line, headers, body)


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while size := int(await reader.readline(), 16):
        yield await reader.readexactly(size)
        await reader.readline()
    await reader.readline()


def _reset(writer: asyncio.StreamWriter) -> None:
    """End the connection with RST in place of FIN, unsent bytes thrown away."""
    no_linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_linger)
    writer.transport.abort()
