"""rotate_webhook_secret.lua: another secret signs from now on, and the old one for a time."""

from __future__ import annotations

import asyncio

import pytest

from app.errors import StoreForeign, TenantNotFound
from app.store.delivery_queue import DeliveryQueue, Held
from app.store.keys import Shard
from app.store.tenants import TenantStore
from tests.store.shelf import Shelf
from tests.support.contents import everything
from tests.support.tenant_keys import act

SECRET = "whsec_" + "B" * 43 + "="


async def rotate(shelf: Shelf, secret: str, *, old_until_ms: int) -> None:
    """Give the tenant of these tests another webhook secret."""
    rotated = act("acme", at_ms=shelf.clock.now_ms(), name="webhook_secret.rotated")
    await shelf.tenants.rotate_webhook_secret(
        "acme", secret, old_until_ms=old_until_ms, act=rotated
    )


async def test_the_webhook_secret_before_is_kept_with_its_end(shelf: Shelf) -> None:
    """Whoever signs can sign with both until then; the tenant itself is as it was."""
    await shelf.caller(tasks_in_flight=4)
    first, before = await shelf.tenants.webhook_secret("acme"), await shelf.tenants.get("acme")
    until_ms = shelf.clock.now_ms() + 86_400_000

    await rotate(shelf, SECRET, old_until_ms=until_ms)

    record = await shelf.redis.hgetall(Shard.of("acme").tenant("acme"))
    assert await shelf.tenants.webhook_secret("acme") == SECRET
    assert record[b"webhook_secret_before"].decode() == first
    assert int(record[b"webhook_before_ms"]) == until_ms
    assert await shelf.tenants.get("acme") == before


async def test_a_rotation_without_an_overlap_ends_all_secrets_before(shelf: Shelf) -> None:
    """The one it replaces and those that signed along with it."""
    await shelf.caller()

    await rotate(shelf, "whsec_second", old_until_ms=shelf.clock.now_ms() + 1_000)
    await rotate(shelf, "whsec_third", old_until_ms=2)

    record = await shelf.redis.hgetall(Shard.of("acme").tenant("acme"))
    assert record[b"webhook_secret"] == b"whsec_third"
    assert record[b"webhook_secret_before"] == b"whsec_second"
    assert record[b"webhook_before_ms"] == b"2"
    assert record[b"webhook_secrets_older"] == b""


async def test_a_rotation_that_is_repeated_leaves_the_secret_that_receivers_know(
    shelf: Shelf,
) -> None:
    """Callbacks are signed with all three while both overlaps last."""
    await shelf.caller()
    first = await shelf.tenants.webhook_secret("acme")
    until_ms = shelf.clock.now_ms() + 1_000
    for secret in ("whsec_second", "whsec_third"):
        await rotate(shelf, secret, old_until_ms=until_ms)
    held = Held("acme", "live", "callback-0123456789ab", until_ms=shelf.clock.now_ms() + 1)
    await shelf.redis.zadd(held.shard.delivering, {held.member: held.until_ms})

    taken = await DeliveryQueue(shelf.redis).take(
        held, now_ms=shelf.clock.now_ms(), lease_ms=1_000, attempt_ms=1_000, most=1
    )

    assert taken is not None
    assert taken.secrets == ("whsec_third", "whsec_second", first)


async def test_rotations_at_once_are_one_after_the_other(shelves: list[Shelf]) -> None:
    """Of many at once the last one's old secret is the one before it: no receiver loses both."""
    await shelves[0].caller()
    pairs = [(shelves[n % 3], n) for n in range(12)]

    await asyncio.gather(
        *(
            each.tenants.rotate_webhook_secret(
                "acme", f"whsec_{n}", old_until_ms=n, act=act("acme", at_ms=n)
            )
            for each, n in pairs
        )
    )

    record = await shelves[0].redis.hgetall(Shard.of("acme").tenant("acme"))
    entries, _ = await shelves[0].audit.page(tenant_id="acme", before=None, limit=2)
    last, before = (entry["at_ms"] for entry in entries)
    assert record[b"webhook_secret"] == f"whsec_{last}".encode()
    assert record[b"webhook_secret_before"] == f"whsec_{before}".encode()
    assert record[b"webhook_before_ms"] == str(last).encode()


async def test_an_unknown_tenant_gets_no_secret(shelf: Shelf) -> None:
    """Nor does one that was deleted; nothing is written, not even to the log."""
    await shelf.caller("acme")
    gone = act("acme", at_ms=shelf.clock.now_ms(), name="tenant.deleted")
    await shelf.tenants.delete("acme", force=False, act=gone)
    untouched = await everything(shelf.redis)

    for tenant_id in ("acme", "hooli"):
        with pytest.raises(TenantNotFound):
            await shelf.tenants.rotate_webhook_secret(
                tenant_id, SECRET, old_until_ms=0, act=act(tenant_id, at_ms=0)
            )

    assert await everything(shelf.redis) == untouched


async def test_a_store_of_another_epoch_keeps_its_secret(shelf: Shelf) -> None:
    """Nothing is written where the store is not the expected one."""
    await shelf.caller()
    stranger = TenantStore(shelf.redis, "0" * 32)
    untouched = await everything(shelf.redis)

    with pytest.raises(StoreForeign):
        await stranger.rotate_webhook_secret(
            "acme", SECRET, old_until_ms=0, act=act("acme", at_ms=0)
        )

    assert await everything(shelf.redis) == untouched
