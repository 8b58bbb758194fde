"""Several real gateway processes on one store and one vendor."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx2

from app.domain.ids import Mode
from app.wiring import Store, open_store
from tests.support.auditor import Answered, Books, audit, read_books
from tests.support.bed import settings_for
from tests.support.customer import Customer
from tests.support.processes import GatewayProcess
from tests.support.redis_server import RedisServer
from tests.support.tenant_keys import issued_key, key_of_tenant
from tests.support.vendor import Vendor

NO_LIMITS = httpx2.Limits(max_connections=None, max_keepalive_connections=None)


@dataclass
class Fleet:
    """Gateways that are started side by side, and ended with the block that opened the fleet.

    Then its books are audited, unless a test that spoils them says in `unaudited` why not.
    """

    folder: Path
    redis: RedisServer
    vendor: Vendor
    store: Store
    http: httpx2.AsyncClient
    ends: ExitStack = field(default_factory=ExitStack)
    gateways: list[GatewayProcess] = field(default_factory=list)
    customers: list[Customer] = field(default_factory=list)
    unaudited: str = ""

    async def start(
        self, *names: str, options: tuple[str, ...] = (), **environment: str
    ) -> list[GatewayProcess]:
        """Start one gateway a name, all at once; a name that was used before is a restart."""

        def launched(name: str) -> GatewayProcess:
            return GatewayProcess(
                self.folder,
                self.redis.url,
                self.vendor.url,
                name=name,
                options=options,
                **environment,
            )

        started = await asyncio.gather(*(asyncio.to_thread(launched, name) for name in names))
        for gateway in started:
            self.ends.enter_context(gateway)
        self.gateways.extend(started)
        return started

    async def judge(self, answer: httpx2.Response) -> None:
        """Hold an answer against the document of the gateway that gave it."""
        await answer.aread()
        # The last first: a port may have been that of a gateway that has ended.
        for gateway in reversed(self.gateways):
            if str(answer.url).startswith(f"{gateway.url}/"):
                gateway.judge(answer)
                return

    async def stop(self, *gateways: GatewayProcess) -> None:
        """Ask gateways, or all that run, to stop; each must end well."""
        chosen = [each for each in gateways or self.gateways if each.process.poll() is None]
        codes = await asyncio.gather(*(asyncio.to_thread(each.stop) for each in chosen))
        assert set(codes) <= {0}, f"exit codes {codes}"

    async def customer(
        self, tenant_id: str = "acme", *, mode: Mode = "live", **limits: Any
    ) -> Customer:
        """Return a caller with a new key of a tenant, which is made if it does not exist."""
        now_ms, store = self.store.clock.now_ms(), self.store
        key = await key_of_tenant(
            store.tenants, store.keys, tenant_id, now_ms=now_ms, mode=mode, **limits
        )
        self.customers.append(Customer(self.http, key, tenant_id))
        return self.customers[-1]

    async def another_customer(
        self, tenant_id: str, *, mode: Mode = "live", **limits: Any
    ) -> Customer:
        """Return a caller with a new key of an existing tenant, with limits of its own."""
        now_ms = self.store.clock.now_ms()
        key = await issued_key(self.store.keys, tenant_id, now_ms=now_ms, mode=mode, **limits)
        self.customers.append(Customer(self.http, key, tenant_id))
        return self.customers[-1]

    async def books(self) -> Books:
        """Return all that Redis holds of tasks and money."""
        return await asyncio.to_thread(read_books, self.redis.url)

    async def violations(self) -> list[str]:
        """Compare what the vendor received, what the customers were told, and what Redis holds."""
        return audit(await self.books(), self.vendor.journal(), self.answers())

    def answers(self) -> list[Answered]:
        """Return every answer to a create that any customer was given."""
        return [
            # One name is one request of a tenant and mode, and another of others.
            replace(answer, name=f"{customer.tenant_id} {customer.key[:8]} {answer.name}")
            for customer in self.customers
            for answer in customer.answers
        ]


@asynccontextmanager
async def open_fleet(folder: Path, redis: RedisServer, vendor: Vendor) -> AsyncIterator[Fleet]:
    """Lay out the store and keep a connection to it; gateways come later."""
    settings = settings_for(redis.url, folder / "fleet-data", vendor.url)
    http = httpx2.AsyncClient(trust_env=False, timeout=30, limits=NO_LIMITS)
    async with http, open_store(settings) as store:
        fleet = Fleet(folder, redis, vendor, store, http)
        http.event_hooks = {"response": [fleet.judge]}
        with fleet.ends:
            yield fleet
        found = [] if fleet.unaudited else await fleet.violations()
        assert not found, "\n".join(found)
