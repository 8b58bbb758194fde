"""The log of deliveries as tenants and operators use it: read, deliver again, try an endpoint."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from typing import Any, Final, get_args

from redis.asyncio import Redis

from app.domain.delivery import KEPT_MS, MAX_REDELIVERIES, Delivery, DeliveryState, Redelivery
from app.domain.delivery_log import MAX_LOOKED_THROUGH, DeliveryQuery, message_ids_of
from app.errors import DeliveryNotFound, WebhookDisabled, WebhookNotFound
from app.store.scripts import Script
from app.store.webhooks import Asker, target_member

PAGE: Final = 1_000
"""Most messages that one call of the store looks at."""

_STATES: Final[dict[bytes, DeliveryState]] = {
    state.encode(): state for state in get_args(DeliveryState)
}
_MESSAGE_ID: Final = re.compile(r"msg_[0-9a-z]{25}_[a-z]{4,10}")


class DeliveryStore:
    """What tenants and operators do: read the log, deliver again, try an endpoint.

    Raises, in every method: as `WebhookStore`.
    """

    def __init__(self, redis: Redis, epoch_id: str) -> None:
        self._epoch_id = epoch_id
        self._list_deliveries = Script(redis, "list_deliveries")
        self._read_delivery = Script(redis, "read_delivery")
        self._redeliver = Script(redis, "redeliver")
        self._enqueue_test = Script(redis, "enqueue_test")

    async def page(
        self, target: str, query: DeliveryQuery, asker: Asker
    ) -> tuple[list[Delivery], int]:
        """Return a page of a receiver's messages, newest first, and how many there are in all.

        With a status or an event the newest 10,000 messages are looked through, and counted. What
        has expired meanwhile is missing.

        Raises:
            WebhookNotFound: the tenant has no endpoint of that id in this mode.
        """
        first, last = query.places
        if query.task_id:
            found = await self._of_task(target, query, asker)
            return found[first : last + 1], len(found)
        if query.status == query.event == "":
            size, _, found = await self._part(target, query, asker, (first, last), skip=0)
            return found, size
        return await self._looked_through(target, query, asker)

    async def _looked_through(
        self, target: str, query: DeliveryQuery, asker: Asker
    ) -> tuple[list[Delivery], int]:
        page: list[Delivery] = []
        count, skipped = 0, query.places[0]
        for first in range(0, MAX_LOOKED_THROUGH, PAGE):
            part = (first, first + PAGE - 1)
            size, of_part, found = await self._part(
                target, query, asker, part, skip=max(0, skipped - count)
            )
            page += found[: query.page_size - len(page)]
            count += of_part
            if first + PAGE >= size:
                break
        return page, count

    async def _part(
        self, target: str, query: DeliveryQuery, asker: Asker, part: tuple[int, int], *, skip: int
    ) -> tuple[int, int, list[Delivery]]:
        """Return the log's size, and of a part of it the count of what is asked for, and a page."""
        outcome, *rest = await self._list_deliveries(
            **asker.named(self._epoch_id),
            **_log_keys(target, asker),
            mode=asker.caller.mode,
            target=target,
            first=part[0],
            last=part[1],
            status=query.status,
            event=query.event,
            skip=skip,
            most=query.page_size,
        )
        _refuse(outcome, rest, asker)
        size, count, *found = rest
        return size, count, [_delivery(*parts) for parts in found]

    async def _of_task(self, target: str, query: DeliveryQuery, asker: Asker) -> list[Delivery]:
        found = []
        for message_id in message_ids_of(query.task_id):
            with contextlib.suppress(DeliveryNotFound):
                found.append(await self.one(target, message_id, asker))
        return [each for each in reversed(found) if query.meets(each)]

    async def one(self, target: str, message_id: str, asker: Asker) -> Delivery:
        """Return one message of a receiver.

        Raises:
            WebhookNotFound: the tenant has no endpoint of that id in this mode.
            DeliveryNotFound: there is no message of that id in the receiver's log.
        """
        outcome, *rest = await self._read_delivery(
            **asker.named(self._epoch_id),
            **_log_keys(target, asker),
            mode=asker.caller.mode,
            target=target,
            message_id=message_id,
        )
        _refuse(outcome, rest, asker)
        if outcome == b"expired":
            raise DeliveryNotFound
        return _delivery(*rest[0])

    async def redeliver(self, webhook_id: str, wish: Redelivery, asker: Asker) -> int:
        """Let messages be delivered again under the ids they have; returns how many.

        The schedule of each begins anew. Those of a long time are enqueued in pages of a thousand:
        whoever repeats this after a failure halfway has some of them delivered twice. What was
        delivered again twenty times is left out.

        Raises:
            WebhookNotFound, WebhookDisabled: nothing is delivered to it.
            DeliveryNotFound: there is no message of that id in the endpoint's log.
        """
        if wish.id and _MESSAGE_ID.fullmatch(wish.id) is None:
            raise DeliveryNotFound
        count, more_ms, worn = await self._redeliver_page(webhook_id, wish, wish.since or 0, asker)
        if wish.id and count + worn == 0:
            raise DeliveryNotFound
        quiet = Asker(asker.caller, asker.now_ms, asker.by_operator)
        while more_ms is not None:
            of_page, more_ms, _ = await self._redeliver_page(webhook_id, wish, more_ms, quiet)
            count += of_page
        return count

    async def _redeliver_page(
        self, webhook_id: str, wish: Redelivery, since_ms: int, asker: Asker
    ) -> tuple[int, int | None, int]:
        """Do a page of it; returns how many, since when there may be more, and how many not."""
        keys = asker.webhook_keys(webhook_id)
        del keys["webhooks"]
        outcome, *rest = await self._redeliver(
            **asker.named(self._epoch_id),
            **asker.recorded(),
            **keys,
            deliveries=asker.shard.deliveries,
            mode=asker.caller.mode,
            webhook_id=webhook_id,
            member=target_member(asker.caller, webhook_id),
            message_id=wish.id,
            since_ms=since_ms,
            until_ms=_end_of(wish),
            status=wish.status,
            most=PAGE,
            rounds=MAX_REDELIVERIES,
        )
        _refuse(outcome, rest, asker)
        count, more, worn = rest
        return count, int(more) if more else None, worn

    async def enqueue_test(
        self, webhook_id: str, message_id: str, event: str, body: bytes, asker: Asker
    ) -> None:
        """Send an endpoint a message of no task, which tells `event` with `body` as its `data`.

        Raises:
            WebhookNotFound, WebhookDisabled: nothing is delivered to it.
        """
        keys = asker.webhook_keys(webhook_id)
        del keys["webhooks"]
        outcome, *rest = await self._enqueue_test(
            **asker.named(self._epoch_id),
            **asker.recorded(),
            **keys,
            deliveries=asker.shard.deliveries,
            message=asker.shard.message(message_id),
            mode=asker.caller.mode,
            member=target_member(asker.caller, webhook_id),
            message_id=message_id,
            event=event,
            body=body,
            kept_ms=KEPT_MS,
        )
        _refuse(outcome, rest, asker)


