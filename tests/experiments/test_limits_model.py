"""Limits within limits, held against a model that knows no scripts: not one too many or too few."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from app.domain.pricing import parse_credits
from app.domain.task import Task, TaskState
from app.domain.tenant import Caller
from app.store.keys import windows
from tests.store.shelf import PRICE, Shelf
from tests.support.scale import scaled

S = TaskState
SEEDS: Final = 5
STEPS: Final = scaled(1_000_000) // SEEDS
DAY_MS: Final = 86_400_000
AMOUNTS: Final = [0, 1, PRICE // 2, PRICE - 1, PRICE, PRICE + 1, 2 * PRICE]
LIMITS: Final[dict[str, list[Any]]] = {
    "tasks_in_flight": [0, 2, 5, 9, 20, None],
    "credits_per_day": ["0", "0.3", "0.5", "1", "2.5", None],
    "credits_per_month": ["0.8", "2", "6", "30", None],
}

pytestmark = pytest.mark.timeout(60 + STEPS // 50)


@dataclass
class Scope:
    """A tenant, or one of its keys: what it may, and what it has."""

    limits: dict[str, Any]
    slots: int = 0
    spent: Counter[str] = field(default_factory=Counter)
    """Held and settled together, by day and month."""

    def refusal(self, at: tuple[str, str], hold: int) -> str:
        """Return why this scope does not let a create pass, if it does not."""
        most = self.limits.get("tasks_in_flight")
        if most is not None and self.slots >= most:
            return "too_many_in_flight"
        for window, name in zip(at, ("credits_per_day", "credits_per_month"), strict=True):
            limit = self.limits.get(name)
            if limit is not None and hold and self.spent[window] + hold > parse_credits(limit):
                return "credit_exhausted"
        return ""


@dataclass
class Open:
    """A task that has not ended: its scopes, where it counts, and what it holds."""

    task: Task
    scopes: list[Scope]
    at: tuple[str, str]
    hold: int

    def now_holds(self, amount: int) -> None:
        """Count another hold, or the final cost, in place of the hold."""
        for scope in self.scopes:
            for window in self.at:
                scope.spent[window] += amount - self.hold
        self.hold = amount


@dataclass
class Business:
    """One tenant with two keys, in the store and in the model."""

    shelf: Shelf
    lots: random.Random
    callers: list[Caller]
    tenant: Scope
    keys: list[Scope]
    open: list[Open] = field(default_factory=list)
    verdicts: Counter[str] = field(default_factory=Counter)

    async def create(self) -> None:
        """Offer a create; the store must decide as the model does."""
        pick, hold = self.lots.randrange(2), self.lots.choice(AMOUNTS)
        scopes, at = [self.tenant, self.keys[pick]], windows(self.shelf.clock.now_ms())
        reasons = [scope.refusal(at, hold) for scope in scopes]
        full = "too_many_in_flight"
        expected = full if full in reasons else next(filter(None, reasons), "admitted")
        new = self.shelf.new(self.callers[pick], held_microcredits=hold)

        verdict = await self.shelf.offer(new)

        assert verdict == expected, (scopes, at, hold)
        self.verdicts[verdict] += 1
        if verdict == "admitted":
            task = new.admitted(now_ms=self.shelf.clock.now_ms(), group="default")
            entry = Open(task, scopes, at, 0)
            entry.now_holds(hold)
            for scope in scopes:
                scope.slots += 1
            self.open.append(entry)

    async def go_on(self) -> None:
        """Let a task be accepted, or end, at whatever price the vendor names."""
        if not self.open:
            return
        entry = self.open[self.lots.randrange(len(self.open))]
        task, amount = await self.shelf.reload(entry.task), self.lots.choice(AMOUNTS)
        if task.state is S.SENDING and self.lots.random() < 0.8:
            await self.shelf.accept(task, held_microcredits=amount)
            entry.now_holds(amount)
            return
        ends = [S.REJECTED] if task.state is S.SENDING else [S.COMPLETED, S.FAILED]
        end = self.lots.choice(ends)
        charged = amount if end is S.COMPLETED else 0
        assert await self.shelf.move(task, end, charged=charged)
        entry.now_holds(charged)
        for scope in entry.scopes:
            scope.slots -= 1
        self.open.remove(entry)

    async def change(self) -> None:
        """Change one limit of the tenant."""
        name = self.lots.choice(list(LIMITS))
        self.tenant.limits[name] = self.lots.choice(LIMITS[name])
        await self.shelf.limit("acme", **{name: self.tenant.limits[name]})

    async def step(self) -> None:
        """Do one thing."""
        drawn = self.lots.random()
        if drawn < 0.55:
            await self.create()
        elif drawn < 0.94:
            await self.go_on()
        elif drawn < 0.97:
            await self.change()
        else:
            self.shelf.clock.advance_ms(self.lots.choice([1, 3_600_000, 3_600_000, DAY_MS]))


async def opened(shelf: Shelf, seed: int) -> Business:
    """Return a tenant with limits, and two keys with narrower and wider ones of their own."""
    lots = random.Random(seed)
    # Far ahead, so that Redis forgets nothing on the way.
    shelf.clock.advance_ms(365 * DAY_MS)
    limits = [{name: lots.choice(given) for name, given in LIMITS.items()} for _ in range(3)]
    first = await shelf.caller(**limits[0])
    callers = [await shelf.colleague(first, **each) for each in limits[1:]]
    return Business(
        shelf, lots, callers, Scope(limits[0]), [Scope(dict(each)) for each in limits[1:]]
    )


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_every_verdict_is_that_of_the_model_and_no_credit_is_over_or_left_out(
    shelf: Shelf, seed: int
) -> None:
    """Slots, days and months of a tenant and its keys, while holds and limits change."""
    business = await opened(shelf, seed)

    for _ in range(STEPS):
        await business.step()

    at = windows(shelf.clock.now_ms())
    for window in at:
        figures = await shelf.figures(business.callers[0], window)
        found = figures.get("held", 0) + figures.get("settled", 0)
        assert found == business.tenant.spent[window]
    assert sum(business.verdicts.values()) > STEPS / 3
    assert len(business.verdicts) == 3
