"""A store that was set back to an older copy of itself is shut until an operator has looked."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from pathlib import Path

import httpx2
import pytest

from app.store.identity import epoch_after_set_back
from tests.chaos.aftermath import gateway_of_later
from tests.support.customer import Customer
from tests.support.fleet import Fleet
from tests.support.processes import GatewayProcess
from tests.support.redis_server import RedisServer
from tests.support.scale import scaled
from tests.support.wait import wait_until

pytestmark = pytest.mark.chaos

APPEND_ONLY = "appendonlydir"
SHUT = {(503, "store_foreign"), (503, "store_unavailable")}
"""The second only where the connection was still being made."""


def copied(server: RedisServer, place: Path) -> Path:
    """Return a copy of what a server keeps, as of one instant."""
    server.freeze()
    shutil.copytree(server.folder / APPEND_ONLY, place)
    server.thaw()
    return place


def set_back(server: RedisServer, copy: Path, keep: Path) -> None:
    """Replace what a server keeps by an older copy of it; what it had is kept elsewhere."""
    server.kill()
    shutil.move(server.folder / APPEND_ONLY, keep)
    shutil.copytree(copy, server.folder / APPEND_ONLY)
    server.restart()


async def has_ended(gateway: GatewayProcess, customer: Customer, name: str) -> bool:
    """Return whether the task of a named create shows as completed."""
    answer = await customer.read(gateway, customer.acknowledged[name])
    return answer.status_code == 200 and answer.json()["status"] == "completed"


async def is_shut(gateway: GatewayProcess, http: httpx2.AsyncClient) -> bool:
    """Return whether a gateway does not call itself ready."""
    return (await http.get(f"{gateway.url}/readyz")).status_code == 503


async def are_open(customer: Customer, gateways: list[GatewayProcess]) -> bool:
    """Return whether every gateway takes a create."""
    answers = [await customer.create(gateway, scenario="seconds:0") for gateway in gateways]
    return all(answer is not None and answer.status == 200 for answer in answers)


async def test_a_store_that_was_set_back_is_shut_at_once_until_an_operator_acts(
    fleet: Fleet,
) -> None:
    """Twenty times: nothing is sent, also not what waited in the copy and was sent since."""
    gateways = await fleet.start("a", "b")
    plain = await fleet.customer()
    queueing = await fleet.customer("few", tasks_in_flight=3, when_full="queue", max_queued=1_000)

    async def all_are_sent() -> bool:
        return not {"queued", "sending"} & (await fleet.books()).states().keys()

    for trial in range(scaled(20, share=1.0)):
        customer = queueing if trial % 5 == 0 else plain
        for _ in range(5 if customer is queueing else 1):
            await customer.create(gateways[0], scenario="seconds:0")
        copy = copied(fleet.redis, fleet.folder / f"copy-{trial}")
        # Each has a part in what the copy lacks: a process knows of another's within a second.
        for gateway in gateways:
            await customer.create(gateway, scenario="seconds:0")
        await wait_until(all_are_sent, describing="the queue to be sent", within_s=60)
        sent, told = len(fleet.vendor.creates()), len(customer.answers)
        right = fleet.folder / f"right-{trial}"

        await asyncio.to_thread(set_back, fleet.redis, copy, right)
        await customer.create_many(*gateways, count=20)

        shut = Counter((each.status, each.reason) for each in customer.answers[told:])
        assert shut.keys() <= SHUT
        await wait_until(lambda: is_shut(gateways[0], fleet.http), describing="to be shut")
        assert len(fleet.vendor.creates()) == sent
        await asyncio.to_thread(set_back, fleet.redis, right, fleet.folder / f"shut-{trial}")
        await wait_until(
            lambda customer=customer: are_open(customer, gateways),
            describing="work on the right store",
            within_s=10,
        )


async def go_on_with(fleet: Fleet, epoch: str, customer: Customer) -> None:
    """Work under an epoch, until what was followed has ended and what was sent is judged."""
    (told,) = await fleet.start("told", REELGATE_STORE_EPOCH=epoch)
    await wait_until(
        lambda: has_ended(told, customer, "followed"), describing="its end once more", within_s=40
    )
    await gateway_of_later(fleet, "later", REELGATE_STORE_EPOCH=epoch)
    await fleet.stop()


async def test_an_operator_who_goes_on_with_the_copy_doubles_nothing_that_was_begun(
    fleet: Fleet,
) -> None:
    """What was being sent at the copy is doubted, what was followed is read on and charged once."""
    fleet.unaudited = "what was acknowledged since the copy is unknown, as the last lines show"
    (gateway,) = await fleet.start("serve")
    customer = await fleet.customer()
    await customer.create(gateway, "followed", "seconds:2")
    fleet.vendor.fault("delay", ms=1_500)
    async with asyncio.TaskGroup() as group:
        group.create_task(customer.create(gateway, "sending", "seconds:0"))
        await wait_until(lambda: len(fleet.vendor.creates()) == 2, describing="the second send")
        copy = copied(fleet.redis, fleet.folder / "copy")
    for name in ("followed", "sending"):
        await wait_until(
            lambda name=name: has_ended(gateway, customer, name), describing="its end", within_s=40
        )
    await customer.create(gateway, "since", "seconds:0")

    await asyncio.to_thread(set_back, fleet.redis, copy, fleet.folder / "right")
    await wait_until(lambda: is_shut(gateway, fleet.http), describing="to be shut")
    await fleet.stop()
    before = (await fleet.books()).states()
    epoch = epoch_after_set_back(fleet.store.epoch_id)
    await go_on_with(fleet, epoch, customer)

    assert before == {"sending": 1, "submitted": 1}
    assert (await fleet.books()).states() == {"completed": 1, "in_doubt": 1}
    assert len(fleet.vendor.creates()) == 3
    unknown = ("and is unknown", "and does not know it", "which no task stands for")
    assert [line for line in await fleet.violations() if not line.endswith(unknown)] == []
