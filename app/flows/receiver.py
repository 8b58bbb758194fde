"""One receiver at work: its due messages are sent, as many at once as it has shown to bear."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import structlog

from app import failpoints
from app.clock import Clock
from app.domain.delivery import FIRST_WIDTH, AttemptRecord, Judgement, Met, envelope, judge
from app.errors import StoreUnavailable
from app.flows.delivery_places import DeliveryPlaces, Widths
from app.flows.recording import until_recorded
from app.outbound.sender import Sender
from app.outbound.signing import NotSignable, signed_headers
from app.store.delivery_queue import REST_MS, DeliveryQueue, Held, Message, Taken
from app.telemetry import Metrics

log = structlog.get_logger(__name__)

LEASE_MS: Final = 30_000
"""How long a receiver stays a process's that says no more; it is renewed while there is work."""

_GLANCE_S: Final = 0.5
"""How soon what was enqueued meanwhile is seen by whoever works on its receiver."""

_ATTEMPT_MARGIN_MS: Final = 15_000
"""Past an attempt's deadline, for its record; then its message is another process's."""

SLOW_S: Final = 1.0
"""A receiver that takes longer gets no wider meanwhile than one of whom nothing is known."""

TURN_S: Final = 1.0
"""How long one that fails is worked on while others that fail may wait for its place."""


@dataclass(frozen=True, slots=True)
class Attempts:
    """Makes one attempt: sign, send, judge, record."""

    queue: DeliveryQueue
    sender: Sender
    clock: Clock
    metrics: Metrics
    timeout_ms: int
    draw: Callable[[], float]

    @property
    def lease_ms(self) -> int:
        """How long a message stays the process's that took it."""
        return self.timeout_ms + _ATTEMPT_MARGIN_MS

    async def __call__(self, taken: Taken, message: Message) -> bool:
        """Make an attempt; returns whether it was a success."""
        met = await self._met(taken, message)
        await failpoints.reach("deliver.sent")
        now_ms = self.clock.now_ms()
        met, judged = self._judged(met, message, now_ms)
        self.metrics.delivery_attempts.labels(met.kind).inc()
        self.metrics.delivery_seconds.observe(met.took_ms / 1000)
        await self._record(taken.held, message, AttemptRecord(now_ms, message.turn, met), judged)
        await failpoints.reach("deliver.recorded")
        return judged.verdict == "delivered"

    async def _met(self, taken: Taken, message: Message) -> Met:
        """Sign and send; returns what came of it.

        What we broke ourselves counts like any other failure: unrecorded, it would be repeated
        again and again, past its schedule.
        """
        try:
            return await self._sent(taken, message)
        except Exception:
            log.exception("engine.stumbled", message_id=message.id, target=taken.held.target)
            return self._defect()

    def _judged(self, met: Met, message: Message, now_ms: int) -> tuple[Met, Judgement]:
        """Judge what an attempt met with; what cannot be judged is a defect, and judged as one."""
        tries, jitter = message.tries, self.draw()
        try:
            return met, judge(met, tries_before=tries, now_ms=now_ms, jitter=jitter)
        except Exception:
            log.exception("engine.stumbled", message_id=message.id)
            met = self._defect()
            return met, judge(met, tries_before=tries, now_ms=now_ms, jitter=jitter)

    def _defect(self) -> Met:
        self.metrics.engine_stumbles.inc()
        return Met(None, "defect", why="a defect of the gateway")

    async def _sent(self, taken: Taken, message: Message) -> Met:
        """Sign and send, as far as all goes as foreseen."""
        held, body, now_ms = taken.held, message.body, self.clock.now_ms()
        if not held.is_callback:
            body = envelope(message.event, message.created_ms, body)
        try:
            headers = signed_headers(message.id, body, taken.secrets, now_ms=now_ms)
        except NotSignable as refusal:
            log.warning("delivery.unsigned", tenant_id=held.tenant_id, target=held.target)
            return Met(None, "not_signed", why=str(refusal))
        url = message.url if held.is_callback else taken.url
        await failpoints.reach("deliver.signed")
        came = await self.sender.post(url, headers=headers, body=body)
        return Met(came.status, came.outcome, came.took_ms, came.retry_after, came.answer, came.why)

    async def _record(
        self, held: Held, message: Message, made: AttemptRecord, judged: Judgement
    ) -> None:
        """Write an attempt down, and tell whoever watches what it ended."""
        came_of_it, reason = await until_recorded(
            lambda: self.queue.record(held, message, made, judged),
            self.clock,
            doing="recording a delivery",
            message_id=message.id,
            target=held.target,
        )
        if came_of_it in ("recorded", "disabled") and judged.verdict != "again":
            self.metrics.deliveries.labels(judged.verdict).inc()
        if came_of_it in ("recorded", "disabled") and judged.verdict == "failed":
            log.warning("delivery.failed", message_id=message.id, target=held.target)
        if came_of_it == "disabled":
            self.metrics.webhooks_disabled.labels(reason).inc()
            log.warning(
                "webhook.disabled",
                tenant_id=held.tenant_id,
                mode=held.mode,
                webhook_id=held.target,
                reason=reason,
            )


@dataclass(frozen=True, slots=True)
class UnderWay:
    """An attempt that is not recorded yet; its message comes due again at `until_ms`."""

    begun_s: float
    until_ms: int


