"""meter.lua: a caller's reads against the limits of tenant and key, and how it stands with them."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from app.domain.rates import Rates, Standing
from app.domain.tenant import Caller
from app.errors import GatewayError, InvalidKey, StoreForeign, TenantDisabled
from app.store.keys import Shard
from app.store.meter import Meter, ReadPermit
from tests.store.shelf import Shelf
from tests.support.contents import everything
from tests.support.tenant_keys import act, issued_key

HOUR_MS = 3_600_000


async def take(shelf: Shelf, caller: Caller) -> ReadPermit:
    """Ask for one read."""
    return await shelf.meter.take_read(caller, now_ms=shelf.clock.now_ms())


async def passing(shelf: Shelf, caller: Caller, tries: int) -> int:
    """Ask for so many reads at one instant; returns how many passed."""
    return sum([(await take(shelf, caller)).wait_ms is None for _ in range(tries)])


async def reading(shelf: Shelf, **limits: Any) -> Caller:
    """Return a caller of a new tenant, far enough ahead that Redis forgets nothing on the way."""
    shelf.clock.advance_ms(24 * HOUR_MS)
    return await shelf.caller(f"t{secrets.token_hex(8)}", **limits)


@pytest.mark.parametrize("per_second", [0, 1, 7, 19, 20, 21, 100, 997])
async def test_from_rest_exactly_n_reads_pass(shelf: Shelf, per_second: int) -> None:
    """Whatever the size of the shares, one process gets all of them and not one more."""
    caller = await reading(shelf, reads_per_second=per_second)

    assert await passing(shelf, caller, per_second + 5) == per_second


async def test_without_a_limit_every_read_passes(shelf: Shelf) -> None:
    """Nothing is counted and nothing is told; the store is not even written to."""
    caller = await reading(shelf)
    untouched = await everything(shelf.redis)

    assert await passing(shelf, caller, 500) == 500
    assert (await take(shelf, caller)).rates == Rates("reads")
    assert await everything(shelf.redis) == untouched


@pytest.mark.parametrize(
    ("of_tenant", "of_key", "passed"),
    [(7, None, 7), (None, 7, 7), (7, 9, 7), (9, 7, 7), (0, 9, 0), (100, 40, 40), (40, 100, 40)],
)
async def test_tenant_and_key_bind_both(
    shelf: Shelf, of_tenant: int | None, of_key: int | None, passed: int
) -> None:
    """The tighter one decides."""
    first = await reading(shelf, reads_per_second=of_tenant)
    caller = await shelf.colleague(first, reads_per_second=of_key)

    assert await passing(shelf, caller, passed + 5) == passed


async def test_a_keys_reads_are_its_own_and_the_tenants_are_everybodys(shelf: Shelf) -> None:
    """Another key has its limit untouched, but what is left of the tenant's alone."""
    first = await reading(shelf, reads_per_second=10)
    second = await shelf.colleague(first, reads_per_second=6)
    third = await shelf.colleague(first, reads_per_second=6)

    passed = [await passing(shelf, each, 20) for each in (second, third, first)]

    assert passed == [6, 4, 0]


async def test_modes_and_tenants_have_reads_of_their_own(shelf: Shelf) -> None:
    """Nobody reads less because somebody else reads."""
    live = await reading(shelf, reads_per_second=3)
    test = await shelf.caller(live.tenant_id, mode="test")
    other = await reading(shelf, reads_per_second=3)

    assert [await passing(shelf, each, 9) for each in (live, test, other)] == [3, 3, 3]


async def test_a_refusal_says_when_the_next_read_passes(shelf: Shelf) -> None:
    """To the millisecond: one sooner is still refused."""
    caller = await reading(shelf, reads_per_second=4)
    await passing(shelf, caller, 4)

    refused = await take(shelf, caller)

    assert refused.wait_ms == 250
    shelf.clock.advance_ms(249)
    assert await passing(shelf, caller, 1) == 0
    shelf.clock.advance_ms(1)
    assert await passing(shelf, caller, 2) == 1


async def test_a_refused_read_takes_nothing(shelf: Shelf) -> None:
    """However often a caller hammers, the store stays as it was and the wait does not grow."""
    first = await reading(shelf, reads_per_second=50)
    caller = await shelf.colleague(first, reads_per_second=1)
    await passing(shelf, caller, 1)
    untouched = await everything(shelf.redis)

    waits = {(await take(shelf, caller)).wait_ms for _ in range(30)}

    assert waits == {1000}
    assert await everything(shelf.redis) == untouched
    assert await passing(shelf, first, 60) == 49


async def test_a_hammering_caller_does_not_reach_the_store(shelf: Shelf) -> None:
    """Once refused it is refused from memory until the time that it was told."""
    caller = await reading(shelf, reads_per_second=2)
    await passing(shelf, caller, 3)
    await shelf.redis.config_resetstat()

    assert await passing(shelf, caller, 100) == 0

    assert "cmdstat_evalsha" not in await shelf.redis.info("commandstats")


