"""A reservation ends once, whoever comes first and whoever comes late: the money is the first's."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field

import pytest

from app.domain.task import ARROWS, FINAL, Task, TaskState
from app.domain.tenant import Caller
from app.store.doubts import Correction
from tests.store.shelf import PRICE, Shelf
from tests.support.scale import scaled

S = TaskState
SEEDS = 4
ORDERS = scaled(100_000) // SEEDS
AT_ONCE = 50
STEPS = 9
PATHS: dict[str, list[TaskState]] = {
    "accepted": [],
    "read": [S.SUBMITTED, S.WATCHING],
    "swept": [S.IN_DOUBT, S.WRITTEN_OFF],
    "succeeded": [S.COMPLETED],
    "failed": [S.FAILED],
    "refused": [S.REJECTED],
    "corrected": [],
}
"""What may happen, and the states that somebody then offers: the first that there is a way to."""

pytestmark = pytest.mark.timeout(60 + ORDERS // 10)


@dataclass
class Fate:
    """One task, everything that somebody has read of it, and what should have become of it."""

    shelves: list[Shelf]
    lots: random.Random
    seen: list[Task]
    ends: list[tuple[TaskState, int]] = field(default_factory=list)
    corrected: list[int] = field(default_factory=list)

    async def goes_on(self) -> None:
        """Let one thing happen, decided on the newest version or one that is long past."""
        shelf, what = self.lots.choice(self.shelves), self.lots.choice(list(PATHS))
        amount = self.lots.choice([0, 1, PRICE - 1, PRICE, PRICE + 1, 3 * PRICE])
        newest = await shelf.reload(self.seen[-1])
        self.seen.append(newest)
        known = newest if self.lots.random() < 0.6 else self.lots.choice(self.seen)
        match what:
            case "accepted" if newest.state in (S.SENDING, S.IN_DOUBT):
                await shelf.accept(newest, held_microcredits=self.lots.choice([PRICE, amount]))
            case "corrected":
                correction = Correction(amount, "late evidence")
                now_ms = shelf.clock.now_ms()
                if await shelf.doubts.correct(newest, correction, now_ms=now_ms) is not None:
                    self.corrected.append(amount)
            case _:
                await self._offered(PATHS[what], known, amount)

    async def _offered(self, wanted: list[TaskState], known: Task, amount: int) -> None:
        """Two processes offer the same step at once; at most one of them may win."""
        for state in [each for each in wanted if each in ARROWS[known.state]][:1]:
            charged = amount if state in (S.COMPLETED, S.WRITTEN_OFF) else 0
            pair = self.lots.sample(self.shelves, 2)
            won = await asyncio.gather(
                *(each.move(known, state, charged=charged, due_ms=1) for each in pair)
            )
            assert sum(won) <= 1
            if any(won) and state in FINAL:
                self.ends.append((state, charged))


async def lived(shelves: list[Shelf], caller: Caller, seed: int) -> Fate:
    """Return what came of one task after several things happened to it in an order of its own."""
    fate = Fate(shelves, random.Random(seed), [await shelves[0].admit(caller)])
    for _ in range(STEPS):
        await fate.goes_on()
    return fate


async def judge(shelf: Shelf, fate: Fate) -> TaskState:
    """Hold a task's ledger against what happened to it; returns how far it has come."""
    task = await shelf.reload(fate.seen[0])
    money = await shelf.money(task)
    moved = {
        kind: [amount for each, amount in money if each == kind]
        for kind in ("hold", "adjust", "settle", "release", "correction")
    }
    assert moved["hold"] == [PRICE], money
    assert len(fate.ends) == (task.state in FINAL), (fate.ends, task.state)
    if not fate.ends:
        assert money == [("hold", PRICE), *[each for each in money if each[0] == "adjust"]]
        assert fate.corrected == []
        return task.state
    [(state, charged)] = fate.ends
    released = PRICE + sum(moved["adjust"]) - charged
    assert task.state is state
    assert moved["settle"] == ([charged] if charged else []), money
    assert moved["release"] == ([released] if released else []), money
    assert charged + sum(moved["correction"]) == [charged, *fate.corrected][-1], money
    return state


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_in_any_order_of_events_a_hold_ends_once_and_the_money_is_as_its_label_says(
    shelf: Shelf, shelves: list[Shelf], seed: int
) -> None:
    """Settled, released, swept, late, stale, at once from several processes, corrected since."""
    caller = await shelf.caller()
    ended: Counter[TaskState] = Counter()

    for first in range(0, ORDERS, AT_ONCE):
        numbers = range(first, min(first + AT_ONCE, ORDERS))
        fates = await asyncio.gather(
            *(lived(shelves, caller, seed * 10**6 + number) for number in numbers)
        )
        ended.update([await judge(shelf, fate) for fate in fates])

    assert ended.keys() & FINAL == {S.COMPLETED, S.FAILED, S.REJECTED, S.WRITTEN_OFF}
    assert sum(ended[state] for state in FINAL) > ORDERS // 2
