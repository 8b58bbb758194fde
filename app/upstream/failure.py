"""Decide from a failure alone whether the request behind it can have reached the vendor.

A paid POST may be sent again, or its hold released, only when this is certain. So the question is
put the safe way round: a short list of root causes that exclude a send, and doubt for all the rest.
"""

from __future__ import annotations

import asyncio
import socket

import aiohttp
import anyio
import httpcore2
import httpx2


class SendNotStarted(Exception):
    """One of our own guards gave up before the request was handed to the HTTP client.

    What is true afterwards: nothing was sent, and no connection was asked for.
    """


# Each of these is raised only while a connection is waited for or made, so it is proof by itself.
_PROOFS = (
    SendNotStarted,
    httpx2.PoolTimeout,
    httpcore2.PoolTimeout,
    aiohttp.ClientConnectorError,  # its subclasses are name resolution, TLS and certificates
    aiohttp.ConnectionTimeoutError,
    socket.gaierror,
    ConnectionRefusedError,
)

# httpcore2 names the phase and keeps the reason from below beside it; it takes both.
_PROOFS_WITH_REASON = (httpcore2.ConnectError, httpcore2.ConnectTimeout)

# These say "not connected", but any transport can say so of anything: only the cause counts.
_CLAIMS = (httpx2.ConnectError, httpx2.ConnectTimeout)

_SYSTEM_REASONS = (
    OSError,  # TLS errors and timeouts are among its subclasses
    asyncio.CancelledError,  # how asyncio.timeout ends what it interrupts
    anyio.EndOfStream,
    anyio.BrokenResourceError,
)


def surely_not_sent(failure: BaseException) -> bool:
    """Tell whether `failure` excludes that any byte of the request left this process.

    Every link of the `__cause__` chain has to be known. An unknown one means doubt, even around a
    proof: a wrapper may stand for several attempts and show the cause of the last one only.
    """
    proven = False
    seen: set[int] = set()
    link: BaseException | None = failure
    while link is not None:
        if id(link) in seen:
            return False
        seen.add(id(link))
        if _is_proof(link):
            proven = True
        elif not (isinstance(link, _CLAIMS) or (proven and _is_system_reason(link))):
            return False
        link = _cause(link)
    return proven


def _is_proof(link: BaseException) -> bool:
    if isinstance(link, _PROOFS_WITH_REASON):
        reason = _cause(link)
        return reason is not None and _is_system_reason(reason)
    return isinstance(link, _PROOFS)


def _cause(link: BaseException) -> BaseException | None:
    # httpcore2's pool re-raises `from None`, but the reason is still the exception's only argument.
    if link.__cause__ is None and isinstance(link, _PROOFS_WITH_REASON):
        return next((each for each in link.args if isinstance(each, BaseException)), None)
    return link.__cause__


def _is_system_reason(link: BaseException) -> bool:
    """Tell whether `link` comes from below the HTTP libraries: system, TLS, timer."""
    if isinstance(link, BaseExceptionGroup):  # one member per address tried
        return all(_is_system_reason(member) for member in link.exceptions)
    # aiohttp's own errors partly derive from OSError, those about a lost answer among them.
    return isinstance(link, _SYSTEM_REASONS) and not isinstance(link, aiohttp.ClientError)
