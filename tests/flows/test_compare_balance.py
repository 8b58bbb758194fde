"""Once a day the vendor's count is set beside ours: a line in the log and a hint, nothing more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.domain.balance import Look
from app.sandbox import SandboxOptions
from app.sandbox.server import running_sandbox
from app.store.balance import BalanceStore
from app.store.keys import Shard, windows
from tests.flows.test_take_stock import chore
from tests.support.bed import Bed, character
from tests.support.vendor import Vendor

DAY_S = 86_400


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    """A sandbox of its own: the account of the shared one is used by every test."""
    with running_sandbox(SandboxOptions(default_seconds=4)) as sandbox:
        opened = Vendor(sandbox.url)
        yield opened
        opened.close()


async def compared(bed: Bed) -> list[dict[str, Any]]:
    """Let the engine look; return what it logged about it."""
    with capture_logs() as lines:
        await chore(bed, "balance").work()
    return [dict(line) for line in lines if line["event"].startswith("vendor.balance")]


async def last_look(bed: Bed) -> Look | None:
    """Return what is kept of the last look."""
    return await BalanceStore(bed.gateway.store.redis).last()


def looks(vendor: Vendor) -> int:
    """Return how often the sandbox was asked for credits."""
    return sum(entry["path"] == "/v1/credits" for entry in vendor.journal())


async def test_what_was_used_in_a_day_is_set_beside_what_was_settled(bed: Bed) -> None:
    """The first look has nothing to compare with; the next tells what happened between."""
    key = await bed.key()
    await bed.created(key, character("seconds:1"))
    await bed.pass_time(5)
    first = await compared(bed)
    await bed.created(key, character("seconds:1"))
    await bed.created(await bed.key("globex"), character("seconds:1"))
    await bed.created(key, character("seconds:1,outcome:failed"))

    await bed.pass_time(DAY_S)
    (second,) = await compared(bed)

    assert first == []
    assert second["event"] == "vendor.balance_compared"
    assert (second["vendor_microcredits"], second["settled_microcredits"]) == (200_000, 200_000)
    assert second["notable"] is False


async def test_somebody_else_on_the_key_is_notable(bed: Bed, vendor: Vendor) -> None:
    """What the vendor bills and we know nothing of is what an operator has to look into."""
    await bed.key()
    await compared(bed)
    key = await bed.key("globex")
    for _ in range(12):
        await bed.created(key, character("seconds:1"))
    await bed.pass_time(20)
    redis = bed.gateway.store.redis
    month = Shard.of("globex").usage("globex", "live", windows(bed.clock.now_ms())[1])
    await redis.hset(month, "settled", 0)

    await bed.pass_time(DAY_S)
    (line,) = await compared(bed)
    await redis.hset(month, "settled", 1_200_000)

    assert line["notable"] is True
    assert (line["vendor_microcredits"], line["settled_microcredits"]) == (1_200_000, 0)


async def test_a_look_is_taken_once_a_day_by_one_process(bed: Bed, vendor: Vendor) -> None:
    """However often it is thought of."""
    for _ in range(5):
        await compared(bed)
    within = looks(vendor)
    await bed.pass_time(DAY_S)
    for _ in range(5):
        await compared(bed)

    assert (within, looks(vendor)) == (1, 2)


@pytest.mark.parametrize("mode", ["status", "malformed", "close"])
async def test_a_vendor_that_tells_nothing_leaves_the_last_look(
    bed: Bed, vendor: Vendor, mode: str
) -> None:
    """It is tried again a little later, and not at once."""
    await compared(bed)
    before = await last_look(bed)
    await bed.pass_time(DAY_S)
    vendor.fault(mode, on="any")

    (line,) = await compared(bed)
    again = await compared(bed)

    assert line["event"] == "vendor.balance_unread"
    assert again == []
    assert await last_look(bed) == before


async def test_the_turn_of_a_month_is_bridged(bed: Bed) -> None:
    """What a new month has settled counts in full, what the old one has from the last look on."""
    key = await bed.key()
    await bed.created(key, character("seconds:1"))
    await bed.pass_time(5)
    await compared(bed)

    bed.clock.advance_ms(29 * DAY_S * 1000)
    bed.vendor.pass_time(29 * DAY_S)
    await bed.created(key, character("seconds:1"))
    await bed.pass_time(5)
    (line,) = await compared(bed)

    assert (line["vendor_microcredits"], line["settled_microcredits"]) == (100_000, 100_000)
