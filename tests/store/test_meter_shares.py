"""Reads over several processes: shares are small, short-lived, and never more than the limit."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Iterable
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.clock import HeldClock
from app.domain.ids import next_key_id
from app.domain.tenant import Caller
from app.errors import StoreUnavailable
from app.store.connect import connect
from app.store.keys import Shard
from app.store.meter import SHARE_LIFE_MS, Meter
from tests.store.shelf import Shelf
from tests.support.redis_server import RedisServer, Relay
from tests.support.tenant_keys import act

DAY_MS = 86_400_000
many = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


async def passes(shelf: Shelf, caller: Caller, clock: HeldClock) -> bool:
    """Ask for one read in one process."""
    return (await shelf.meter.take_read(caller, now_ms=clock.now_ms())).wait_ms is None


async def warm_up(shelf: Shelf, caller: Caller, reads: int = 8) -> None:
    """Read so often that the process takes shares of the full size: 1, 2, 4, and then of 5."""
    for _ in range(reads):
        assert await passes(shelf, caller, shelf.clock)


async def reading(shelf: Shelf, per_second: int) -> Caller:
    """Return a caller of a new tenant, far enough ahead that Redis forgets nothing on the way."""
    shelf.clock.advance_ms(DAY_MS)
    return await shelf.caller(f"t{secrets.token_hex(8)}", reads_per_second=per_second)


async def verdicts(
    shelves: list[Shelf], caller: Caller, steps: Iterable[tuple[int, int, int]]
) -> list[tuple[int, int, bool]]:
    """Move the clock by each step and read so often there; returns process, instant, verdict."""
    clock, found = shelves[0].clock, []
    for step_ms, process, tries in steps:
        clock.advance_ms(step_ms)
        for _ in range(tries):
            passed = await passes(shelves[process], caller, clock)
            found.append((process, clock.now_ms(), passed))
    return found


rates = st.one_of(st.integers(1, 45), st.sampled_from([59, 60, 61, 100, 997, 1_000_000]))
steps = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 120), st.integers(0, 1500), st.sampled_from([0, 999, 1000])),
        st.integers(0, 2),
        st.integers(1, 12),
    ),
    min_size=1,
    max_size=10,
)


@many
@given(per_second=rates, story=steps)
async def test_in_no_stretch_of_time_more_pass_than_the_promise(
    shelves: list[Shelf], per_second: int, story: list[tuple[int, int, int]]
) -> None:
    """From any read to any later one, t seconds apart: at most N + N * t, in three processes."""
    caller = await reading(shelves[0], per_second)

    found = await verdicts(shelves, caller, story)

    passed = [at_ms for _, at_ms, did_pass in found if did_pass]
    for first, begun_ms in enumerate(passed):
        for count, at_ms in enumerate(passed[first:], 1):
            assert count <= per_second + Fraction(per_second * (at_ms - begun_ms), 1000)


@pytest.mark.parametrize("per_second", [40, 100, 1000, 2000])
async def test_what_is_lent_does_not_come_back_while_it_may_be_used(
    shelves: list[Shelf], per_second: int
) -> None:
    """Shares that lay unused for a second are not read on top of a bucket that is full again."""
    caller = await reading(shelves[0], per_second)
    for shelf in shelves:
        await warm_up(shelf, caller)
    shelves[0].clock.advance_ms(SHARE_LIFE_MS - 10)

    at_once = [
        await passes(shelf, caller, shelf.clock)
        for shelf in shelves
        for _ in range(per_second + 50)
    ]

    assert per_second - 3 * per_second // 20 <= sum(at_once) <= per_second


@many
@given(per_second=st.integers(1, 60), story=steps)
async def test_over_all_processes_no_more_pass_than_the_promise(
    shelves: list[Shelf], per_second: int, story: list[tuple[int, int, int]]
) -> None:
    """From rest, after t seconds at most N + N * t have passed, wherever they were asked."""
    caller = await reading(shelves[0], per_second)
    began_ms = shelves[0].clock.now_ms()

    found = await verdicts(shelves, caller, story)

    passed = [at_ms for _, at_ms, did_pass in found if did_pass]
    for count, at_ms in enumerate(passed, 1):
        assert count <= per_second + Fraction(per_second * (at_ms - began_ms), 1000)


@pytest.mark.parametrize("per_second", [1, 19, 20, 50, 100])
async def test_processes_that_race_get_exactly_the_limit(
    shelves: list[Shelf], per_second: int
) -> None:
    """Three processes at once, each asking until it is refused, share out all of it."""
    caller = await reading(shelves[0], per_second)

    async def until_refused(shelf: Shelf) -> int:
        count = 0
        while await passes(shelf, caller, shelf.clock):
            count += 1
        return count

    counts = await asyncio.gather(*(until_refused(each) for each in shelves))

    assert sum(counts) == per_second


@pytest.mark.parametrize("per_second", [7, 40, 100, 1000])
async def test_reads_at_once_in_one_process_get_the_whole_limit(
    shelf: Shelf, per_second: int
) -> None:
    """However many find the share empty together: none throws away what another has fetched."""
    caller = await reading(shelf, per_second)

    passed = await asyncio.gather(
        *(passes(shelf, caller, shelf.clock) for _ in range(per_second + 50))
    )

    assert sum(passed) == per_second


async def test_one_fetch_serves_the_readers_that_wait_for_it(shelf: Shelf) -> None:
    """Fifty-four reads, four from the share at hand, cost the store ten looks."""
    caller = await reading(shelf, 100)
    await warm_up(shelf, caller)
    await shelf.redis.config_resetstat()

    await asyncio.gather(*(passes(shelf, caller, shelf.clock) for _ in range(54)))

    stats = await shelf.redis.info("commandstats")
    assert stats["cmdstat_evalsha"]["calls"] == 10


@pytest.mark.parametrize(
    ("per_second", "share"), [(1, 1), (19, 1), (20, 1), (39, 1), (40, 2), (100, 5), (1000, 50)]
)
async def test_a_share_is_a_twentieth_or_one(
    shelves: list[Shelf], per_second: int, share: int
) -> None:
    """A process takes no more of the second than that at once, however fast it reads."""
    caller = await reading(shelves[0], per_second)
    name = Shard.of(caller.tenant_id).reads(caller.tenant_id, "live")
    used = [0]

    while await passes(shelves[0], caller, shelves[0].clock):
        used.append(int(await shelves[0].redis.hget(name, "used")))

    assert max(after - before for before, after in pairwise(used)) == share * 1000


async def test_a_caller_that_reads_now_and_then_takes_one_at_a_time(shelf: Shelf) -> None:
    """It leaves nothing unused, so what it may is there for the others of its tenant."""
    caller = await reading(shelf, 1000)
    name = Shard.of(caller.tenant_id).reads(caller.tenant_id, "live")

    for _ in range(3):
        shelf.clock.advance_ms(1500)
        await passes(shelf, caller, shelf.clock)

        assert await shelf.redis.hgetall(name) == {
            b"used": b"1000",
            b"at_ms": str(shelf.clock.now_ms()).encode(),
        }


async def test_a_share_answers_without_the_store(shelf: Shelf) -> None:
    """Within it the store is asked once, not once a read."""
    caller = await reading(shelf, 100)
    await warm_up(shelf, caller)
    await shelf.redis.config_resetstat()

    passed = [await passes(shelf, caller, shelf.clock) for _ in range(4)]

    assert passed == [True] * 4
    assert "cmdstat_evalsha" not in await shelf.redis.info("commandstats")


@pytest.mark.parametrize(("later_ms", "left"), [(999, 100), (1000, 96), (1040, 100)])
async def test_a_share_is_lost_after_a_second(shelf: Shelf, later_ms: int, left: int) -> None:
    """What is left of it then is not carried on, and comes back as the bucket drains."""
    caller = await reading(shelf, 100)
    await warm_up(shelf, caller)
    shelf.clock.advance_ms(later_ms)

    passed = [await passes(shelf, caller, shelf.clock) for _ in range(120)]

    assert passed == [True] * left + [False] * (120 - left)


async def test_a_share_unused_elsewhere_is_all_that_is_missing(shelves: list[Shelf]) -> None:
    """A process that read and stopped keeps the rest of its share from the others for a second."""
    caller = await reading(shelves[0], 100)
    await warm_up(shelves[0], caller)

    passed = [await passes(shelves[1], caller, shelves[1].clock) for _ in range(120)]

    assert sum(passed) == 100 - 8 - 4


async def test_a_rotated_key_goes_on_with_the_reads_of_its_family(shelf: Shelf) -> None:
    """A rotation gives nobody a second's reads anew."""
    first = await shelf.colleague(await reading(shelf, 1000), reads_per_second=5)
    old = await shelf.keys.get(first.tenant_id, first.key_id)
    new = old.model_copy(update={"id": next_key_id(old.id)})
    stated = act(first.tenant_id, at_ms=shelf.clock.now_ms(), name="key.rotated")
    await shelf.keys.issue(new, secret="rg_live_x", act=stated)
    second = first.model_copy(update={"key_id": new.id})

    passed = [await passes(shelf, first, shelf.clock) for _ in range(3)]
    passed += [await passes(shelf, second, shelf.clock) for _ in range(4)]

    assert passed == [True] * 5 + [False] * 2


