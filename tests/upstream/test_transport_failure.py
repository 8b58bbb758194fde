"""The table of what proves that a request was not sent, and of what does not."""

from __future__ import annotations

import asyncio
import itertools
import socket
import ssl

import aiohttp
import anyio
import httpcore2
import httpx2
import pytest
from aiohttp.client_reqrep import ConnectionKey

from app.upstream.failure import SendNotStarted, surely_not_sent

KEY = ConnectionKey("vendor.example.com", 443, True, True, None, None, None)
REFUSED = ConnectionRefusedError(111, "Connection refused")
UNKNOWN_NAME = socket.gaierror(-2, "Name or service not known")
BAD_CERTIFICATE = ssl.SSLCertVerificationError(1, "self-signed certificate")


class SlotsTaken(SendNotStarted):
    """A guard of a caller, told by its own name."""


class SomeLibraryError(Exception):
    """An error class this code has never heard of."""


class SomeSystemError(OSError):
    """An operating system error in a class of its own."""


def chain(*links: BaseException) -> BaseException:
    """Make each exception the cause of the one before it."""
    for outer, inner in itertools.pairwise(links):
        outer.__cause__ = inner
    return links[0]


def case(name: str, *links: BaseException):
    """Name one row of a table by its chain."""
    return pytest.param(chain(*links), id=name)


NOT_SENT = [
    case("own guard", SendNotStarted("no slot")),
    case("own guard, by another name", SlotsTaken("no slot")),
    case("own guard after a wait", SendNotStarted("no slot"), TimeoutError()),
    case("own pool", httpx2.PoolTimeout("busy")),
    case("own pool after a wait", httpx2.PoolTimeout("busy"), TimeoutError()),
    case(
        "aiohttp: name",
        httpx2.ConnectError("no"),
        aiohttp.ClientConnectorDNSError(KEY, UNKNOWN_NAME),
        UNKNOWN_NAME,
    ),
    case(
        "aiohttp: refused",
        httpx2.ConnectError("no"),
        aiohttp.ClientConnectorError(KEY, REFUSED),
        REFUSED,
    ),
    case("aiohttp: refused, bare", aiohttp.ClientConnectorError(KEY, REFUSED)),
    case(
        "aiohttp: certificate",
        httpx2.ConnectError("no"),
        aiohttp.ClientConnectorCertificateError(KEY, BAD_CERTIFICATE),
        BAD_CERTIFICATE,
    ),
    case(
        "aiohttp: handshake",
        httpx2.ConnectError("no"),
        aiohttp.ClientConnectorSSLError(KEY, ssl.SSLError(1, "wrong version number")),
    ),
    case(
        "aiohttp: reset within the handshake",
        httpx2.ConnectError("no"),
        aiohttp.ClientConnectorError(KEY, ConnectionResetError(104, "reset")),
        ConnectionResetError(104, "reset"),
    ),
    case(
        "aiohttp: connect timeout",
        httpx2.ConnectTimeout("late"),
        aiohttp.ConnectionTimeoutError("late"),
        TimeoutError(),
        asyncio.CancelledError(),
    ),
    case("httpcore: pool", httpx2.PoolTimeout("busy"), httpcore2.PoolTimeout(), TimeoutError()),
    case("httpcore: refused", httpx2.ConnectError("no"), httpcore2.ConnectError(), OSError(111)),
    case(
        "httpcore: every address refused",
        httpx2.ConnectError("no"),
        httpcore2.ConnectError(),
        OSError("All connection attempts failed"),
        ExceptionGroup("one per address", [REFUSED, OSError(113, "No route to host")]),
    ),
    case("httpcore: name", httpx2.ConnectError("no"), httpcore2.ConnectError(), UNKNOWN_NAME),
    case("httpcore: TLS", httpx2.ConnectError("no"), httpcore2.ConnectError(), ssl.SSLError()),
    case(
        "httpcore: refused, as its pool raises it",
        httpx2.ConnectError("no"),
        httpcore2.ConnectError(REFUSED),
    ),
    case(
        "httpcore: closed within the handshake",
        httpx2.ConnectError("no"),
        httpcore2.ConnectError(),
        anyio.EndOfStream(),
    ),
    case(
        "httpcore: connect timeout",
        httpx2.ConnectTimeout("late"),
        httpcore2.ConnectTimeout(),
        TimeoutError(),
    ),
    case("refused, no library in between", httpx2.ConnectError("no"), REFUSED),
]

