"""A receiver that answers by a script, and listeners that nobody should ever reach."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Self

import psutil

Script = Callable[[asyncio.StreamWriter], Awaitable[None]]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass(frozen=True, slots=True)
class Received:
    """One request, and between which addresses it came."""

    line: str
    headers: dict[str, str]
    body: bytes
    at: str
    sender: str


class Receiver:
    """Reads one request a connection and lets a script, or fixed bytes, answer; then closes."""

    def __init__(self, answer: bytes | Script = OK, *, host: str = "127.0.0.1", port: int = 0):
        self._answer = answer
        self._host = host
        self.port = port
        self.connections = 0
        self.received: list[Received] = []
        self._serving: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{self._host}:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, self._host, self.port, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self._serving.copy():
            writer.transport.abort()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._serving.add(writer)
        # A small buffer, so that what was written is nearly what was read.
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                self.received.append(await _request(reader, writer))
                if isinstance(self._answer, bytes):
                    writer.write(self._answer)
                    await writer.drain()
                else:
                    await self._answer(writer)
        finally:
            self._serving.discard(writer)
            writer.close()


async def _request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Received:
    head = await reader.readuntil(b"\r\n\r\n")
    line, *fields = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    headers = {name.lower(): value for name, _, value in (each.partition(": ") for each in fields)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    at, sender = (writer.get_extra_info(name)[0] for name in ("sockname", "peername"))
    return Received(line, headers, body, at, sender)


class Canaries:
    """Listens on every address of this machine, and tells whether anyone came.

    On the ports that a forbidden send would use, where this user may listen there.
    """

    def __init__(self, *ports: int) -> None:
        self._ports = ports
        self.listening: list[socket.socket] = []

    def __enter__(self) -> Self:
        for address in own_addresses():
            for port in self._ports:
                with contextlib.suppress(OSError):
                    self.listening.append(_listen(address, port))
        return self

    def __exit__(self, *_: object) -> None:
        for each in self.listening:
            each.close()

    def visitors(self) -> list[tuple[Any, Any]]:
        """Return who came, and where to."""
        found = []
        for each in self.listening:
            with contextlib.suppress(BlockingIOError):
                visitor, came_from = each.accept()
                found.append((visitor.getsockname(), came_from))
                visitor.close()
        return found


def own_addresses() -> list[str]:
    """Return every address of every network of this machine, and two more of loopback."""
    found = [
        address.address.partition("%")[0]
        for addresses in psutil.net_if_addrs().values()
        for address in addresses
        if address.family in (socket.AF_INET, socket.AF_INET6)
    ]
    return list(dict.fromkeys([*found, "127.0.0.1", "127.0.0.53"]))


def _listen(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind((address, port))
        opened.listen(256)
        opened.setblocking(False)
    except OSError:
        opened.close()
        raise
    return opened


_OWN = frozenset(own_addresses())
_watching: list[list[Any]] = []


def _note(event: str, args: tuple[Any, ...]) -> None:
    if event != "socket.connect" or not _watching:
        return
    _watching[-1].append(args[1])
    address = str(args[1][0])
    if address not in _OWN and not ip_address(address).is_loopback:
        raise PermissionError(f"{args[1]} was dialled, but no test calls anyone outside")


# Python asks audit hooks before each connect of this process.
sys.addaudithook(_note)


@contextlib.contextmanager
def dialled() -> Iterator[list[Any]]:
    """Note every address that this process dials, reached or not; none outside is reached."""
    _watching.append([])
    try:
        yield _watching[-1]
    finally:
        _watching.pop()
