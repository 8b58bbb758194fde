"""An operator at the admin API: one token, and every route by its name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
from pydantic import SecretStr

from tests.api.asking import UNKNOWN_ID, bearer
from tests.support.answers import error_of
from tests.support.bed import Bed

ADMIN_TOKEN = "canary-admin-token-0001"
WITH_ADMIN = {"admin_token": SecretStr(ADMIN_TOKEN)}
"""The setting of a gateway whose admin API is on."""

TENANTS = "/admin/v1/tenants"
AUDIT = "/admin/v1/audit"
DOUBTS = "/admin/v1/doubts"
EXPLAIN = f"/admin/v1/tasks/{UNKNOWN_ID}/explain"
CANCEL = f"/admin/v1/tasks/{UNKNOWN_ID}/cancel"
RESOLVE = f"{DOUBTS}/{UNKNOWN_ID}/resolve"

WRITTEN_OFF = {"as": "written_off", "reason": "no trace of it"}
"""An operator's word on a doubt."""

CALLED_OFF = {"reason": "asked by telephone"}
"""Why an operator cancels a task."""

ROUTES = (
    ("POST", TENANTS),
    ("GET", TENANTS),
    ("GET", f"{TENANTS}/acme"),
    ("PATCH", f"{TENANTS}/acme"),
    ("DELETE", f"{TENANTS}/acme"),
    ("POST", f"{TENANTS}/acme/webhook-secret/rotate"),
    ("GET", f"{TENANTS}/acme/usage"),
    ("POST", f"{TENANTS}/acme/keys"),
    ("GET", f"{TENANTS}/acme/keys"),
    ("POST", f"{TENANTS}/acme/keys/key_1/rotate"),
    ("DELETE", f"{TENANTS}/acme/keys/key_1"),
    ("GET", EXPLAIN),
    ("POST", CANCEL),
    ("GET", DOUBTS),
    ("POST", RESOLVE),
    ("GET", AUDIT),
)
"""Every route of the admin API, with a place filled in."""

NO_LIMITS = {
    "creates_per_minute": None,
    "reads_per_second": None,
    "tasks_in_flight": None,
    "credits_per_day": None,
    "credits_per_month": None,
    "models": None,
}
"""The limits of a key that has none."""

NO_TENANT_LIMITS = NO_LIMITS | {
    "when_full": "reject",
    "max_queued": None,
    "when_vendor_down": "reject",
    "when_in_doubt": "charge",
}


WORKS, ENDED = [200, 200], [401, 401]
"""What `Operator.answers_of` finds of a key that works, and of one that does not."""


def shown_at(at_ms: int) -> str:
    """Write an instant as the admin API shows it."""
    return f"{datetime.fromtimestamp(at_ms // 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def precisely(at_ms: int) -> str:
    """Write an instant to the millisecond."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)
    return moment.isoformat(timespec="milliseconds")


def sole(name: str, value: Any) -> dict[str, Any]:
    """Return a JSON object whose one member stands at a dotted place, such as `limits.models`."""
    outer, _, inner = name.partition(".")
    return {outer: sole(inner, value) if inner else value}


@dataclass(frozen=True, slots=True)
class Operator:
    """Whoever holds the token of a gateway."""

    bed: Bed
    token: str = ADMIN_TOKEN

    async def ask(self, method: str, path: str, **more: Any) -> httpx2.Response:
        """Send any request with the token."""
        headers = [bearer(self.token), *more.pop("headers", [])]
        return await self.bed.http.request(method, path, headers=headers, **more)

    async def done(self, method: str, path: str, **more: Any) -> Any:
        """Send a request that must be answered with 200 and JSON that no cache keeps; return it."""
        answer = await self.ask(method, path, **more)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["cache-control"] == "no-store"
        return answer.json()

    async def refused(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        """Send a request that must be refused and return the error."""
        answer = await self.ask(method, path, **more)
        assert answer.status_code >= 400, answer.text
        return error_of(answer)

    async def tenant(self, tenant_id: str = "acme", **fields: Any) -> dict[str, Any]:
        """Create a tenant."""
        made: dict[str, Any] = await self.done("POST", TENANTS, json={"id": tenant_id, **fields})
        return made

    async def key(self, tenant_id: str = "acme", **fields: Any) -> dict[str, Any]:
        """Issue a key."""
        made: dict[str, Any] = await self.done("POST", f"{TENANTS}/{tenant_id}/keys", json=fields)
        return made

    async def rotate(self, key: dict[str, Any], **grace: Any) -> dict[str, Any]:
        """Rotate a key."""
        path = f"{TENANTS}/{key['tenant']}/keys/{key['id']}/rotate"
        made: dict[str, Any] = await self.done("POST", path, json=grace)
        return made

    async def change(self, tenant_id: str = "acme", **fields: Any) -> dict[str, Any]:
        """Change a tenant."""
        changed: dict[str, Any] = await self.done("PATCH", f"{TENANTS}/{tenant_id}", json=fields)
        return changed

    async def acts(self, **query: Any) -> list[dict[str, Any]]:
        """Return the first page of the audit log."""
        page = await self.done("GET", AUDIT, params=query)
        acts: list[dict[str, Any]] = page["data"]
        return acts

    async def keys(self, tenant_id: str = "acme") -> list[dict[str, Any]]:
        """Return a tenant's keys, as they are listed."""
        found = await self.done("GET", f"{TENANTS}/{tenant_id}/keys")
        assert found.keys() == {"data"}
        keys: list[dict[str, Any]] = found["data"]
        return keys

    async def answers_of(self, *keys: dict[str, Any]) -> list[list[int]]:
        """Create and read with each key and return the statuses."""
        found = []
        for key in keys:
            created = await self.bed.create(key["key"])
            read = await self.bed.http.get("/v1/models", headers=[bearer(key["key"])])
            found.append([created.status_code, read.status_code])
        return found
