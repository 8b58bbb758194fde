"""A service of acme with a receiver, to which a gateway of these tests may deliver."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

from app.domain.delivery import JITTER_SHARE, PLANNED_MS
from tests.api.subscribing import Json, Subscriber
from tests.flows.delivering import deliver, deliver_after, hooks_of
from tests.support.bed import Bed
from tests.support.receiver import FAULTY, OK, Received, ReceiverServer


@dataclass(frozen=True, slots=True)
class Place:
    """A service of acme, and where its messages go."""

    acme: Subscriber
    receiver: ReceiverServer

    @property
    def bed(self) -> Bed:
        """The gateway."""
        return self.acme.bed

    async def webhook(self, **wish: Any) -> Json:
        """Make an endpoint at the receiver."""
        return await self.acme.webhook(self.receiver.url(), **wish)

    async def told(self, count: int = 1, **more: Any) -> list[str]:
        """Let so many tasks tell their end, and deliver it; return the ids of the messages."""
        ids = await hooks_of(self.bed).enqueue(count, **more)
        await deliver(self.bed)
        return ids

    async def failed(self) -> str:
        """Let a message fail for good: ten attempts, each as late as it may be."""
        self.receiver.rule = lambda _: FAULTY
        (message_id,) = await self.told()
        for planned_ms in PLANNED_MS[1:]:
            await deliver_after(self.bed, planned_ms * (1 + JITTER_SHARE) / 1000)
        self.receiver.rule = lambda _: OK
        return message_id


def content(received: Received, secret: str) -> Json:
    """Return what a message says, if it was signed with this secret."""
    at = datetime.fromtimestamp(int(received.headers["webhook-timestamp"]), UTC)
    signature = Webhook(secret).sign(received.message_id, at, received.body.decode())
    if signature not in received.headers["webhook-signature"].split(" "):
        raise WebhookVerificationError(signature)
    told: Json = json.loads(received.body)
    return told
