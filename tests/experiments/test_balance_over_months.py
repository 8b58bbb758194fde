"""The turn of a month, a deleted tenant and a vendor without that call make no false alarm."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from app.domain.audit import GATEWAY
from app.sandbox import SandboxOptions
from app.sandbox.server import running_sandbox
from app.store.keys import TURN_OF_BALANCE
from tests.conftest import OpenBed
from tests.flows.test_compare_balance import DAY_S, compared, last_look, looks
from tests.support.bed import Bed, character
from tests.support.calendar import today
from tests.support.vendor import Vendor


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    """A sandbox of its own: the account of the shared one is used by every test."""
    with running_sandbox(SandboxOptions(default_seconds=4)) as sandbox:
        opened = Vendor(sandbox.url)
        yield opened
        opened.close()


async def pass_days(bed: Bed, days: float) -> None:
    """Let time pass at one go."""
    bed.clock.advance_ms(int(days * DAY_S * 1000))
    bed.vendor.pass_time(days * DAY_S)
    await bed.work()


async def come_to(bed: Bed, month: int, day: int) -> None:
    """Move to noon of a day to come."""
    year = today(bed.clock).year
    noons = (datetime(each, month, day, 12, tzinfo=UTC).timestamp() for each in (year, year + 1))
    left_s = (noon_s - bed.clock.now_ms() / 1000 for noon_s in noons)
    await pass_days(bed, next(each for each in left_s if each > 0) / DAY_S)


async def spend(bed: Bed, key: str, *, tasks: int = 1) -> None:
    """Let tasks of a tenth of a credit be made and paid."""
    for _ in range(tasks):
        await bed.created(key, character("seconds:1"))
    await bed.pass_time(5)


@pytest.mark.parametrize("month", [2, 4, 12])
async def test_days_are_compared_over_the_turn_of_any_month(bed: Bed, month: int) -> None:
    """Of 28, 29, 30 or 31 days: each look tells of its day and of no whole month."""
    key = await bed.key()
    await come_to(bed, month, 20)
    await spend(bed, key, tasks=15)
    await compared(bed)

    told = []
    for _ in range(15):
        await spend(bed, key)
        await pass_days(bed, 1)
        (line,) = await compared(bed)
        told.append((line["vendor_microcredits"], line["settled_microcredits"]))

    assert told == [(100_000, 100_000)] * 15


async def test_a_tenant_that_was_deleted_has_spent_all_the_same(bed: Bed) -> None:
    """What is compared is what the vendor has billed, whoever it was for."""
    for tenant in ("acme", "globex"):
        await spend(bed, await bed.key(tenant), tasks=12)
    await compared(bed)
    await spend(bed, await bed.key("globex"))
    await bed.gateway.store.manage_tenants.delete("globex", force=True, by=GATEWAY)

    await pass_days(bed, 1)
    (line,) = await compared(bed)

    assert (line["vendor_microcredits"], line["settled_microcredits"]) == (100_000, 100_000)


async def test_a_vendor_without_that_call_is_asked_a_few_times_a_day(
    bed: Bed, vendor: Vendor
) -> None:
    """One line in the log each time, and nothing in between, however often it is thought of."""
    vendor.fault("status", status=404, on="any")

    lines = [line for _ in range(10) for line in await compared(bed)]
    waits_s = await bed.gateway.store.redis.ttl(TURN_OF_BALANCE)

    assert [line["event"] for line in lines] == ["vendor.balance_unread"]
    assert 5 * 3600 < waits_s <= 6 * 3600
    assert looks(vendor) == 1
    assert await last_look(bed) is None


async def test_many_dead_keys_take_no_longer_than_one(
    open_gateway_bed: OpenBed, vendor: Vendor
) -> None:
    """They are asked all at once, so that the look ends within the time that an engine gives it."""
    keys = ",".join(f"sk-key-number-{number:04d}" for number in range(8))
    settings = {"keys": keys, "report_timeout_s": 0.5}
    async with open_gateway_bed(vendor=settings) as bed:
        vendor.fault("hang", on="any")
        began_s = time.monotonic()

        (line,) = await compared(bed)

        assert line["why"] == "TimeoutError"
        assert time.monotonic() - began_s < 2