def _log_keys(target: str, asker: Asker) -> dict[str, str]:
    caller, shard = asker.caller, asker.shard
    return {
        "webhook": shard.webhook(caller.tenant_id, target),
        "due": shard.due(caller.tenant_id, caller.mode, target),
        "log": shard.log(caller.tenant_id, caller.mode, target),
    }


def _end_of(wish: Redelivery) -> int | str:
    """Return the last instant that is meant."""
    if wish.until is None:
        return "+inf"
    # Instants are shown in whole seconds: such a one is meant to its end.
    return wish.until + (0 if wish.until % 1000 else 999)


def _refuse(outcome: bytes, rest: Sequence[Any], asker: Asker) -> None:
    """Let what was done pass, and raise what stands in its way."""
    if outcome == b"refused":
        asker.refuse(rest[0])
    if outcome == b"unknown":
        raise WebhookNotFound
    if outcome == b"off":
        raise WebhookDisabled


def _delivery(message_id: bytes, state: bytes, tries: Any, *rest: Any) -> Delivery:
    delivered_ms, due_ms, event, task_id, created_ms, attempts = rest
    return Delivery(
        message_id=message_id.decode(),
        event=event.decode(),
        task_id=task_id.decode(),
        created_ms=int(created_ms),
        state=_STATES[state],
        tries=int(tries),
        delivered_ms=int(delivered_ms) if delivered_ms else None,
        next_ms=int(float(due_ms)) if due_ms else None,
        attempts=tuple(line.decode() for line in attempts),
    )
