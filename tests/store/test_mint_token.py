"""mint_token.lua: a token under a living key, with an end, and a place among a thousand."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import pytest

from app.domain.browser_token import BrowserToken, TokenWish
from app.domain.ids import Mode, mint_browser_token, mint_token_suffix, token_id
from app.domain.tenant import Caller, Limits
from app.errors import GatewayError
from app.store.keys import Shard, key_index
from app.store.tokens import LITTER_MS, MAX_TOKENS, TokenStore
from tests.store.shelf import Shelf
from tests.support.contents import everything
from tests.support.tenant_keys import end_key


def wished(shelf: Shelf, parent: Caller, **wish: Any) -> BrowserToken:
    """Return a token that is not minted yet."""
    return BrowserToken(
        id=token_id(parent.key_id, mint_token_suffix(secrets.choice)),
        mode=parent.mode,
        created_ms=shelf.clock.now_ms(),
        wish=TokenWish.read(wish),
        limits=Limits(),
    )


def tokens_of(shelf: Shelf) -> TokenStore:
    """Return the tokens of a shelf's store."""
    return TokenStore(shelf.redis, shelf.identity.epoch_id)


async def mint(shelf: Shelf, parent: Caller, mode: Mode = "live", **wish: Any) -> Caller:
    """Mint a token and return its holder."""
    secret = mint_browser_token(mode, secrets.choice)
    await tokens_of(shelf).mint(wished(shelf, parent, **wish), parent, secret=secret)
    found = await shelf.keys.find_caller(secret, mode)
    assert found is not None
    return found


async def why_not(shelf: Shelf, parent: Caller) -> str:
    """Try to mint a token; returns the reason of the refusal, "" where there is none."""
    try:
        await mint(shelf, parent)
    except GatewayError as refusal:
        return refusal.reason
    return ""


async def test_the_holder_of_a_token_is_known_with_all_that_binds_it(shelf: Shelf) -> None:
    """By the same index as that of keys, and as somebody of the key's family."""
    parent = await shelf.caller()

    found = await mint(
        shelf, parent, scopes=["read"], subject="ada", origin="https://app.example.com", ttl_s=60
    )

    assert found == Caller(
        tenant_id="acme",
        key_id=found.key_id,
        mode="live",
        subject="ada",
        scopes=frozenset({"read"}),
        origin="https://app.example.com",
        ends_ms=shelf.clock.now_ms() + 60_000,
    )
    assert (found.is_token, parent.is_token) == (True, False)
    assert found.family == parent.key_id


async def test_a_token_creates_until_its_key_ends(shelf: Shelf) -> None:
    """In the same script, so there is no instant at which it still could."""
    parent = await shelf.caller()
    child = await mint(shelf, parent)
    before = await shelf.attempt(child)

    await shelf.revoke("acme", parent.key_id)

    assert (before, await shelf.attempt(child)) == ("admitted", "invalid_key")


@pytest.mark.parametrize(("told_ms", "lives_ms"), [(10, 10), (59_999, 59_999), (60_001, 60_000)])
async def test_a_key_that_is_to_end_takes_its_tokens_with_it(
    shelf: Shelf, told_ms: int, lives_ms: int
) -> None:
    """Unless they end sooner by themselves; no token lives longer for it."""
    parent = await shelf.caller()
    child = await mint(shelf, parent, ttl_s=60)
    now_ms = shelf.clock.now_ms()

    await end_key(shelf.keys, "acme", parent.key_id, at_ms=now_ms, expires_ms=now_ms + told_ms)

    shelf.clock.advance_ms(lives_ms - 1)
    before = await shelf.attempt(child)
    shelf.clock.advance_ms(1)
    assert (before, await shelf.attempt(child)) == ("admitted", "invalid_key")


async def test_a_key_that_may_not_be_used_mints_nothing(shelf: Shelf) -> None:
    """Revoked, of a tenant that is switched off, or in a store that was exchanged."""
    parent = await shelf.caller()
    await shelf.switch("acme", disabled=True)
    disabled = await why_not(shelf, parent)
    await shelf.switch("acme", disabled=False)
    await shelf.revoke("acme", parent.key_id)
    before = await everything(shelf.redis)

    assert (disabled, await why_not(shelf, parent)) == ("tenant_disabled", "invalid_key")
    assert await everything(shelf.redis) == before


async def test_a_key_has_so_many_living_tokens_and_no_more(shelf: Shelf) -> None:
    """Those that have ended make room; those of other keys take none."""
    parent = await shelf.caller()
    other = await shelf.colleague(parent)
    now_ms = shelf.clock.now_ms()
    lived = {f"{parent.key_id}~{n:012d}": now_ms + 1_000 for n in range(MAX_TOKENS - 10)}
    await shelf.redis.zadd(Shard.of("acme").tokens("acme", parent.key_id), lived)

    found = await asyncio.gather(*(why_not(shelf, parent) for _ in range(50)))

    assert sorted(found) == [""] * 10 + ["too_many_tokens"] * 40
    assert await why_not(shelf, other) == ""
    shelf.clock.advance_ms(1_000)
    assert await why_not(shelf, parent) == ""


async def test_all_that_is_stored_of_a_token_ends_with_it(shelf: Shelf) -> None:
    """Its record, the way to it, and the list of its key's tokens, with the last of them."""
    parent, redis, shard = await shelf.caller(), shelf.redis, Shard.of("acme")
    child = await mint(shelf, parent, ttl_s=600)
    digest = await redis.hget(shard.key("acme", child.key_id), "digest")
    await mint(shelf, parent, ttl_s=60)

    lives = [
        await redis.pexpiretime(name)
        for name in (
            shard.key("acme", child.key_id),
            shard.tokens("acme", parent.key_id),
            key_index(digest.decode()),
        )
    ]

    assert lives == [shelf.clock.now_ms() + 600_000 + LITTER_MS] * 3


async def test_a_token_whose_record_is_gone_does_not_come_back_with_the_end_of_its_key(
    shelf: Shelf,
) -> None:
    """What has expired is not written to again: it would then have no end at all."""
    parent = await shelf.caller()
    child = await mint(shelf, parent)
    name = Shard.of("acme").key("acme", child.key_id)
    await shelf.redis.delete(name)
    now_ms = shelf.clock.now_ms()

    await end_key(shelf.keys, "acme", parent.key_id, at_ms=now_ms, expires_ms=now_ms + 5)
    await shelf.revoke("acme", parent.key_id)

    assert await shelf.redis.exists(name) == 0


async def test_a_token_sees_the_tasks_of_its_subject_alone(shelf: Shelf) -> None:
    """One by one and several at once; its key sees them all."""
    parent = await shelf.caller()
    ada, ben = [await mint(shelf, parent, subject=name) for name in ("ada", "ben")]
    ids = [(await shelf.admit(each)).id for each in (ada, ben, parent)]
    now_ms = shelf.clock.now_ms()

    seen = [
        len(await shelf.reads.several(ids, caller=each, now_ms=now_ms))
        for each in (ada, ben, parent)
    ]

    assert seen == [1, 1, 3]
