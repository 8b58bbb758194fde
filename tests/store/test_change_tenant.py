"""change_tenant.lua: what is named changes, what is not stays, and only where there is a tenant."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.domain.tenant import TenantChange, TenantLimits
from app.errors import StoreForeign, TenantNotFound
from app.store.tenants import TenantStore
from tests.store.shelf import Shelf
from tests.support.contents import everything
from tests.support.tenant_keys import act


async def change(shelf: Shelf, given: dict[str, Any], *, tenants: TenantStore | None = None) -> Any:
    """Change the tenant of these tests, and return it as it is then."""
    stated = act("acme", at_ms=shelf.clock.now_ms())
    await (tenants or shelf.tenants).change("acme", TenantChange.read(given), stated)
    return await shelf.tenants.get("acme")


async def beside_the_log(shelf: Shelf) -> dict[str, Any]:
    """Return the whole store but for the audit log, which every change lengthens."""
    stored = await everything(shelf.redis)
    return {name: kept for name, kept in stored.items() if not name.endswith(":audit")}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"limits": {"tasks_in_flight": 2}}, {"tasks_in_flight": 2}),
        ({"limits": {"creates_per_minute": None}}, {"creates_per_minute": None}),
        ({"limits": {"models": []}}, {"models": []}),
        (
            {"limits": {"models": None, "credits_per_day": "7"}},
            {"models": None, "credits_per_day": 7_000_000},
        ),
        ({"limits": {"when_full": "reject"}}, {"when_full": "reject"}),
        ({"limits": {"max_queued": 3}}, {"max_queued": 3}),
        ({"limits": {}}, {}),
    ],
    ids=str,
)
async def test_limits_that_are_not_named_stay(
    shelf: Shelf, given: dict[str, Any], expected: dict[str, Any]
) -> None:
    """One that is named is set, one that is named null is lifted; name, group and state stay."""
    await shelf.caller(creates_per_minute=5, credits_per_day="1", models=["a", "b"])
    before = await shelf.tenants.get("acme")

    after = await change(shelf, given)

    assert after.limits == before.limits.model_copy(update=expected)
    assert after == before.model_copy(update={"limits": after.limits})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"name": "Acme Films"}, {"name": "Acme Films"}),
        ({"group": "film studio"}, {"group": "film studio"}),
        ({"disabled": True}, {"disabled": True}),
        (
            {"name": "n", "group": "g", "disabled": True},
            {"name": "n", "group": "g", "disabled": True},
        ),
    ],
    ids=str,
)
async def test_each_of_a_tenants_words_can_be_changed_alone(
    shelf: Shelf, given: dict[str, Any], expected: dict[str, Any]
) -> None:
    """The others stay, and so does every limit."""
    await shelf.caller(creates_per_minute=5)
    before = await shelf.tenants.get("acme")

    after = await change(shelf, given)

    assert after == before.model_copy(update=expected)


async def test_the_same_change_twice_is_one_change(shelf: Shelf) -> None:
    """Repeating it after a lost reply does no harm."""
    await shelf.caller(creates_per_minute=5)
    given = {"limits": {"models": ["a"], "creates_per_minute": None}, "group": "b"}
    await change(shelf, given)
    untouched = await beside_the_log(shelf)

    await change(shelf, given)

    assert await beside_the_log(shelf) == untouched


async def test_a_disabled_tenant_keeps_its_limits(shelf: Shelf) -> None:
    """Switched off and on again it is the tenant it was."""
    await shelf.caller(creates_per_minute=5)
    before = await shelf.tenants.get("acme")

    disabled = await change(shelf, {"disabled": True})
    enabled = await change(shelf, {"disabled": False})

    assert disabled == before.model_copy(update={"disabled": True})
    assert enabled == before


async def test_fifty_changes_at_once_leave_one_of_them_whole(shelves: list[Shelf]) -> None:
    """The limits are some operator's, not a mixture of two."""
    await shelves[0].caller()
    wishes = [{"tasks_in_flight": n, "creates_per_minute": n} for n in range(25)]
    wishes += [{"tasks_in_flight": None, "creates_per_minute": 100 + n} for n in range(25)]

    await asyncio.gather(
        *(change(shelves[n % 3], {"limits": wish}) for n, wish in enumerate(wishes))
    )

    left = (await shelves[0].tenants.get("acme")).limits
    assert left in [TenantLimits.read(wish) for wish in wishes]


async def test_changes_of_different_limits_do_not_undo_each_other(shelves: list[Shelf]) -> None:
    """Two operators at once: what neither of them named is as it was, the rest is both's."""
    await shelves[0].caller(reads_per_second=3)

    await asyncio.gather(
        change(shelves[0], {"limits": {"tasks_in_flight": 1}}),
        change(shelves[1], {"limits": {"creates_per_minute": 2}}),
        change(shelves[2], {"group": "studio"}),
    )

    tenant = await shelves[0].tenants.get("acme")
    assert tenant.limits == TenantLimits(
        tasks_in_flight=1, creates_per_minute=2, reads_per_second=3
    )
    assert tenant.group == "studio"


async def test_what_does_not_exist_is_not_made_by_a_change(shelf: Shelf) -> None:
    """Limits and state of an unknown tenant write nothing, not even to the log."""
    await shelf.caller()
    untouched = await everything(shelf.redis)

    with pytest.raises(TenantNotFound):
        await shelf.limit("globex", tasks_in_flight=1)
    with pytest.raises(TenantNotFound):
        await shelf.switch("globex", disabled=True)

    assert await everything(shelf.redis) == untouched


async def test_a_store_of_another_epoch_is_not_changed(shelf: Shelf) -> None:
    """Neither limits nor states."""
    await shelf.caller()
    stranger = TenantStore(shelf.redis, "0" * 32)
    untouched = await everything(shelf.redis)

    for given in ({"limits": {}}, {"disabled": True}, {"name": "n"}):
        with pytest.raises(StoreForeign):
            await change(shelf, given, tenants=stranger)

    assert await everything(shelf.redis) == untouched
