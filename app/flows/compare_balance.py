"""Once a day: what the vendor says was used, beside what we settled; a hint for operators."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Final

import structlog

from app.clock import Clock
from app.domain.balance import Look, compare
from app.domain.pricing import Microcredits, vendor_credits
from app.store.balance import BalanceStore
from app.store.keys import month_before, windows
from app.telemetry import Metrics
from app.upstream.client import VendorClient
from app.upstream.wire import Unreadable

log = structlog.get_logger(__name__)

_DAY_MS: Final = 86_400_000
_MONTHS_KEPT: Final = 3
"""What a task has cost is known weeks after its admission at times."""


@dataclass(frozen=True, slots=True)
class CompareBalance:
    """Ask for the credits of every live vendor key; no more follows than a line and a hint."""

    balances: BalanceStore
    vendor: VendorClient
    clock: Clock
    metrics: Metrics

    async def __call__(self) -> None:
        """Look, if the last look of any process is a day old and no other process looks now."""
        now_ms = self.clock.now_ms()
        last = await self.balances.last()
        if last is not None and now_ms - last.at_ms < _DAY_MS:
            return
        if not len(self.vendor.keys) or not await self.balances.take_turn():
            return
        used = await self._used()
        if used is None:
            await self.balances.put_off()
            return
        known = last or Look(now_ms)
        months = sorted({windows(now_ms)[1], month_before(now_ms), *known.settled})[-_MONTHS_KEPT:]
        settled, tenants = await self.balances.settled(months, known.tenants)
        look = Look(now_ms, used, settled, tenants=tenants)
        comparison = compare(last, look) if last else None
        if comparison is not None:
            log.info(
                "vendor.balance_compared",
                since_ms=comparison.since_ms,
                vendor_microcredits=comparison.vendor_microcredits,
                settled_microcredits=comparison.settled_microcredits,
                notable=comparison.is_notable,
            )
        await self.balances.keep(replace(look, comparison=comparison))

    async def _used(self) -> dict[str, Microcredits] | None:
        """Return what each key has used in all; None, with a log entry, where one tells nothing.

        All are asked at once: any number of dead ones together take no longer than one.
        """
        async with asyncio.TaskGroup() as group:
            asked = [(key, group.create_task(self.vendor.balance(key))) for key in self.vendor.keys]
        used: dict[str, Microcredits] = {}
        for key, answer in asked:
            outcome = answer.result()
            is_told = not isinstance(outcome, Unreadable)
            self.metrics.vendor_calls.labels("credits", "told" if is_told else "unreadable").inc()
            figure = None if isinstance(outcome, Unreadable) else vendor_credits(outcome.used)
            if figure is None:
                why = outcome.reason if isinstance(outcome, Unreadable) else "no figure"
                log.warning("vendor.balance_unread", vendor_key_id=key.id, why=why)
                return None
            used[key.id] = figure
        return used
