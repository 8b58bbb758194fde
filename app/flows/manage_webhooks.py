"""What is done to webhook endpoints, by tenants over HTTP and by operators on the command line."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from app.clock import Clock
from app.domain.audit import Act, ActName, Actor
from app.domain.delivery import Delivery, Redelivery
from app.domain.delivery_log import DeliveryQuery, sample_body
from app.domain.ids import mint_webhook_secret
from app.domain.targets import TargetPolicy, check_target
from app.domain.tenant import Caller
from app.domain.webhook import (
    NEW_SECRET_BYTES,
    Rotation,
    Webhook,
    WebhookChange,
    WebhookTest,
    WebhookWish,
    mint_test_message_id,
    mint_webhook_id,
)
from app.store.audit import AuditLog
from app.store.deliveries import DeliveryStore
from app.store.webhooks import Asker, WebhookStore

TEST_WAIT_MS: Final = 5_000
"""How long a test waits for its first attempt; most receivers answer within a second."""

_GLANCE_MS: Final = 100


@dataclass(frozen=True, slots=True)
class WebhookTerms:
    """What the operator allows: where notices may go, and how many endpoints there may be."""

    targets: TargetPolicy
    most: int


@dataclass(frozen=True, slots=True)
class ManageWebhooks:
    """Endpoints of a tenant's mode, and what they were told.

    `caller` says whose; with an operator in `by`, its key id is "", and every act leaves an entry
    in the audit log. Raises, in every method: InvalidKey, TenantDisabled of a key, TenantNotFound
    of an operator; WebhookNotFound where an id is named that is unknown there.
    """

    webhooks: WebhookStore
    deliveries: DeliveryStore
    audit: AuditLog
    clock: Clock
    terms: WebhookTerms
    test_wait_ms: int = TEST_WAIT_MS

    async def add(
        self, wish: WebhookWish, caller: Caller, by: Actor | None = None
    ) -> tuple[Webhook, str]:
        """Make an endpoint; returns it with the secret that its messages are signed with.

        Raises:
            InvalidRequest: no notices may go to its address.
            TooManyWebhooks: the tenant has as many in this mode as it may.
        """
        target = check_target(wish.url, self.terms.targets, param="url")
        wish = wish.model_copy(update={"url": target.url})
        webhook = Webhook.made(
            wish,
            mint_webhook_id(secrets.choice),
            tenant_id=caller.tenant_id,
            mode=caller.mode,
            now_ms=self.clock.now_ms(),
        )
        secret = wish.secret or _new_secret()
        asker = self._asker(caller, by, "webhook.created", webhook.id, wish.public())
        await self.webhooks.add(webhook, secret, most=self.terms.most, asker=asker)
        return webhook, secret

    async def all(self, caller: Caller, by: Actor | None = None) -> list[Webhook]:
        """Return the endpoints, oldest first."""
        return await self.webhooks.all(self._reader(caller, by))

    async def get(self, webhook_id: str, caller: Caller, by: Actor | None = None) -> Webhook:
        """Return an endpoint."""
        return await self.webhooks.get(webhook_id, self._reader(caller, by))

    async def show_secret(self, webhook_id: str, caller: Caller, by: Actor) -> str:
        """Return the secret of an endpoint to an operator; that it was shown is recorded."""
        secret = await self.webhooks.secret(webhook_id, self._reader(caller, by))
        named = _named(webhook_id, caller)
        now_ms = self.clock.now_ms()
        act = Act(by, "webhook.secrets_shown", caller.tenant_id, now_ms, detail=named)
        await self.audit.record(act)
        return secret

    async def change(
        self, webhook_id: str, change: WebhookChange, caller: Caller, by: Actor | None = None
    ) -> Webhook:
        """Change what is named, and return the endpoint as it is then.

        Raises:
            InvalidRequest: no notices may go to its new address.
        """
        if "url" in change.model_fields_set:
            target = check_target(change.url, self.terms.targets, param="url")
            change = change.model_copy(update={"url": target.url})
        asker = self._asker(caller, by, "webhook.changed", webhook_id, change.public())
        return await self.webhooks.change(webhook_id, change, asker)

    async def delete(self, webhook_id: str, caller: Caller, by: Actor | None = None) -> None:
        """Delete an endpoint, with all that it was and was to be told."""
        await self.webhooks.delete(
            webhook_id, self._asker(caller, by, "webhook.deleted", webhook_id)
        )

    async def rotate(
        self, webhook_id: str, rotation: Rotation, caller: Caller, by: Actor | None = None
    ) -> tuple[Webhook, str]:
        """Return an endpoint with its new secret; the old one signs along for the time of grace."""
        secret = _new_secret()
        asker = self._asker(caller, by, "webhook.rotated", webhook_id, rotation.model_dump())
        until_ms = asker.now_ms + rotation.grace_s * 1000
        webhook = await self.webhooks.rotate(webhook_id, secret, old_until_ms=until_ms, asker=asker)
        return webhook, secret

    async def test(
        self, webhook_id: str, test: WebhookTest, caller: Caller, by: Actor | None = None
    ) -> Delivery:
        """Send a test on the way of all messages, and return how it stands after the first attempt.

        Raises:
            WebhookDisabled: nothing is sent to the endpoint.
        """
        message_id = mint_test_message_id(secrets.choice)
        asker = self._asker(caller, by, "webhook.tested", webhook_id, {"event": test.event})
        body = sample_body(test.event, webhook_id, now_s=asker.now_ms // 1000)
        await self.deliveries.enqueue_test(webhook_id, message_id, test.event, body, asker)
        for _ in range(self.test_wait_ms // _GLANCE_MS):
            await self.clock.sleep_ms(_GLANCE_MS)
            found = await self.deliveries.one(webhook_id, message_id, self._reader(caller, by))
            if found.attempts:
                break
        return found

    async def redeliver(
        self, webhook_id: str, wish: Redelivery, caller: Caller, by: Actor | None = None
    ) -> int:
        """Let messages be delivered again; returns how many.

        Raises:
            WebhookDisabled: nothing is sent to the endpoint.
            DeliveryNotFound: it has no message of the id that is named.
        """
        wished = wish.model_dump(exclude_unset=True)
        asker = self._asker(caller, by, "webhook.redelivered", webhook_id, wished)
        return await self.deliveries.redeliver(webhook_id, wish, asker)

    async def log(
        self, webhook_id: str, query: DeliveryQuery, caller: Caller, by: Actor | None = None
    ) -> tuple[list[Delivery], int]:
        """Return a page of what an endpoint was told, newest first, and how many there are."""
        reader = self._reader(caller, by)
        reader.webhook_keys(webhook_id)
        return await self.deliveries.page(webhook_id, query, reader)

    def _reader(self, caller: Caller, by: Actor | None) -> Asker:
        return Asker(caller, self.clock.now_ms(), by_operator=by is not None)

    def _asker(
        self,
        caller: Caller,
        by: Actor | None,
        name: ActName,
        webhook_id: str,
        detail: Mapping[str, Any] | None = None,
    ) -> Asker:
        if by is None:
            return self._reader(caller, by)
        now_ms = self.clock.now_ms()
        told = {**_named(webhook_id, caller), **(detail or {})}
        act = Act(by, name, caller.tenant_id, now_ms, detail=told)
        return Asker(caller, now_ms, by_operator=True, act=act)


def _named(webhook_id: str, caller: Caller) -> dict[str, str]:
    return {"webhook": webhook_id, "mode": caller.mode}


def _new_secret() -> str:
    return mint_webhook_secret(secrets.token_bytes(NEW_SECRET_BYTES))
