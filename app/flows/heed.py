"""A vendor's notice about a task: never a fact, only a reason to ask."""

from __future__ import annotations

from dataclasses import dataclass

from app.clock import Clock
from app.domain.callback_token import CallbackToken
from app.errors import RateLimited
from app.flows.look import LookAtVendor
from app.store.keys import ALL_SHARDS
from app.store.notices import GUARD_MS, NoticeStore
from app.store.tasks import TaskStore
from app.telemetry import Metrics


@dataclass(frozen=True, slots=True)
class HeedNotice:
    """Read a task that is followed soon; keep the id that a notice about a doubt names.

    Whoever learns a callback address can at most cause a read: all that counts is the vendor's
    answer to a question under our own key. A doubt, also one that is only about to begin, is
    worked off by `WorkOffDoubts`, which asks; so nothing is lost where this process dies, or the
    vendor does not answer now.
    """

    tasks: TaskStore
    notices: NoticeStore
    look: LookAtVendor
    clock: Clock
    secret: bytes
    metrics: Metrics

    def recognise(self, text: str) -> CallbackToken | None:
        """Return what a token says if it is one of ours."""
        token = CallbackToken.read(text, self.secret)
        return token if token is not None and token.shard < len(ALL_SHARDS) else None

    async def __call__(self, token: CallbackToken, vendor_id: str | None) -> None:
        """Heed a notice about a task, which may name the vendor's id of it.

        Raises:
            RateLimited: it comes too soon after another, and may be of use later.
        """
        shard, now_ms = ALL_SHARDS[token.shard], self.clock.now_ms()
        heeded = await self.notices.heed(shard, token.task_id, vendor_id or "", now_ms=now_ms)
        self.metrics.notices.labels(heeded).inc()
        if heeded == "later":
            raise _too_soon()
        if heeded == "look" and vendor_id is not None:
            for task in await self.tasks.load(shard, [token.task_id]):
                if await self.look.wait_ms(task):
                    raise _too_soon()
                await self.look(task, vendor_id)


def _too_soon() -> RateLimited:
    return RateLimited("Send this notice again later", retry_after_s=GUARD_MS // 1000)
