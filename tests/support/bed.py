"""A whole gateway in the test's own process: real Redis, the sandbox over HTTP, a held clock.

Requests go through the real application; only the socket in front of it is left out. Nothing moves
by itself: the clock moves when told to, and the engine works when `work` is called. Every answer is
held against the document that the gateway publishes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
from fastapi import FastAPI
from pydantic import SecretStr

from app.api.app import create_app
from app.clock import HeldClock
from app.domain.ids import Mode
from app.settings import Settings
from app.store.keys import Shard, windows
from app.wiring import Gateway
from tests.support.answers import document_of
from tests.support.auditor import Answered
from tests.support.tenant_keys import issued_key, key_of_tenant, limit, revoke, switch
from tests.support.vendor import VENDOR_KEY, Vendor

CREATE_PATH = "/v1/videos/generations"
CHARACTER = {
    "model": "sora-character",
    "video_url": "https://example.com/video.mp4",
    "timestamps": "1,3",
}
"""The documented request, word for word."""


def character(scenario: str = "", **fields: Any) -> dict[str, Any]:
    """Return a create body whose task behaves as the sandbox scenario says."""
    url = CHARACTER["video_url"] + (f"?sandbox={scenario}" if scenario else "")
    return {**CHARACTER, "video_url": url, **fields}


def settings_for(redis_url: str, folder: Path, vendor_url: str, **changes: Any) -> Settings:
    """Return the settings of a test gateway; `changes` are top-level fields, sections as dicts."""
    if changes:
        return _settings(redis_url, folder, vendor_url, **changes)
    usual = _usual_settings()
    vendor = usual.vendor.model_copy(update={"base_url": vendor_url})
    own = {"redis_url": SecretStr(redis_url), "data_dir": folder, "vendor": vendor}
    return usual.model_copy(update=own)


@cache
def _usual_settings() -> Settings:
    """Return what most gateways have in common, read once."""
    return _settings("", Path(), "http://127.0.0.1")


def _settings(redis_url: str, folder: Path, vendor_url: str, **changes: Any) -> Settings:
    vendor = {
        "base_url": vendor_url,
        "keys": SecretStr(VENDOR_KEY),
        "connect_timeout_s": 1,
        **changes.pop("vendor", {}),
    }
    poll = {
        "first_delay_s": 1,
        "min_interval_s": 1,
        "max_interval_s": 10,
        **changes.pop("poll", {}),
    }
    return Settings(
        redis_url=SecretStr(redis_url),
        data_dir=folder,
        vendor=vendor,
        poll=poll,
        # A busy machine must not look like a store that is away.
        **{
            "role": "api",
            "drain_s": 2,
            "redis_timeout_s": 10,
            "log": {"level": "warning"},
            **changes,
        },
    )


@dataclass(repr=False)
class Bed:
    """One gateway and all that is around it."""

    app: FastAPI
    gateway: Gateway
    clock: HeldClock
    vendor: Vendor
    http: httpx2.AsyncClient
    acknowledged: list[Answered] = field(default_factory=list)

    async def key(self, tenant_id: str = "acme", *, mode: Mode = "live", **limits: Any) -> str:
        """Return a new key of a tenant, which is made with `limits` if it does not exist."""
        store, now_ms = self.gateway.store, self.clock.now_ms()
        return await key_of_tenant(
            store.tenants, store.keys, tenant_id, now_ms=now_ms, mode=mode, **limits
        )

    async def another_key(self, tenant_id: str, *, mode: Mode = "live", **limits: Any) -> str:
        """Return a new key of an existing tenant, with limits of its own."""
        keys, now_ms = self.gateway.store.keys, self.clock.now_ms()
        return await issued_key(keys, tenant_id, now_ms=now_ms, mode=mode, **limits)

    async def limit(self, tenant_id: str, **limits: Any) -> None:
        """Change limits of a tenant; None lifts one."""
        tenants, at_ms = self.gateway.store.tenants, self.clock.now_ms()
        await limit(tenants, tenant_id, at_ms=at_ms, **limits)

    async def switch(self, tenant_id: str, *, disabled: bool) -> None:
        """Switch a tenant off or on."""
        tenants, at_ms = self.gateway.store.tenants, self.clock.now_ms()
        await switch(tenants, tenant_id, at_ms=at_ms, disabled=disabled)

    async def revoke(self, tenant_id: str, key_id: str) -> None:
        """End a key."""
        keys, at_ms = self.gateway.store.keys, self.clock.now_ms()
        await revoke(keys, tenant_id, key_id, at_ms=at_ms)

    async def create(
        self, key: str, body: dict[str, Any] | None = None, **headers: str
    ) -> httpx2.Response:
        """Send a create."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.post(
            CREATE_PATH,
            json=CHARACTER if body is None else body,
            headers={"authorization": f"Bearer {key}", **named},
        )

    async def read(self, key: str, task_id: str) -> httpx2.Response:
        """Send a status read."""
        return await self.http.get(
            f"/v1/tasks/{task_id}", headers={"authorization": f"Bearer {key}"}
        )

    async def created(self, key: str, body: dict[str, Any] | None = None, **headers: str) -> str:
        """Create a task that must be accepted and return its id."""
        answer = await self.create(key, body, **headers)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    async def work(self) -> None:
        """Let the engine do everything that is due now."""
        for _ in range(1000):
            entries = await self.gateway.engine.schedules.peek()
            if not any(entry.at_ms <= self.clock.now_ms() for entry in entries):
                return
            await self.gateway.engine.round()
        raise AssertionError("the engine always finds something due")

    async def pass_time(self, seconds: float) -> None:
        """Move the clock, the gateway's and the vendor's, and let the engine work."""
        self.clock.advance_ms(int(seconds * 1000))
        self.vendor.pass_time(seconds)
        await self.work()

    async def stored(self, task_id: str) -> dict[str, str]:
        """Return a task's record."""
        found = await self.gateway.store.tasks.find(task_id)
        assert found is not None, f"there is no record of {task_id}"
        return found

    async def usage(self, tenant_id: str = "acme", mode: Mode = "live") -> dict[str, int]:
        """Return the day's figures of a tenant: held, settled, tasks; and those of its keys."""
        day, _ = windows(self.clock.now_ms())
        name = Shard.of(tenant_id).usage(tenant_id, mode, day)
        found = await self.gateway.store.redis.hgetall(name)
        return {field.decode(): int(value) for field, value in found.items()}


