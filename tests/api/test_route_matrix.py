"""Every route and every kind of credential: who is let in is declared here, in one table.

The routes are those of the published document. One that is missing from the table fails; so does
one that lets anybody in, or keeps anybody out, beyond what stands here.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from app.domain.ids import digest_of_api_key
from tests.api.asking import bearer
from tests.api.browsing import minted, token
from tests.api.operating import ADMIN_TOKEN, WITH_ADMIN
from tests.conftest import OpenBed
from tests.support.answers import document_of
from tests.support.bed import Bed
from tests.support.schema import resolved
from tests.support.tenant_keys import end_key, issued_key

IN: Final = ""
"""Whoever is let in is answered, or refused for a reason of the request itself."""

NO_KEY, NO_ADMIN, NO_SCOPE = "invalid_key", "invalid_admin_token", "token_scope"
UNKNOWN = "task_not_found"

NOBODY: Final = {
    "none": NO_KEY,
    "malformed": NO_KEY,
    "expired key": NO_KEY,
    "revoked key": NO_KEY,
    "expired token": NO_KEY,
    "token of a revoked key": NO_KEY,
    "admin token": NO_KEY,
}
"""Of tenants: whoever is nobody to all of their routes."""

KEYS: Final = {"key": IN, "key of another tenant": IN, "test key": IN}
STRANGERS: Final = {"key of another tenant": UNKNOWN, "test key": UNKNOWN}

KEYS_ALONE: Final = {
    **NOBODY,
    **KEYS,
    "token to read": NO_SCOPE,
    "token to create": NO_SCOPE,
    "token of another subject": NO_SCOPE,
    # No token is for these, so nobody looks whether it still lives.
    "token of a revoked key": NO_SCOPE,
}
CREATORS: Final = {
    **NOBODY,
    **KEYS,
    "token to read": NO_SCOPE,
    "token to create": IN,
    "token of another subject": IN,
}
READERS: Final = {
    **NOBODY,
    **KEYS,
    "token to read": IN,
    "token to create": NO_SCOPE,
    "token of another subject": IN,
}
READERS_OF_THEIR_OWN: Final = {**READERS, **STRANGERS, "token of another subject": UNKNOWN}
CREATORS_OF_THEIR_OWN: Final = {**CREATORS, **STRANGERS, "token of another subject": UNKNOWN}
OPERATORS: Final = {**dict.fromkeys(KEYS_ALONE, NO_ADMIN), "admin token": IN}
EVERYBODY: Final = dict.fromkeys(KEYS_ALONE, IN)

TABLE: Final[dict[str, dict[str, str]]] = {
    "POST /v1/videos/generations": CREATORS,
    "GET /v1/videos/generations/{task_id}": READERS_OF_THEIR_OWN,
    "GET /v1/tasks/{task_id}": READERS_OF_THEIR_OWN,
    "GET /v1/tasks/{task_id}/events": READERS_OF_THEIR_OWN,
    "POST /v1/tasks/{task_id}/cancel": CREATORS_OF_THEIR_OWN,
    "POST /v1/tasks/batch": READERS,
    "GET /v1/events": READERS,
    "GET /v1/models": READERS,
    "GET /v1/tasks": KEYS_ALONE,
    "GET /v1/credits": KEYS_ALONE,
    "GET /v1/usage": KEYS_ALONE,
    "POST /v1/tokens": KEYS_ALONE,
    "GET /v1/webhooks": KEYS_ALONE,
    "POST /v1/webhooks": KEYS_ALONE,
    "GET /v1/webhooks/{webhook_id}": KEYS_ALONE,
    "PATCH /v1/webhooks/{webhook_id}": KEYS_ALONE,
    "DELETE /v1/webhooks/{webhook_id}": KEYS_ALONE,
    "POST /v1/webhooks/{webhook_id}/rotate": KEYS_ALONE,
    "POST /v1/webhooks/{webhook_id}/test": KEYS_ALONE,
    "POST /v1/webhooks/{webhook_id}/redeliver": KEYS_ALONE,
    "GET /v1/webhooks/{webhook_id}/deliveries": KEYS_ALONE,
    "POST /admin/v1/tenants": OPERATORS,
    "GET /admin/v1/tenants": OPERATORS,
    "GET /admin/v1/tenants/{tenant}": OPERATORS,
    "PATCH /admin/v1/tenants/{tenant}": OPERATORS,
    "DELETE /admin/v1/tenants/{tenant}": OPERATORS,
    "POST /admin/v1/tenants/{tenant}/webhook-secret/rotate": OPERATORS,
    "GET /admin/v1/tenants/{tenant}/usage": OPERATORS,
    "POST /admin/v1/tenants/{tenant}/keys": OPERATORS,
    "GET /admin/v1/tenants/{tenant}/keys": OPERATORS,
    "POST /admin/v1/tenants/{tenant}/keys/{key}/rotate": OPERATORS,
    "DELETE /admin/v1/tenants/{tenant}/keys/{key}": OPERATORS,
    "GET /admin/v1/tasks/{task_id}/explain": OPERATORS,
    "POST /admin/v1/tasks/{task_id}/cancel": OPERATORS,
    "GET /admin/v1/doubts": OPERATORS,
    "POST /admin/v1/doubts/{task_id}/resolve": OPERATORS,
    "GET /admin/v1/audit": OPERATORS,
    "GET /healthz": EVERYBODY,
    "GET /readyz": EVERYBODY,
}

REFUSALS: Final = {NO_KEY, NO_ADMIN, NO_SCOPE, UNKNOWN, "origin_not_allowed", "tenant_disabled"}


@dataclass
class Gate:
    """A gateway, a task of the subject `ada`, and a credential of every kind."""

    bed: Bed
    task_id: str = ""
    credentials: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

    @property
    def operations(self) -> dict[str, dict[str, Any]]:
        """Every operation of the document, by method and path."""
        return {
            f"{method.upper()} {path}": operation
            for path, item in document_of(self.bed.app).content["paths"].items()
            for method, operation in item.items()
        }

    async def what_comes_of(self, route: str, credential: str) -> str:
        """Send a route's own example with a credential; returns why it was refused, or `IN`."""
        method, template = route.split(" ")
        headers = [(b"host", b"gateway")]
        headers += [(name.encode(), value.encode()) for name, value in self.credentials[credential]]
        body = self._example(self.operations[route])
        if body:
            headers.append((b"content-type", b"application/json"))
        status, answer = await _answer_of(self.bed, method, self._path(template), headers, body)
        reason = json.loads(answer)["error"]["reason"] if status >= 400 else ""
        return reason if reason in REFUSALS else IN

    def _path(self, template: str) -> str:
        places = {"task_id": self.task_id, "webhook_id": "we_" + "0" * 16}
        return re.sub(r"\{(\w+)\}", lambda place: places.get(place[1], "nobody"), template)

    def _example(self, operation: dict[str, Any]) -> bytes:
        if "requestBody" not in operation:
            return b""
        media = operation["requestBody"]["content"]["application/json"]
        example = media.get("example") or next(iter(media["examples"].values()))
        found = resolved(example, document_of(self.bed.app).content)
        return json.dumps(found.get("value", found)).encode()


