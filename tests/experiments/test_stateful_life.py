"""Random lives of many tasks at once, against the real scripts: whatever happens in which order.

Gateways send, crash and come back; the vendor takes, refuses, or leaves it open; operators and
tenants change their minds. After every step the auditor compares what the vendor received, what
callers were told, and what Redis holds: never below zero, never twice, never lost, never over.
"""

from __future__ import annotations

import random
import secrets
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule, run_state_machine_as_test
from redis import Redis as BlockingRedis

from app.domain.task import FINAL, TaskState
from app.errors import GatewayError
from app.store.doubts import Correction
from app.store.keys import Shard
from app.store.task_steps import Admitted, NewTask, Queued
from tests.store.lives import (
    DAY_MS,
    DURATIONS,
    LIMITS,
    VENDOR_WORDS,
    VERDICTS,
    Gateways,
    Send,
    amounts,
    answered,
    changes,
    picks,
)
from tests.store.shelf import PRICE
from tests.support.auditor import audit, read_books

S = TaskState
MADE_NOTHING = frozenset({S.QUEUED, S.REJECTED, S.CANCELLED})
BUSY_STEPS = 60
STRETCHES = 6
LONG_STRETCHES = 16
EVERYTHING = frozenset(
    [
        "queued",
        "sending",
        "submitted",
        "watching",
        "completed",
        "failed",
        "rejected",
        "cancelled",
        "in_doubt",
        "resending",
        "slot_freed",
        "requeued",
        "written_off",
        "corrected",
    ]
)
"""What a task's story can tell of; a life in which half of it never happens proves little."""

SHARES = {
    "create": 6,
    "replay": 1.5,
    "cancel": 0.7,
    "dispatch": 6,
    "send": 6,
    "record": 6,
    "crash": 0.3,
    "time_passes": 2,
    "recover": 2,
    "work_off_doubts": 2,
    "poll": 6,
    "resolve": 1,
    "change_limits": 1.5,
}
"""How often each thing happens in a busy stretch, beside the others."""


