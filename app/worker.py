"""The engine: works through what is due, sleeps until something is, and stops in order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import structlog
from redis.asyncio import Redis

from app.clock import Clock, StoreClock
from app.errors import GatewayError
from app.store.keys import Shard
from app.store.schedule import Due, ScheduleName, Schedules
from app.store.time import sample_time
from app.telemetry import Metrics

log = structlog.get_logger(__name__)

IDLE_MS: Final = 500
"""Longest sleep between two looks: work added by other processes is seen in this time."""

SHORTEST_SLEEP_MS: Final = 5
RETRY_MS: Final = 1_000
"""Pause after a failure, so that a store that is away is not hammered."""

STOP_GRACE_S: Final = 3.0
"""How long a stopping engine waits for reads that are under way, seconds."""

LONGEST_CHORE_S: Final = 60.0
CLOCK_SAMPLE_S: Final = 5.0
NOTABLE_STEP_MS: Final = 1_000

Flow = Callable[[Shard], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Chore:
    """Something to be done once in a while, whatever is due."""

    name: str
    every_s: float
    work: Callable[[], Awaitable[None]]


@dataclass(slots=True)
class Engine:
    """Runs each schedule's flow where something is due: one look, then only the claims that pay.

    The schedules of the shards are worked on side by side, each by one flow at a time: a vendor
    that is slow to answer for one holds up no other.
    """

    schedules: Schedules
    flows: dict[ScheduleName, Flow]
    clock: Clock
    metrics: Metrics
    chores: tuple[Chore, ...] = ()
    last_round_ms: int = field(default=0, init=False)
    _at_work: set[tuple[ScheduleName, int]] = field(default_factory=set, init=False)

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until `stopping` is set; what has begun then has `STOP_GRACE_S` to end.

        What is cut off loses nothing: its claims come due again after their lease.
        """
        wake, works = asyncio.Event(), set[asyncio.Task[bool]]()
        async with asyncio.TaskGroup() as group:
            group.create_task(_pass_on(stopping, wake))
            for chore in self.chores:
                group.create_task(self._keep_doing(chore, stopping), name=chore.name)
            while not stopping.is_set():
                pause_ms = await self._look(group, works, wake)
                with suppress(TimeoutError):
                    await asyncio.wait_for(wake.wait(), pause_ms / 1000)
                wake.clear()
            late = (await asyncio.wait(works, timeout=STOP_GRACE_S))[1] if works else set()
            for work in late:
                work.cancel()

    async def _look(
        self, group: asyncio.TaskGroup, works: set[asyncio.Task[bool]], wake: asyncio.Event
    ) -> int:
        """Begin what is due; returns how long to sleep. A loop boundary: it never ends the loop."""
        try:
            due, pause_ms = await self._due()
        except Exception as failure:  # noqa: BLE001 - counted and logged in `_stumble`
            self._stumble(failure)
            return RETRY_MS
        for entry in due:
            work = group.create_task(self._work(entry, rest_ms=RETRY_MS))
            works.add(work)
            work.add_done_callback(works.discard)
            # Its schedule may have more that is due.
            work.add_done_callback(lambda _: wake.set())
        self.last_round_ms = self.clock.now_ms()
        return pause_ms

    async def round(self) -> int:
        """Do all that is due now and return the milliseconds until the next; for one round by hand.

        Raises:
            StoreUnavailable: the schedules could not be looked at.
        """
        due, pause_ms = await self._due()
        async with asyncio.TaskGroup() as group:
            works = [group.create_task(self._work(entry, rest_ms=0)) for entry in due]
        return pause_ms if all(work.result() for work in works) else RETRY_MS

    async def _due(self) -> tuple[list[Due], int]:
        """Return what is due and not being worked on, marked as at work, and the pause after it."""
        entries = [
            entry
            for entry in await self.schedules.peek()
            if (entry.name, entry.shard.number) not in self._at_work
        ]
        now_ms = self.clock.now_ms()
        due = [entry for entry in entries if entry.at_ms <= now_ms]
        if due:
            self._at_work.update((entry.name, entry.shard.number) for entry in due)
            return due, SHORTEST_SLEEP_MS
        wait_ms = min((entry.at_ms - now_ms for entry in entries), default=IDLE_MS)
        return [], min(max(wait_ms, SHORTEST_SLEEP_MS), IDLE_MS)

    async def _work(self, entry: Due, *, rest_ms: int) -> bool:
        """Run one schedule of one shard; a loop boundary, so that no shard stops the others.

        What failed before its claim is still due, so it rests before it is tried again.
        """
        try:
            await self.flows[entry.name](entry.shard)
        except Exception as failure:  # noqa: BLE001 - counted and logged in `_stumble`
            self._stumble(failure, schedule=entry.name, shard=entry.shard.number)
            await self.clock.sleep_ms(rest_ms)
            return False
        else:
            return True
        finally:
            self._at_work.discard((entry.name, entry.shard.number))

    async def _keep_doing(self, chore: Chore, stopping: asyncio.Event) -> None:
        """Do a chore time and again until `stopping` is set; a loop boundary."""
        while not await _has_come(stopping, chore.every_s):
            try:
                async with asyncio.timeout(LONGEST_CHORE_S):
                    await chore.work()
            except Exception as failure:  # noqa: BLE001 - counted and logged in `_stumble`
                self._stumble(failure, chore=chore.name)

    def _stumble(self, failure: Exception, **where: object) -> None:
        """Count and log a failed piece of work: one line for trouble, the trace for a defect."""
        self.metrics.engine_stumbles.inc()
        if isinstance(failure, GatewayError):
            log.warning("engine.stumbled", reason=failure.reason, **where)
        else:
            log.error("engine.stumbled", exc_info=failure, **where)


async def _pass_on(stopping: asyncio.Event, wake: asyncio.Event) -> None:
    await stopping.wait()
    wake.set()


async def keep_time(clock: StoreClock, redis: Redis, stopping: asyncio.Event) -> None:
    """Sample the store's time every few seconds until `stopping` is set."""
    while not stopping.is_set():
        try:
            moved_ms = await sample_time(clock, redis)
            if abs(moved_ms) > NOTABLE_STEP_MS:
                log.warning("store.clock_moved", moved_ms=round(moved_ms))
        except GatewayError as trouble:
            log.warning("store.failed", doing="reading its time", reason=trouble.reason)
        await _has_come(stopping, CLOCK_SAMPLE_S)


async def _has_come(event: asyncio.Event, within_s: float) -> bool:
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), within_s)
    return event.is_set()
