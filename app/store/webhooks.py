"""Webhook endpoints: made, changed, rotated and deleted, each together with what it is told of."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from redis.asyncio import Redis

from app.domain.audit import Act
from app.domain.ids import Mode
from app.domain.tenant import Caller
from app.domain.webhook import Webhook, WebhookChange
from app.errors import TenantNotFound, TooManyWebhooks, WebhookNotFound
from app.store.keys import Shard, caller_keys
from app.store.refusals import refusal
from app.store.scripts import Script, store_errors
from app.store.tenants import no_tenant, text, written

_ID: Final = re.compile(r"we_[0-9a-z]{16}")


@dataclass(frozen=True, slots=True)
class Asker:
    """On whose word something is done: of a tenant's key, or, with `by_operator`, of an operator.

    The store checks a key at that instant; of an operator, whose `caller` has the key id "", it
    records the `act`, if it is one.
    """

    caller: Caller
    now_ms: int
    by_operator: bool = False
    act: Act | None = None

    @property
    def shard(self) -> Shard:
        """The shard of the tenant."""
        return Shard.of(self.caller.tenant_id)

    def named(self, epoch_id: str) -> dict[str, Any]:
        """Return what every script is told that an asker calls."""
        return {
            **caller_keys(self.caller.tenant_id, self.caller.key_id),
            "now_ms": self.now_ms,
            "epoch_id": epoch_id,
            "by_operator": int(self.by_operator),
        }

    def recorded(self) -> dict[str, Any]:
        """Return what a changing script writes into the log of acts; nothing for a key."""
        entry = self.act.entry() if self.act is not None else ""
        return {"audit": self.shard.audit, "entry": entry}

    def webhook_keys(self, webhook_id: str) -> dict[str, str]:
        """Return the keys of an endpoint and of its queue, by their names in scripts.

        Raises:
            WebhookNotFound: no endpoint can have such an id.
        """
        if _ID.fullmatch(webhook_id) is None:
            raise WebhookNotFound
        caller, shard = self.caller, self.shard
        return {
            "webhooks": shard.webhooks(caller.tenant_id, caller.mode),
            "webhook": shard.webhook(caller.tenant_id, webhook_id),
            "due": shard.due(caller.tenant_id, caller.mode, webhook_id),
            "log": shard.log(caller.tenant_id, caller.mode, webhook_id),
        }

    def refuse(self, reason: bytes) -> None:
        """Raise what a script's refusal stands for."""
        if reason == TenantNotFound.reason.encode():
            raise no_tenant(self.caller.tenant_id)
        raise refusal(reason)


def target_member(caller: Caller, target: str) -> str:
    """Return how a receiver is named in the schedule of its shard."""
    return f"{caller.tenant_id} {caller.mode} {target}"


