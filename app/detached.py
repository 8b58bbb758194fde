"""The one place where work may outlive the request that began it.

A paid call must not be cancelled halfway because a client hung up. Such calls run here, are
awaited by whoever still wants their result, and are waited for when the process stops.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import structlog

from app.errors import GatewayError, Overloaded, Stopping

Result = TypeVar("Result")

log = structlog.get_logger(__name__)


class DetachedWork:
    """A bounded registry of running calls."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._running: set[asyncio.Task[Any]] = set()
        self._stopping = False
        self._ends_at_s: float | None = None
        self._waiters: set[Callable[[], None]] = set()

    def __len__(self) -> int:
        return len(self._running)

    def refuse_when_full(self) -> None:
        """Tell a caller, before anything is written, that its work could not be started.

        Raises:
            Stopping: the process is shutting down.
            Overloaded: as many calls as allowed are running.
        """
        if self._stopping:
            raise Stopping
        if len(self._running) >= self._limit:
            raise Overloaded

    def start(self, work: Coroutine[Any, Any, Result], *, name: str) -> asyncio.Task[Result]:
        """Run `work` to its end whatever becomes of the caller; a defect in it is logged."""
        task = asyncio.create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._forget)
        return task

    async def finished_within(self, work: asyncio.Task[Any], seconds: float) -> bool:
        """Wait for `work`, at most `seconds` and not beyond `hurry`; say whether it is done.

        Neither the end of the wait nor its cancellation touches the work.
        """
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()

        def wake(*_: object) -> None:
            if not waiter.done():
                waiter.set_result(None)

        work.add_done_callback(wake)
        timer = loop.call_later(seconds, wake)
        self._waiters.add(wake)
        try:
            await waiter
        finally:
            timer.cancel()
            self._waiters.discard(wake)
            work.remove_done_callback(wake)
        return work.done()

    def hurry(self) -> None:
        """End every wait for work now: whoever waits is answered without it."""
        for wake in list(self._waiters):
            wake()

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        failure = None if task.cancelled() else task.exception()
        # A refusal is an answer, and was logged where it was decided.
        if failure is not None and not isinstance(failure, GatewayError):
            log.error("detached.failed", work=task.get_name(), exc_info=failure)

    @property
    def ending(self) -> bool:
        """Whether the process has been asked to stop."""
        return self._stopping or self._ends_at_s is not None

    def end_within(self, seconds: float) -> None:
        """Note that the process was asked to stop, and how long all that runs may take from now."""
        self._ends_at_s = asyncio.get_running_loop().time() + seconds

    async def drain(self, grace_s: float) -> int:
        """Take no new work and wait; returns how many calls had to be cut off.

        It waits `grace_s`, or longer where more is left of the time that `end_within` has given. A
        call that is cut off leaves its task marked as sending, so it comes back as doubt.
        """
        self._stopping = True
        if not self._running:
            return 0
        if self._ends_at_s is not None:
            grace_s = max(grace_s, self._ends_at_s - asyncio.get_running_loop().time())
        _, late = await asyncio.wait(self._running, timeout=grace_s)
        for task in late:
            log.warning("detached.cut_off", work=task.get_name())
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        return len(late)
