"""Drift and doubts as gauges: what is reserved is reckoned anew from the ledgers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.store.drift import Drift, DriftReads
from app.store.keys import Shard, windows
from app.worker import Chore
from tests.conftest import OpenBed
from tests.support.bed import Bed, character
from tests.support.vendor import Vendor


def chore(bed: Bed, name: str) -> Chore:
    """Return one of the engine's chores."""
    (found,) = [each for each in bed.gateway.engine.chores if each.name == name]
    return found


async def gauges(bed: Bed) -> dict[str, float | None]:
    """Take stock and return what the gauges show."""
    await chore(bed, "stock").work()
    await chore(bed, "doubts").work()
    names = ("drift_microcredits", "doubts", "doubt_oldest_seconds", "doubt_held_microcredits")
    registry = bed.gateway.metrics.registry
    return {name: registry.get_sample_value(f"reelgate_{name}") for name in names}


async def drifts(bed: Bed) -> list[Drift]:
    """Return what is reserved and not held."""
    return await DriftReads(bed.gateway.store.redis).everywhere(now_ms=bed.clock.now_ms())


async def busy(bed: Bed, vendor: Vendor) -> None:
    """Bring tasks of two tenants into every kind of state."""
    for tenant in ("acme", "globex"):
        key = await bed.key(tenant, tasks_in_flight=4, when_full="queue")
        await bed.created(key, character("seconds:1"))
        await bed.created(key, character("seconds:1,outcome:failed"))
        await bed.pass_time(2)
        vendor.fault("commit_then_close", times=1)
        await bed.created(key)
        vendor.heal()
        for _ in range(5):
            await bed.created(key, character("outcome:never"))
        await bed.created(await bed.key(tenant, mode="test"), character("outcome:never"))


async def test_honest_books_have_no_drift(bed: Bed, vendor: Vendor) -> None:
    """Whatever states the tasks are in: running, queued, in doubt, ended."""
    await busy(bed, vendor)

    assert await drifts(bed) == []
    assert (await gauges(bed))["drift_microcredits"] == 0


async def test_honest_books_have_no_drift_over_the_turn_of_a_month(bed: Bed) -> None:
    """A task counts in the month of its admission, however much later it is looked at."""
    key = await bed.key()
    await bed.created(key, character("outcome:never"))
    bed.clock.advance_ms(70 * 86_400_000)
    await bed.created(key, character("outcome:never"))

    assert await drifts(bed) == []


@pytest.mark.parametrize("off", [1, -1, 250_000])
async def test_a_leaked_reservation_is_found(bed: Bed, vendor: Vendor, off: int) -> None:
    """To the microcredit, in both directions, with its tenant and month."""
    await busy(bed, vendor)
    _, month = windows(bed.clock.now_ms())
    name = Shard.of("acme").usage("acme", "live", month)
    await bed.gateway.store.redis.hincrby(name, "held", off)

    (found,) = await drifts(bed)
    shown = await gauges(bed)

    await bed.gateway.store.redis.hincrby(name, "held", -off)
    bed.clock.advance_ms(60_000)
    assert (found.tenant_id, found.mode, found.window, found.amount) == ("acme", "live", month, off)
    assert shown["drift_microcredits"] == abs(off)
    assert (await gauges(bed))["drift_microcredits"] == 0


async def test_a_reservation_without_any_task_is_found(bed: Bed) -> None:
    """A tenant that has nothing open is looked at as well."""
    await bed.key()
    name = Shard.of("acme").usage("acme", "live", windows(bed.clock.now_ms())[1])
    await bed.gateway.store.redis.hset(name, "held", 7)

    (found,) = await drifts(bed)

    await bed.gateway.store.redis.delete(name)
    assert (found.reserved, found.held) == (7, 0)


async def test_a_lost_ledger_entry_is_found(bed: Bed) -> None:
    """What is reserved has to be accounted for by an entry."""
    task_id = await bed.created(await bed.key(), character("outcome:never"))
    ledger, redis = Shard.of("acme").ledger(task_id), bed.gateway.store.redis
    entry = await redis.rpop(ledger)

    found = await drifts(bed)

    await redis.rpush(ledger, entry)
    day, month = windows(bed.clock.now_ms())
    assert {(each.window, bool(each.family)) for each in found} == {
        *((window, of_a_key) for window in (day, month) for of_a_key in (False, True))
    }
    assert {(each.reserved, each.held) for each in found} == {(100_000, 0)}


async def test_a_reckoning_amid_changes_sees_no_drift(bed: Bed, vendor: Vendor) -> None:
    """Figures and ledgers are read at one moment: tasks that begin and end meanwhile do no harm."""
    key = await bed.key()
    found: list[Any] = []

    for _ in range(15):
        await bed.created(key, character("seconds:1"))
        await bed.created(key, character("outcome:never"))
        async with asyncio.TaskGroup() as group:
            group.create_task(bed.created(key, character("seconds:1")))
            reckonings = [group.create_task(drifts(bed)) for _ in range(3)]
            group.create_task(bed.pass_time(1.5))
        found += [drift for each in reckonings for drift in each.result()]

    assert found == []


async def test_doubts_are_counted_with_their_age_and_their_credits(
    bed: Bed, vendor: Vendor
) -> None:
    """What an operator is alarmed by: how many, since when, how much."""
    key = await bed.key()
    none = await gauges(bed)
    vendor.fault("commit_then_close", times=2)
    await bed.created(key)
    await bed.pass_time(100)
    await bed.created(key)
    await bed.pass_time(20)

    some = await gauges(bed)
    await bed.pass_time(2 * 86_400)

    doubtful = ("doubts", "doubt_oldest_seconds", "doubt_held_microcredits")
    assert [none[name] for name in doubtful] == [0, 0, 0]
    assert [some[name] for name in doubtful] == [2, 120, 200_000]
    assert await gauges(bed) == none


async def test_an_engine_takes_stock_by_itself(open_gateway_bed: OpenBed) -> None:
    """Doubts four times a minute, drift once; what else is compared, now and then."""
    async with open_gateway_bed() as bed:
        assert {each.name: each.every_s for each in bed.gateway.engine.chores} == {
            "stock": 60,
            "doubts": 15,
            "balance": 600,
            "deliveries": 15,
        }
