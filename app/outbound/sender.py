"""Send one POST to an address that a tenant gave, and say what came of it.

See docs/adr/0010-own-table-of-denied-addresses.md for how the checked address is the dialled one.
Whatever the other side does is an outcome, never an exception, and is bounded in time and bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import aiohttp
from yarl import URL

from app.domain.targets import PORTS, Target, TargetPolicy
from app.outbound.connection import AnswerTooLong, Body, open_session, trust
from app.outbound.guard import (
    MAX_ADDRESSES,
    AddressRefused,
    Guard,
    NotResolved,
    Resolver,
    SystemResolver,
)

Outcome = Literal[
    "answered",
    "refused_address",
    "not_resolved",
    "not_connected",
    "tls_failed",
    "timed_out",
    "broken_off",
    "malformed",
]
"""What came of a send. With any but `answered` and `broken_off` the receiver may be unaware."""

MAX_ANSWER_BYTES: Final = 65_536
"""So much of an answer's body is read; then the connection is cut."""

MAX_KEPT_BYTES: Final = 4096
"""So much of it is kept; the log of deliveries shows less, cut between two letters."""

_MAX_RETRY_AFTER_CHARS: Final = 100

# In this order: the classes derive from one another, so the narrow come before the wide.
_MEANINGS: Final[tuple[tuple[type[Exception], Outcome, str], ...]] = (
    (AddressRefused, "refused_address", ""),
    (NotResolved, "not_resolved", ""),
    (aiohttp.ClientConnectorCertificateError, "tls_failed", "the certificate is not good"),
    (aiohttp.ClientSSLError, "tls_failed", "no TLS connection could be made"),
    (TimeoutError, "timed_out", "no answer in time"),
    (aiohttp.ClientConnectorError, "not_connected", "no connection could be made"),
    (AnswerTooLong, "malformed", "the answer's head is too long"),
    (aiohttp.ClientResponseError, "malformed", "the answer is not HTTP, or its head is too long"),
    (aiohttp.ServerDisconnectedError, "broken_off", "closed without an answer"),
    (aiohttp.ClientPayloadError, "broken_off", "the answer's body is incomplete"),
    (aiohttp.ClientError, "broken_off", "the connection broke"),
    (OSError, "broken_off", "the connection broke"),
    (ValueError, "malformed", "the answer could not be read"),
)
_FORESEEN: Final = tuple(kind for kind, _, _ in _MEANINGS)


@dataclass(frozen=True, slots=True)
class Attempted:
    """What came of one POST."""

    status: int | None
    """Of the answer's head; with it the outcome is `answered`, however the body went on."""
    outcome: Outcome
    took_ms: int
    retry_after: str
    """The header as it came, if printable and short, else empty."""
    answer: bytes
    """The body's beginning as it came, never decoded, at most `MAX_KEPT_BYTES` of it."""
    peer: str
    """The address that the request went out to, as the socket names it; empty if none did."""
    why: str = ""
    """A sentence for whoever reads the log of deliveries; empty if all went well."""


@dataclass(slots=True)
class _Course:
    """What is known of an attempt that is still under way."""

    headers: Mapping[str, str]
    body: bytes
    status: int | None = None
    retry_after: str = ""
    answer: bytearray = field(default_factory=bytearray)
    peer: str = ""


