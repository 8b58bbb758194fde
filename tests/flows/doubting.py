"""Doubtful sends, and the vendor's callbacks about them: over HTTP, into a gateway of the test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
from aiohttp import web

from app.domain.callback_token import CallbackToken
from app.store.keys import Shard
from tests.conftest import OpenBed
from tests.flows.watching import reaches, sends_end
from tests.support.bed import CREATE_PATH, Bed, character
from tests.support.vendor import VENDOR_KEY
from tests.support.wait import wait_until

TRUSTING = {"vendor": {"trust_idempotency": True}}
LOST_ANSWERS = [
    ("commit_then_reset", {}),
    ("commit_then_close", {}),
    ("commit_then_status", {"status": 500}),
    ("reject_then_status", {"status": 503}),
    ("reset", {}),
    ("truncated", {}),
    ("malformed", {}),
]
"""Ways to leave a create in doubt; the vendor has the task of most of them."""


async def doubted(bed: Bed, key: str, scenario: str = "", mode: str = "commit_then_reset") -> str:
    """Return a task whose answer was lost, once."""
    bed.vendor.fault(mode, times=1)
    task_id = await bed.created(key, character(scenario))
    assert (await bed.stored(task_id))["state"] == "in_doubt"
    return task_id


async def lives_through(bed: Bed, *pauses_s: float) -> list[int]:
    """Pass time in steps, and return how many creates had reached the vendor after each."""
    counted = []
    for pause_s in pauses_s:
        await bed.pass_time(pause_s)
        await sends_end(bed)
        counted.append(len(bed.vendor.creates()))
    return counted


async def movements(bed: Bed, task_id: str) -> list[tuple[str, int]]:
    """Return the ledger of a task: kind and microcredits."""
    tenant_id = (await bed.stored(task_id))["tenant"]
    return [
        (kind, sum_) for _, kind, sum_ in await bed.gateway.store.tasks.ledger(tenant_id, task_id)
    ]


@dataclass
class PostOffice:
    """Where the vendor's callbacks arrive, and are handed on to the gateway as they came."""

    gateway: Bed | None = None
    url: str = ""
    statuses: list[int] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        """Hand one callback on."""
        assert self.gateway is not None
        token = request.path.rpartition("/")[2]
        answer = await self.gateway.http.post(
            request.raw_path,
            content=await request.read(),
            headers={"content-type": request.headers.get("content-type", "")},
        )
        self.tokens.append(token)
        self.statuses.append(answer.status_code)
        return web.Response(status=answer.status_code, body=answer.content)

    async def delivered(self, count: int = 1) -> None:
        """Wait until so many have been answered."""
        await wait_until(
            lambda: len(self.statuses) >= count, describing=f"{count} callbacks of the vendor"
        )


@asynccontextmanager
async def post_office() -> AsyncIterator[PostOffice]:
    """Open a port for callbacks."""
    office, app = PostOffice(), web.Application()
    app.router.add_post("/{place:.*}", office.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        office.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield office
    finally:
        await runner.cleanup()


@dataclass(frozen=True, slots=True)
class Called:
    """A gateway that the vendor calls back."""

    bed: Bed
    office: PostOffice

    def token(self, task_id: str, tenant_id: str = "acme") -> str:
        """Return the token in the address that the vendor was told for a task."""
        secret = self.bed.gateway.store.callback_secret
        return CallbackToken(Shard.of(tenant_id).number, task_id).write(secret)

    async def notify(self, token: str, **body: Any) -> httpx2.Response:
        """Send a notice as anybody can who knows the address."""
        return await self.bed.http.post(f"/vendor/callback/{token}", json=body)

    async def named(self, task_id: str) -> list[str]:
        """Return the ids that notices named and that are kept, the next to be asked about first."""
        return (await self.bed.stored(task_id)).get("named", "").split()

    def made_for(self, task_id: str) -> str:
        """Return the vendor's id of the task that it made last."""
        made = [each["created_task_id"] for each in self.bed.vendor.creates()]
        found = [each for each in made if each]
        assert found, f"the vendor made nothing for {task_id}"
        return str(found[-1])


async def made_past_the_gateway(bed: Bed, body: dict[str, Any] | None = None) -> str:
    """Create a task with the gateway's vendor key, and return its id; the audit learns nothing."""
    headers = {"authorization": f"Bearer {VENDOR_KEY}"}
    async with httpx2.AsyncClient(base_url=bed.vendor.url, trust_env=False) as http:
        answer = await http.post(CREATE_PATH, json=body or character(), headers=headers)
        (await http.delete("/_sandbox/journal")).raise_for_status()
    return str(answer.raise_for_status().json()["id"])


async def begun(bed: Bed, key: str, *, creates: int = 1) -> str:
    """Return the newest task of a key once the vendor has so many creates; nobody was answered."""
    await reaches(bed.vendor, creates=creates)

    async def listed() -> list[dict[str, Any]]:
        answer = await bed.http.get("/v1/tasks", headers={"authorization": f"Bearer {key}"})
        found: list[dict[str, Any]] = answer.json()["data"]
        return found

    return str((await wait_until(listed, describing="a task"))[0]["id"])


@asynccontextmanager
async def called_back(open_bed: OpenBed, **changes: Any) -> AsyncIterator[Called]:
    """Open a gateway that tells the vendor its address for every model."""
    vendor = {"callbacks": "always", **changes.pop("vendor", {})}
    async with post_office() as office:
        opening: AbstractAsyncContextManager[Bed] = open_bed(
            public_url=office.url, vendor=vendor, **changes
        )
        async with opening as bed:
            office.gateway = bed
            yield Called(bed, office)
