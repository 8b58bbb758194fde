"""Web pages at the gateway: what a browser sends for them, and tokens for them to hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx2

from app.domain.tenant import TenantChange
from tests.api.asking import bearer
from tests.support.bed import Bed
from tests.support.tenant_keys import act

APP = "https://app.example.com"
"""The origin of the page that most of these tests are about."""

CORS_PREFIX = "access-control-"


async def allow(bed: Bed, tenant_id: str, *origins: str) -> None:
    """Let pages of these origins, and no others, call for a tenant; it is known from then on."""
    change = TenantChange.read({"origins": list(origins)})
    await bed.gateway.store.tenants.change(
        tenant_id, change, act(tenant_id, at_ms=bed.clock.now_ms())
    )
    bed.clock.advance_ms(1_000)


async def ask_to_mint(bed: Bed, key: str, wish: Any = None, *more: Any) -> httpx2.Response:
    """Ask for a token."""
    headers = [bearer(key), *more]
    return await bed.http.post("/v1/tokens", json={} if wish is None else wish, headers=headers)


async def minted(bed: Bed, key: str, **wish: Any) -> dict[str, Any]:
    """Return what is told of a token that must be minted."""
    answer = await ask_to_mint(bed, key, wish)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def token(bed: Bed, key: str, **wish: Any) -> str:
    """Return a new token of a key."""
    return str((await minted(bed, key, **wish))["token"])


@dataclass(frozen=True, slots=True)
class Page:
    """A page of an origin in a browser, which asks before it calls."""

    bed: Bed
    origin: str = APP

    async def ask_first(self, method: str, path: str) -> httpx2.Response:
        """Send the preflight of a call."""
        headers = {
            "origin": self.origin.encode("utf-8"),
            "access-control-request-method": method,
            "access-control-request-headers": "authorization,content-type",
        }
        return await self.bed.http.request("OPTIONS", path, headers=headers)

    async def call(self, key: str, method: str, path: str, **more: Any) -> httpx2.Response:
        """Send the call itself."""
        headers = [bearer(key), ("origin", self.origin.encode("utf-8"))]
        return await self.bed.http.request(method, path, headers=headers, **more)


def told_to_pages(answer: httpx2.Response) -> dict[str, str]:
    """Return the headers of an answer that tell a browser what a page may do."""
    return {
        name.removeprefix(CORS_PREFIX): value
        for name, value in answer.headers.items()
        if name.startswith(CORS_PREFIX)
    }
