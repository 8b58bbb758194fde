"""Messages to webhooks: claimed by receiver, sent side by side, recorded one by one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from app import failpoints
from app.clock import Clock
from app.detached import DetachedWork
from app.flows.delivery_places import DeliveryPlaces, Widths
from app.flows.receiver import LEASE_MS, Attempts, Receiver
from app.store.delivery_queue import REST_MS, DeliveryQueue, Held
from app.store.keys import Shard
from app.telemetry import Metrics

_BATCH: Final = 50
_NO_ROOM_MS: Final = 100
"""Pause where as many receivers are worked on as may be; what is due stays due meanwhile."""


@dataclass(frozen=True, slots=True)
class DeliverMessages:
    """Claim the receivers of a shard that have something due, and work on each on its own.

    The work goes on when this returns: a receiver that hangs holds up no other, nor the engine. A
    process that dies loses nothing: its receivers and messages come due again after their leases.
    """

    queue: DeliveryQueue
    attempts: Attempts
    running: DetachedWork
    places: DeliveryPlaces
    widths: Widths
    clock: Clock
    _at_work: dict[str, Receiver] = field(default_factory=dict, init=False)

    async def __call__(self, shard: Shard) -> int:
        """Begin with the due receivers of a shard; returns how many."""
        # Other shards ask at the same time: each for a part of what is left.
        most = min(_BATCH, -(-self.places.room // 4))
        if most <= 0 or self.running.ending:
            await self.clock.sleep_ms(_NO_ROOM_MS)
            return 0
        self.places.begin(count=most)
        try:
            claimed = await self.queue.claim(
                shard,
                now_ms=self.clock.now_ms(),
                lease_ms=LEASE_MS,
                most=most,
                failing_most=self.places.room_for_failing,
            )
        finally:
            self.places.end(count=most)
        resting = [held for held in claimed if not self._begin(held)]
        for held in resting:
            await self.queue.release(held, not_before_ms=self.clock.now_ms() + REST_MS)
        return len(claimed)

    def _begin(self, held: Held) -> bool:
        """Begin with a receiver; False where it has to rest: no place is left that it may have."""
        receiver = self._at_work.get(held.member)
        if receiver is not None:
            # Its lease ran out while the store was away. Whoever works on it knows what is under
            # way, and would lose it to a second one.
            receiver.held = held if not receiver.is_over else receiver.held
            return not receiver.is_over
        is_failing = self.widths.fails(held.member, is_failing=held.is_failing)
        if not self.places.room_of(held.tenant_id, is_failing=is_failing):
            return False
        receiver = Receiver(
            held=held,
            queue=self.queue,
            attempts=self.attempts,
            places=self.places,
            widths=self.widths,
            clock=self.clock,
            ending=lambda: self.running.ending,
        )
        self._at_work[held.member] = receiver
        self.places.begin(held.tenant_id)
        self.running.start(self._work_on(receiver), name=f"deliver {held.target}")
        return True

    async def _work_on(self, receiver: Receiver) -> None:
        try:
            await failpoints.reach("deliver.claimed")
            await receiver.work()
        finally:
            del self._at_work[receiver.held.member]
            self.places.end(receiver.held.tenant_id)


@dataclass(frozen=True, slots=True)
class CountDeliveries:
    """Show how much is due and not under way, and since when: whether engines keep up."""

    queue: DeliveryQueue
    clock: Clock
    metrics: Metrics

    async def __call__(self) -> None:
        """Look at every queue once."""
        now_ms = self.clock.now_ms()
        count, oldest_ms = await self.queue.backlog(now_ms=now_ms)
        self.metrics.deliveries_due.set(count)
        self.metrics.delivery_oldest_seconds.set((now_ms - oldest_ms) / 1000 if count else 0)
