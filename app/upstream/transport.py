"""Carry httpx2 requests over aiohttp's connections, and say honestly how far each one got.

See docs/adr/0002-http-client-and-transport.md for why this is neither httpx2's own pool nor a
ready-made bridge. The promise that matters: `ConnectError`, `ConnectTimeout` and `PoolTimeout` are
raised only before the first byte of a request was written, and no request is ever sent twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import select
import ssl
import weakref
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import aiohttp
import httpx2
from aiohttp.abc import AbstractStreamWriter
from aiohttp.connector import Connection
from aiohttp.tracing import Trace
from yarl import URL

# Per connection aiohttp holds up to twice this much of an answer nobody has read yet.
_READ_BUFFER_BYTES = 64 * 1024

# Headers are the caller's business; what aiohttp would add unasked is left out.
_NO_AUTO_HEADERS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")

# In this order: aiohttp's classes derive from one another, so the narrow come before the wide.
_MEANINGS: tuple[tuple[type[Exception], type[httpx2.TransportError], str], ...] = (
    (aiohttp.ConnectionTimeoutError, httpx2.ConnectTimeout, "not connected in time"),
    (aiohttp.ClientConnectorError, httpx2.ConnectError, "no connection could be made"),
    (TimeoutError, httpx2.ReadTimeout, "the server stayed silent for too long"),
    (aiohttp.ServerDisconnectedError, httpx2.RemoteProtocolError, "closed without an answer"),
    (aiohttp.ClientPayloadError, httpx2.RemoteProtocolError, "the answer's body is incomplete"),
    (aiohttp.NonHttpUrlClientError, httpx2.UnsupportedProtocol, "not an http or https address"),
    (aiohttp.InvalidURL, httpx2.LocalProtocolError, "not a usable address"),
    (OSError, httpx2.ReadError, "the connection broke"),
    (Exception, httpx2.TransportError, "the request failed in an unforeseen way"),
)


class AiohttpTransport(httpx2.AsyncBaseTransport):
    """An httpx2 transport whose cost per request does not grow with the number of connections.

    HTTP/1.1 only; no redirects, cookies, proxies, environment, decoding or repeats. `verify` is a
    TLS context (its ALPN list becomes `http/1.1`), True for the system's trust store or False for
    none. `keepalive_s` bounds how long an idle connection is kept; 0 closes each after its answer.
    May be built outside an event loop; it belongs to the loop of its first request.
    """

    def __init__(
        self, *, verify: ssl.SSLContext | bool = True, max_connections: int, keepalive_s: float
    ) -> None:
        self._tls = httpx2.create_ssl_context(verify, trust_env=False)
        self._tls.set_alpn_protocols(["http/1.1"])
        self._keepalive_s = keepalive_s
        self._slots = asyncio.Semaphore(max_connections)
        self._in_flight = 0
        self._session: aiohttp.ClientSession | None = None

    @property
    def in_flight(self) -> int:
        """Requests that hold a connection: sent, or answered and not yet closed."""
        return self._in_flight

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send `request` once; the answer's body is still on the wire when this returns.

        Raises:
            PoolTimeout, ConnectTimeout, ConnectError: nothing was sent.
            TransportError: any other subclass; the server may have read and acted on the request.
        """
        limits_s: Mapping[str, float | None] = request.extensions.get("timeout", {})
        await self._take_slot(limits_s.get("pool"))
        with contextlib.ExitStack() as held:
            held.callback(self._free_slot)
            with _translated():
                answer = await self._send(request, limits_s)
            held.callback(answer.close)
            return httpx2.Response(
                answer.status,
                headers=answer.raw_headers,
                stream=_AnswerBody(answer, held.pop_all()),
                extensions=_extensions(answer),
            )

    async def aclose(self) -> None:
        """Close every connection; requests still in flight fail."""
        if self._session is not None:
            await self._session.close()

    async def _take_slot(self, pool_s: float | None) -> None:
        # aiohttp counts the wait for its pool as part of connecting. Our own gate in front of an
        # unbounded pool keeps the two apart.
        try:
            async with asyncio.timeout(pool_s):
                await self._slots.acquire()
        except TimeoutError as expired:
            raise httpx2.PoolTimeout("every connection stayed busy") from expired
        self._in_flight += 1

    def _free_slot(self) -> None:
        self._in_flight -= 1
        self._slots.release()

    async def _send(
        self, request: httpx2.Request, limits_s: Mapping[str, float | None]
    ) -> aiohttp.ClientResponse:
        if self._session is None:
            self._session = self._open_session()
        return await self._session.request(
            request.method,
            _address(request.url),
            headers=_headers(request.headers),
            data=await _body(request, limits_s.get("write")),
            allow_redirects=False,
            server_hostname=request.extensions.get("sni_hostname"),
            timeout=aiohttp.ClientTimeout(
                # Name resolution, TCP and TLS together; without the threshold aiohttp rounds
                # anything above 5 s up to a whole second.
                connect=limits_s.get("connect"),
                sock_read=limits_s.get("read"),
                ceil_threshold=math.inf,
            ),
        )

    def _open_session(self) -> aiohttp.ClientSession:
        connector = _WatchfulConnector(
            ssl=self._tls,
            resolver=aiohttp.ThreadedResolver(),
            limit=0,
            keepalive_timeout=self._keepalive_s or None,
            force_close=not self._keepalive_s,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            read_bufsize=_READ_BUFFER_BYTES,
            skip_auto_headers=_NO_AUTO_HEADERS,
            middlewares=(_send_once,),
        )


