"""A vendor client as the gateway builds it, with short limits, and what its vendor may do wrong."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from app.domain.ids import mint_task_id
from app.upstream.client import CallLimits, VendorClient
from app.upstream.keyring import Keyring, VendorKey
from app.upstream.transport import AiohttpTransport
from tests.domain.samples import REQUEST
from tests.support.vendor import VENDOR_KEY

BODY = json.dumps(REQUEST)
KEY = VendorKey.of(VENDOR_KEY)
CANARY = VENDOR_KEY.removeprefix("sk-")

SHORT_S = 0.2
SLACK_S = 1
"""How much later than its deadline a call may return on a busy machine."""


def new_task_id() -> str:
    """Return an id of its own: a send of an earlier one again would be answered with that one."""
    return mint_task_id(1767917446000, secrets.choice)


@dataclass(frozen=True)
class Opened:
    """A client, and the transports that tell whether it let go of its connections."""

    client: VendorClient
    transports: tuple[AiohttpTransport, AiohttpTransport]

    @property
    def in_flight(self) -> int:
        """Connections that are still held by a call."""
        return sum(transport.in_flight for transport in self.transports)


@asynccontextmanager
async def opened(
    url: str, *, timeout_s: float = 5, max_answer_bytes: int = 65_536
) -> AsyncIterator[Opened]:
    """Build a client as the gateway does, with limits of its own."""
    transports = (
        AiohttpTransport(verify=False, max_connections=4, keepalive_s=2),
        AiohttpTransport(verify=False, max_connections=4, keepalive_s=2),
    )
    submits, reports = (
        httpx2.AsyncClient(
            base_url=url,
            transport=transport,
            timeout=httpx2.Timeout(10, connect=1),
            trust_env=False,
            follow_redirects=False,
        )
        for transport in transports
    )
    limits = CallLimits(timeout_s, timeout_s, max_answer_bytes)
    client = VendorClient(submits, reports, Keyring([VENDOR_KEY]), limits)
    try:
        yield Opened(client, transports)
    finally:
        await client.aclose()


def case(mode: str, **params: Any) -> Any:
    """Name a fault of the sandbox as a parameter."""
    words = " ".join(f"{name}={value}" for name, value in params.items())
    return pytest.param(mode, params, id=f"{mode} {words}".strip())


async def timed(call: Any) -> tuple[Any, float]:
    """Return what a call answers and how many seconds it took."""
    loop = asyncio.get_running_loop()
    begun_s = loop.time()
    answer = await call
    return answer, loop.time() - begun_s


WITHIN_THE_DEADLINE = [
    case("commit_then_reset"),
    case("commit_then_close"),
    case("reset"),
    case("close"),
    case("commit_then_status"),
    case("commit_then_status", status=503, retry_after=7),
    case("reject_then_status", status=502),
    case("status", status=500),
    case("status", status=504),
    case("status", status=408),
    case("status", status=425),
    case("status", status=451),
    case("status", status=200),
    case("status", status=201),
    case("status", status=599),
    case("string_generation"),
    case("truncated"),
    case("truncated", bytes=0),
    case("truncated", bytes=65536),
    case("malformed"),
    case("html"),
    case("html", status=400),
    case("html", status=429),
    case("html", status=502),
    *(case("wrong_type", kind=kind) for kind in ("list", "string", "number", "null", "boolean")),
    case("missing_id"),
    *(
        case("bad_id", kind=kind)
        for kind in ("traversal", "crlf", "long", "empty", "number", "null", "foreign")
    ),
    case("huge", mib=64),
    case("gzip_bomb", mib=1),
    case("gzip_bomb", mib=64),
    *(case("redirect", status=status) for status in (301, 302, 303, 307, 308)),
]

PAST_THE_DEADLINE = [
    case("commit_then_hang"),
    case("hang"),
    case("delay", ms=60_000),
    case("slow_drip", bytes=1, interval_ms=20),
    case("slow_drip", bytes=20, interval_ms=150),
]

NO_DOUBT = {"string_generation"}
"""Faults that leave an honest success as it is."""
