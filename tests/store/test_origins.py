"""The origins of all tenants: kept by the scripts that change tenants, read once a second."""

from __future__ import annotations

import asyncio

from app.domain.tenant import Tenant, TenantChange
from app.store.keys import ALL_SHARDS
from app.store.origins import MAX_AGE_MS, OriginIndex
from tests.store.shelf import Shelf
from tests.support.tenant_keys import act

APP, OTHER = "https://app.example.com", "https://other.example.com"


async def named(shelf: Shelf, tenant_id: str, *origins: str) -> None:
    """Let a tenant name origins."""
    change = TenantChange.read({"origins": list(origins)})
    await shelf.tenants.change(tenant_id, change, act(tenant_id, at_ms=shelf.clock.now_ms()))


async def seen(shelf: Shelf, index: OriginIndex, *tenants: str) -> list[bool]:
    """Return, after a second, whether tenants name the origin, and whether anybody does."""
    shelf.clock.advance_ms(MAX_AGE_MS)
    await index.refresh(now_ms=shelf.clock.now_ms())
    return [*(index.allows(tenant, APP) for tenant in tenants), index.knows(APP)]


async def test_what_tenants_name_is_known_from_their_creation_to_their_end(shelf: Shelf) -> None:
    """Of all shards, and to each tenant its own."""
    index = await OriginIndex.opened(shelf.redis, shelf.identity.epoch_id)
    now_ms = shelf.clock.now_ms()
    for tenant_id, origins in (("acme", [APP]), ("hooli", []), ("globex", [APP, OTHER])):
        tenant = Tenant.read({"id": tenant_id, "origins": origins})
        await shelf.tenants.add(tenant, "whsec_x", act(tenant_id, at_ms=now_ms))
    tenants = ("acme", "hooli", "globex")

    found = [await seen(shelf, index, *tenants)]
    await named(shelf, "acme")
    found.append(await seen(shelf, index, *tenants))
    await named(shelf, "hooli", APP)
    await shelf.tenants.delete("globex", force=True, act=act("globex", at_ms=now_ms))
    found.append(await seen(shelf, index, *tenants))
    await named(shelf, "hooli", OTHER)
    found.append(await seen(shelf, index, *tenants))

    assert found == [
        [True, False, True, True],
        [False, False, True, True],
        [False, True, False, True],
        [False, False, False, False],
    ]


async def test_other_changes_of_a_tenant_leave_its_origins_alone(shelf: Shelf) -> None:
    """Limits, names, and switching it off: its pages still read why they are refused."""
    index = await OriginIndex.opened(shelf.redis, shelf.identity.epoch_id)
    await shelf.caller("acme")
    await named(shelf, "acme", APP)

    await shelf.limit("acme", tasks_in_flight=1)
    await shelf.switch("acme", disabled=True)

    assert await seen(shelf, index, "acme") == [True, True]
    assert (await shelf.tenants.get("acme")).origins == [APP]


async def test_tenants_without_origins_take_no_room(shelf: Shelf) -> None:
    """Most have no pages; what is read every second holds only those that do."""
    await shelf.caller("acme")
    await named(shelf, "acme", APP)
    await named(shelf, "acme")

    assert [await shelf.redis.exists(shard.origins) for shard in ALL_SHARDS] == [0] * 16


async def test_whoever_asks_within_a_second_asks_nothing(shelf: Shelf) -> None:
    """And of many who ask at once after it, one does."""
    index = await OriginIndex.opened(shelf.redis, shelf.identity.epoch_id)
    redis, calls = shelf.redis, []
    for passing_ms in (MAX_AGE_MS, 0, MAX_AGE_MS - 1, 1):
        shelf.clock.advance_ms(passing_ms)
        await redis.config_resetstat()
        now_ms = shelf.clock.now_ms()
        await asyncio.gather(*(index.refresh(now_ms=now_ms) for _ in range(20)))
        stats = await redis.info("commandstats")
        calls.append(stats.get("cmdstat_hgetall", {"calls": 0})["calls"])

    assert calls == [16, 0, 0, 16]


async def test_a_reader_that_hangs_up_leaves_the_others_their_answer(shelf: Shelf) -> None:
    """Whoever waited with it reads for itself."""
    index = await OriginIndex.opened(shelf.redis, shelf.identity.epoch_id)
    await shelf.caller("acme")
    await named(shelf, "acme", APP)
    shelf.clock.advance_ms(MAX_AGE_MS)
    now_ms = shelf.clock.now_ms()

    async with asyncio.TaskGroup() as group:
        first, *_ = [group.create_task(index.refresh(now_ms=now_ms)) for _ in range(4)]
        await asyncio.sleep(0)
        first.cancel()

    assert first.cancelled()
    assert index.knows(APP)
