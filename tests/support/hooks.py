"""Webhook endpoints and their messages, made in the store as the gateway itself makes them."""

from __future__ import annotations

import json
import secrets
from collections import Counter
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from redis.asyncio import Redis

from app.clock import Clock
from app.domain.audit import GATEWAY, Act
from app.domain.delivery import Redelivery
from app.domain.ids import Mode, mint_task_id, mint_webhook_secret
from app.domain.tenant import Caller
from app.domain.webhook import (
    NEW_SECRET_BYTES,
    Webhook,
    WebhookChange,
    WebhookWish,
    mint_webhook_id,
)
from app.store.deliveries import DeliveryStore
from app.store.keys import Shard
from app.store.webhooks import Asker, WebhookStore

LOOPBACK: dict[str, Any] = {"allow_networks": "127.0.0.0/8", "allow_http": True, "timeout_s": 15}
"""Settings of a gateway that may deliver to a receiver of these tests."""

MOST = 1_000

_ENQUEUE = """
for i, task_id in ipairs(ARGV) do
  if i > 3 then enqueue(KEYS[1], KEYS[2], KEYS[3], tonumber(ARGV[1]), task_id, ARGV[2], ARGV[3]) end
end
"""


def fresh_secret() -> str:
    """Return a new signing secret."""
    return mint_webhook_secret(secrets.token_bytes(NEW_SECRET_BYTES))


@dataclass(frozen=True, slots=True)
class Logged:
    """What became of one message with one receiver."""

    id: str
    state: str
    tries: int
    due_ms: int | None
    attempts: list[dict[str, Any]]


@dataclass
class Hooks:
    """What a tenant does to the endpoints of one mode, and the engine's scripts that serve them."""

    redis: Redis
    webhooks: WebhookStore
    deliveries: DeliveryStore
    clock: Clock
    tenant_id: str = "acme"
    mode: Mode = "live"
    secrets: dict[str, str] = field(default_factory=dict)

    @property
    def asker(self) -> Asker:
        """An operator, of whom nothing but the tenant is checked."""
        caller = Caller(tenant_id=self.tenant_id, key_id="", mode=self.mode)
        return Asker(caller, self.clock.now_ms(), by_operator=True)

    def act(self) -> Asker:
        """The same, with an act that is to be recorded."""
        asker = self.asker
        act = Act(GATEWAY, "webhook.changed", self.tenant_id, asker.now_ms)
        return Asker(asker.caller, asker.now_ms, by_operator=True, act=act)

    async def add(self, url: str, *, secret: str = "", **wish: Any) -> str:
        """Make an endpoint and return its id."""
        asker, secret = self.asker, secret or fresh_secret()
        webhook = Webhook.made(
            WebhookWish.read({"url": url, **wish}),
            mint_webhook_id(secrets.choice),
            tenant_id=self.tenant_id,
            mode=self.mode,
            now_ms=asker.now_ms,
        )
        await self.webhooks.add(webhook, secret, most=MOST, asker=asker)
        self.secrets[webhook.id] = secret
        return webhook.id

    async def get(self, webhook_id: str) -> Webhook:
        """Return an endpoint."""
        return await self.webhooks.get(webhook_id, self.asker)

    async def change(self, webhook_id: str, **changes: Any) -> Webhook:
        """Change an endpoint."""
        return await self.webhooks.change(webhook_id, WebhookChange.read(changes), self.asker)

    async def redeliver(self, webhook_id: str, **wish: Any) -> int:
        """Let messages be delivered again."""
        return await self.deliveries.redeliver(webhook_id, Redelivery.read(wish), self.asker)

    async def log(self, target: str) -> list[Logged]:
        """Return all that a receiver was to be told, oldest first, as it stands in the store."""
        shard, place = Shard.of(self.tenant_id), (self.tenant_id, self.mode, target)
        ids = [each.decode() for each in await self.redis.zrange(shard.log(*place), 0, -1)]
        due = {
            each.decode(): int(at_ms)
            for each, at_ms in await self.redis.zrange(shard.due(*place), 0, -1, withscores=True)
        }
        async with self.redis.pipeline(transaction=False) as pipe:
            for message_id in ids:
                pipe.hgetall(shard.delivery(target, message_id))
                pipe.lrange(shard.attempts(target, message_id), 0, -1)
            found = await pipe.execute()
        return [
            _logged(message_id, record, lines, due.get(message_id))
            for message_id, record, lines in zip(ids, found[::2], found[1::2], strict=True)
        ]

    async def states(self, target: str) -> dict[str, int]:
        """Return how many messages of a receiver are in which state."""
        return dict(Counter(logged.state for logged in await self.log(target)))

    async def enqueue(
        self, count: int = 1, *, event: str = "task.completed", body: Any = None
    ) -> list[str]:
        """Let so many tasks tell their endpoints an event; returns the ids of the messages."""
        shard = Shard.of(self.tenant_id)
        now_ms = self.clock.now_ms()
        tasks = [mint_task_id(now_ms, secrets.choice) for _ in range(count)]
        news = resources.files("app.store") / "lua" / "shared" / "news.lua"
        await self.redis.eval(
            news.read_text("utf-8") + _ENQUEUE,
            3,
            shard.news(self.tenant_id, self.mode),
            shard.webhooks(self.tenant_id, self.mode),
            shard.deliveries,
            now_ms,
            event,
            json.dumps({"status": "completed"} if body is None else body),
            *tasks,
        )
        return [f"msg_{task[-25:]}_{event.removeprefix('task.')}" for task in tasks]


def _logged(
    message_id: str, record: dict[bytes, bytes], lines: list[bytes], due_ms: int | None
) -> Logged:
    stored = record.get(b"state", b"").decode()
    return Logged(
        id=message_id,
        state=stored or ("skipped" if due_ms is None else "pending"),
        tries=int(record.get(b"tries", 0)),
        due_ms=due_ms,
        attempts=[json.loads(line) for line in lines],
    )
