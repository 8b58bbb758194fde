"""read_account.lua: what a caller may use and has used, in one look."""

from __future__ import annotations

import pytest

from app.domain.task import TaskState
from app.domain.tenant import Limits, TenantLimits
from app.errors import StoreUnavailable, TenantNotFound
from app.store.account import AccountStore
from app.store.connect import connect
from app.store.keys import windows
from tests.store.shelf import PRICE, Shelf
from tests.support.contents import everything

S = TaskState


async def test_a_caller_finds_its_own_limits_and_its_tenants(shelf: Shelf) -> None:
    """Each as an operator set it, with nothing of the other in it."""
    first = await shelf.caller(credits_per_month="5", models=["a"], max_queued=4)
    caller = await shelf.colleague(first, credits_per_day="0.5", reads_per_second=2)

    account = await shelf.accounts.of_caller(caller, [], now_ms=shelf.clock.now_ms())

    assert account.of_tenant == TenantLimits(
        credits_per_month=5_000_000, models=["a"], max_queued=4
    )
    assert account.of_key == Limits(credits_per_day=500_000, reads_per_second=2)
    assert account.windows == []


async def test_figures_come_in_the_order_of_the_windows(shelf: Shelf) -> None:
    """One for each that was asked for; empty where nothing happened."""
    caller = await shelf.caller()
    await shelf.move(await shelf.submitted(caller), S.COMPLETED, charged=PRICE)
    await shelf.admit(caller)
    day, month = windows(shelf.clock.now_ms())

    account = await shelf.accounts.of_caller(
        caller, ["20010101", day, month, day], now_ms=shelf.clock.now_ms()
    )

    nothing, *found = account.windows
    assert nothing == {}
    assert found[0] == found[1] == found[2] == await shelf.figures(caller, day)
    assert (found[0]["held"], found[0]["settled"], found[0]["tasks"]) == (PRICE, PRICE, 2)


async def test_four_hundred_days_are_read_at_once(shelf: Shelf) -> None:
    """As many as the figures are kept for."""
    caller = await shelf.caller()
    names = [f"{number:08d}" for number in range(400)]

    account = await shelf.accounts.of_caller(caller, names, now_ms=shelf.clock.now_ms())

    assert account.windows == [{}] * 400


async def test_modes_and_tenants_have_accounts_of_their_own(shelf: Shelf) -> None:
    """A neighbour's spending and the test keys' are in neither."""
    callers = [
        await shelf.caller("acme"),
        await shelf.caller("hooli"),
        await shelf.caller("acme", mode="test"),
    ]
    await shelf.admit(callers[0])
    day, _ = windows(shelf.clock.now_ms())

    found = [
        (await shelf.accounts.of_caller(each, [day], now_ms=shelf.clock.now_ms())).windows[0]
        for each in callers
    ]

    assert [figures.get("tasks") for figures in found] == [1, None, None]


@pytest.mark.parametrize("mode", ["live", "test"])
async def test_operators_see_the_same_figures(shelf: Shelf, mode: str) -> None:
    """Of either mode, without a key."""
    caller = await shelf.caller(mode="test" if mode == "test" else "live")
    await shelf.admit(caller)
    day, month = windows(shelf.clock.now_ms())
    untouched = await everything(shelf.redis)

    found = await shelf.accounts.of_tenant("acme", caller.mode, [day, "20010101", month])

    account = await shelf.accounts.of_caller(caller, [day], now_ms=shelf.clock.now_ms())
    assert found == [account.windows[0], {}, account.windows[0]]
    assert await everything(shelf.redis) == untouched


async def test_an_unknown_tenant_has_no_account(shelf: Shelf) -> None:
    """Which is not an account without figures."""
    await shelf.caller("acme")

    with pytest.raises(TenantNotFound):
        await shelf.accounts.of_tenant("nobody", "live", [])

    assert await shelf.accounts.of_tenant("acme", "live", []) == []


async def test_a_store_that_is_away_is_no_empty_account(shelf: Shelf) -> None:
    """Nothing is said of what was used."""
    away = AccountStore(connect("unix:///nonexistent/socket"), "0" * 32)
    caller = await shelf.caller()

    with pytest.raises(StoreUnavailable):
        await away.of_tenant("acme", "live", ["20261122"])
    with pytest.raises(StoreUnavailable):
        await away.of_caller(caller, ["20261122"], now_ms=0)
