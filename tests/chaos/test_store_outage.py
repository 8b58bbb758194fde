"""Redis dies, or stands still: callers are told in time, and what was acknowledged holds."""

from __future__ import annotations

import asyncio
import itertools
import time
from functools import partial

import httpx2
import pytest

from app.upstream.client import idempotency_key_of
from tests.chaos.aftermath import ask_again, gateway_of_later, statuses
from tests.support.bed import CREATE_PATH, character
from tests.support.customer import Customer
from tests.support.fleet import Fleet
from tests.support.processes import GatewayProcess
from tests.support.wait import wait_until

pytestmark = pytest.mark.chaos

CREATES = 100
CLIENTS = 4
RECOVERED_WITHIN_S = 5.0
FROZEN_S = 3.0
ANSWERED_WITHIN_S = 2.5


async def order(customer: Customer, gateways: list[GatewayProcess], names: list[str]) -> None:
    """Send creates one after the other, now here, now there, and each again while it gets a 503."""
    turn = itertools.cycle(gateways)
    for name in names:

        async def is_settled(name: str = name) -> bool:
            answer = await customer.create(next(turn), name, "seconds:0")
            return answer is not None and answer.status != 503

        await wait_until(is_settled, describing=f"an answer to {name}", within_s=30)


async def takes_creates(gateway: GatewayProcess, customer: Customer) -> bool:
    """Return whether a create is accepted."""
    answer = await customer.create(gateway, scenario="seconds:0")
    return answer is not None and answer.status == 200


async def restart_store(fleet: Fleet, gateways: list[GatewayProcess], prober: Customer) -> None:
    """Kill the store, see every gateway say so, start it, and see them work again."""
    fleet.redis.kill()
    told = [await prober.create(gateway) for gateway in gateways]
    await asyncio.to_thread(fleet.redis.restart)
    for gateway in gateways:
        await wait_until(
            partial(takes_creates, gateway, prober),
            describing="it to take creates again",
            within_s=RECOVERED_WITHIN_S,
        )
    assert {answer and answer.reason for answer in told} == {"store_unavailable"}


async def test_a_killed_store_forgets_nothing_it_acknowledged(fleet: Fleet) -> None:
    """Killed three times amid 100 creates: every 200 has its task, nothing is sent twice."""
    gateways = await fleet.start("a", "b")
    customers = [await fleet.customer(f"tenant-{n}") for n in range(CLIENTS)]
    prober = await fleet.customer("prober")
    fleet.vendor.fault("delay", ms=10)
    async with asyncio.TaskGroup() as group:
        for n, customer in enumerate(customers):
            names = [f"order-{n}-{k}" for k in range(CREATES // CLIENTS)]
            group.create_task(order(customer, gateways, names))
        for share in (0.2, 0.4, 0.6):
            await wait_until(
                lambda share=share: len(fleet.vendor.creates()) > CREATES * share,
                describing="the next creates to be sent",
            )
            await restart_store(fleet, gateways, prober)

    later = await gateway_of_later(fleet)
    await ask_again(customers, later)
    assert {answer.status for answer in fleet.answers()} <= {200, 503, 409}
    assert sum(len(customer.acknowledged) for customer in customers) == CREATES
    assert await statuses(customers, later) <= {"completed", "pending"}
    # The gateways lived on, so what the vendor told them meanwhile must have been kept.
    sent = {entry["idempotency_key"] for entry in fleet.vendor.creates()}
    tasks = (await fleet.books()).tasks
    kept = {task["state"] for name, task in tasks.items() if idempotency_key_of(name) in sent}
    assert kept <= {"completed", "submitted"}
    assert await fleet.violations() == []


async def is_completed(gateway: GatewayProcess, customer: Customer, task_id: str) -> bool:
    """Say whether a task is shown as completed."""
    shown = await customer.read(gateway, task_id)
    return shown.status_code == 200 and shown.json()["status"] == "completed"


async def ask_for(
    customer: Customer, method: str, url: str, until_s: float
) -> list[tuple[float, float, httpx2.Response]]:
    """Ask one thing after the other; returns when each was answered, after how long, and what."""
    seen = []
    while (began_s := time.monotonic()) < until_s:
        body = character() if method == "POST" else None
        answer = await customer.ask(method, url, json=body)
        ended_s = time.monotonic()
        seen.append((ended_s, ended_s - began_s, answer))
    return seen


async def test_nobody_waits_long_for_a_frozen_store(fleet: Fleet) -> None:
    """For three seconds creates and reads get a 503 in time; then everything works as before."""
    (gateway,) = await fleet.start("serve")
    customer = await fleet.customer()
    known = await customer.create(gateway, "known", "seconds:0")
    assert known is not None
    create, read = gateway.url + CREATE_PATH, f"{gateway.url}/v1/tasks/{known.task_id}"
    ways = [("POST", create)] * 4 + [("GET", read)] * 4

    fleet.redis.freeze()
    until_s = time.monotonic() + FROZEN_S
    loops = asyncio.gather(*(ask_for(customer, *way, until_s) for way in ways))
    await wait_until(lambda: time.monotonic() > until_s, describing="three seconds to pass")
    thawed_s = time.monotonic()
    fleet.redis.thaw()
    seen = [answered for loop in await loops for answered in loop]

    while_frozen = [answer for ended_s, _, answer in seen if ended_s < thawed_s]
    assert len(while_frozen) >= len(ways)
    assert {answer.status_code for answer in while_frozen} == {503}
    assert {answer.json()["error"]["reason"] for answer in while_frozen} == {"store_unavailable"}
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in while_frozen)
    assert max(took_s for _, took_s, _ in seen) < ANSWERED_WITHIN_S
    await wait_until(
        lambda: takes_creates(gateway, customer),
        describing="creates to work again",
        within_s=RECOVERED_WITHIN_S,
    )
    await wait_until(
        lambda: is_completed(gateway, customer, known.task_id),
        describing="the task from before to be followed to its end",
        within_s=RECOVERED_WITHIN_S,
    )
    await fleet.stop()
    assert await fleet.violations() == []
