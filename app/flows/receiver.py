"""One receiver at work: its due messages are sent, as many at once as it has shown to bear."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import structlog

from app import failpoints
from app.clock import Clock
from app.domain.delivery import AttemptRecord, Judgement, Met, envelope, judge
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
        judged = judge(met, tries_before=message.tries, now_ms=now_ms, jitter=self.draw())
        self.metrics.delivery_attempts.labels(met.kind).inc()
        self.metrics.delivery_seconds.observe(met.took_ms / 1000)
        await self._record(taken.held, message, AttemptRecord(now_ms, message.turn, met), judged)
        await failpoints.reach("deliver.recorded")
        return judged.verdict == "delivered"

    async def _met(self, taken: Taken, message: Message) -> Met:
        """Sign and send; returns what came of it."""
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
    _ids: set[str] = field(default_factory=set, init=False)
    _store_is_away: bool = field(default=False, init=False)
    _rests: bool = field(default=False, init=False)

    async def work(self) -> None:
        """Send what is due and give the receiver back.

        A store that is away is waited for; if it forgot who holds the receiver, the lease runs out.
        """
        async with asyncio.TaskGroup() as group:
            while await self._begin(group) or self._under_way:
                await self._wait()
        not_before_ms = self.clock.now_ms() + (REST_MS if self._rests else 0)
        await until_recorded(
            lambda: self.queue.release(self.held, not_before_ms=not_before_ms),
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
        if self.ending():
            return False
        is_failing = self.widths.fails(self.held.member, is_failing=self.held.is_failing)
        holds = len(self._under_way)
        width = self.widths.of(self.held.member, is_failing=is_failing)
        room = self.places.take(max(0, width - holds), holds, is_failing=is_failing)
        messages: tuple[Message, ...] = ()
        try:
            taken = await self._take(room)
            self._store_is_away = False
            messages = self._new(taken) if taken is not None else ()
        except StoreUnavailable as trouble:
            if not self._store_is_away:
                log.warning("store.failed", doing="taking deliveries", reason=trouble.reason)
            self._store_is_away = True
            return True
        finally:
            self.places.give_back(room - len(messages), is_failing=is_failing)
        if taken is None:
            return False
        self.held = taken.held
        for message in messages:
            attempt = group.create_task(self._attempt(taken, message, is_failing=is_failing))
            self._under_way.add(attempt)
            attempt.add_done_callback(self._under_way.discard)
        # One that fails and finds no place lets others have their turn.
        self._rests = room == 0 and holds == 0 and is_failing
        return bool(messages) or (room == 0 and not self._rests)

    def _new(self, taken: Taken) -> tuple[Message, ...]:
        """Return what is not under way here; it comes due again where its record takes too long."""
        return tuple(message for message in taken.messages if message.id not in self._ids)

    async def _take(self, most: int) -> Taken | None:
        """Take due messages and renew the lease."""
        return await self.queue.take(
            self.held,
            now_ms=self.clock.now_ms(),
            lease_ms=LEASE_MS,
            attempt_ms=self.attempts.lease_ms,
            most=most,
        )

    async def _attempt(self, taken: Taken, message: Message, *, is_failing: bool) -> None:
        delivered = False
        self._ids.add(message.id)
        try:
            await failpoints.reach("deliver.taken")
            delivered = await self.attempts(taken, message)
        except Exception:
            # A loop boundary: whatever is wrong with one message stops no other.
            self.attempts.metrics.engine_stumbles.inc()
            log.exception("engine.stumbled", message_id=message.id, target=self.held.target)
        finally:
            self._ids.discard(message.id)
            self.places.give_back(1, is_failing=is_failing)
        self.widths.note(self.held.member, delivered=delivered)
