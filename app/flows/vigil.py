"""What must be looked at from time to time while streams are open: callers, clients, silence."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

import structlog

from app.clock import Clock
from app.detached import DetachedWork
from app.domain.news import HEARTBEAT, closing_bytes
from app.domain.tenant import Caller
from app.errors import GatewayError, InvalidKey, OriginNotAllowed, TenantDisabled
from app.flows.audience import Audience
from app.flows.listeners import Stream
from app.flows.tell import TellNews
from app.store.news import NewsReads
from app.store.origins import OriginIndex

log = structlog.get_logger(__name__)

BEAT_S: Final = 0.25
"""Between two looks: a key's planned end, and a turn of heartbeats, come so much late."""

BEATS_A_SECOND: Final = 4

CHECKS_AT_ONCE: Final = 25
"""Callers that are checked at a time: fewer than half the connections to the store."""


@dataclass(slots=True)
class KeepVigil:
    """Ends the streams of callers that may listen no more, and lets the others hear a heartbeat."""

    audience: Audience
    tell: TellNews
    news: NewsReads
    origins: OriginIndex
    clock: Clock
    work: DetachedWork
    heartbeat_s: float
    _ends_ms: dict[Caller, int] = field(default_factory=dict, init=False)
    _doubted: dict[Caller, None] = field(default_factory=dict, init=False)
    _is_checking: bool = field(default=False, init=False)
    _are_origins_known: bool = field(default=False, init=False)
    _turns: list[set[Stream]] = field(default_factory=list, init=False)
    _number: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        """Lay out one turn for each beat between two heartbeats of a stream."""
        self._turns = [set() for _ in range(max(1, round(self.heartbeat_s / BEAT_S)))]

    def add(self, stream: Stream) -> None:
        """Give a stream its turn; one stream after the other gets the next, to spread them."""
        self._number += 1
        self._turns[self._number % len(self._turns)].add(stream)
        if stream.origin:
            # What let it begin may have been a second old.
            self.doubt(stream.caller)

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
        self._are_origins_known = False
        if not self._is_checking:
            self._is_checking = True
            self.work.start(self._check(), name="news.check")

    async def _check(self) -> None:
        try:
            while self._doubted:
                # Before they are looked at: what is said during that look is another doubt.
                callers = list(islice(self._doubted, CHECKS_AT_ONCE))
                for caller in callers:
                    del self._doubted[caller]
                callers = [caller for caller in callers if caller in self.audience.by_caller]
                origins_known = await self._knows_origins_of(callers)
                checked = await asyncio.gather(*map(self._is_checked, callers))
                if not (origins_known and all(checked)):
                    self._doubted |= dict.fromkeys(callers)
                    return
        finally:
            self._is_checking = False

    async def _knows_origins_of(self, callers: list[Caller]) -> bool:
        """Learn the origins once for all who are doubted; False where the store is away."""
        named = any(stream.origin for each in callers for stream in self._streams_of(each))
        if self._are_origins_known or not named:
            return True
        # Before they are read: who is doubted meanwhile has them read again.
        self._are_origins_known = True
        try:
            await self.origins.learn()
        except GatewayError:
            self._are_origins_known = False
            return False
        return True

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
            for stream in self._streams_of(caller):
                if stream.origin and not self.origins.allows(caller.tenant_id, stream.origin):
                    self.tell.end(stream, closing_bytes(OriginNotAllowed(), stream.request_id))
        return True

    def _end_all(self, caller: Caller, why: GatewayError) -> None:
        for stream in self._streams_of(caller):
            self.tell.end(stream, closing_bytes(why, stream.request_id))

    def _streams_of(self, caller: Caller) -> list[Stream]:
        return list(self.audience.by_caller.get(caller, ()))

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
