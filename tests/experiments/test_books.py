"""Random lives of tasks: whatever order things happen in, every microcredit is accounted for."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from dataclasses import dataclass, field

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain.task import ARROWS, FINAL, Task, TaskState
from app.domain.tenant import Caller
from app.errors import StoreForeign
from app.store.keys import Shard
from tests.store.shelf import PRICE, Shelf
from tests.support.auditor import audit, read_books

S = TaskState
AMOUNTS = st.one_of(st.sampled_from([0, 1, PRICE - 1, PRICE, PRICE + 1]), st.integers(0, 3 * PRICE))
LATER = [S.SUBMITTED, S.WATCHING, S.COMPLETED, S.FAILED, S.REJECTED, S.IN_DOUBT, S.WRITTEN_OFF]

happenings = st.lists(
    st.tuples(
        st.sampled_from(["admit", "accept", "remember", "advance", "advance", "stale", "race"]),
        st.integers(0, 20),
        AMOUNTS,
        st.sampled_from(LATER),
        st.sampled_from([0, 1, 40_000, 86_400_000]),
    ),
    min_size=5,
    max_size=40,
)


@dataclass
class Life:
    """Tasks of one tenant, and the oldest versions of them that somebody may still hold."""

    shelf: Shelf
    caller: Caller
    tasks: list[Task] = field(default_factory=list)

    async def happen(self, what: str, which: int, amount: int, state: TaskState) -> None:
        """Let one thing happen to one of the tasks."""
        if what == "admit" or not self.tasks:
            keyed = {"idempotency": secrets.token_hex(32)} if which % 2 else {}
            if await self.shelf.offer(new := self.shelf.new(self.caller, **keyed)) == "admitted":
                shard = Shard.of(self.caller.tenant_id)
                self.tasks += await self.shelf.tasks.load(shard, [new.id])
            return
        held_since = self.tasks[which % len(self.tasks)]
        task = await self.shelf.reload(held_since)
        match what:
            case "accept":
                # A refused task that nobody was told of is not acknowledged.
                with suppress(StoreForeign):
                    await self.shelf.accept(task, held_microcredits=amount)
            case "remember":
                await self.shelf.tasks.remember(self.caller, task.id, task.idempotency)
            case "advance":
                await self.advance(task, state, amount)
            case "stale":
                await self.advance(held_since, state, amount)
            case "race":
                await asyncio.gather(*(self.advance(task, state, amount) for _ in range(3)))

    async def advance(self, task: Task, state: TaskState, amount: int) -> None:
        """Offer a step that the state machine has."""
        if state in ARROWS[task.state]:
            charged = amount if state in (S.COMPLETED, S.WRITTEN_OFF) else 0
            await self.shelf.move(task, state, charged=charged, due_ms=self.shelf.clock.now_ms())


async def forget_tasks(shelf: Shelf) -> None:
    """Remove what an example left, so that the next one reckons its own tasks only."""
    names = [raw async for raw in shelf.redis.scan_iter(match="rg:{s*}:*", count=1000)]
    kept = (b":epoch", b":marks")
    await shelf.redis.delete(*(name for name in names if not name.endswith(kept)))


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(story=happenings)
async def test_no_order_of_events_loses_or_doubles_a_microcredit(
    shelf: Shelf, redis_url: str, story: list[tuple[str, int, int, TaskState, int]]
) -> None:
    """Ledgers, holds, sums, counts, slots and schedules agree after any story, over days."""
    caller = await shelf.caller(f"t{secrets.token_hex(8)}", tasks_in_flight=8)
    life = Life(shelf, caller)

    for what, which, amount, state, later_ms in story:
        shelf.clock.advance_ms(later_ms)
        await life.happen(what, which, amount, state)

    assert audit(read_books(redis_url), []) == []
    for task in [await shelf.reload(task) for task in life.tasks]:
        kinds = [kind for kind, _ in await shelf.money(task)]
        ends = kinds.count("settle") + kinds.count("release")
        assert ends == 0 or task.state in FINAL
    await forget_tasks(shelf)
