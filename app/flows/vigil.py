"""What must be looked at from time to time while streams are open: callers, clients, silence."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import structlog

from app.clock import Clock
from app.detached import DetachedWork
from app.domain.news import HEARTBEAT, closing_bytes
from app.domain.tenant import Caller
from app.errors import GatewayError, InvalidKey, TenantDisabled
from app.flows.audience import Audience
from app.flows.listeners import Stream
from app.flows.tell import TellNews
from app.store.news import NewsReads

log = structlog.get_logger(__name__)

BEAT_S: Final = 0.25
"""Between two looks: a key's planned end, and a turn of heartbeats, come so much late."""

BEATS_A_SECOND: Final = 4


@dataclass(slots=True)
class KeepVigil:
    """Ends the streams of callers that may listen no more, and lets the others hear a heartbeat."""

    audience: Audience
    tell: TellNews
    news: NewsReads
    clock: Clock
    work: DetachedWork
    heartbeat_s: float
    _ends_ms: dict[Caller, int] = field(default_factory=dict, init=False)
    _doubted: dict[Caller, None] = field(default_factory=dict, init=False)
    _is_checking: bool = field(default=False, init=False)
    _turns: list[set[Stream]] = field(default_factory=list, init=False)
    _number: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        """Lay out one turn for each beat between two heartbeats of a stream."""
        self._turns = [set() for _ in range(max(1, round(self.heartbeat_s / BEAT_S)))]

    def add(self, stream: Stream) -> None:
        """Give a stream its turn; one stream after the other gets the next, to spread them."""
        self._number += 1
        self._turns[self._number % len(self._turns)].add(stream)

    def remove(self, stream: Stream) -> None:
        """Let go of a stream."""
        for turn in self._turns:
            turn.discard(stream)
        if stream.caller not in self.audience.by_caller:
            self._ends_ms.pop(stream.caller, None)

    def note_end(self, caller: Caller, ends_ms: int | None) -> None:
        """Remember when a caller's key ends."""
        if ends_ms is None:
            self._ends_ms.pop(caller, None)
        else:
            self._ends_ms[caller] = ends_ms

    def doubt(self, caller: Caller) -> None:
        """Have it checked whether a caller may still listen."""
        self._doubted[caller] = None
        if not self._is_checking:
            self._is_checking = True
            self.work.start(self._check(), name="news.check")

    async def _check(self) -> None:
        try:
            while self._doubted:
                # Before it is looked at: what is said during that look is another doubt.
                caller, _ = self._doubted.popitem()
                if caller in self.audience.by_caller and not await self._is_checked(caller):
                    self._doubted[caller] = None
                    return
        finally:
            self._is_checking = False

    async def _is_checked(self, caller: Caller) -> bool:
        """Check a caller; False where the store is away: it is asked again when that is back."""
        try:
            ends_ms = await self.news.check(caller, now_ms=self.clock.now_ms())
        except (InvalidKey, TenantDisabled) as refusal:
            self._end_all(caller, refusal)
        except GatewayError:
            return False
        else:
            self.note_end(caller, ends_ms)
        return True

    def _end_all(self, caller: Caller, why: GatewayError) -> None:
        for stream in list(self.audience.by_caller.get(caller, ())):
            self.tell.end(stream, closing_bytes(why, stream.request_id))

    async def keep(self, every_second: Callable[[], None]) -> None:
        """Look until cancelled; a loop boundary, which no failure ends."""
        beat = 0
        while True:
            await asyncio.sleep(BEAT_S)
            beat += 1
            try:
                self._beat(beat)
                if beat % BEATS_A_SECOND == 0:
                    every_second()
            except Exception as failure:
                log.exception("news.stumbled", exc_info=failure)

    def _beat(self, beat: int) -> None:
        now_ms = self.clock.now_ms()
        for caller in [each for each, ends_ms in self._ends_ms.items() if ends_ms <= now_ms]:
            del self._ends_ms[caller]
            self._end_all(caller, InvalidKey())
        self.tell.hang_up_on_the_stuck()
        for stream in list(self._turns[beat % len(self._turns)]):
            self.tell.write(stream, HEARTBEAT)

    def check_again(self) -> None:
        """Check whom the store could not be asked about."""
        if self._doubted:
            self.doubt(next(iter(self._doubted)))
