"""Once in a while: is what is reserved accounted for, and how much is in doubt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import structlog

from app.clock import Clock
from app.store.doubts import DoubtStore
from app.store.drift import DriftReads, Stock, StockStore
from app.store.tasks import TaskStore
from app.telemetry import Metrics

log = structlog.get_logger(__name__)

_FRESH_MS: Final = 45_000
"""Less than the minute after which each process thinks of it: the next is never a minute late."""
_CHUNK: Final = 500
"""Records read in one round trip, so that nothing else waits for long."""


@dataclass(frozen=True, slots=True)
class TakeStock:
    """Reckon anew from the ledgers what is reserved; one process does, and all show the result."""

    stocks: StockStore
    drifts: DriftReads
    clock: Clock
    metrics: Metrics

    async def __call__(self) -> None:
        """Reckon if the last time of any process is a while ago, and show what came of it."""
        now_ms = self.clock.now_ms()
        stock = await self.stocks.last()
        is_fresh = stock is not None and abs(now_ms - stock.at_ms) < _FRESH_MS
        if not is_fresh and await self.stocks.take_turn():
            stock = await self._reckoned(now_ms)
            await self.stocks.keep(stock)
        if stock is not None:
            self.metrics.drift.set(stock.drift_microcredits)
            self.metrics.stock_taken.set(stock.at_ms / 1000)

    async def _reckoned(self, now_ms: int) -> Stock:
        found = await self.drifts.everywhere(now_ms=now_ms)
        for each in found:
            log.error(
                "drift.found",
                tenant_id=each.tenant_id,
                mode=each.mode,
                window=each.window,
                family=each.family,
                reserved_microcredits=each.reserved,
                held_microcredits=each.held,
            )
        return Stock(now_ms, sum(abs(each.amount) for each in found))


@dataclass(frozen=True, slots=True)
class CountDoubts:
    """Show how many tasks are in doubt, since when, and what they hold."""

    tasks: TaskStore
    doubts: DoubtStore
    clock: Clock
    metrics: Metrics

    async def __call__(self) -> None:
        """Look at every doubt once."""
        now_ms = self.clock.now_ms()
        found = [
            task
            for shard, task_ids in await self.doubts.everywhere()
            for start in range(0, len(task_ids), _CHUNK)
            for task in await self.tasks.load(shard, task_ids[start : start + _CHUNK])
        ]
        oldest_ms = min((task.doubt_ms for task in found), default=now_ms)
        self.metrics.doubts.set(len(found))
        self.metrics.doubt_oldest_seconds.set(max(0, now_ms - oldest_ms) / 1000)
        self.metrics.doubt_held.set(sum(task.held_microcredits for task in found))