class _WatchfulConnector(aiohttp.TCPConnector):
    """Reuses a kept-alive connection only while the server has stayed silent on it.

    aiohttp asks only whether the socket still looks open. A hang-up the event loop has not seen
    yet would turn a good request into one in doubt, and an answer nobody asked for would be taken
    for the answer to the next request, possibly another tenant's.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._used: weakref.WeakSet[asyncio.BaseProtocol] = weakref.WeakSet()

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's signature
    ) -> Connection:
        """Take a connection as aiohttp would, passing over those the server has touched."""
        while True:
            connection = await super().connect(req, traces, timeout)
            protocol = connection.protocol
            if protocol is not None and protocol not in self._used:
                self._used.add(protocol)
                return connection
            if not _has_news(connection):
                return connection
            connection.close()


class _AnswerBody(httpx2.AsyncByteStream):
    """The undecoded body of one answer; closing it early drops the connection, undrained."""

    def __init__(self, answer: aiohttp.ClientResponse, held: contextlib.ExitStack) -> None:
        self._answer = answer
        self._held = held

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _translated():
            async for piece in self._answer.content.iter_any():
                yield piece

    async def aclose(self) -> None:
        """Give connection and slot back; repeats safely and never waits, so no cancel gets in."""
        self._held.close()


class _RequestBody(aiohttp.Payload):
    """A request body each piece of which has to leave within the write timeout.

    aiohttp has no such timeout of its own: a server that stops reading would hold the request
    until the caller gives up.
    """

    def __init__(self, pieces: httpx2.AsyncByteStream, write_s: float | None) -> None:
        super().__init__(pieces)
        self._pieces = pieces
        self._write_s = write_s

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Refuse: the body is not held in memory, and nothing here needs it as text."""
        raise TypeError("a streamed body has no text")

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write the body, or abort the connection: closing would wait for a server not reading."""
        is_whole = False
        try:
            async for piece in self._pieces:
                await self._write_piece(writer, piece)
            is_whole = True
        finally:
            if not is_whole and writer.transport is not None:
                writer.transport.abort()

    async def _write_piece(self, writer: AbstractStreamWriter, piece: bytes) -> None:
        try:
            async with asyncio.timeout(self._write_s):
                await writer.write(piece)
                await writer.drain()
        except TimeoutError as expired:
            raise httpx2.WriteTimeout("the server stopped reading the request") from expired
        except OSError as failure:
            raise httpx2.WriteError("the connection broke while writing") from failure


async def _send_once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    # aiohttp repeats GET, PUT and DELETE after its own disconnect errors. Translating inside the
    # session leaves it nothing it would repeat on; POST it does not repeat in any case.
    with _translated():
        return await handler(request)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except httpx2.TransportError:
        raise
    except aiohttp.ClientResponseError as failure:
        # It carries the request's headers, the vendor key among them; its cause does not.
        raise httpx2.RemoteProtocolError("the answer is not HTTP") from failure.__cause__
    except Exception as failure:
        kind, meaning = _meaning(failure)
        raise kind(meaning) from failure


def _meaning(failure: Exception) -> tuple[type[httpx2.TransportError], str]:
    # What `_RequestBody` raised comes back wrapped by aiohttp's writer task.
    if isinstance(failure.__cause__, httpx2.WriteError | httpx2.WriteTimeout):
        return type(failure.__cause__), str(failure.__cause__)
    return next((to, text) for kind, to, text in _MEANINGS if isinstance(failure, kind))


def _has_news(connection: Connection) -> bool:
    """Tell whether the server sent something, or hung up, while the connection was idle."""
    protocol, transport = connection.protocol, connection.transport
    if protocol is None or transport is None or protocol.should_close:
        return True
    watch = select.poll()
    watch.register(transport.get_extra_info("socket"), select.POLLIN)
    return bool(watch.poll(0))


def _address(url: httpx2.URL) -> URL:
    """Rebuild `url` byte for byte, without user and password: httpx2 made those a header."""
    text = b"%b://%b%b" % (url.raw_scheme, url.netloc, url.raw_path)
    return URL(text.decode("ascii"), encoded=True)


def _headers(headers: httpx2.Headers) -> list[tuple[str, str]]:
    """Pass headers on as they are, save the framing, which aiohttp decides and writes itself."""
    return [
        (name.decode("ascii"), value.decode("utf-8"))
        for name, value in headers.raw
        if name.lower() != b"transfer-encoding"
    ]


async def _body(request: httpx2.Request, write_s: float | None) -> _RequestBody | None:
    if isinstance(request.stream, httpx2.ByteStream) and not await request.aread():
        return None
    if not isinstance(request.stream, httpx2.AsyncByteStream):
        raise TypeError("an asynchronous client sends asynchronous bodies only")
    return _RequestBody(request.stream, write_s)


def _extensions(answer: aiohttp.ClientResponse) -> dict[str, bytes]:
    version = answer.version or aiohttp.HttpVersion11
    return {
        "http_version": b"HTTP/%d.%d" % (version.major, version.minor),
        "reason_phrase": (answer.reason or "").encode("ascii", "ignore"),
    }
