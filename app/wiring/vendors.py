"""The vendors: the live one under its keys, and the built-in sandbox of test keys."""

from __future__ import annotations

import httpx2

from app.clock import Clock
from app.sandbox import SandboxOptions, create_sandbox
from app.settings import Settings
from app.upstream.client import CallLimits, VendorClient
from app.upstream.keyring import Keyring
from app.upstream.transport import AiohttpTransport

_SANDBOX_KEY = "sk-built-in-sandbox"
_POOL_RESERVE = 64
"""Connections beyond our own bound on calls, so that no call ever waits for the pool."""


def _call_limits(settings: Settings) -> CallLimits:
    return CallLimits(
        submit_timeout_s=settings.vendor.submit_timeout_s,
        report_timeout_s=settings.vendor.report_timeout_s,
        max_answer_bytes=settings.vendor.max_answer_bytes,
    )


def live_vendor(settings: Settings, keys: tuple[str, ...]) -> VendorClient:
    """Connect nothing yet: the first call opens the first connection."""
    vendor = settings.vendor
    # Reading the trust store takes long; both pools share it, and plain http needs none.
    tls = vendor.base_url.startswith("https") and httpx2.create_ssl_context(trust_env=False)

    def pool(calls: int, total_s: float, keepalive_s: float) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            base_url=vendor.base_url,
            transport=AiohttpTransport(
                verify=tls, max_connections=calls + _POOL_RESERVE, keepalive_s=keepalive_s
            ),
            timeout=httpx2.Timeout(total_s, connect=vendor.connect_timeout_s),
            trust_env=False,
            follow_redirects=False,
        )

    return VendorClient(
        # The longer a connection idles, the likelier it closes just as a create goes out.
        submits=pool(vendor.max_in_flight, vendor.submit_timeout_s, keepalive_s=2),
        reports=pool(settings.poll.concurrency, vendor.report_timeout_s, keepalive_s=15),
        keys=Keyring(keys),
        limits=_call_limits(settings),
    )


def sandbox_vendor(settings: Settings, clock: Clock) -> VendorClient:
    """The vendor of test keys: the stateless imitation, in this process."""
    sandbox = create_sandbox(
        SandboxOptions(keys=(_SANDBOX_KEY,), stateless=True), now_ms=clock.now_ms
    )

    def pool() -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            base_url="http://sandbox.invalid",
            transport=httpx2.ASGITransport(app=sandbox),
            trust_env=False,
        )

    return VendorClient(
        submits=pool(), reports=pool(), keys=Keyring([_SANDBOX_KEY]), limits=_call_limits(settings)
    )