async def _answer_of(
    bed: Bed, method: str, path: str, headers: list[tuple[bytes, bytes]], body: bytes
) -> tuple[int, bytes]:
    """Send a request and hang up as soon as it is known whether it was let in: streams go on."""
    status, parts, known = 0, list[bytes](), asyncio.Event()
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        if waiting:
            return waiting.pop()
        await known.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        nonlocal status
        status = message.get("status", status)
        parts.append(message.get("body", b""))
        if message["type"] == "http.response.body":
            known.set()

    scope = {
        "type": "http",
        "http_version": "1.1",
        "scheme": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
    }
    await bed.app(scope, receive, send)
    return status, b"".join(parts)


@pytest.fixture
async def gate(open_gateway_bed: OpenBed) -> AsyncIterator[Gate]:
    """Two tenants, and whatever somebody may hold."""
    async with open_gateway_bed(**WITH_ADMIN) as bed:
        keys, now_ms = bed.gateway.store.keys, bed.clock.now_ms()
        key = await bed.key("acme")
        expiring = await issued_key(keys, "acme", now_ms=now_ms, expires_ms=now_ms + 1_000)
        revoked = await bed.another_key("acme")
        orphan = await minted(bed, revoked, subject="ada")
        secrets = {
            "malformed": key[:-1],
            "key": key,
            "key of another tenant": await bed.key("hooli"),
            "test key": await bed.another_key("acme", mode="test"),
            "expired key": expiring,
            "revoked key": revoked,
            "token to read": await token(bed, key, scopes=["read"], subject="ada"),
            "token to create": await token(bed, key, scopes=["create"], subject="ada"),
            "token of another subject": await token(bed, key, subject="ben"),
            "expired token": await token(bed, key, ttl_s=1, subject="ada"),
            "token of a revoked key": orphan["token"],
            "admin token": ADMIN_TOKEN,
        }
        await end_key(keys, "acme", orphan["id"].partition("~")[0], at_ms=now_ms, expires_ms=None)
        task_id = await bed.created(secrets["token to create"])
        bed.clock.advance_ms(1_000)
        credentials = {name: [bearer(secret)] for name, secret in secrets.items()}
        yield Gate(bed, task_id, {"none": [], **credentials})


async def test_every_route_lets_in_whom_the_table_says_and_nobody_else(gate: Gate) -> None:
    """Each with each: what differs from the table is named."""
    wrong = []
    for route in gate.operations:
        for credential, expected in TABLE.get(route, {}).items():
            found = await gate.what_comes_of(route, credential)
            if found != expected:
                wrong.append(
                    (route, credential, f"{found or 'let in'}, not {expected or 'let in'}")
                )

    assert wrong == []


async def test_every_route_is_in_the_table(gate: Gate) -> None:
    """Whoever adds one decides here who may use it."""
    assert gate.operations.keys() == TABLE.keys()


async def test_every_route_is_asked_with_every_credential(gate: Gate) -> None:
    """No cell of the table is empty, and each credential is one of its kind."""
    assert {frozenset(row) for row in TABLE.values()} == {frozenset(gate.credentials)}
    digests = [digest_of_api_key(headers[0][1]) for headers in list(gate.credentials.values())[1:]]
    assert len(set(digests)) == len(digests)


async def test_the_document_tells_which_routes_take_a_token(gate: Gate) -> None:
    """With the scope that the table says."""
    told = {
        route: [
            each["BrowserToken"] for each in operation.get("security", []) if "BrowserToken" in each
        ]
        for route, operation in gate.operations.items()
    }

    for route, scopes in told.items():
        row = TABLE[route]
        takes = [scope for scope in ("read", "create") if row[f"token to {scope}"] == IN]
        assert scopes == ([takes] if takes and row["none"] == NO_KEY else []), route
