"""Who is shut out is shut out of every process: from creating at once, soon from reading."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from app.domain.audit import GATEWAY
from tests.support.bed import CREATE_PATH, character
from tests.support.customer import Customer
from tests.support.fleet import Fleet
from tests.support.processes import GatewayProcess
from tests.support.redis_server import RedisServer
from tests.support.tenant_keys import revoke, switch
from tests.support.wait import wait_until

READ_GRACE_S = 1.0
"""How long after the end a read may still be answered."""

READS = ("/v1/tasks", "/v1/models", "/v1/credits", "/v1/usage")

End = Callable[[Fleet, str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Seen:
    """One answer: when its request was sent, what it was for, its status, and when it came."""

    sent_s: float
    method: str
    status: int
    came_s: float


@dataclass
class Crowd:
    """Callers with one key that go on creating and reading on every process, whatever they hear."""

    customer: Customer
    gateways: list[GatewayProcess]
    seen: list[Seen] = field(default_factory=list)
    at_rest: bool = False

    def note(self, sent_s: float, method: str, status: int) -> None:
        """Write down an answer that has just come."""
        self.seen.append(Seen(sent_s, method, status, time.monotonic()))

    def after(self, instant_s: float) -> list[Seen]:
        """Return the answers to what was sent after an instant."""
        return [each for each in self.seen if each.sent_s > instant_s]

    async def create(self, gateway: GatewayProcess) -> None:
        """Create one task after the other, a few moments apart."""
        while not self.at_rest:
            sent_s = time.monotonic()
            answer = await self.customer.create(gateway)
            assert answer is not None
            self.note(sent_s, "POST", answer.status)
            await asyncio.sleep(0.01)

    async def read(self, gateway: GatewayProcess, task_id: str) -> None:
        """Read by every route in turn."""
        paths = (*READS, f"/v1/tasks/{task_id}", f"{CREATE_PATH}/{task_id}")
        while not self.at_rest:
            for path in paths:
                sent_s = time.monotonic()
                answer = await self.customer.ask("GET", gateway.url + path)
                self.note(sent_s, "GET", answer.status_code)
            sent_s = time.monotonic()
            answer = await self.customer.ask(
                "POST", f"{gateway.url}/v1/tasks/batch", json={"task_ids": [task_id]}
            )
            self.note(sent_s, "GET", answer.status_code)
            await asyncio.sleep(0.01)

    def passed(self, method: str, *, after_s: float) -> list[Seen]:
        """Return what was answered with 200 although it was sent after an instant."""
        late = self.after(after_s)
        return [each for each in late if (each.method, each.status) == (method, 200)]

    def has_asked_for_both(self, *, after_s: float) -> bool:
        """Say whether creates and reads that were sent after an instant are answered."""
        return {each.method for each in self.after(after_s)} == {"GET", "POST"}


async def revoke_its_key(fleet: Fleet, tenant_id: str) -> None:
    """End the tenant's only key."""
    keys = fleet.store.keys
    [key] = await keys.of_tenant(tenant_id)
    await revoke(keys, tenant_id, key.id, at_ms=fleet.store.clock.now_ms())


async def disable(fleet: Fleet, tenant_id: str) -> None:
    """Switch the tenant off."""
    store = fleet.store
    await switch(store.tenants, tenant_id, at_ms=store.clock.now_ms(), disabled=True)


async def delete(fleet: Fleet, tenant_id: str) -> None:
    """Delete the tenant, open tasks or not."""
    await fleet.store.manage_tenants.delete(tenant_id, force=True, by=GATEWAY)


ENDS: dict[str, tuple[End, int]] = {
    "revoked": (revoke_its_key, 401),
    "disabled": (disable, 403),
    "deleted": (delete, 401),
}
"""Tenants by what becomes of them, and what they are told from then on."""


async def end_all(fleet: Fleet) -> tuple[dict[str, float], dict[str, float]]:
    """Shut everybody out; return when that was begun and when it was done, by tenant."""
    began_s, ended_s = dict[str, float](), dict[str, float]()
    for name, (end, _) in ENDS.items():
        began_s[name] = time.monotonic()
        await end(fleet, name)
        ended_s[name] = time.monotonic()
    return began_s, ended_s


@asynccontextmanager
async def notices_cut(redis: RedisServer, *, cut: bool) -> AsyncIterator[None]:
    """End every subscriber's connection again and again, for the time of the block."""
    over = asyncio.Event()

    async def cutting() -> None:
        while not over.is_set():
            await asyncio.to_thread(redis.call, "CLIENT", "KILL", "TYPE", "pubsub")
            await asyncio.sleep(0.01)

    async with asyncio.TaskGroup() as group:
        if cut:
            group.create_task(cutting())
        try:
            yield
        finally:
            over.set()


