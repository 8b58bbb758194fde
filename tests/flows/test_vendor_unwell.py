"""Queues while the vendor refuses, or answers what is neither yes nor no."""

from __future__ import annotations

import random
from contextlib import AsyncExitStack
from typing import Any

from app.domain.requeue import MOST_TRIES, MOST_TRIES_FORBIDDEN
from app.flows.vendor_health import VendorHealth
from tests.conftest import OpenBed
from tests.flows.watching import sends_end
from tests.support.bed import Bed, character
from tests.support.vendor import Vendor
from tests.support.vendor_gate import VendorGate

PRICE = 100_000
PATIENT = {"tasks_in_flight": 1, "when_full": "queue", "when_vendor_down": "queue"}


def numbered(number: int) -> dict[str, Any]:
    """Return a create body that can be told from others in the vendor's journal."""
    return character("seconds:1", timestamps=f"{number},{number + 1}")


async def sent_now(bed: Bed) -> None:
    """Let everything go out that can go now."""
    await bed.work()
    await sends_end(bed)


async def states(bed: Bed, ids: list[str]) -> list[str]:
    """Return the states of tasks."""
    return [(await bed.stored(each))["state"] for each in ids]


async def test_a_task_that_the_vendor_forbids_holds_up_nobody(bed: Bed) -> None:
    """It is tried three times, behind the others, and then refused: its tenant pays nothing."""
    key = await bed.key(**PATIENT)
    first = await bed.created(key, numbered(0))
    poison = await bed.created(key, numbered(7))
    good = [await bed.created(key, numbered(number)) for number in (1, 2, 3)]

    bed.vendor.fault("status", status=403, times=1)
    while await states(bed, good[-1:]) == ["queued"]:
        await bed.pass_time(6)
        await sent_now(bed)
    after_one_try = await states(bed, [first, *good, poison])
    bed.vendor.fault("status", status=403, times=MOST_TRIES_FORBIDDEN - 1)
    for _ in range(6):
        await bed.pass_time(11)
        await sent_now(bed)

    assert after_one_try == ["completed"] * 3 + ["submitted", "queued"]
    assert await states(bed, [first, *good, poison]) == ["completed"] * 4 + ["rejected"]
    shown = (await bed.read(key, poison)).json()
    assert (shown["status"], shown["usage"]["credits_used"]) == ("failed", 0)
    assert (await bed.usage())["settled"] == 4 * PRICE
    assert (await bed.usage())["held"] == 0


async def test_tries_of_a_vendor_that_stays_away_are_bounded(bed: Bed) -> None:
    """After some hours whoever waits is told so, and gets the hold back."""
    key = await bed.key(when_vendor_down="queue")
    bed.vendor.fault("status", status=429)
    task_id = await bed.created(key, numbered(0))

    for _ in range(2 * MOST_TRIES):
        await bed.pass_time(610)
        await sent_now(bed)

    shown = (await bed.read(key, task_id)).json()
    assert (shown["status"], shown["usage"]["credits_used"]) == ("failed", 0)
    assert len(bed.vendor.creates()) == MOST_TRIES
    ledger = await bed.gateway.store.tasks.ledger("acme", task_id)
    assert [(kind, amount) for _, kind, amount in ledger] == [("hold", PRICE), ("release", PRICE)]


async def test_a_vendor_that_breaks_is_not_fed_a_whole_queue(bed: Bed) -> None:
    """Some doubts in a row, and what waits goes on waiting: one tries, ever more seldom."""
    key = await bed.key(**PATIENT | {"tasks_in_flight": 30})
    bed.vendor.fault("status", status=503)
    ids = [await bed.created(key, numbered(number)) for number in range(30)]
    ids += [await bed.created(key, numbered(number)) for number in range(30, 60)]

    for _ in range(20):
        await bed.pass_time(60)
        await sent_now(bed)
    found = await states(bed, ids[30:])
    bed.vendor.heal()
    for _ in range(20):
        await bed.pass_time(60)
        await sent_now(bed)

    assert 1 <= found.count("in_doubt") <= 8
    assert found.count("queued") == 30 - found.count("in_doubt")
    healed = await states(bed, ids[30:])
    assert healed.count("completed") == 30 - healed.count("in_doubt")
    assert "queued" not in healed


async def test_a_vendor_that_cannot_be_reached_is_no_healthier_for_it(
    open_gateway_bed: OpenBed, vendor: Vendor
) -> None:
    """Only a yes or a no ends the pause after doubts in a row; a refused connect is neither."""
    async with AsyncExitStack() as line:
        gate = await line.enter_async_context(VendorGate(vendor.url, random.Random(1)))
        reached = {"base_url": gate.url, "connect_timeout_s": 1}
        async with open_gateway_bed(vendor=reached) as bed:
            key = await bed.key()
            health = bed.gateway.submit.send.health["live"]
            vendor.fault("status", status=503)
            for number in range(3):
                await bed.created(key, numbered(number))
            health.tried(bed.clock.now_ms())
            paused = not health.may_try(bed.clock.now_ms())

            await line.aclose()
            refused = await bed.create(key, numbered(4))
            still_paused = not health.may_try(bed.clock.now_ms())

    assert refused.json()["error"]["reason"] in ("vendor_unreachable", "no_vendor_capacity")
    assert paused
    assert still_paused


def test_a_yes_or_a_no_says_that_the_vendor_is_well() -> None:
    """Three doubts in a row make it ill; one plain answer makes it well again."""
    health = VendorHealth()
    for _ in range(3):
        assert health.may_try(0)
        health.tried(0)
        health.doubted()

    assert health.may_try(0)
    health.tried(0)
    assert not health.may_try(9_999)
    assert health.may_try(10_000)
    health.tried(10_000)
    assert not health.may_try(29_999)

    health.heard()
    assert health.may_try(10_001)
