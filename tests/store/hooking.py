"""Webhook endpoints on a shelf, and the steps of an engine that delivers to them."""

from __future__ import annotations

from app.domain.delivery import AttemptRecord, Judgement, Met, judge
from app.domain.ids import Mode
from app.store.deliveries import DeliveryStore
from app.store.delivery_queue import DeliveryQueue, Held, Message, Taken
from app.store.keys import Shard
from app.store.webhooks import WebhookStore
from tests.store.shelf import Shelf
from tests.support.hooks import Hooks

LEASE_MS = 30_000
ATTEMPT_MS = 30_000
URL = "https://example.com/hook"
OK = Met(200, "answered")
FAULTY = Met(500, "answered")
GONE = Met(410, "answered")


async def hooks_on(shelf: Shelf, tenant_id: str = "acme", mode: Mode = "live") -> Hooks:
    """Return the endpoints of a tenant's mode; the tenant is made if there is none."""
    await shelf.caller(tenant_id, mode=mode)
    epoch_id = (await shelf.redis.get(Shard.of(tenant_id).epoch)).decode()
    webhooks, deliveries = WebhookStore(shelf.redis, epoch_id), DeliveryStore(shelf.redis, epoch_id)
    return Hooks(shelf.redis, webhooks, deliveries, shelf.clock, tenant_id, mode)


class Worker:
    """An engine of these tests; its every step is told."""

    def __init__(self, shelf: Shelf) -> None:
        self.queue, self.clock = DeliveryQueue(shelf.redis), shelf.clock

    async def claim(
        self, tenant_id: str = "acme", *, most: int = 10, failing_most: int = 10
    ) -> list[Held]:
        """Claim receivers of a tenant's shard."""
        return await self.queue.claim(
            Shard.of(tenant_id),
            now_ms=self.clock.now_ms(),
            lease_ms=LEASE_MS,
            most=most,
            failing_most=failing_most,
        )

    async def take(self, held: Held, *, most: int = 10) -> Taken | None:
        """Take due messages of a receiver."""
        return await self.queue.take(
            held, now_ms=self.clock.now_ms(), lease_ms=LEASE_MS, attempt_ms=ATTEMPT_MS, most=most
        )

    async def taken(self, *, most: int = 10) -> Taken:
        """Claim the one receiver that is due, and take what is due for it."""
        (held,) = await self.claim()
        found = await self.take(held, most=most)
        assert found is not None
        return found

    async def record(self, taken: Taken, message: Message, met: Met) -> tuple[str, str]:
        """Record what came of an attempt that ends now."""
        now_ms = self.clock.now_ms()
        judged = judge(met, tries_before=message.tries, now_ms=now_ms, jitter=0)
        return await self.record_as(taken, message, met, judged)

    async def record_as(
        self, taken: Taken, message: Message, met: Met, judged: Judgement
    ) -> tuple[str, str]:
        """Record an attempt as judged."""
        made = AttemptRecord(self.clock.now_ms(), message.turn, met)
        return await self.queue.record(taken.held, message, made, judged)

    async def one_round(self, met: Met, *, tenant_id: str = "acme") -> int:
        """Meet everything that is due with one outcome; returns how many messages that were."""
        count = 0
        for held in await self.claim(tenant_id):
            taken = await self.take(held, most=10_000)
            if taken is None:
                await self.queue.release(held)
                continue
            for message in taken.messages:
                await self.record(taken, message, met)
            count += len(taken.messages)
            await self.queue.release(taken.held)
        return count
