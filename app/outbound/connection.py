"""One connection to one address: nothing resolved, reused, decoded or read without bound.

All that is known here of aiohttp is about bounding it; what a send means is told in sender.py.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from functools import cache
from pathlib import Path
from typing import Final

import aiohttp
import httpx2
from aiohttp.abc import AbstractResolver, AbstractStreamWriter, ResolveResult
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

MAX_HEADERS: Final = 100
MAX_HEADER_BYTES: Final = 8190
"""An answer with more headers, or a longer one, is malformed."""

MAX_RECEIVED_BYTES: Final = 131_072
"""So much is taken off a connection, whatever it is; a head may not go on for ever either."""

# The kernel doubles it. What comes in while nobody reads waits there, and no further.
_RECEIVE_BUFFER_BYTES: Final = 8192
_READ_BUFFER_BYTES: Final = 16_384
_PIECE_BYTES: Final = 65_536

# Headers are the caller's business; what aiohttp would add unasked is left out.
_NO_AUTO_HEADERS: Final = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


class AnswerTooLong(aiohttp.ClientError):
    """More came in than any answer needs; the connection is cut."""


class Body(aiohttp.Payload):
    """A request body that notes whom it is written to, and can cut that connection off.

    Closing would first wait for a receiver that has stopped reading.
    """

    def __init__(self, body: bytes) -> None:
        super().__init__(body)
        self.peer = ""
        self._size = len(body)
        self._body = body
        self._transport: asyncio.WriteTransport | None = None

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return the body as text; part of aiohttp's interface."""
        return self._body.decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write the body piece by piece, each when the one before has nearly left."""
        self._transport = writer.transport
        if self._transport is not None:
            self.peer = self._transport.get_extra_info("peername")[0]
        for begin in range(0, len(self._body), _PIECE_BYTES):
            await writer.write(self._body[begin : begin + _PIECE_BYTES])

    def cut(self) -> None:
        """Drop the connection with all that is still in it; repeats safely."""
        if self._transport is not None:
            self._transport.abort()


@cache
def trust(ca_file: Path | None) -> ssl.SSLContext:
    """Trust the system's certificates, and those of the file besides; read once a process.

    Raises:
        OSError: the file cannot be read or holds no certificates.
    """
    context = httpx2.create_ssl_context(trust_env=False)
    context.set_alpn_protocols(["http/1.1"])
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context


def open_session(tls: ssl.SSLContext) -> aiohttp.ClientSession:
    """Open a session that dials addresses only, each connection for one request."""
    connector = _MeteredConnector(
        ssl=tls, resolver=_NoResolver(), limit=0, force_close=True, socket_factory=_open_socket
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        read_bufsize=_READ_BUFFER_BYTES,
        max_line_size=MAX_HEADER_BYTES,
        max_field_size=MAX_HEADER_BYTES,
        max_headers=MAX_HEADERS,
        skip_auto_headers=_NO_AUTO_HEADERS,
        timeout=aiohttp.ClientTimeout(total=None),
    )


class _MeteredConnector(aiohttp.TCPConnector):
    """Counts what comes in on each connection, before anything is parsed."""

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's signature
    ) -> Connection:
        """Connect as aiohttp would, and put the meter between socket and parser."""
        connection = await super().connect(req, traces, timeout)
        protocol, transport = connection.protocol, connection.transport
        if protocol is not None and transport is not None:
            transport.set_protocol(_Meter(protocol, transport))
        return connection


class _Meter(asyncio.Protocol):
    """Hands on what a connection brings, up to a limit, and then ends it.

    aiohttp bounds each line and the headers of one head, but takes heads of the 1xx kind without
    end: a receiver could keep the event loop busy with them until the deadline.
    """

    def __init__(self, parser: asyncio.Protocol, transport: asyncio.Transport) -> None:
        self._parser: asyncio.Protocol | None = parser
        self._transport = transport
        self._left = MAX_RECEIVED_BYTES

    def data_received(self, data: bytes) -> None:
        """Hand on, or cut."""
        self._left -= len(data)
        if self._parser is None:
            return
        if self._left >= 0:
            self._parser.data_received(data)
        else:
            self.connection_lost(AnswerTooLong())
            self._transport.abort()

    def eof_received(self) -> bool | None:
        """Hand on."""
        return None if self._parser is None else self._parser.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Hand on, once."""
        parser, self._parser = self._parser, None
        if parser is not None:
            parser.connection_lost(exc)

    def pause_writing(self) -> None:
        """Hand on."""
        if self._parser is not None:
            self._parser.pause_writing()

    def resume_writing(self) -> None:
        """Hand on."""
        if self._parser is not None:
            self._parser.resume_writing()


class _NoResolver(AbstractResolver):
    """Refuses to look names up: aiohttp is given addresses only, which the guard has judged."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Refuse."""
        raise OSError(f"{host} reached the connection unresolved")

    async def close(self) -> None:
        """Nothing is held."""


def _open_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    family, kind, protocol, _, _ = address
    opened = socket.socket(family, kind, protocol)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
    return opened
