"""add_tenant.lua: a tenant is made once, whole, on the expected store only."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.domain.pricing import MAX_CREDITS
from app.domain.tenant import Tenant, TenantLimits
from app.errors import StoreForeign, TenantExists
from app.store.keys import Shard
from app.store.tenants import TenantStore
from tests.store.shelf import Shelf
from tests.support.contents import everything
from tests.support.tenant_keys import act

ACME = Tenant(id="acme", name="Acme Films, Ltd.", group="film studio")


SECRET = "whsec_" + "A" * 43 + "="


async def add(shelf: Shelf, tenant: Tenant = ACME, tenants: TenantStore | None = None) -> None:
    """Make a tenant now."""
    created = act(tenant.id, at_ms=shelf.clock.now_ms(), name="tenant.created")
    await (tenants or shelf.tenants).add(tenant, SECRET, created)


@pytest.mark.parametrize(
    "limits",
    [
        {},
        {"creates_per_minute": 0, "tasks_in_flight": 1_000_000},
        {"credits_per_day": "0.000001", "credits_per_month": str(MAX_CREDITS)},
        {"models": ["sora-character"]},
        {"models": ["a", "b.c-d_e/f", "g h"]},
        {"models": []},
        {"reads_per_second": 20, "max_queued": 5, "when_full": "reject"},
        {"when_full": "reject", "when_vendor_down": "reject"},
    ],
)
async def test_a_tenant_reads_back_as_it_was_written(shelf: Shelf, limits: dict[str, Any]) -> None:
    """Name, group and every limit, a list without models among them."""
    tenant = ACME.model_copy(update={"limits": TenantLimits.read(limits)})

    await add(shelf, tenant)

    assert await shelf.tenants.get("acme") == tenant


async def test_a_new_tenant_is_listed(shelf: Shelf) -> None:
    """It stands in the set of its shard and in the audit log, and nothing else is written."""
    await add(shelf)

    shard, stored = Shard.of("acme"), await everything(shelf.redis)
    written = {name for name in stored if not name.endswith("epoch") and name != "rg:meta"}
    assert written == {shard.tenant("acme"), shard.tenants, shard.audit}
    assert stored[shard.tenants] == ({b"acme"}, -1)


async def test_an_id_is_given_once(shelf: Shelf) -> None:
    """A second tenant of the same id changes nothing of the first, and leaves no entry."""
    await add(shelf)
    untouched = await everything(shelf.redis)

    with pytest.raises(TenantExists):
        await add(shelf, Tenant(id="acme", name="Another", limits=TenantLimits(tasks_in_flight=0)))

    assert await everything(shelf.redis) == untouched


async def test_of_fifty_at_once_one_makes_it(shelves: list[Shelf]) -> None:
    """The tenant is wholly that one's: no name of one with limits of another."""
    tenants = [
        Tenant(id="acme", name=f"name {n}", limits=TenantLimits(tasks_in_flight=n))
        for n in range(50)
    ]

    outcomes = await asyncio.gather(
        *(add(shelves[n % 3], tenant) for n, tenant in enumerate(tenants)), return_exceptions=True
    )

    assert [type(outcome) for outcome in outcomes].count(TenantExists) == 49
    assert await shelves[0].tenants.get("acme") in tenants


async def test_a_store_of_another_epoch_gets_no_tenant(shelf: Shelf) -> None:
    """Nothing is written where the store is not the expected one."""
    stranger = TenantStore(shelf.redis, "0" * 32)
    untouched = await everything(shelf.redis)

    with pytest.raises(StoreForeign):
        await add(shelf, ACME, stranger)

    assert await everything(shelf.redis) == untouched


async def test_a_tenants_secret_is_kept_apart_from_what_is_shown(shelf: Shelf) -> None:
    """It is there for whoever asks for it by name, and in nothing else that is read."""
    await add(shelf)

    tenant = await shelf.tenants.get("acme")

    assert await shelf.tenants.webhook_secret("acme") == SECRET
    assert SECRET not in str(tenant.public())
