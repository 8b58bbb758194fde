"""The engine: works through what is due, sleeps until something is, and stops in order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
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
"""Pause after a round that failed, so that a store that is away is not hammered."""

CLOCK_SAMPLE_S: Final = 5.0
NOTABLE_STEP_MS: Final = 1_000

Flow = Callable[[Shard], Awaitable[int]]


@dataclass(slots=True)
class Engine:
    """Runs each schedule's flow where something is due: one look, then only the claims that pay."""

    schedules: Schedules
    flows: dict[ScheduleName, Flow]
    clock: Clock
    metrics: Metrics
    last_round_ms: int = field(default=0, init=False)

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until `stopping` is set; a claim that has begun is finished first."""
        while not stopping.is_set():
            pause_ms = await self._round_or_retry()
            try:
                await asyncio.wait_for(stopping.wait(), pause_ms / 1000)
            except TimeoutError:
                continue

    async def _round_or_retry(self) -> int:
        """Do one round; returns how long to sleep. A loop boundary: it never ends the loop."""
        try:
            pause_ms = await self.round()
        except Exception as failure:  # noqa: BLE001 - counted and logged in `_stumble`
            self._stumble(failure)
            return RETRY_MS
        self.last_round_ms = self.clock.now_ms()
        return pause_ms

    async def round(self) -> int:
        """Look at all schedules, work on what is due, return the milliseconds until the next."""
        now_ms = self.clock.now_ms()
        entries = await self.schedules.peek()
        due = [entry for entry in entries if entry.at_ms <= now_ms]
        if due:
            async with asyncio.TaskGroup() as group:
                works = [group.create_task(self._work(entry)) for entry in due]
            # What failed before its claim is still due: without a pause it would be tried hotly.
            return SHORTEST_SLEEP_MS if all(work.result() for work in works) else RETRY_MS
        wait_ms = min((entry.at_ms - now_ms for entry in entries), default=IDLE_MS)
        return min(max(wait_ms, SHORTEST_SLEEP_MS), IDLE_MS)

    async def _work(self, entry: Due) -> bool:
        """Run one schedule of one shard; a loop boundary, so that no shard stops the others."""
        try:
            await self.flows[entry.name](entry.shard)
        except Exception as failure:  # noqa: BLE001 - counted and logged in `_stumble`
            self._stumble(failure, schedule=entry.name, shard=entry.shard.number)
            return False
        return True

    def _stumble(self, failure: Exception, **where: object) -> None:
        """Count and log a failed piece of work: one line for trouble, the trace for a defect."""
        self.metrics.engine_stumbles.inc()
        if isinstance(failure, GatewayError):
            log.warning("engine.stumbled", reason=failure.reason, **where)
        else:
            log.error("engine.stumbled", exc_info=failure, **where)


async def keep_time(clock: StoreClock, redis: Redis, stopping: asyncio.Event) -> None:
    """Sample the store's time every few seconds until `stopping` is set."""
    while not stopping.is_set():
        try:
            moved_ms = await sample_time(clock, redis)
            if abs(moved_ms) > NOTABLE_STEP_MS:
                log.warning("store.clock_moved", moved_ms=round(moved_ms))
        except GatewayError as trouble:
            log.warning("store.failed", doing="reading its time", reason=trouble.reason)
        try:
            await asyncio.wait_for(stopping.wait(), CLOCK_SAMPLE_S)
        except TimeoutError:
            continue
