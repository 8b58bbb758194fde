"""issue_key.lua and the index after it: a key belongs to one tenant, and its secret is not kept."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace

import pytest

from app.domain.ids import digest_of_api_key, mint_api_key
from app.domain.tenant import Caller, Limits
from app.errors import StoreForeign
from app.store.keys import Shard, key_index
from app.store.tenants import ApiKey, TenantStore, TenantUnknown
from tests.store.shelf import Shelf
from tests.support.contents import everything

KEY = ApiKey(
    id="key_0123456789ab",
    tenant_id="acme",
    name="render farm: the second",
    mode="test",
    state="active",
    created_ms=0,
    expires_ms=None,
    limits=Limits(tasks_in_flight=3, models=["sora-character"]),
)


def issued_now(shelf: Shelf, **changes: object) -> ApiKey:
    """Return the key of these tests, made now."""
    return replace(KEY, created_ms=shelf.clock.now_ms(), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("expires_ms", [None, 1, 4_102_444_800_000])
async def test_a_key_reads_back_as_it_was_issued(shelf: Shelf, expires_ms: int | None) -> None:
    """With its mode, limits and expiry, and it leads to its tenant from then on."""
    await shelf.caller()
    secret, key = mint_api_key("test", secrets.choice), issued_now(shelf, expires_ms=expires_ms)

    await shelf.tenants.issue_key(key, secret=secret, now_ms=shelf.clock.now_ms())

    assert key in await shelf.tenants.keys("acme")
    found = await shelf.tenants.find_caller(secret, "test")
    assert found == Caller(tenant_id="acme", key_id=key.id, mode="test")


async def test_a_key_issued_again_is_the_same_key(shelf: Shelf) -> None:
    """Repeated after a lost reply, nothing is there twice."""
    await shelf.caller()
    secret, key = mint_api_key("test", secrets.choice), issued_now(shelf)
    await shelf.tenants.issue_key(key, secret=secret, now_ms=shelf.clock.now_ms())
    untouched = await everything(shelf.redis)

    await shelf.tenants.issue_key(key, secret=secret, now_ms=shelf.clock.now_ms())

    assert await everything(shelf.redis) == untouched


async def test_the_secret_is_stored_nowhere(shelf: Shelf) -> None:
    """Only its digest is: in the key's record, and in the name of the index."""
    await shelf.caller()
    secret, key = mint_api_key("test", secrets.choice), issued_now(shelf)

    await shelf.tenants.issue_key(key, secret=secret, now_ms=shelf.clock.now_ms())

    stored = await everything(shelf.redis)
    assert secret not in str(stored)
    assert key_index(digest_of_api_key(secret)) in stored


async def test_an_unknown_tenant_gets_no_key(shelf: Shelf) -> None:
    """Neither record nor index is written."""
    untouched = await everything(shelf.redis)

    with pytest.raises(TenantUnknown):
        await shelf.tenants.issue_key(
            issued_now(shelf), secret="rg_test_x", now_ms=shelf.clock.now_ms()
        )

    assert await everything(shelf.redis) == untouched


async def test_a_store_of_another_epoch_gets_no_key(shelf: Shelf) -> None:
    """No index either: it would lead to a record that is not there."""
    await shelf.caller()
    stranger = TenantStore(shelf.redis, "0" * 32)
    untouched = await everything(shelf.redis)

    with pytest.raises(StoreForeign):
        await stranger.issue_key(issued_now(shelf), secret="rg_test_x", now_ms=shelf.clock.now_ms())

    assert await everything(shelf.redis) == untouched


async def test_a_key_without_its_index_is_no_key(shelf: Shelf) -> None:
    """If the process dies between the two, the secret that nobody was shown opens nothing."""
    await shelf.caller()
    secret = mint_api_key("test", secrets.choice)
    await shelf.tenants.issue_key(issued_now(shelf), secret=secret, now_ms=shelf.clock.now_ms())
    await shelf.redis.delete(key_index(digest_of_api_key(secret)))

    assert await shelf.tenants.find_caller(secret, "test") is None


async def test_fifty_keys_at_once_are_fifty_keys(shelves: list[Shelf]) -> None:
    """None is lost from the tenant's list, and each leads to itself."""
    first = await shelves[0].caller()

    callers = await asyncio.gather(*(shelves[n % 3].colleague(first) for n in range(50)))

    listed = {key.id for key in await shelves[0].tenants.keys("acme")}
    assert listed == {caller.key_id for caller in (first, *callers)}
    assert len(listed) == 51
    assert await shelves[0].redis.scard(Shard.of("acme").keys("acme")) == 51