@asynccontextmanager
async def open_bed(settings: Settings, clock: HeldClock, vendor: Vendor) -> AsyncIterator[Bed]:
    """Run a gateway for the time of the block; the vendor's clock is as far as its own."""
    await asyncio.to_thread(vendor.catch_up, clock.now_ms())
    app = create_app(settings, clock)
    transport = httpx2.ASGITransport(app=app)

    acknowledged: list[Answered] = []

    async def judge(answer: httpx2.Response) -> None:
        await answer.aread()
        document_of(app).judge(answer)
        if answer.status_code == 200 and answer.request.url.path == CREATE_PATH:
            acknowledged.append(_acknowledgement(answer))

    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(
            transport=transport,
            base_url="http://gateway",
            timeout=30,
            event_hooks={"response": [judge]},
        ) as http,
    ):
        yield Bed(app, app.state.gateway, clock, vendor, http, acknowledged)
    assert not len(app.state.gateway.running), "work goes on after the gateway has stopped"


def _acknowledgement(answer: httpx2.Response) -> Answered:
    """Return the answer to a create as its caller keeps it; those without a name have their own."""
    sent = answer.request.headers
    name = sent.get("idempotency-key", answer.headers["x-request-id"])
    who = sent.get("authorization", "")
    return Answered(f"{who} {name}", 200, answer.content, str(answer.json()["id"]))