IN_DOUBT = [
    case("connect error without a cause", httpx2.ConnectError("no")),
    case("connect timeout without a cause", httpx2.ConnectTimeout("late")),
    case("connect error of unknown cause", httpx2.ConnectError("no"), SomeLibraryError()),
    case("connect error from a bare timeout", httpx2.ConnectTimeout("late"), TimeoutError()),
    case("connect error from a bare OSError", httpx2.ConnectError("no"), OSError(104, "reset")),
    case("connect error from a bare TLS error", httpx2.ConnectError("no"), ssl.SSLError()),
    case("httpcore without a reason", httpx2.ConnectError("no"), httpcore2.ConnectError()),
    case("httpcore: words only", httpx2.ConnectError("no"), httpcore2.ConnectError("refused")),
    case(
        "httpcore: unknown reason, as its pool raises it",
        httpx2.ConnectError("no"),
        httpcore2.ConnectError(SomeLibraryError()),
    ),
    case(
        "httpcore for an unknown reason",
        httpx2.ConnectError("no"),
        httpcore2.ConnectError(),
        SomeLibraryError(),
    ),
    case(
        "what httpx-aiohttp makes of a server that read and closed",
        httpx2.ConnectTimeout("late"),
        aiohttp.ServerDisconnectedError(),
    ),
    case("pool timeout over a lost answer", httpx2.PoolTimeout("?"), aiohttp.ClientOSError(104)),
    case("guard over a lost answer", SendNotStarted("?"), aiohttp.ServerDisconnectedError()),
    case(
        "connect timeout over a lost answer",
        httpx2.ConnectTimeout("late"),
        aiohttp.ConnectionTimeoutError(),
        aiohttp.SocketTimeoutError(),
    ),
    case(
        "one address of several failed in an unknown way",
        httpx2.ConnectError("no"),
        httpcore2.ConnectError(),
        OSError("All connection attempts failed"),
        ExceptionGroup("one per address", [REFUSED, SomeLibraryError()]),
    ),
    case("read timeout", httpx2.ReadTimeout("late"), aiohttp.SocketTimeoutError(), TimeoutError()),
    case("read timeout over a proof", httpx2.ReadTimeout("late"), httpx2.PoolTimeout("busy")),
    case("write error over a refusal", httpx2.WriteError("broke"), REFUSED),
    case("write timeout", httpx2.WriteTimeout("late"), TimeoutError()),
    case("closed", httpx2.RemoteProtocolError("closed"), aiohttp.ServerDisconnectedError()),
    case("reset", httpx2.ReadError("broke"), aiohttp.ClientOSError(104, "reset")),
    case("httpcore: closed", httpx2.RemoteProtocolError("?"), httpcore2.RemoteProtocolError()),
    case("truncated", httpx2.RemoteProtocolError("?"), aiohttp.ClientPayloadError()),
    case("any transport error", httpx2.TransportError("?")),
    case("a wrapper, perhaps of several attempts", SomeLibraryError(), httpx2.PoolTimeout("busy")),
    case("a system error around a proof", OSError("gave up"), httpx2.PoolTimeout("busy")),
    case("several at once", ExceptionGroup("some", [httpx2.PoolTimeout("busy")])),
    case("cancelled", asyncio.CancelledError()),
    case("deadline passed", TimeoutError(), asyncio.CancelledError()),
    case("reset, no library around", ConnectionResetError(104, "reset")),
    case("system error of unknown class", SomeSystemError(111)),
    case("interrupted", KeyboardInterrupt()),
]


@pytest.mark.parametrize("failure", NOT_SENT)
def test_a_proof_that_nothing_was_sent(failure):
    """Root causes that lie before the first byte of a request."""
    assert surely_not_sent(failure)


@pytest.mark.parametrize("failure", IN_DOUBT)
def test_everything_else_is_doubt(failure):
    """Whatever the outermost class says, only a known root cause counts."""
    assert not surely_not_sent(failure)


@pytest.mark.parametrize("length", [1, 2, 3])
def test_causes_that_lead_back_to_themselves_are_doubt(length):
    """A circle has no root cause; it is left, not walked for ever."""
    links = [httpx2.PoolTimeout("busy") for _ in range(length)]
    chain(*links)
    links[-1].__cause__ = links[0]

    assert not surely_not_sent(links[0])


def test_what_was_handled_before_does_not_count():
    """Only causes are followed: an error raised while another was handled is its own matter."""
    failure = httpx2.ConnectError("no")
    failure.__context__ = httpx2.PoolTimeout("busy")

    assert not surely_not_sent(failure)
