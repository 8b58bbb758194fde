"""What engines do with deliveries: claim receivers, take what is due, record what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import compress
from typing import Any, Final, Literal

from redis.asyncio import Redis

from app.domain.delivery import (
    DISABLE_AFTER_MS,
    MAX_ANSWERS_KEPT,
    MAX_ATTEMPTS_KEPT,
    AttemptRecord,
    Judgement,
)
from app.domain.ids import Mode
from app.store.keys import ALL_SHARDS, Shard
from app.store.scripts import Script, store_errors

Recorded = Literal["recorded", "anew", "late", "again", "gone", "disabled"]

REST_MS: Final = 500
"""How long a failing receiver waits where as many as may be have their turn."""

_COUNTED: Final = 2_000
"""Receivers of a shard that are looked at to measure the backlog."""


@dataclass(frozen=True, slots=True)
class Held:
    """A receiver that this process works on until `until_ms`; `is_failing` as far as it is known.

    `target` is an endpoint's id, or `callback-…` for the addresses of one host that were given
    with tasks.
    """

    tenant_id: str
    mode: Mode
    target: str
    until_ms: int
    is_failing: bool = False

    @property
    def shard(self) -> Shard:
        """The shard of its tenant."""
        return Shard.of(self.tenant_id)

    @property
    def member(self) -> str:
        """Its name in the schedule."""
        return f"{self.tenant_id} {self.mode} {self.target}"

    @property
    def is_callback(self) -> bool:
        """Return whether it stands for addresses given with tasks, not for an endpoint."""
        return self.target.startswith("callback-")


@dataclass(frozen=True, slots=True)
class Message:
    """One attempt that this process is to make, to `url`; its record names its number, `turn`."""

    id: str
    turn: int
    tries: int
    event: str
    created_ms: int
    body: bytes
    url: str


@dataclass(frozen=True, slots=True, repr=False)
class Taken:
    """What was taken for a receiver, and what its messages are signed with at this instant."""

    held: Held
    url: str
    secrets: tuple[str, ...]
    messages: tuple[Message, ...]


class DeliveryQueue:
    """What engines do: claim receivers, take their due messages, record what came of each."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._claim_targets = Script(redis, "claim_targets")
        self._take_deliveries = Script(redis, "take_deliveries")
        self._record_attempt = Script(redis, "record_attempt")
        self._release_target = Script(redis, "release_target")
        self._count_due = Script(redis, "count_due")

    async def claim(
        self, shard: Shard, *, now_ms: int, lease_ms: int, most: int, failing_most: int
    ) -> list[Held]:
        """Take up to `most` receivers that have something due, for this process alone.

        Of those that fail at present up to `failing_most`; the others of them rest for a while,
        which uses up none of their attempts.
        """
        flat: list[Any] = await self._claim_targets(
            deliveries=shard.deliveries,
            delivering=shard.delivering,
            now_ms=now_ms,
            lease_ms=lease_ms,
            most=most,
            failing_most=failing_most,
            rest_ms=REST_MS,
        )
        return [
            _held(member.decode(), until_ms, is_failing=bool(failing))
            for member, until_ms, failing in zip(flat[::3], flat[1::3], flat[2::3], strict=True)
        ]

    async def take(
        self, held: Held, *, now_ms: int, lease_ms: int, attempt_ms: int, most: int
    ) -> Taken | None:
        """Take up to `most` due messages of a receiver, and hold it for another `lease_ms`.

        A message whose attempt is not recorded within `attempt_ms` comes due again. None: the
        receiver is another process's by now, or nothing is to be sent to it any more.
        """
        outcome, *rest = await self._take_deliveries(
            **_keys(held, "deliveries", "delivering", "due", "log", "webhook", "tenant"),
            now_ms=now_ms,
            member=held.member,
            target=held.target,
            held_ms=held.until_ms,
            lease_ms=lease_ms,
            attempt_ms=attempt_ms,
            most=most,
        )
        if outcome != b"taken":
            return None
        until_ms, failing, url, secret, before, before_ms, older, *messages = rest
        along = f"{before.decode()} {before_ms.decode()},{older.decode()}"
        return Taken(
            held=Held(held.tenant_id, held.mode, held.target, until_ms, bool(failing)),
            url=url.decode(),
            secrets=(secret.decode(), *_holding(along, now_ms)),
            messages=tuple(_message(url, *parts) for parts in messages),
        )

    async def record(
        self, held: Held, message: Message, made: AttemptRecord, judged: Judgement
    ) -> tuple[Recorded, str]:
        """Record an attempt; returns what it changed, and why an endpoint was disabled by it.

        Safe to repeat. Only the newest attempt of a message puts it off or ends it; a success of
        any of its round is the end of it. What failed at an address that is the endpoint's no more,
        or was redelivered meanwhile, is due at once, with its whole schedule before it.
        """
        outcome, *rest = await self._record_attempt(
            **_keys(held, "due", "webhooks", "webhook"),
            **_keys_of(held, message.id),
            now_ms=made.at_ms,
            target=held.target,
            message_id=message.id,
            turn=message.turn,
            url=message.url,
            verdict=judged.verdict,
            next_ms=judged.next_ms,
            line=made.line(),
            kept=MAX_ATTEMPTS_KEPT,
            answers=MAX_ANSWERS_KEPT,
            disable_after_ms=DISABLE_AFTER_MS,
        )
        return outcome.decode(), rest[0].decode() if rest else ""

    async def release(self, held: Held, *, not_before_ms: int = 0) -> None:
        """Give a receiver back, unless it is another's by now.

        It comes due with its next message.
        """
        await self._release_target(
            **_keys(held, "deliveries", "delivering", "due"),
            member=held.member,
            held_ms=held.until_ms,
            not_before_ms=not_before_ms,
        )

    async def backlog(self, *, now_ms: int) -> tuple[int, int]:
        """Return how many messages are due and not under way, and since when the oldest is, or 0.

        Of each shard the receivers that come next are counted, some thousands.
        """
        with store_errors():
            async with self._redis.pipeline(transaction=False) as pipe:
                for shard in ALL_SHARDS:
                    pipe.zcard(shard.deliveries)
                sizes: list[int] = await pipe.execute()
        count, oldest_ms = 0, 0
        for shard in compress(ALL_SHARDS, sizes):
            of_shard, since_ms = await self._count_due(
                deliveries=shard.deliveries, now_ms=now_ms, most=_COUNTED
            )
            count += of_shard
            if since_ms:
                oldest_ms = min(oldest_ms or int(since_ms), int(since_ms))
        return count, oldest_ms