class Lives(Gateways):
    """The processes, and around them callers, operators, and what must hold of them all."""

    # What callers do.

    @rule(pick=picks, keyed=st.booleans(), heard=st.booleans())
    def create(self, pick: int, keyed: bool, heard: bool) -> None:
        """Admit a task; its caller may be gone before the answer of a queued one is recorded."""
        caller = self.callers[pick % 2]
        new = self.shelf.new(caller, idempotency=secrets.token_hex(32) if keyed else "")
        self.requests.append(new)
        self.run(self._create(new, heard))

    async def _create(self, new: NewTask, heard: bool) -> None:
        try:
            admission = await self.shelf.tasks.admit(new, now_ms=self.clock.now_ms())
        except GatewayError:
            return
        match admission:
            case Admitted(task=task):
                self.ids.append(new.id)
                self.sends.append(Send(task))
                await self._granted()
            case Queued():
                self.ids.append(new.id)
                if heard:
                    await self._answer(new, b'{"status":"pending","place":1}')

    @precondition(lambda self: self.requests)
    @rule(pick=picks)
    def replay(self, pick: int) -> None:
        """Repeat a create under its key: it is one task, and answered in the same words."""
        new = self.requests[pick % len(self.requests)]
        if not new.idempotency or new.id not in self.ids:
            return

        async def repeat() -> None:
            again = self.shelf.new(new.caller, idempotency=new.idempotency)
            try:
                admission = await self.shelf.tasks.admit(again, now_ms=self.clock.now_ms())
            except GatewayError:
                return
            if isinstance(admission, Admitted | Queued):
                # Only what nobody was told of, for it was refused, may be created anew.
                (first,) = await self.shelf.tasks.load(Shard.of("acme"), [new.id])
                assert first.state is S.REJECTED
                assert all(answer.task_id != new.id for answer in self.answers)
                self.ids.append(again.id)
                if isinstance(admission, Admitted):
                    self.sends.append(Send(admission.task))
                    await self._granted()
                return
            self.answers.append(answered(new, admission.answer, admission.task_id))

        self.run(repeat())

    @precondition(lambda self: self.ids)
    @rule(pick=picks)
    def cancel(self, pick: int) -> None:
        """A tenant calls a task off, if it waits."""
        if (task := self._task(pick)).state is S.QUEUED:
            self.run(self.shelf.move(task, S.CANCELLED))

    # What operators do.

    @precondition(lambda self: self.ids)
    @rule(pick=picks, charged=amounts)
    def resolve(self, pick: int, charged: int) -> None:
        """Someone finds out the truth: ends a doubt by it, or corrects what was charged."""
        task = self._task(pick)
        if task.state is S.IN_DOUBT and task.id in self.made:
            self.run(self.shelf.accept(task))
        elif task.state is S.IN_DOUBT and not self._is_in_hand(task.id):
            self.run(self.shelf.move(task, S.REJECTED))
        elif task.state in FINAL and task.state not in MADE_NOTHING:
            correction = Correction(charged, "by the vendor's bill")
            self.run(self.shelf.doubts.correct(task, correction, now_ms=self.clock.now_ms()))

    @rule(change=changes)
    def change_limits(self, change: tuple[str, Any]) -> None:
        """Slots and policies change while tasks wait and are under way."""
        name, value = change
        self.run(self.shelf.limit("acme", **{name: value}))
        if name == "tasks_in_flight":
            self.most = value

    @rule(seed=st.integers(0, 2**32))
    def much_happens(self, seed: int) -> None:
        """A busy stretch, in which what belongs together often follows: drawn steps are too few."""
        lots = random.Random(seed)
        for number in range(BUSY_STEPS):
            pick, amount = lots.randrange(10**6), lots.choice([0, PRICE - 1, PRICE, 3 * PRICE])
            self._acts(lots, pick, amount)[lots.choices(list(SHARES), SHARES.values())[0]]()
            if number % 6 == 0:
                self.the_books_are_right()

    def _acts(self, lots: random.Random, pick: int, amount: int) -> dict[str, Callable[[], None]]:
        limit = lots.choice(list(LIMITS))
        return {
            "create": lambda: self.create(pick, lots.random() < 0.5, lots.random() < 0.8),
            "replay": lambda: self.replay(pick) if self.requests else None,
            "cancel": lambda: self.cancel(pick) if self.ids else None,
            "dispatch": lambda: self.dispatch(pick),
            "send": lambda: self.send(pick, lots.choice(VENDOR_WORDS)),
            "record": lambda: self.record(pick),
            "crash": self.crash,
            "time_passes": lambda: self.time_passes(lots.choice(DURATIONS)),
            "recover": self.recover,
            "work_off_doubts": lambda: self.work_off_doubts(lots.random() < 0.5),
            "poll": lambda: self.poll(lots.choice(VERDICTS), amount),
            "resolve": lambda: self.resolve(pick, amount) if self.ids else None,
            "change_limits": lambda: self.change_limits((limit, lots.choice(LIMITS[limit]))),
        }

    # What must hold.

    @invariant()
    def the_books_are_right(self) -> None:
        """Nothing sent twice, nothing forgotten, every credit, slot and place accounted for."""
        books = read_books(self.redis_url)
        assert audit(books, self.journal, self.answers) == []
        for figures in books.usage.values():
            assert min(figures.values(), default=0) >= 0, figures

    @invariant()
    def what_the_vendor_made_is_never_let_go(self) -> None:
        """No task that the vendor has is refused, called off, or back in a queue."""
        for task in self.run(self.shelf.tasks.load(Shard.of("acme"), list(self.made))):
            assert task.state not in MADE_NOTHING, task

    @invariant()
    def an_end_is_an_end(self) -> None:
        """A final state never changes, and the line keeps the order of creation."""
        tasks = self.run(self.shelf.tasks.load(Shard.of("acme"), self.ids))
        assert len(tasks) == len(self.ids)
        for task in tasks:
            assert self.ended.get(task.id, task.state) is task.state
            if task.state in FINAL:
                self.ended[task.id] = task.state
        line = [task.id for task in self.run(self._line())]
        assert line == [task_id for task_id in self.ids if task_id in line]

    def teardown(self) -> None:
        """Left in peace, every task comes to its end, and no hold, slot or queue is left."""
        try:
            if self.callers:
                self._come_to_rest()
        finally:
            self.close()

    def _come_to_rest(self) -> None:
        self.sends.clear()
        self.change_limits(("tasks_in_flight", None))
        self.run(self.shelf.limit("acme", when_vendor_down="reject"))
        for _ in range(2 * len(self.ids) + 6):
            self.time_passes(DAY_MS)
            self.recover()
            self.work_off_doubts(charges=True)
            self.dispatch(0)
            self.poll(S.COMPLETED, PRICE)
            self.sends.clear()
        books = read_books(self.redis_url)
        assert set(books.states()) <= {state.value for state in FINAL}
        assert not any(books.slots.values())
        assert not books.schedules["queue"]
        self.the_books_are_right()


@pytest.fixture
def lives(redis_url: str) -> type[Lives]:
    """Lives in the store of these tests."""
    return type("LivesHere", (Lives,), {"redis_url": redis_url})


def test_no_interleaving_loses_doubles_or_oversteps_anything(lives: type[Lives]) -> None:
    """Short lives of drawn steps, each checked after every one."""
    run_state_machine_as_test(
        lives, settings=settings(max_examples=6, stateful_step_count=10, deadline=None)
    )


@pytest.mark.parametrize("seed", range(6))
def test_no_busy_life_loses_doubles_or_oversteps_anything(lives: type[Lives], seed: int) -> None:
    """Long lives: hundreds of steps, then rest, in which everything must come to its end."""
    life = lives()
    life.a_tenant_with_two_keys()

    try:
        for stretch in range(STRETCHES):
            life.much_happens(100 * seed + stretch)
            life.what_the_vendor_made_is_never_let_go()
            life.an_end_is_an_end()
    finally:
        life.teardown()


def told_in(redis_url: str) -> Counter[str]:
    """Return how often each word stands in the stories of all tasks."""
    with BlockingRedis.from_url(redis_url, decode_responses=True) as redis:
        names = redis.scan_iter(match="rg:{s*}:story:*", count=1000)
        return Counter(line.split(" ")[1] for name in names for line in redis.lrange(name, 0, -1))


def test_in_a_long_life_everything_happens(lives: type[Lives], redis_url: str) -> None:
    """Every state and every step, more than once, and creates that are repeated."""
    life = lives()
    life.a_tenant_with_two_keys()

    try:
        for stretch in range(LONG_STRETCHES):
            life.much_happens(stretch)
        told = told_in(redis_url)
        repeated = Counter(answer.name for answer in life.answers)
    finally:
        life.teardown()

    assert {word for word, times in told.items() if times > 1} >= EVERYTHING
    assert sum(times > 1 for times in repeated.values()) > 1
