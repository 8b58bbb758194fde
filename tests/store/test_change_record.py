"""change_record.lua: limits and states are changed whole, and only where there is a record."""

from __future__ import annotations

import asyncio

import pytest

from app.domain.tenant import Limits
from app.errors import StoreForeign
from app.store.tenants import KeyUnknown, TenantStore, TenantUnknown
from tests.store.shelf import Shelf
from tests.support.contents import everything


async def test_new_limits_take_the_place_of_the_old_ones(shelf: Shelf) -> None:
    """A limit that is not named any more is lifted; name, group and state stay."""
    await shelf.caller(creates_per_minute=5, credits_per_day="1", models=["a", "b"])
    before = await shelf.tenants.get("acme")

    await shelf.tenants.set_limits("acme", Limits(credits_per_day=7, tasks_in_flight=2))

    after = await shelf.tenants.get("acme")
    assert after.limits == Limits(credits_per_day=7, tasks_in_flight=2)
    assert after == before.model_copy(update={"limits": after.limits})


async def test_the_same_change_twice_is_one_change(shelf: Shelf) -> None:
    """Repeating it after a lost reply does no harm."""
    await shelf.caller()
    await shelf.tenants.set_limits("acme", Limits(models=["a"]))
    untouched = await everything(shelf.redis)

    await shelf.tenants.set_limits("acme", Limits(models=["a"]))

    assert await everything(shelf.redis) == untouched


async def test_a_disabled_tenant_keeps_its_limits(shelf: Shelf) -> None:
    """Switched off and on again it is the tenant it was."""
    await shelf.caller(creates_per_minute=5)
    before = await shelf.tenants.get("acme")

    await shelf.tenants.set_disabled("acme", disabled=True)
    disabled = await shelf.tenants.get("acme")
    await shelf.tenants.set_disabled("acme", disabled=False)

    assert disabled == before.model_copy(update={"disabled": True})
    assert await shelf.tenants.get("acme") == before


async def test_fifty_changes_at_once_leave_one_of_them_whole(shelves: list[Shelf]) -> None:
    """The limits are some operator's, not a mixture of two."""
    await shelves[0].caller()
    wishes = [Limits(tasks_in_flight=n, creates_per_minute=n) for n in range(25)]
    wishes += [Limits(credits_per_day=n) for n in range(25)]

    await asyncio.gather(
        *(shelves[n % 3].tenants.set_limits("acme", wish) for n, wish in enumerate(wishes))
    )

    assert (await shelves[0].tenants.get("acme")).limits in wishes


async def test_what_does_not_exist_is_not_made_by_a_change(shelf: Shelf) -> None:
    """Limits of an unknown tenant and the revocation of an unknown key write nothing."""
    await shelf.caller()
    untouched = await everything(shelf.redis)

    with pytest.raises(TenantUnknown):
        await shelf.tenants.set_limits("globex", Limits(tasks_in_flight=1))
    with pytest.raises(TenantUnknown):
        await shelf.tenants.set_disabled("globex", disabled=True)
    with pytest.raises(KeyUnknown):
        await shelf.tenants.revoke_key("acme", "key_000000000000")

    assert await everything(shelf.redis) == untouched


async def test_a_key_of_another_tenant_is_not_revoked(shelf: Shelf) -> None:
    """A key is named by its tenant and its id together."""
    caller = await shelf.caller("acme")
    await shelf.caller("globex")

    with pytest.raises(KeyUnknown):
        await shelf.tenants.revoke_key("globex", caller.key_id)

    assert await shelf.attempt(caller) == "admitted"


async def test_a_store_of_another_epoch_is_not_changed(shelf: Shelf) -> None:
    """Neither limits nor states nor keys."""
    caller = await shelf.caller()
    stranger = TenantStore(shelf.redis, "0" * 32)
    untouched = await everything(shelf.redis)

    with pytest.raises(StoreForeign):
        await stranger.set_limits("acme", Limits())
    with pytest.raises(StoreForeign):
        await stranger.set_disabled("acme", disabled=True)
    with pytest.raises(StoreForeign):
        await stranger.revoke_key("acme", caller.key_id)

    assert await everything(shelf.redis) == untouched
