"""What delivers messages: the sender, its places, and the flow of the schedule."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass

from app.detached import DetachedWork
from app.domain.targets import TargetPolicy
from app.flows.deliver import CountDeliveries, DeliverMessages
from app.flows.delivery_places import DeliveryPlaces, Widths
from app.flows.receiver import Attempts
from app.outbound.guard import SystemResolver, lookups_for
from app.outbound.sender import Sender
from app.settings import PREFIX, Settings, SettingsRefused
from app.telemetry import Metrics
from app.wiring.stores import Store


@dataclass(frozen=True, slots=True)
class Delivering:
    """Deliveries of one process: the work that runs, and the one way out."""

    sender: Sender
    running: DetachedWork


def open_delivering(settings: Settings) -> Delivering:
    """Build what outlives a round of the engine; nothing is sent, nor a connection made, here.

    Raises:
        SettingsRefused: the file of authorities cannot be read.
    """
    webhook = settings.webhook
    policy = TargetPolicy.parse(webhook.allow_networks, allow_http=webhook.allow_http)
    try:
        sender = Sender(
            policy,
            timeout_s=webhook.timeout_s,
            ca_file=webhook.ca_file,
            resolver=SystemResolver(places=lookups_for(webhook.concurrency)),
        )
    except OSError as failure:
        raise SettingsRefused(
            [f"{PREFIX}WEBHOOK__CA_FILE: {webhook.ca_file} cannot be read ({failure!s})"]
        ) from failure
    return Delivering(sender, DetachedWork(limit=webhook.concurrency))


def counting(store: Store, metrics: Metrics) -> CountDeliveries:
    """Return what shows whether deliveries keep up."""
    return CountDeliveries(store.delivery_queue, store.clock, metrics)


def delivering(
    settings: Settings, store: Store, made: Delivering, metrics: Metrics
) -> DeliverMessages:
    """Return the flow that works through the schedule of deliveries."""
    webhook = settings.webhook
    return DeliverMessages(
        queue=store.delivery_queue,
        attempts=Attempts(
            queue=store.delivery_queue,
            sender=made.sender,
            clock=store.clock,
            metrics=metrics,
            timeout_ms=int(webhook.timeout_s * 1000),
            draw=random.random,
        ),
        running=made.running,
        places=DeliveryPlaces(webhook.concurrency),
        widths=Widths(),
        clock=store.clock,
    )


async def drain(*running: DetachedWork, grace_s: float) -> None:
    """Wait for work of several kinds side by side; what takes too long is cut off."""
    await asyncio.gather(*(each.drain(grace_s) for each in running))