def _keys(held: Held, *names: str) -> dict[str, str]:
    """Return keys of a receiver by their names in scripts."""
    shard, tenant_id, mode, target = (
        Shard.of(held.tenant_id),
        held.tenant_id,
        held.mode,
        held.target,
    )
    every = {
        "deliveries": shard.deliveries,
        "delivering": shard.delivering,
        "due": shard.due(tenant_id, mode, target),
        "log": shard.log(tenant_id, mode, target),
        "webhooks": shard.webhooks(tenant_id, mode),
        "webhook": shard.webhook(tenant_id, target),
        "tenant": shard.tenant(tenant_id),
    }
    return {name: every[name] for name in names}


def _keys_of(held: Held, message_id: str) -> dict[str, str]:
    """Return the keys of a message with its receiver."""
    shard = held.shard
    return {
        "message": shard.message(message_id),
        "delivery": shard.delivery(held.target, message_id),
        "attempts": shard.attempts(held.target, message_id),
    }


def _held(member: str, until_ms: int, *, is_failing: bool) -> Held:
    tenant_id, mode, target = member.split(" ")
    return Held(tenant_id, "test" if mode == "test" else "live", target, until_ms, is_failing)


def _holding(lines: str, now_ms: int) -> list[str]:
    """Return those of the secrets before that still sign along, newest first."""
    pairs = [line.split(" ") for line in lines.split(",") if line.strip()]
    return [secret for secret, until_ms in pairs if now_ms < int(until_ms)]


def _message(url_of_endpoint: bytes, message_id: bytes, turn: int, *rest: Any) -> Message:
    tries, event, created_ms, body, url_of_task = rest
    url = url_of_endpoint or url_of_task or b""
    return Message(
        id=message_id.decode(),
        turn=turn,
        tries=int(tries),
        event=event.decode(),
        created_ms=int(created_ms),
        body=body,
        url=url.decode(),
    )
