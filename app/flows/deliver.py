"""Messages to webhooks: claimed by receiver, sent side by side, recorded one by one."""

from __future__ import annotations

from dataclasses import dataclass
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

    async def __call__(self, shard: Shard) -> int:
        """Begin with the due receivers of a shard; returns how many."""
        most = min(_BATCH, self.places.room)
        if most <= 0 or self.running.ending:
            await self.clock.sleep_ms(_NO_ROOM_MS)
            return 0
        claimed = await self.queue.claim(
            shard,
            now_ms=self.clock.now_ms(),
            lease_ms=LEASE_MS,
            most=most,
            failing_most=self.places.room_for_failing,
        )
        for held in claimed:
            await failpoints.reach("deliver.claimed")
            if self._must_rest(held):
                await self.queue.release(held, not_before_ms=self.clock.now_ms() + REST_MS)
            else:
                self.places.begin()
                self.running.start(self._work_on(held), name=f"deliver {held.target}")
        return len(claimed)

    def _must_rest(self, held: Held) -> bool:
        """Return whether a receiver fails, as only this process knows, and no place is left."""
        return self.places.room_for_failing == 0 and self.widths.fails(held.member)

    async def _work_on(self, held: Held) -> None:
        try:
            receiver = Receiver(
                held=held,
                queue=self.queue,
                attempts=self.attempts,
                places=self.places,
                widths=self.widths,
                clock=self.clock,
                ending=lambda: self.running.ending,
            )
            await receiver.work()
        finally:
            self.places.end()


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
