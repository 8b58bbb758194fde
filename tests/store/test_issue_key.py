"""issue_key.lua and the index after it: a key belongs to one tenant, and its secret is not kept."""

from __future__ import annotations

import asyncio
import secrets

import pytest

from app.domain.api_key import ApiKey
from app.domain.ids import digest_of_api_key, mint_api_key
from app.domain.tenant import Caller, Limits
from app.errors import KeyEnded, StoreForeign, TenantNotFound
from app.store.api_keys import KeyStore
from app.store.keys import Shard, key_index
from tests.store.shelf import Shelf
from tests.support.contents import everything
from tests.support.tenant_keys import act

KEY = ApiKey(
    id="key_0123456789ab",
    tenant_id="acme",
    name="render farm: the second",
    mode="test",
    created_ms=0,
    limits=Limits(tasks_in_flight=3, models=["sora-character"]),
)


def made_now(shelf: Shelf, **changes: object) -> ApiKey:
    """Return the key of these tests, made now."""
    return KEY.model_copy(update={"created_ms": shelf.clock.now_ms(), **changes})


async def issue(shelf: Shelf, key: ApiKey, secret: str, keys: KeyStore | None = None) -> None:
    """Issue a key now."""
    issued = act(key.tenant_id, at_ms=shelf.clock.now_ms(), name="key.issued", key_id=key.id)
    await (keys or shelf.keys).issue(key, secret=secret, act=issued)


@pytest.mark.parametrize("expires_ms", [None, 1, 4_102_444_800_000])
async def test_a_key_reads_back_as_it_was_issued(shelf: Shelf, expires_ms: int | None) -> None:
    """With its mode, limits and expiry, and it leads to its tenant from then on."""
    await shelf.caller()
    secret, key = mint_api_key("test", secrets.choice), made_now(shelf, expires_ms=expires_ms)

    await issue(shelf, key, secret)

    assert key in await shelf.keys.of_tenant("acme")
    found = await shelf.keys.find_caller(secret, "test")
    assert found == Caller(tenant_id="acme", key_id=key.id, mode="test")


async def test_an_id_is_issued_once(shelf: Shelf) -> None:
    """A second key of the same id is refused, whatever its secret; the first is as it was."""
    await shelf.caller()
    secret, key = mint_api_key("test", secrets.choice), made_now(shelf)
    await issue(shelf, key, secret)
    untouched = await everything(shelf.redis)

    for other in (secret, mint_api_key("test", secrets.choice)):
        with pytest.raises(KeyEnded, match=key.id):
            await issue(shelf, key, other)

    assert await everything(shelf.redis) == untouched


async def test_the_secret_is_stored_nowhere(shelf: Shelf) -> None:
    """Only its digest is: in the key's record, and in the name of the index."""
    await shelf.caller()
    secret, key = mint_api_key("test", secrets.choice), made_now(shelf)

    await issue(shelf, key, secret)

    stored = await everything(shelf.redis)
    assert secret not in str(stored)
    assert key_index(digest_of_api_key(secret)) in stored


async def test_an_unknown_tenant_gets_no_key(shelf: Shelf) -> None:
    """Neither record nor index is written."""
    untouched = await everything(shelf.redis)

    with pytest.raises(TenantNotFound):
        await issue(shelf, made_now(shelf), "rg_test_x")

    assert await everything(shelf.redis) == untouched


async def test_a_store_of_another_epoch_gets_no_key(shelf: Shelf) -> None:
    """No index either: it would lead to a record that is not there."""
    await shelf.caller()
    stranger = KeyStore(shelf.redis, "0" * 32)
    untouched = await everything(shelf.redis)

    with pytest.raises(StoreForeign):
        await issue(shelf, made_now(shelf), "rg_test_x", stranger)

    assert await everything(shelf.redis) == untouched


async def test_a_key_without_its_index_is_no_key(shelf: Shelf) -> None:
    """If the process dies between the two, the secret that nobody was shown opens nothing."""
    await shelf.caller()
    secret = mint_api_key("test", secrets.choice)
    await issue(shelf, made_now(shelf), secret)
    await shelf.redis.delete(key_index(digest_of_api_key(secret)))

    assert await shelf.keys.find_caller(secret, "test") is None


async def test_fifty_keys_at_once_are_fifty_keys(shelves: list[Shelf]) -> None:
    """None is lost from the tenant's list, and each leads to itself."""
    first = await shelves[0].caller()

    callers = await asyncio.gather(*(shelves[n % 3].colleague(first) for n in range(50)))

    listed = {key.id for key in await shelves[0].keys.of_tenant("acme")}
    assert listed == {caller.key_id for caller in (first, *callers)}
    assert len(listed) == 51
    assert await shelves[0].redis.scard(Shard.of("acme").keys("acme")) == 51
