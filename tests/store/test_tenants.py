"""Tenants and keys as operators and requests look them up."""

from __future__ import annotations

import secrets

import pytest

from app.domain.ids import digest_of_api_key, mint_api_key
from app.domain.tenant import Caller, LimitsRefused, Refused, Tenant, TenantChange, TenantLimits
from app.errors import KeyNotFound, StoreForeign, StoreUnavailable, TenantNotFound
from app.store.api_keys import KeyStore
from app.store.connect import connect
from app.store.keys import Shard, key_index
from app.store.tenants import TenantStore
from tests.store.shelf import Shelf
from tests.support.contents import everything
from tests.support.tenant_keys import act


async def test_all_tenants_are_listed_whatever_their_shard(shelf: Shelf) -> None:
    """Sorted by id, from every shard."""
    ids = [f"tenant-{n:02d}" for n in range(40)]
    for tenant_id in reversed(ids):
        created = act(tenant_id, at_ms=shelf.clock.now_ms(), name="tenant.created")
        await shelf.tenants.add(Tenant(id=tenant_id, name=tenant_id), "whsec_", created)

    found = await shelf.tenants.all()

    assert [tenant.id for tenant in found] == ids
    assert len({Shard.of(tenant_id).number for tenant_id in ids}) == 16


async def test_keys_are_listed_oldest_first(shelf: Shelf) -> None:
    """Revoked ones too, and no other tenant's."""
    callers = [await shelf.caller("acme")]
    await shelf.caller("globex")
    for _ in range(3):
        shelf.clock.advance_ms(1)
        callers.append(await shelf.colleague(callers[0]))
    await shelf.revoke("acme", callers[1].key_id)

    found = await shelf.keys.of_tenant("acme")

    assert [key.id for key in found] == [caller.key_id for caller in callers]
    assert [key.state for key in found] == ["active", "revoked", "active", "active"]


async def test_what_there_is_not_is_unknown(shelf: Shelf) -> None:
    """An unknown tenant has no record, no secret and no keys; what was asked for is cut short."""
    with pytest.raises(TenantNotFound, match="nobody"):
        await shelf.tenants.get("nobody")
    with pytest.raises(TenantNotFound) as refused:
        await shelf.tenants.webhook_secret("x" * 5000)
    with pytest.raises(KeyNotFound):
        await shelf.keys.get("nobody", "key_000000000000")

    assert len(refused.value.message) < 100
    assert await shelf.keys.of_tenant("nobody") == []


async def test_a_secret_nobody_was_given_leads_nowhere(shelf: Shelf) -> None:
    """And looking for it writes nothing."""
    await shelf.caller()
    untouched = await everything(shelf.redis)

    found = await shelf.keys.find_caller(mint_api_key("live", secrets.choice), "live")

    assert found is None
    assert await everything(shelf.redis) == untouched


async def test_on_an_emptied_store_no_key_is_called_unknown(shelf: Shelf) -> None:
    """Whoever has a key must not be told that it was never issued."""
    await shelf.caller()
    await shelf.redis.flushall()

    with pytest.raises(StoreForeign):
        await shelf.keys.find_caller(mint_api_key("live", secrets.choice), "live")


async def test_an_index_of_the_other_mode_leads_nowhere(shelf: Shelf) -> None:
    """A record that says `test` does not open the live side."""
    secret = mint_api_key("live", secrets.choice)
    index = {"tenant": "acme", "key": "key_000000000000", "mode": "test"}
    await shelf.redis.hset(key_index(digest_of_api_key(secret)), mapping=index)

    assert await shelf.keys.find_caller(secret, "live") is None


async def test_a_caller_is_looked_up_once(shelf: Shelf) -> None:
    """A key never changes its owner, so a process that knows it asks no more."""
    await shelf.caller()
    secret = mint_api_key("live", secrets.choice)
    index = {"tenant": "acme", "key": "key_000000000000", "mode": "live"}
    await shelf.redis.hset(key_index(digest_of_api_key(secret)), mapping=index)
    first = await shelf.keys.find_caller(secret, "live")
    await shelf.redis.delete(key_index(digest_of_api_key(secret)))

    second = await shelf.keys.find_caller(secret, "live")

    assert first == second == Caller(tenant_id="acme", key_id="key_000000000000", mode="live")


async def test_a_revocation_binds_processes_that_know_the_key(shelves: list[Shelf]) -> None:
    """What is remembered is whose key it is, never that it may be used."""
    caller = await shelves[0].caller()
    assert await shelves[1].attempt(caller) == "admitted"

    await shelves[2].revoke("acme", caller.key_id)

    assert [await each.attempt(caller) for each in shelves] == ["invalid_key"] * 3


@pytest.mark.parametrize("name", ["a,b", "a\nstate\ndisabled", ""])
async def test_a_model_name_that_cannot_be_stored_is_refused(shelf: Shelf, name: str) -> None:
    """A list of models is kept as one line: a name that would break it never gets that far."""
    await shelf.caller()

    with pytest.raises(LimitsRefused):
        TenantLimits.read({"models": [name]})
    with pytest.raises(Refused):
        TenantChange.read({"limits": {"models": [name]}})
    with pytest.raises(Refused):
        await shelf.limit("acme", models=[name])

    assert (await shelf.tenants.get("acme")).limits == TenantLimits()


async def test_without_an_answer_of_the_store_nothing_is_said(shelf: Shelf) -> None:
    """A store that is away is not an unknown key or tenant."""
    nowhere = connect("unix:///nonexistent/socket")
    away, keys = TenantStore(nowhere, "0" * 32), KeyStore(nowhere, "0" * 32)

    with pytest.raises(StoreUnavailable):
        await keys.find_caller(mint_api_key("live", secrets.choice), "live")
    with pytest.raises(StoreUnavailable):
        await keys.get("acme", "key_000000000000")
    with pytest.raises(StoreUnavailable):
        await keys.of_tenant("acme")
    with pytest.raises(StoreUnavailable):
        await away.get("acme")
    with pytest.raises(StoreUnavailable):
        await away.all()