async def test_a_caller_is_told_how_it_stands(shelf: Shelf) -> None:
    """What is left counts the share in this process; the time is until there is one more.

    What was lent and may have been read just now, three of a share of four, is not there yet.
    """
    caller = await reading(shelf, reads_per_second=100, creates_per_minute=6)

    told = [(await take(shelf, caller)).rates.reads for _ in range(7)]
    shelf.clock.advance_ms(1000)
    later = (await take(shelf, caller)).rates

    assert told == [Standing(100, 99 - n, 10) for n in range(7)]
    assert later == Rates("reads", Standing(6, 6, 0), Standing(100, 96, 10))


async def test_where_both_are_limited_the_tighter_figures_are_told(shelf: Shelf) -> None:
    """The lower quota and the lower rest, wherever each comes from, and the time of that rest."""
    first = await reading(shelf, reads_per_second=10, creates_per_minute=60)
    caller = await shelf.colleague(first, reads_per_second=20, creates_per_minute=2)
    await passing(shelf, first, 4)
    await shelf.admit(first)

    told = (await take(shelf, caller)).rates

    assert told.reads == Standing(10, 5, 100)
    assert told.creates == Standing(2, 2, 0)


async def test_where_nothing_is_left_the_time_told_is_the_wait(shelf: Shelf) -> None:
    """Of two empty buckets the later one: `t` and the wait never contradict each other."""
    first = await reading(shelf, reads_per_second=2)
    caller = await shelf.colleague(first, reads_per_second=1)
    other = await shelf.colleague(first)
    await passing(shelf, caller, 1)
    shelf.clock.advance_ms(300)
    await passing(shelf, other, 1)

    refused = await take(shelf, caller)

    assert refused.wait_ms == 700
    assert refused.rates.reads == Standing(1, 0, 700)


async def test_a_peek_takes_nothing(shelf: Shelf) -> None:
    """It tells what is left, and every read of it is still there afterwards."""
    caller = await reading(shelf, reads_per_second=5, creates_per_minute=3)
    await passing(shelf, caller, 2)
    untouched = await everything(shelf.redis)

    peeks = [
        await shelf.meter.peek(caller, "creates", now_ms=shelf.clock.now_ms()) for _ in range(20)
    ]

    assert peeks == [Rates("creates", Standing(3, 3, 0), Standing(5, 3, 200))] * 20
    assert await everything(shelf.redis) == untouched
    assert await passing(shelf, caller, 9) == 3


async def test_a_raised_limit_counts_what_was_used_before(shelves: list[Shelf]) -> None:
    """Two of two used, then five allowed: three more pass at that instant."""
    caller = await reading(shelves[0], reads_per_second=2)
    await passing(shelves[0], caller, 2)
    await shelves[0].limit(caller.tenant_id, reads_per_second=5)

    assert await passing(shelves[1], caller, 9) == 3


async def test_who_was_refused_learns_of_a_new_limit_within_a_second(shelf: Shelf) -> None:
    """Or sooner, as soon as the old limit would have let one pass."""
    callers = [await reading(shelf, reads_per_second=limit) for limit in (4, 0)]
    await passing(shelf, callers[0], 9)
    await passing(shelf, callers[1], 1)
    for caller in callers:
        await shelf.limit(caller.tenant_id, reads_per_second=None)

    shelf.clock.advance_ms(250)
    assert await passing(shelf, callers[0], 50) == 50
    shelf.clock.advance_ms(750)
    assert await passing(shelf, callers[1], 50) == 50


async def test_a_lowered_limit_binds_at_once(shelf: Shelf) -> None:
    """Ten used, then two allowed: none passes before the use has drained below two."""
    caller = await reading(shelf, reads_per_second=10)
    await passing(shelf, caller, 10)
    await shelf.limit(caller.tenant_id, reads_per_second=2)

    refused = await take(shelf, caller)

    assert refused.wait_ms == 4500
    shelf.clock.advance_ms(4499)
    assert await passing(shelf, caller, 1) == 0
    shelf.clock.advance_ms(1)
    assert await passing(shelf, caller, 3) == 1


async def test_a_lifted_limit_holds_nobody_back(shelves: list[Shelf]) -> None:
    """Nor does what was used before."""
    caller = await reading(shelves[0], reads_per_second=1)
    await passing(shelves[0], caller, 3)

    await shelves[0].limit(caller.tenant_id, reads_per_second=None)

    assert await passing(shelves[1], caller, 50) == 50


