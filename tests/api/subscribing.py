"""A service that is told of its tasks: one key, and every route of webhooks by its name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx2

from tests.api.asking import bearer
from tests.flows.delivering import running_engine
from tests.support.answers import error_of
from tests.support.bed import Bed
from tests.support.hooks import LOOPBACK

WEBHOOKS = "/v1/webhooks"
UNKNOWN_WEBHOOK = "we_0123456789abcdef"
"""An id of the right shape that nobody was given."""

URL = "https://example.com/hooks/videos"
REACHABLE: dict[str, Any] = {"webhook": LOOPBACK}
"""Settings of a gateway that may call the receivers of these tests."""

SECRET = "whsec_" + "A" * 32
"""A signing secret of 24 bytes, the shortest there may be."""

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Subscriber:
    """Whoever holds a key of a tenant."""

    bed: Bed
    key: str

    async def ask(self, method: str, path: str = "", **more: Any) -> httpx2.Response:
        """Send any request to a path below that of webhooks."""
        headers = [bearer(self.key), *more.pop("headers", [])]
        return await self.bed.http.request(method, WEBHOOKS + path, headers=headers, **more)

    async def done(self, method: str, path: str = "", **more: Any) -> Any:
        """Send a request that must be answered with 200 and JSON; return it."""
        answer = await self.ask(method, path, **more)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/json"
        return answer.json()

    async def refused(self, method: str, path: str = "", **more: Any) -> Json:
        """Send a request that must be refused and return the error."""
        answer = await self.ask(method, path, **more)
        assert answer.status_code >= 400, answer.text
        return error_of(answer)

    async def webhook(self, url: str = URL, **wish: Any) -> Json:
        """Make an endpoint."""
        made: Json = await self.done("POST", json={"url": url, **wish})
        return made

    async def listed(self) -> list[Json]:
        """Return all endpoints."""
        found = await self.done("GET")
        assert found["total"] == len(found["data"])
        webhooks: list[Json] = found["data"]
        return webhooks

    async def change(self, webhook_id: str, **changes: Any) -> Json:
        """Change an endpoint."""
        changed: Json = await self.done("PATCH", f"/{webhook_id}", json=changes)
        return changed

    async def test(self, webhook_id: str, **wish: Any) -> Json:
        """Send a test, with an engine that works meanwhile."""
        async with running_engine(self.bed):
            told: Json = await self.done("POST", f"/{webhook_id}/test", json=wish)
        return told

    async def redeliver(self, webhook_id: str, **wish: Any) -> int:
        """Let messages be delivered again; return how many."""
        found = await self.done("POST", f"/{webhook_id}/redeliver", json=wish)
        assert found.keys() == {"redelivered"}
        count: int = found["redelivered"]
        return count

    async def log(self, webhook_id: str, **query: Any) -> Json:
        """Return a page of deliveries."""
        page: Json = await self.done("GET", f"/{webhook_id}/deliveries", params=query)
        return page


async def subscriber(bed: Bed, tenant_id: str = "acme", **more: Any) -> Subscriber:
    """Return a holder of a new key of a tenant, which is made if there is none."""
    return Subscriber(bed, await bed.key(tenant_id, **more))


def without_secret(webhook: Json) -> Json:
    """Return an endpoint as it is told later on."""
    return {name: value for name, value in webhook.items() if name != "secret"}