async def test_readers_at_once_wait_no_longer_than_one_for_a_store_that_hangs(
    shelf: Shelf, redis_server: RedisServer
) -> None:
    """They are all told after the one deadline of the store, not one deadline after the other."""
    caller = await reading(shelf, 100)
    epoch = await shelf.redis.get(Shard.of(caller.tenant_id).epoch)
    async with Relay(redis_server) as relay:
        client = connect(f"unix://{relay.socket_path}", call_timeout_s=0.2)
        meter = Meter(client, epoch.decode())
        await meter.peek(caller, "reads", now_ms=shelf.clock.now_ms())
        relay.reply_delay_s = lambda: 1.0
        begun_s = time.monotonic()

        outcomes = await asyncio.gather(
            *(meter.take_read(caller, now_ms=shelf.clock.now_ms()) for _ in range(12)),
            return_exceptions=True,
        )

        took_s = time.monotonic() - begun_s
        relay.reply_delay_s = lambda: 0.0
        await client.aclose()
    assert {type(outcome) for outcome in outcomes} == {StoreUnavailable}
    assert took_s < 2.0


async def test_a_reader_that_hangs_up_takes_nobody_with_it(
    shelf: Shelf, redis_server: RedisServer
) -> None:
    """Whoever waited for what it was fetching is answered all the same."""
    caller = await reading(shelf, 100)
    epoch = await shelf.redis.get(Shard.of(caller.tenant_id).epoch)
    async with Relay(redis_server) as relay:
        client = connect(f"unix://{relay.socket_path}", call_timeout_s=10)
        meter, now_ms = Meter(client, epoch.decode()), shelf.clock.now_ms()
        await meter.peek(caller, "reads", now_ms=now_ms)
        relay.reply_delay_s = lambda: 0.2

        async with asyncio.TaskGroup() as readers:
            first, *others = [
                readers.create_task(meter.take_read(caller, now_ms=now_ms)) for _ in range(4)
            ]
            await asyncio.sleep(0)
            first.cancel()

        await client.aclose()
    assert first.cancelled()
    assert [reader.result().wait_ms for reader in others] == [None] * 3