@pytest.mark.parametrize("cut", [False, True], ids=["with notices", "while notices are cut"])
async def test_from_that_instant_nothing_is_created_and_soon_nothing_is_read(
    fleet: Fleet, cut: bool
) -> None:
    """A revoked key, a disabled tenant, a deleted tenant: on both processes, in full swing."""
    gateways = await fleet.start("a", "b")
    crowds = {}
    for name in ENDS:
        crowds[name] = Crowd(await fleet.customer(name), gateways)
    first = {
        name: await each.customer.create(gateways[0], scenario="seconds:0.1")
        for name, each in crowds.items()
    }

    async with notices_cut(fleet.redis, cut=cut), asyncio.TaskGroup() as group:
        for name, crowd in crowds.items():
            created = first[name]
            assert created is not None
            for gateway in gateways:
                group.create_task(crowd.create(gateway))
                group.create_task(crowd.read(gateway, created.task_id))
        await wait_until(
            lambda: all(len(each.seen) > 40 for each in crowds.values()), describing="a crowd"
        )
        began_s, ended_s = await end_all(fleet)
        settled_s = time.monotonic() + READ_GRACE_S
        await wait_until(
            lambda: all(each.has_asked_for_both(after_s=settled_s) for each in crowds.values()),
            describing="everybody to have asked again",
        )
        for crowd in crowds.values():
            crowd.at_rest = True

    for name, crowd in crowds.items():
        before = [each for each in crowd.seen if each.came_s < began_s[name]]
        late = crowd.after(ended_s[name] + READ_GRACE_S)
        assert {each.status for each in before} == {200}, name
        assert crowd.passed("POST", after_s=ended_s[name]) == [], name
        assert crowd.passed("GET", after_s=ended_s[name] + READ_GRACE_S) == [], name
        assert {each.status for each in late} == {ENDS[name][1]}, name
    assert len(fleet.vendor.creates()) == len(
        [answer for answer in fleet.answers() if answer.status == 200]
    )


async def test_every_route_of_every_process_says_why(fleet: Fleet) -> None:
    """Also of a process that has known the key for long, and of one that never heard of it."""
    [old] = await fleet.start("old")
    customers = {name: await fleet.customer(name) for name in ENDS}
    for customer in customers.values():
        answer = await customer.create(old)
        assert answer is not None
        assert answer.status == 200
    await end_all(fleet)
    [new] = await fleet.start("new")

    for name, customer in customers.items():
        expected = ENDS[name][1]
        for gateway in (old, new):
            statuses = [
                (await customer.ask("GET", gateway.url + path)).status_code
                for path in (*READS, f"/v1/tasks/{next(iter(customer.acknowledged.values()))}")
            ]
            answer = await customer.ask("POST", gateway.url + CREATE_PATH, json=character())
            batch = {"task_ids": list(customer.acknowledged.values())}
            several = await customer.ask("POST", f"{gateway.url}/v1/tasks/batch", json=batch)
            statuses += [answer.status_code, several.status_code]
            assert statuses == [expected] * len(statuses), f"{name} on {gateway.log.stem}"
    assert len(fleet.vendor.creates()) == len(customers)


async def test_a_key_ends_at_the_instant_that_was_set_for_it(fleet: Fleet) -> None:
    """Not a create and not a read later, on both processes, without anybody telling them."""
    gateways = await fleet.start("a", "b", REELGATE_ROLE="api")
    await fleet.customer("acme")
    ends_ms = fleet.store.clock.now_ms() + 1000
    crowd = Crowd(await fleet.another_customer("acme", expires_ms=ends_ms), gateways)
    [task_id] = [(await crowd.customer.create(gateways[0])).task_id]  # type: ignore[union-attr]

    async with asyncio.TaskGroup() as group:
        for gateway in gateways:
            group.create_task(crowd.create(gateway))
            group.create_task(crowd.read(gateway, task_id))
        await wait_until(
            lambda: fleet.store.clock.now_ms() > ends_ms + 100, describing="the key to end"
        )
        ended_s = time.monotonic()
        await wait_until(
            lambda: crowd.has_asked_for_both(after_s=ended_s), describing="both to be asked again"
        )
        crowd.at_rest = True

    assert {each.status for each in crowd.seen} == {200, 401}
    for method in ("GET", "POST"):
        assert crowd.passed(method, after_s=0) != []
        assert crowd.passed(method, after_s=ended_s) == []