class Sender:
    """Sends to targets, each time over a new connection to an address judged for it.

    May be built outside an event loop; it belongs to the loop of its first send. `ca_file` holds
    PEM certificates trusted besides the system's. A `resolver` replaces the system's.

    Raises:
        OSError: `ca_file` cannot be read or holds no certificates.
    """

    def __init__(
        self,
        policy: TargetPolicy,
        *,
        timeout_s: float,
        ca_file: Path | None,
        resolver: Resolver | None = None,
    ) -> None:
        self._timeout_s = timeout_s
        self._guard = Guard(policy, resolver or SystemResolver())
        self._ca_file = ca_file
        if ca_file is not None:
            trust(ca_file)
        self._opening = asyncio.Lock()
        self._is_closed = False
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: str, *, headers: Mapping[str, str], body: bytes) -> Attempted:
        """POST `body` once, to be over within the timeout from name to last byte.

        Another address of the name is tried only where nothing was sent to the one before. Path
        and query go out byte for byte, save a question mark with nothing behind it.
        """
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        course = _Course(headers, body)
        outcome: Outcome = "answered"
        why = ""
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._run(url, course)
        except _FORESEEN as failure:
            outcome, why = _meaning(failure)
        return Attempted(
            status=course.status,
            outcome="answered" if course.status is not None else outcome,
            took_ms=round((loop.time() - begun_s) * 1000),
            retry_after=course.retry_after,
            answer=bytes(course.answer),
            peer=course.peer,
            why=why,
        )

    async def aclose(self) -> None:
        """Cut every connection; sends still under way come out as broken off."""
        self._is_closed = True
        if self._session is not None:
            await self._session.close()

    async def _opened(self) -> aiohttp.ClientSession:
        """Return the session; certificates are read at the first send, beside the event loop."""
        async with self._opening:
            if self._session is None:
                tls = await asyncio.to_thread(trust, self._ca_file)
                if not self._is_closed:
                    self._session = open_session(tls)
        if self._session is None or self._is_closed:
            raise ConnectionAbortedError("the sender was closed")
        return self._session

    async def _run(self, url: str, course: _Course) -> None:
        checked = await self._guard.admit(url)
        *others, last = checked.addresses
        for address in others:
            # Nothing has been sent where no connection was made.
            with contextlib.suppress(aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
                return await self._send(checked.target, address, course, patient=False)
        return await self._send(checked.target, last, course, patient=True)

    async def _send(self, target: Target, address: str, course: _Course, *, patient: bool) -> None:
        session = await self._opened()
        body = Body(course.body)
        try:
            # aiohttp gets the address, so it has nothing to resolve; the name it gets to show.
            async with session.post(
                _at(target, address),
                headers={"Host": _shown_host(target), **course.headers},
                data=body,
                allow_redirects=False,
                server_hostname=target.host,
                timeout=aiohttp.ClientTimeout(
                    sock_connect=None if patient else self._timeout_s / MAX_ADDRESSES,
                    ceil_threshold=math.inf,
                ),
            ) as answer:
                await _take(answer, course)
        finally:
            course.peer = body.peer
            body.cut()


async def _take(answer: aiohttp.ClientResponse, course: _Course) -> None:
    course.status = answer.status
    retry_after = answer.headers.get("Retry-After", "")
    if retry_after.isascii() and retry_after.isprintable():
        course.retry_after = retry_after[:_MAX_RETRY_AFTER_CHARS]
    left = MAX_ANSWER_BYTES
    while left and (piece := await answer.content.read(left)):
        course.answer += piece[: MAX_KEPT_BYTES - len(course.answer)]
        left -= len(piece)
    # Leaving an unread answer open, aiohttp would first try to read the rest.
    answer.close()


def _meaning(failure: Exception) -> tuple[Outcome, str]:
    # A connect is refused or goes unanswered; reset is what comes of a broken handshake.
    reason = failure.os_error if isinstance(failure, aiohttp.ClientConnectorError) else None
    if isinstance(reason, ConnectionResetError):
        return "tls_failed", "the TLS handshake was broken off"
    outcome, why = next((to, text) for kind, to, text in _MEANINGS if isinstance(failure, kind))
    if isinstance(failure, aiohttp.ClientConnectorCertificateError):
        # What OpenSSL says of a certificate is the one thing that helps its owner.
        said = getattr(failure.certificate_error, "verify_message", "")
        return outcome, f"{why}: {said}" if said else why
    return outcome, why or str(failure)


def _at(target: Target, address: str) -> URL:
    """Put the address in the name's place, and leave the rest as it is, byte for byte."""
    host = f"[{address}]" if ":" in address else address
    return URL(f"{target.scheme}://{host}:{target.port}{target.rest}", encoded=True)


def _shown_host(target: Target) -> str:
    host = f"[{target.host}]" if ":" in target.host else target.host
    return host if target.port == PORTS[target.scheme] else f"{host}:{target.port}"