@dataclass(slots=True)
class Receiver:
    """Works on one receiver that this process holds, until nothing of it is due any more."""

    held: Held
    queue: DeliveryQueue
    attempts: Attempts
    places: DeliveryPlaces
    widths: Widths
    clock: Clock
    ending: Callable[[], bool]
    _under_way: set[asyncio.Task[None]] = field(default_factory=set, init=False)
    _of_message: dict[str, UnderWay] = field(default_factory=dict, init=False)
    _store_is_away: bool = field(default=False, init=False)
    _rests: bool = field(default=False, init=False)
    _fails_since_s: float | None = field(default=None, init=False)
    is_over: bool = field(default=False, init=False)

    async def work(self) -> None:
        """Send what is due and give the receiver back.

        A store that is away is waited for; if it forgot who holds the receiver, the lease runs out.
        """
        async with asyncio.TaskGroup() as group:
            while await self._begin(group) or self._under_way:
                await self._wait()
        self.is_over = True
        if self._rests and not self.ending():
            # Still held, so no other process tries it; without a place, so others have theirs.
            await self.clock.sleep_ms(REST_MS)
        await until_recorded(
            lambda: self.queue.release(self.held, not_before_ms=self.clock.now_ms()),
            self.clock,
            doing="ending deliveries",
            target=self.held.target,
        )

    async def _wait(self) -> None:
        """Wait until an attempt ends, or it is time to look for new messages."""
        if self._under_way:
            await asyncio.wait(
                self._under_way, timeout=_GLANCE_S, return_when=asyncio.FIRST_COMPLETED
            )
        else:
            await self.clock.sleep_ms(int(_GLANCE_S * 1000))

    async def _begin(self, group: asyncio.TaskGroup) -> bool:
        """Take as many due messages as may be sent now; returns whether there may be more soon."""
        is_failing = self.widths.fails(self.held.member, is_failing=self.held.is_failing)
        holds, now_ms = len(self._of_message), self.clock.now_ms()
        turn_is_over = self._turn_is_over(is_failing=is_failing)
        if self.ending() or (turn_is_over and not holds):
            return False
        wanted = 0 if turn_is_over else self._wanted(holds, now_ms, is_failing=is_failing)
        tenant_id = self.held.tenant_id
        room = self.places.take(tenant_id, wanted, holds, is_failing=is_failing)
        messages: tuple[Message, ...] = ()
        try:
            taken = await self._take(room, now_ms)
            self._store_is_away = False
            messages = self._new(taken) if taken is not None else ()
        except StoreUnavailable as trouble:
            if not self._store_is_away:
                log.warning("store.failed", doing="taking deliveries", reason=trouble.reason)
            self._store_is_away = True
            return True
        finally:
            self.places.give_back(tenant_id, room - len(messages), is_failing=is_failing)
        if taken is None:
            return False
        self.held = taken.held
        for message in messages:
            self._start(group, taken, message, now_ms, is_failing=is_failing)
        # One that finds no place lets others have their turn.
        self._rests = room == 0 and holds == 0
        return bool(messages) or (room == 0 and not self._rests)

    def _turn_is_over(self, *, is_failing: bool) -> bool:
        """Return whether it must let others have their turn that fail, too.

        What hangs makes one attempt so: else it would take its place again before they saw it.
        """
        now_s = asyncio.get_running_loop().time()
        if not is_failing:
            self._fails_since_s = None
        elif self._fails_since_s is None:
            begun_s = [each.begun_s for each in self._of_message.values()]
            self._fails_since_s = min([now_s, *begun_s])
        self._rests = is_failing and now_s - (self._fails_since_s or now_s) >= TURN_S
        return self._rests

    def _wanted(self, holds: int, now_ms: int, *, is_failing: bool) -> int:
        """Return how many more attempts it may have under way, as far as it alone is concerned."""
        width = self.widths.of(self.held.member, is_failing=is_failing)
        slow_s = asyncio.get_running_loop().time() - SLOW_S
        if any(each.begun_s <= slow_s for each in self._of_message.values()):
            width = min(width, FIRST_WIDTH)
        # What is due again while its record waits for the store would become a newer attempt's,
        # and what came of this one would no longer count.
        if any(each.until_ms <= now_ms for each in self._of_message.values()):
            return 0
        return max(0, width - holds)

    def _start(
        self,
        group: asyncio.TaskGroup,
        taken: Taken,
        message: Message,
        now_ms: int,
        *,
        is_failing: bool,
    ) -> None:
        begun_s = asyncio.get_running_loop().time()
        self._of_message[message.id] = UnderWay(begun_s, now_ms + self.attempts.lease_ms)
        attempt = group.create_task(self._attempt(taken, message, is_failing=is_failing))
        self._under_way.add(attempt)
        attempt.add_done_callback(self._under_way.discard)

    def _new(self, taken: Taken) -> tuple[Message, ...]:
        """Return what is not under way here; it comes due again where its record takes too long."""
        return tuple(message for message in taken.messages if message.id not in self._of_message)

    async def _take(self, most: int, now_ms: int) -> Taken | None:
        """Take due messages and renew the lease."""
        return await self.queue.take(
            self.held,
            now_ms=now_ms,
            lease_ms=LEASE_MS,
            attempt_ms=self.attempts.lease_ms,
            most=most,
        )

    async def _attempt(self, taken: Taken, message: Message, *, is_failing: bool) -> None:
        delivered = False
        try:
            await failpoints.reach("deliver.taken")
            delivered = await self.attempts(taken, message)
        except Exception:
            # A loop boundary: whatever is wrong with one message stops no other.
            self.attempts.metrics.engine_stumbles.inc()
            log.exception("engine.stumbled", message_id=message.id, target=self.held.target)
        finally:
            del self._of_message[message.id]
            self.places.give_back(self.held.tenant_id, 1, is_failing=is_failing)
        self.widths.note(self.held.member, delivered=delivered)