class WebhookStore:
    """The endpoints of tenants, each of one mode; every call checks who asks.

    Raises, in every method: InvalidKey, TenantDisabled, StoreForeign as any call of a key does; an
    operator's TenantNotFound. Nothing was changed then.
    """

    def __init__(self, redis: Redis, epoch_id: str) -> None:
        self._redis, self._epoch_id = redis, epoch_id
        self._add_webhook = Script(redis, "add_webhook")
        self._read_webhooks = Script(redis, "read_webhooks")
        self._change_webhook = Script(redis, "change_webhook")
        self._delete_webhook = Script(redis, "delete_webhook")
        self._rotate_endpoint_secret = Script(redis, "rotate_endpoint_secret")

    async def add(self, webhook: Webhook, secret: str, *, most: int, asker: Asker) -> None:
        """Make an endpoint of the asker's tenant and mode, of which there may be `most`.

        Raises:
            TooManyWebhooks: there are; nothing was made.
        """
        keys = asker.webhook_keys(webhook.id)
        outcome, *rest = await self._add_webhook(
            **asker.named(self._epoch_id),
            **asker.recorded(),
            webhooks=keys["webhooks"],
            webhook=keys["webhook"],
            most=most,
            fields=written(webhook.fields(secret)),
        )
        if outcome == b"full":
            raise TooManyWebhooks(
                f"there are {most} webhooks, the most that may be: delete one that is not needed"
            )
        _refuse(outcome, rest, asker)

    async def all(self, asker: Asker) -> list[Webhook]:
        """Return the endpoints of a tenant's mode, oldest first."""
        found = map(Webhook.of_fields, await self._read("", asker))
        return sorted(found, key=lambda webhook: (webhook.created_ms, webhook.id))

    async def get(self, webhook_id: str, asker: Asker) -> Webhook:
        """Return one endpoint.

        Raises:
            WebhookNotFound: the tenant has none of that id in this mode.
        """
        asker.webhook_keys(webhook_id)
        found = await self._read(webhook_id, asker)
        if not found:
            raise WebhookNotFound
        return Webhook.of_fields(found[0])

    async def mode_of(self, tenant_id: str, webhook_id: str) -> Mode | None:
        """Return the mode that an endpoint is of, None where the tenant has none of that id.

        For operators, who name an endpoint by its id alone; nothing is checked here.
        """
        with store_errors():
            found = await cast(
                Awaitable[Any],
                self._redis.hget(Shard.of(tenant_id).webhook(tenant_id, webhook_id), "mode"),
            )
        return None if found is None else ("test" if found == b"test" else "live")

    async def secret(self, webhook_id: str, asker: Asker) -> str:
        """Return what an endpoint's messages are signed with.

        Raises:
            WebhookNotFound: the tenant has none of that id in this mode.
        """
        asker.webhook_keys(webhook_id)
        found = await self._read(webhook_id, asker)
        if not found:
            raise WebhookNotFound
        return found[0]["secret"]

    async def _read(self, webhook_id: str, asker: Asker) -> list[dict[str, str]]:
        caller, shard = asker.caller, asker.shard
        outcome, *rest = await self._read_webhooks(
            **asker.named(self._epoch_id),
            webhooks=shard.webhooks(caller.tenant_id, caller.mode),
            mode=caller.mode,
            prefix=shard.webhook(caller.tenant_id, ""),
            webhook_id=webhook_id,
        )
        _refuse(outcome, rest, asker)
        return [_fields(record) for record in rest]

    async def change(self, webhook_id: str, change: WebhookChange, asker: Asker) -> Webhook:
        """Change what is named and return the endpoint as it is then.

        Disabled, it is sent nothing more, and what was still to come counts as skipped. Enabled, or
        at another address, it begins without failures.

        Raises:
            WebhookNotFound: the tenant has none of that id in this mode.
        """
        keys = asker.webhook_keys(webhook_id)
        del keys["log"]
        outcome, *rest = await self._change_webhook(
            **asker.named(self._epoch_id),
            **asker.recorded(),
            **keys,
            mode=asker.caller.mode,
            fields=written(change.fields()),
            switch=change.switch,
        )
        _refuse(outcome, rest, asker)
        return _webhook(rest[0])

    async def delete(self, webhook_id: str, asker: Asker) -> None:
        """Delete an endpoint, its log and what was still to be sent to it.

        Raises:
            WebhookNotFound: the tenant has none of that id in this mode.
        """
        outcome, *rest = await self._delete_webhook(
            **asker.named(self._epoch_id),
            **asker.recorded(),
            **asker.webhook_keys(webhook_id),
            deliveries=asker.shard.deliveries,
            delivering=asker.shard.delivering,
            mode=asker.caller.mode,
            webhook_id=webhook_id,
            member=target_member(asker.caller, webhook_id),
        )
        _refuse(outcome, rest, asker)

    async def rotate(
        self, webhook_id: str, secret: str, *, old_until_ms: int, asker: Asker
    ) -> Webhook:
        """Sign with another secret, and with the one before until `old_until_ms`.

        Two older ones sign along as long as they were to, unless that instant is over.

        Raises:
            WebhookNotFound: the tenant has none of that id in this mode.
        """
        outcome, *rest = await self._rotate_endpoint_secret(
            **asker.named(self._epoch_id),
            **asker.recorded(),
            webhook=asker.webhook_keys(webhook_id)["webhook"],
            mode=asker.caller.mode,
            secret=secret,
            until_ms=old_until_ms,
        )
        _refuse(outcome, rest, asker)
        return _webhook(rest[0])


def _refuse(outcome: bytes, rest: Sequence[Any], asker: Asker) -> None:
    """Let what was done pass, and raise what stands in its way."""
    if outcome == b"refused":
        asker.refuse(rest[0])
    if outcome == b"unknown":
        raise WebhookNotFound


def _webhook(record: Sequence[bytes]) -> Webhook:
    return Webhook.of_fields(_fields(record))


def _fields(record: Sequence[bytes]) -> dict[str, str]:
    return text(dict(zip(record[::2], record[1::2], strict=True)))
