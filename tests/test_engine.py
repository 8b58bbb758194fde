"""The engine: looks rarely, works at once, stops in order, and outlives every failure."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.clock import HeldClock, StoreClock
from app.store.connect import connect
from app.store.identity import StoreIdentity
from app.store.keys import Shard
from app.store.schedule import ScheduleName, Schedules
from app.telemetry import Metrics
from app.worker import IDLE_MS, SHORTEST_SLEEP_MS, Chore, Engine, Flow, keep_time
from tests.conftest import OpenBed
from tests.support.bed import Bed, character, open_bed, settings_for
from tests.support.redis_server import RedisServer
from tests.support.vendor import Vendor
from tests.support.wait import wait_until

MOST_ROUND_TRIPS_A_SECOND = 5


class Recorder:
    """A flow that notes the shards it is given, and claims what is due there."""

    def __init__(self, schedules: Schedules, name: ScheduleName, clock: HeldClock) -> None:
        self.shards: list[int] = []
        self._schedules, self._name, self._clock = schedules, name, clock

    async def __call__(self, shard: Shard) -> int:
        """Take what is due for ten seconds."""
        self.shards.append(shard.number)
        claimed = await self._schedules.claim(
            self._name, shard, now_ms=self._clock.now_ms(), lease_ms=10_000, most=100
        )
        return len(claimed)


@pytest.fixture
async def schedules(redis_url: str) -> AsyncIterator[Schedules]:
    """The schedules of an empty store."""
    redis = connect(redis_url)
    yield Schedules(redis, StoreIdentity(redis, "0" * 32))
    await redis.aclose()


@pytest.fixture
def recorders(schedules: Schedules, clock: HeldClock) -> dict[ScheduleName, Recorder]:
    """A flow for each schedule."""
    return {name: Recorder(schedules, name, clock) for name in Schedules.NAMES}


@pytest.fixture
def engine(
    schedules: Schedules, recorders: dict[ScheduleName, Recorder], clock: HeldClock
) -> Engine:
    """An engine that runs those flows."""
    flows: dict[ScheduleName, Flow] = {**recorders}
    return Engine(schedules, flows, clock, Metrics())


@asynccontextmanager
async def running(engine: Engine) -> AsyncIterator[asyncio.Event]:
    """Run an engine for the time of the block, at the end of which it is told to stop."""
    stopping = asyncio.Event()
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(engine.run(stopping))
        try:
            yield stopping
        finally:
            stopping.set()


async def add(schedules: Schedules, name: ScheduleName, shard: int, at_ms: int) -> None:
    """Put an entry on a schedule."""
    await schedules._redis.zadd(getattr(Shard(shard), name), {f"task-{at_ms}": at_ms})


@pytest.mark.parametrize(
    ("due_in_ms", "pause_ms"),
    [
        (None, IDLE_MS),
        (86_400_000, IDLE_MS),
        (IDLE_MS + 1, IDLE_MS),
        (IDLE_MS - 1, IDLE_MS - 1),
        (120, 120),
        (1, SHORTEST_SLEEP_MS),
        (0, SHORTEST_SLEEP_MS),
        (-5000, SHORTEST_SLEEP_MS),
    ],
)
async def test_it_sleeps_until_the_next_entry_and_never_longer_than_half_a_second(
    engine: Engine, schedules: Schedules, due_in_ms: int | None, pause_ms: int
) -> None:
    """Work that another process adds meanwhile is seen within that half second."""
    if due_in_ms is not None:
        await add(schedules, "polls", 3, engine.clock.now_ms() + due_in_ms)

    assert await engine.round() == pause_ms
    assert IDLE_MS <= 500


async def test_only_what_is_due_is_worked_on(
    engine: Engine, schedules: Schedules, recorders: dict[ScheduleName, Recorder]
) -> None:
    """One look at everything, then only the schedules and shards where it pays."""
    now_ms = engine.clock.now_ms()
    await add(schedules, "polls", 3, now_ms)
    await add(schedules, "polls", 4, now_ms + 1)
    await add(schedules, "sends", 5, now_ms - 1000)

    await engine.round()

    assert {name: recorder.shards for name, recorder in recorders.items() if recorder.shards} == {
        "polls": [3],
        "sends": [5],
    }


async def test_a_defect_in_one_shard_does_not_stop_the_others(
    engine: Engine, schedules: Schedules, recorders: dict[ScheduleName, Recorder]
) -> None:
    """While one flow breaks off, the work of the other shards in that round is finished."""
    finished: list[int] = []

    async def flow(shard: Shard) -> int:
        if shard.number == 3:
            raise ZeroDivisionError
        await schedules.peek()
        await recorders["polls"](shard)
        finished.append(shard.number)
        return 1

    engine.flows["polls"] = flow
    for shard in (3, 4, 5):
        await add(schedules, "polls", shard, 1)

    async with running(engine):
        await wait_until(lambda: len(set(finished)) == 2, describing="the other shards")

    assert set(finished) == {4, 5}


async def test_a_shard_that_hangs_holds_up_no_other(engine: Engine, schedules: Schedules) -> None:
    """While one shard waits for the vendor, work that comes due elsewhere is done."""
    worked: list[int] = []
    answered = asyncio.Event()

    async def flow(shard: Shard) -> int:
        await schedules.claim("polls", shard, now_ms=1, lease_ms=10_000_000_000_000, most=9)
        if shard.number == 3:
            await answered.wait()
        worked.append(shard.number)
        return 1

    engine.flows["polls"] = flow
    await add(schedules, "polls", 3, 1)

    async with running(engine):
        await wait_until(lambda: engine.last_round_ms, describing="the hanging shard's beginning")
        await add(schedules, "polls", 4, 1)
        await wait_until(lambda: 4 in worked, describing="the other shard's work")
        assert worked == [4]
        answered.set()
        await wait_until(lambda: 3 in worked, describing="the hanging shard's end")


async def test_a_stop_cuts_off_what_hangs(engine: Engine, schedules: Schedules) -> None:
    """A read the vendor never answers does not keep the process: its claim returns by the lease."""
    began, cut_off = asyncio.Event(), asyncio.Event()

    async def flow(_: Shard) -> int:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            cut_off.set()
        return 1

    engine.flows["polls"] = flow
    await add(schedules, "polls", 3, 1)

    async with running(engine):
        await began.wait()

    assert cut_off.is_set()


async def test_a_defect_does_not_end_it(engine: Engine, schedules: Schedules) -> None:
    """It counts the failed round, pauses, and works on."""
    rounds: list[int] = []

    async def flow(shard: Shard) -> int:
        rounds.append(shard.number)
        await schedules.claim("polls", shard, now_ms=1, lease_ms=10_000_000_000_000, most=9)
        raise ZeroDivisionError

    engine.flows["polls"] = flow
    await add(schedules, "polls", 3, 1)

    async with running(engine):
        await wait_until(lambda: rounds, describing="the defect")
        await add(schedules, "polls", 4, 1)
        await wait_until(lambda: 4 in rounds, describing="work after the defect")

    stumbles = engine.metrics.registry.get_sample_value("reelgate_engine_stumbles_total")
    assert stumbles == 2


async def test_a_chore_is_done_time_and_again_and_may_fail(
    schedules: Schedules, clock: HeldClock
) -> None:
    """What is done once in a while goes on after a failure, which is counted, and ends with it."""
    done: list[int] = []

    async def work() -> None:
        done.append(1)
        raise ZeroDivisionError

    engine = Engine(schedules, {}, clock, Metrics(), (Chore("sweeping", 0.01, work),))

    async with running(engine):
        await wait_until(lambda: len(done) >= 3, describing="the chore to be repeated")

    stumbles = engine.metrics.registry.get_sample_value("reelgate_engine_stumbles_total")
    assert stumbles == len(done)


async def test_a_stop_wakes_it_from_its_sleep(engine: Engine) -> None:
    """It does not sleep to the end when it is told to go."""
    async with running(engine):
        await wait_until(lambda: engine.last_round_ms, describing="a round")
        began_s = time.monotonic()

    assert time.monotonic() - began_s < IDLE_MS / 1000 - 0.1


async def test_a_stop_lets_begun_work_finish(open_gateway_bed: OpenBed, vendor: Vendor) -> None:
    """A read that is under way when the stop comes is recorded before the engine ends."""
    async with open_gateway_bed() as bed:
        task_id = await bed.created(await bed.key(), character("seconds:1"))
        vendor.fault("delay", on="report", ms=200)
        bed.clock.advance_ms(3000)
        vendor.pass_time(3)

        async with running(bed.gateway.engine) as stopping:
            await wait_until(lambda: vendor.reads(), describing="the read")
            stopping.set()

        assert (await bed.stored(task_id))["state"] == "completed"


async def test_a_gateway_with_an_engine_needs_no_push(
    open_gateway_bed: OpenBed, vendor: Vendor
) -> None:
    """In the role `all` tasks come to their end by themselves."""
    async with open_gateway_bed(role="all") as bed:
        key = await bed.key()
        task_id = await bed.created(key, character("seconds:1"))
        bed.clock.advance_ms(3000)
        vendor.pass_time(3)

        async def is_completed() -> bool:
            return bool((await bed.read(key, task_id)).json()["status"] == "completed")

        await wait_until(is_completed, describing="the end of the task")


def reads_of(server: RedisServer) -> int:
    """Return how often the server has read from any client so far."""
    found = re.search(rb"total_reads_processed:(\d+)", server.call("INFO", "stats"))
    assert found is not None
    return int(found[1])


async def test_an_idle_gateway_asks_the_store_at_most_five_times_a_second(
    redis_server: RedisServer, redis_url: str, vendor: Vendor, tmp_path: Path
) -> None:
    """Engine and clock together, measured at the server over several rounds."""
    settings = settings_for(redis_url, tmp_path, vendor.url, role="all")
    async with open_bed(settings, StoreClock(), vendor) as bed:  # type: ignore[arg-type]
        await rounds(bed, 1)
        reads, began_s = reads_of(redis_server), time.monotonic()

        await rounds(bed, 3)

        took_s = time.monotonic() - began_s
        asked = reads_of(redis_server) - reads - 1
    assert took_s > 1
    assert 3 <= asked <= MOST_ROUND_TRIPS_A_SECOND * took_s


async def rounds(bed: Bed, count: int) -> None:
    """Wait until the engine has done so many more rounds."""
    for _ in range(count):
        last_ms = bed.gateway.engine.last_round_ms
        await wait_until(
            lambda last_ms=last_ms: bed.gateway.engine.last_round_ms != last_ms,
            describing="a round of the engine",
        )


async def test_a_store_that_dies_and_comes_back_does_not_end_it(
    vendor: Vendor, clock: HeldClock, tmp_path: Path
) -> None:
    """What was due meanwhile is done when the store answers again."""
    with RedisServer(durable=True) as server:
        settings = settings_for(server.url, tmp_path, vendor.url, role="all")
        async with open_bed(settings, clock, vendor) as bed:
            key = await bed.key()
            task_id = await bed.created(key, character("seconds:1"))
            registry = bed.gateway.metrics.registry

            server.kill()
            clock.advance_ms(3000)
            vendor.pass_time(3)
            await wait_until(
                lambda: registry.get_sample_value("reelgate_engine_stumbles_total"),
                describing="a round without the store",
            )
            server.restart()

            async def is_completed() -> bool:
                return bool((await bed.read(key, task_id)).json().get("status") == "completed")

            await wait_until(is_completed, describing="the end of the task")


async def test_the_clock_is_set_by_the_store_while_it_runs(redis_url: str) -> None:
    """A process whose host is an hour off goes by the store's time as soon as it has asked."""
    redis, clock, stopping = connect(redis_url), StoreClock(), asyncio.Event()
    clock.sample(clock.now_ms() + 3_600_000, clock.mark_ms())

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        group.create_task(keep_time(clock, redis, stopping))
        await wait_until(
            lambda: abs(clock.now_ms() - StoreClock().now_ms()) < 1000, describing="the right time"
        )
        stopping.set()

    await redis.aclose()


async def test_a_store_without_an_answer_does_not_stop_the_clock() -> None:
    """Time runs on as it was, and the next sample is tried in its turn."""
    redis, clock, stopping = connect("unix:///nonexistent/socket"), StoreClock(), asyncio.Event()
    before_ms = clock.now_ms()

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        keeping = group.create_task(keep_time(clock, redis, stopping))
        await wait_until(lambda: clock.now_ms() > before_ms + 20, describing="time to pass")
        is_keeping = not keeping.done()
        stopping.set()

    assert is_keeping
    await redis.aclose()
