"""A receiver of webhooks on loopback: answers as a test says, and keeps every request."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

_BACKLOG = 4096


@dataclass(frozen=True, slots=True)
class Received:
    """One request, whole; `nth` counts those of the same message at the same path, from 1."""

    path: str
    headers: dict[str, str]
    body: bytes
    at_s: float
    nth: int

    @property
    def message_id(self) -> str:
        """The id of its message."""
        return self.headers.get("webhook-id", "")


@dataclass(frozen=True, slots=True)
class Reply:
    """What a request is met with."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    way: Literal["answer", "hang", "reset", "close"] = "answer"
    after_s: float = 0

    def wire(self) -> bytes:
        """Return the answer as it is sent."""
        named = (*self.headers, ("content-length", str(len(self.body))), ("connection", "close"))
        lines = [f"HTTP/1.1 {self.status} -", *(f"{name}: {value}" for name, value in named)]
        return "\r\n".join([*lines, "", ""]).encode("ascii") + self.body


OK = Reply()
HANG = Reply(way="hang")
RESET = Reply(way="reset")
GONE = Reply(410)
FAULTY = Reply(500, body=b"out of order")

Rule = Callable[[Received], Reply]


@dataclass
class ReceiverServer:
    """What the receiver got, and the rule by which it answers."""

    port: int
    rule: Rule = lambda _: OK
    journal: list[Received] = field(default_factory=list)
    accepted: list[Received] = field(default_factory=list)
    _seen: dict[tuple[str, str], int] = field(default_factory=dict)
    _at_work: set[asyncio.Task[Any]] = field(default_factory=set)
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    def url(self, path: str = "/hook") -> str:
        """Return an address of this receiver."""
        return f"http://127.0.0.1:{self.port}{path}"

    def at(self, path: str) -> list[Received]:
        """Return what came to one path."""
        return [each for each in self.journal if each.path == path]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read one request and meet it with what the rule says."""
        task = asyncio.current_task()
        assert task is not None
        self._at_work.add(task)
        task.add_done_callback(self._at_work.discard)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._meet(await self._read(reader), writer)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _read(self, reader: asyncio.StreamReader) -> Received:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.split("\r\n")
        named = (line.partition(":") for line in lines if line)
        headers = {name.lower(): value.strip() for name, _, value in named}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        path = first.split(" ")[1]
        place = (path, headers.get("webhook-id", ""))
        self._seen[place] = self._seen.get(place, 0) + 1
        return Received(path, headers, body, time.monotonic(), self._seen[place])

    async def _meet(self, request: Received, writer: asyncio.StreamWriter) -> None:
        # Before anything else: a sender that dies at this moment may have been heard.
        self.journal.append(request)
        reply = self.rule(request)
        match reply.way:
            case "answer":
                await asyncio.sleep(reply.after_s)
                if 200 <= reply.status < 300:
                    self.accepted.append(request)
                writer.write(reply.wire())
                await writer.drain()
            case "hang":
                await self._over.wait()
            case "reset":
                plain: socket.socket = writer.get_extra_info("socket")
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            case "close":
                pass

    async def end(self) -> None:
        """Break off whatever still hangs, and let nothing hang any more."""
        self._over.set()
        if self._at_work:
            await asyncio.wait(self._at_work)


@asynccontextmanager
async def open_receiver() -> AsyncIterator[ReceiverServer]:
    """Listen on a free port of loopback for the time of the block."""
    receiver = ReceiverServer(0)
    server = await asyncio.start_server(
        lambda reader, writer: receiver.serve(reader, writer), "127.0.0.1", 0, backlog=_BACKLOG
    )
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        await receiver.end()
        await server.wait_closed()
