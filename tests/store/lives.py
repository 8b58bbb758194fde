"""What a random life is made of: processes that send, crash and come back, and a vendor."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
)
from redis import Redis as BlockingRedis

from app.clock import HeldClock, StoreClock
from app.domain.doubt import FIRST_LOOK_MS, DoubtTerms, next_step
from app.domain.task import Task, TaskState
from app.domain.tenant import Caller
from app.store.keys import Shard
from app.store.task_steps import NewTask
from app.upstream.client import idempotency_key_of
from tests.store.shelf import PRICE, RECOVER_MS, Shelf, open_shelf, vendor_id_of
from tests.support.auditor import Answered

S = TaskState
DAY_MS = 86_400_000
TERMS = DoubtTerms(trust_idempotency=True, deadline_ms=DAY_MS)
LIMITS = {
    "tasks_in_flight": [0, 1, 2, 4, 6, 8, None],
    "when_full": ["queue", "queue", "queue", "reject"],
    "when_vendor_down": ["queue", "reject"],
    "max_queued": [0, 4, 8, None, None, None],
}
VENDOR_WORDS = ["yes", "no", "busy", "lost", "lost late", "unsent"]
VERDICTS = [S.SUBMITTED, S.WATCHING, S.COMPLETED, S.FAILED]
DURATIONS = [1, 5_000, 40_000, RECOVER_MS, 700_000, DAY_MS]

picks = st.integers(0, 10**6)
amounts = st.one_of(st.sampled_from([0, 1, PRICE, PRICE + 1]), st.integers(0, 3 * PRICE))
changes = st.sampled_from([(name, value) for name, given in LIMITS.items() for value in given])


@dataclass
class Send:
    """A send that some process has in hand; `heard` is what the vendor said to it, if it did."""

    task: Task
    heard: str = ""
    again: bool = False


class Gateways(RuleBasedStateMachine):
    """One store, its processes' memory, the vendor's and the callers'."""

    redis_url = ""

    def __init__(self) -> None:
        super().__init__()
        with BlockingRedis.from_url(self.redis_url) as redis:
            redis.flushall()
        self.folder = Path(tempfile.mkdtemp(prefix="lives-"))
        self.clock = HeldClock(StoreClock().now_ms())
        self.runner, self.stack = asyncio.Runner(), AsyncExitStack()
        opening = self.stack.enter_async_context(
            open_shelf(self.redis_url, self.folder, self.clock)
        )
        self.shelf: Shelf = self.runner.run(self._of(opening))
        self.callers: list[Caller] = []
        self.most: int | None = 4
        self.ids: list[str] = []
        self.requests: list[NewTask] = []
        self.sends: list[Send] = []
        self.made: dict[str, str] = {}
        self.refused: set[str] = set()
        self.journal: list[dict[str, Any]] = []
        self.answers: list[Answered] = []
        self.ended: dict[str, TaskState] = {}

    @staticmethod
    async def _of(opening: Any) -> Any:
        return await opening

    def close(self) -> None:
        """Give the connection and the folder back."""
        self.runner.run(self.stack.aclose())
        self.runner.close()
        shutil.rmtree(self.folder)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run one step to its end."""
        return self.runner.run(work)

    @initialize()
    def a_tenant_with_two_keys(self) -> None:
        """One key has a slot of its own at most, so tasks of the other go past its tasks."""

        async def issued() -> None:
            first = await self.shelf.caller(
                tasks_in_flight=4, when_full="queue", when_vendor_down="queue", max_queued=8
            )
            self.callers = [first, await self.shelf.colleague(first, tasks_in_flight=1)]

        self.run(issued())

    # What processes do.

    @rule(pick=picks)
    def dispatch(self, pick: int) -> None:
        """An engine serves the queue: the first that has a slot, in order."""

        async def serve() -> None:
            for task in await self._line():
                outcome = await self.shelf.dispatch(task, taker=f"engine-{pick}")
                if outcome == "dispatched":
                    self.sends.append(Send(await self.shelf.reload(task)))
                    await self._granted()
                if outcome != "key_full":
                    return

        self.run(serve())

    @rule(pick=picks, word=st.sampled_from(VENDOR_WORDS))
    def send(self, pick: int, word: str) -> None:
        """A send reaches the vendor, or surely does not; what it said is known to one process."""
        waiting = [send for send in self.sends if not send.heard]
        if not waiting:
            return
        send = waiting[pick % len(waiting)]
        send.heard = self._vendor_says(send.task, word)

    def _vendor_says(self, task: Task, word: str) -> str:
        if word == "unsent":
            return word
        if task.id in self.made and word in ("no", "busy"):
            word = "yes"
        if task.id in self.refused and word != "busy":
            word = "no"
        if word == "no":
            self.refused.add(task.id)
        if word in ("yes", "lost late"):
            self.made.setdefault(task.id, vendor_id_of(task))
        self.journal.append(
            {
                "method": "POST",
                "path": "/v1/videos/generations",
                "idempotency_key": idempotency_key_of(task.id),
                "created_task_id": self.made.get(task.id) if word in ("yes", "lost late") else None,
                "answer_status": {"yes": 200, "no": 400, "busy": 429}.get(word),
            }
        )
        return word

    @rule(pick=picks)
    def record(self, pick: int) -> None:
        """The process that heard the vendor writes down what follows from it."""
        told = [send for send in self.sends if send.heard]
        if not told:
            return
        send = told[pick % len(told)]
        self.sends.remove(send)
        self.run(self._record(send))

    async def _record(self, send: Send) -> None:
        shelf, task = self.shelf, send.task
        if send.heard == "yes":
            answer = await shelf.accept(task)
            self._told(task, answer)
        elif send.again:
            if send.heard == "no":
                await self._reject(task)
        elif send.heard.startswith("lost"):
            due_ms = self.clock.now_ms() + FIRST_LOOK_MS
            if await shelf.move(task, S.IN_DOUBT, body=task.body, due_ms=due_ms):
                self._told(task, await shelf.tasks.answer_of(task))
        elif send.heard == "no" or await shelf.requeue(task, wait_ms=0) is None:
            await self._reject(task)

    async def _reject(self, task: Task) -> None:
        """Release a task, also where an engine has called it doubtful meanwhile."""
        now = await self.shelf.reload(task)
        if not await self.shelf.move(task, S.REJECTED) and now.state is S.IN_DOUBT:
            await self.shelf.move(now, S.REJECTED)

    @rule()
    def crash(self) -> None:
        """All processes die: what they had in hand, and what they had heard, is forgotten."""
        self.sends.clear()

    @rule(duration_ms=st.sampled_from(DURATIONS))
    def time_passes(self, duration_ms: int) -> None:
        """The clock goes on."""
        self.clock.advance_ms(duration_ms)

    @rule()
    def recover(self) -> None:
        """An engine calls sends doubtful that are overdue."""

        async def look() -> None:
            for task in await self._claimed("sends"):
                if task.state is S.SENDING:
                    due_ms = self.clock.now_ms() + FIRST_LOOK_MS
                    await self.shelf.move(task, S.IN_DOUBT, body=task.body, due_ms=due_ms)

        self.run(look())

    @rule(charges=st.booleans())
    def work_off_doubts(self, charges: bool) -> None:
        """An engine takes the due step of every doubt: a resend, the end of a slot, the end."""

        async def look() -> None:
            for task in await self._claimed("doubts"):
                step = next_step(task, TERMS, estimated_s=0, now_ms=self.clock.now_ms())
                if step.write_off:
                    charged = task.held_microcredits if charges else 0
                    await self.shelf.move(task, S.WRITTEN_OFF, charged=charged)
                    continue
                now_ms = self.clock.now_ms()
                noted = await self.shelf.doubts.note(task, step, look_in_ms=0, now_ms=now_ms)
                if noted is not None:
                    found = await self.shelf.reload(task)
                    self.sends += [Send(found, again=True)] if noted.resend else []

        self.run(look())

    @rule(verdict=st.sampled_from(VERDICTS), used=amounts)
    def poll(self, verdict: TaskState, used: int) -> None:
        """An engine reads what is due: it goes on, is overdue, or has ended."""

        async def look() -> None:
            for task in await self._claimed("polls"):
                state = (
                    S.WATCHING if task.state is S.WATCHING and verdict is S.SUBMITTED else verdict
                )
                charged = used if state is S.COMPLETED else 0
                due_ms = self.clock.now_ms() + 10_000
                await self.shelf.move(task, state, charged=charged, due_ms=due_ms)

        self.run(look())

    # Short ways.

    def _task(self, pick: int) -> Task:
        wanted = [self.ids[pick % len(self.ids)]]
        (task,) = self.run(self.shelf.tasks.load(Shard.of("acme"), wanted))
        found: Task = task
        return found

    def _is_in_hand(self, task_id: str) -> bool:
        return any(send.task.id == task_id for send in self.sends)

    async def _line(self) -> list[Task]:
        line = await self.shelf.line(self.callers[0])
        return await self.shelf.tasks.load(Shard.of("acme"), line)

    async def _claimed(self, name: Any) -> list[Task]:
        shard, now_ms = Shard.of("acme"), self.clock.now_ms()
        ids = await self.shelf.schedules.claim(name, shard, now_ms=now_ms, lease_ms=1_000, most=99)
        return await self.shelf.tasks.load(shard, ids)

    async def _granted(self) -> None:
        """A slot was given: there may be no more taken than the tenant, and the key, have."""
        shard = Shard.of("acme")
        of_key = shard.slots("acme", "live", self.callers[1].family)
        assert await self.shelf.redis.scard(of_key) <= 1
        taken = await self.shelf.redis.scard(shard.slots("acme", "live"))
        assert self.most is None or taken <= self.most

    async def _answer(self, new: NewTask, words: bytes) -> None:
        answer = await self.shelf.tasks.remember(new.caller, new.id, new.idempotency, words)
        assert answer is not None
        self.answers.append(answered(new, answer, new.id))

    def _told(self, task: Task, answer: bytes) -> None:
        """A caller is still there, as the first to hear of its create."""
        if task.idempotency:
            (new,) = [each for each in self.requests if each.idempotency == task.idempotency]
            self.answers.append(answered(new, answer, task.id))


def answered(new: NewTask, answer: bytes, task_id: str) -> Answered:
    return Answered(name=new.idempotency or new.id, status=200, body=answer, task_id=task_id)