async def test_a_new_limit_binds_within_a_second(shelf: Shelf) -> None:
    """Whoever read without limit is counted as soon as what the process knows is a second old."""
    caller = await reading(shelf)
    await passing(shelf, caller, 5)
    await shelf.limit(caller.tenant_id, reads_per_second=3)

    shelf.clock.advance_ms(1000)

    assert await passing(shelf, caller, 9) == 3


@pytest.mark.parametrize("back_ms", [1, 400, 999, HOUR_MS, 24 * HOUR_MS])
async def test_a_clock_set_back_neither_refills_nor_locks_out(shelf: Shelf, back_ms: int) -> None:
    """What was used stays used; two seconds of the new time later everything is there again."""
    caller = await reading(shelf, reads_per_second=10)
    await passing(shelf, caller, 10)

    shelf.clock.advance_ms(-back_ms)

    assert await passing(shelf, caller, 5) == 0
    shelf.clock.advance_ms(2000)
    assert await passing(shelf, caller, 15) == 10


async def test_a_clock_set_back_makes_nobody_unlimited(shelf: Shelf) -> None:
    """That a caller had no limit is believed for a second, not until the old time is reached."""
    caller = await reading(shelf)
    await passing(shelf, caller, 5)
    await shelf.limit(caller.tenant_id, reads_per_second=3)

    shelf.clock.advance_ms(-HOUR_MS)

    assert await passing(shelf, caller, 9) == 3


@pytest.mark.parametrize("set_back_ms", [0, 1, 250, 999, HOUR_MS])
async def test_who_waits_as_long_as_told_gets_through(shelf: Shelf, set_back_ms: int) -> None:
    """Even where the clock was set back in between."""
    caller = await reading(shelf, reads_per_second=4)
    await passing(shelf, caller, 4)
    shelf.clock.advance_ms(-set_back_ms)
    refused = await take(shelf, caller)
    assert refused.wait_ms is not None

    shelf.clock.advance_ms(refused.wait_ms)

    assert await passing(shelf, caller, 1) == 1


async def _revoked(shelf: Shelf) -> Caller:
    caller = await shelf.caller(reads_per_second=9)
    await shelf.revoke("acme", caller.key_id)
    return caller


async def _expired(shelf: Shelf) -> Caller:
    await shelf.caller(reads_per_second=9)
    now_ms = shelf.clock.now_ms()
    secret = await issued_key(shelf.keys, "acme", now_ms=now_ms, expires_ms=now_ms)
    caller = await shelf.keys.find_caller(secret, "live")
    assert caller is not None
    return caller


async def _disabled(shelf: Shelf) -> Caller:
    caller = await shelf.caller(reads_per_second=9)
    await shelf.switch("acme", disabled=True)
    return caller


async def _deleted(shelf: Shelf) -> Caller:
    caller = await shelf.caller(reads_per_second=9)
    gone = act("acme", at_ms=shelf.clock.now_ms(), name="tenant.deleted")
    await shelf.tenants.delete("acme", force=False, act=gone)
    return caller


async def _of_nobody(_: Shelf) -> Caller:
    return Caller(tenant_id="nobody", key_id="key_000000000000", mode="live")


@pytest.mark.parametrize(
    ("caller_of", "refusal"),
    [
        (_revoked, InvalidKey),
        (_expired, InvalidKey),
        (_disabled, TenantDisabled),
        (_deleted, InvalidKey),
        (_of_nobody, InvalidKey),
    ],
)
async def test_who_may_not_read_is_told_nothing(
    shelf: Shelf, caller_of: Any, refusal: type[GatewayError]
) -> None:
    """Neither a read nor a look at the limits passes, and nothing is counted."""
    caller = await caller_of(shelf)
    untouched = await everything(shelf.redis)

    with pytest.raises(refusal):
        await take(shelf, caller)
    with pytest.raises(refusal):
        await shelf.meter.peek(caller, "reads", now_ms=shelf.clock.now_ms())

    assert await everything(shelf.redis) == untouched


async def test_a_store_of_another_epoch_counts_nothing(shelf: Shelf) -> None:
    """An emptied store is no fresh quota."""
    caller = await shelf.caller(reads_per_second=9)
    stranger = Meter(shelf.redis, "0" * 32)
    untouched = await everything(shelf.redis)

    with pytest.raises(StoreForeign):
        await stranger.take_read(caller, now_ms=shelf.clock.now_ms())
    with pytest.raises(StoreForeign):
        await stranger.peek(caller, "reads", now_ms=shelf.clock.now_ms())

    assert await everything(shelf.redis) == untouched


async def test_a_bucket_is_forgotten_when_it_is_sure_to_be_full_again(shelf: Shelf) -> None:
    """Its record goes two seconds after the last read."""
    caller = await reading(shelf, reads_per_second=3)
    await passing(shelf, caller, 1)

    name = Shard.of(caller.tenant_id).reads(caller.tenant_id, "live")

    assert await shelf.redis.pexpiretime(name) == shelf.clock.now_ms() + 2000
