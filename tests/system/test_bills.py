"""A thousand bills, from nothing to half as much again: the ledger is the vendor's bill."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from decimal import Decimal

import httpx2
import pytest

from app.sandbox import SandboxOptions
from app.sandbox.server import running_sandbox
from tests.support.fleet import Fleet
from tests.support.vendor import VENDOR_KEY, Vendor
from tests.support.wait import wait_until

TASKS = 1_000
AT_ONCE = 25
HELD = 100_000


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    """A vendor that bills nobody else: tasks of other tests may still be ending at theirs."""
    with running_sandbox(SandboxOptions(default_seconds=4)) as sandbox:
        own = Vendor(sandbox.url)
        yield own
        own.close()


def billed(fleet: Fleet) -> int:
    """Return what the vendor says was used up so far, microcredits."""
    answer = httpx2.get(
        f"{fleet.vendor.url}/v1/credits",
        headers={"authorization": f"Bearer {VENDOR_KEY}"},
        trust_env=False,
    )
    return int(Decimal(str(answer.json()["data"]["user"]["used_credits"])) * 1_000_000)


def bills(lots: random.Random) -> list[int]:
    """Return final costs from 0 to 150 % of the hold, in steps of a ten-thousandth of a credit."""
    return [0, HELD, HELD - 100, HELD + 100] + [
        lots.randrange(0, 1_501) * 100 for _ in range(TASKS - 4)
    ]


async def test_what_the_vendor_bills_is_booked_less_or_more(fleet: Fleet) -> None:
    """Less is given back, more is recorded and told; nothing is dropped or rounded."""
    costs, before = bills(random.Random(1)), billed(fleet)
    (gateway,) = await fleet.start("a", REELGATE_POLL__BATCH="true", REELGATE_POLL__PER_SECOND="0")
    customer = await fleet.customer()
    room = asyncio.Semaphore(AT_ONCE)

    async def create(cost: int) -> None:
        async with room:
            answer = await customer.create(gateway, "", f"seconds:1,credits:{cost / 1_000_000:.4f}")
            assert answer is not None
            assert answer.status == 200

    await asyncio.gather(*(create(cost) for cost in costs))
    await wait_until(lambda: ended(fleet), describing="all to be billed", within_s=30)
    books = await fleet.books()

    figures = books.figures("acme")
    exceeded = [each for each in gateway.events() if each["event"] == "hold.exceeded"]
    assert sum(figures[word] for word in ("completed", "failed") if word in figures) == TASKS
    assert figures["settled"] == sum(costs) == billed(fleet) - before
    assert figures["held"] == 0
    assert len(exceeded) == sum(cost > HELD for cost in costs) > TASKS / 4
    assert sorted(int(task["charged"]) for task in books.tasks.values()) == sorted(costs)
    assert await fleet.violations() == []


async def ended(fleet: Fleet) -> bool:
    """Say whether no task is open any more."""
    return not (await fleet.books()).schedules["polls"]
