"""What an attempt meets with is recorded, and counts: a defect of ours, a store that is away."""

from __future__ import annotations

from typing import Any

import pytest

from app.errors import StoreUnavailable
from app.outbound.sender import Sender
from app.store.delivery_queue import DeliveryQueue
from tests.flows.delivering import deliver, deliver_after, hooks_of, running_engine
from tests.support.bed import Bed
from tests.support.receiver import OK, ReceiverServer, Reply
from tests.support.wait import wait_until

PAST_ANY_LEASE_MS = 31_000


async def broken(*_: Any, **__: Any) -> Any:
    """Do what nobody has foreseen."""
    raise RuntimeError("can't start new thread")


@pytest.mark.parametrize("what", ["sending", "judging"])
async def test_a_defect_of_ours_is_an_attempt_like_any_other(
    hooked: Bed, receiver: ReceiverServer, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """It stands in the log, and the next one follows by the schedule, not every half minute."""
    await hooked.key("acme")
    hooks = hooks_of(hooked)
    webhook_id = await hooks.add(receiver.url())
    await hooks.enqueue()
    with monkeypatch.context() as patch:
        if what == "sending":
            patch.setattr(Sender, "post", broken)
        else:
            receiver.rule = lambda _: Reply(500, headers=(("retry-after", "5"),))
            patch.setattr("app.domain.delivery.parsedate_to_datetime", None)
            patch.setattr("app.domain.delivery._MAX_RETRY_AFTER_S", None)
        await deliver(hooked)
    (logged,) = await hooks.log(webhook_id)
    assert [each["outcome"] for each in logged.attempts] == ["defect"]
    assert (logged.state, logged.tries) == ("pending", 1)
    text = (await hooked.http.get("/metrics")).text
    assert 'reelgate_delivery_attempts_total{outcome="defect"} 1.0' in text
    assert "reelgate_engine_stumbles_total 1.0" in text
    receiver.rule = lambda _: OK

    await deliver_after(hooked, 7)

    assert await hooks.states(webhook_id) == {"delivered": 1}


async def test_no_retry_after_keeps_an_attempt_from_its_record(
    hooked: Bed, receiver: ReceiverServer
) -> None:
    """Nor makes it come again before its time."""
    await hooked.key("acme")
    hooks = hooks_of(hooked)
    zone = "+99999999999999999999999"
    receiver.rule = lambda _: Reply(
        500, headers=(("retry-after", f"Mon, 01 Jan 2024 00:00:00 {zone}"),)
    )
    webhook_id = await hooks.add(receiver.url())
    await hooks.enqueue()

    await deliver(hooked)

    (logged,) = await hooks.log(webhook_id)
    assert [each["status_code"] for each in logged.attempts] == [500]


class StoreAway:
    """A store that takes no record, and gives no messages either until `gives` is set."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.gives = self.records = True
        self.given = self.claimed = 0
        self._take, self._record = DeliveryQueue.take, DeliveryQueue.record
        self._claim = DeliveryQueue.claim
        patch.setattr(DeliveryQueue, "claim", lambda *given, **named: self.claim(*given, **named))
        patch.setattr(DeliveryQueue, "take", lambda *given, **named: self.take(*given, **named))
        patch.setattr(DeliveryQueue, "record", lambda *given: self.record(*given))

    async def claim(self, *given: Any, **named: Any) -> Any:
        """Give receivers, always."""
        claimed = await self._claim(*given, **named)
        self.claimed += len(claimed)
        return claimed

    async def take(self, *given: Any, **named: Any) -> Any:
        """Give messages, if it is there."""
        if not self.gives:
            raise StoreUnavailable
        taken = await self._take(*given, **named)
        self.given += 1
        return taken

    async def record(self, *given: Any) -> Any:
        """Record, if it is there."""
        if not self.records:
            raise StoreUnavailable
        return await self._record(*given)


@pytest.mark.parametrize(
    ("reply", "state", "off"),
    [(Reply(500, after_s=0.2), "pending", None), (Reply(410, after_s=0.2), "failed", "gone")],
)
async def test_what_came_counts_after_the_store_was_away_for_longer_than_any_lease(
    hooked: Bed,
    receiver: ReceiverServer,
    monkeypatch: pytest.MonkeyPatch,
    reply: Reply,
    state: str,
    off: str | None,
) -> None:
    """Its process takes the message no second time before what came of it is written down."""
    await hooked.key("acme")
    hooks, store = hooks_of(hooked), StoreAway(monkeypatch)
    receiver.rule = lambda _: reply
    webhook_id = await hooks.add(receiver.url())
    await hooks.enqueue()
    async with running_engine(hooked):
        await wait_until(lambda: receiver.journal, describing="the message to be sent")
        store.gives = store.records = False
        hooked.clock.advance_ms(PAST_ANY_LEASE_MS)
        store.gives, store.given = True, 0
        await wait_until(lambda: store.given >= 2, describing="messages to be taken once more")
        store.records = True

        async def is_recorded() -> bool:
            return bool((await hooks.log(webhook_id))[0].attempts)

        await wait_until(is_recorded, describing="it to be recorded")

    (found,) = await hooks.log(webhook_id)
    assert (found.state, found.tries, len(receiver.journal)) == (state, 1, 1)
    assert (await hooks.get(webhook_id)).off_reason == off


async def test_a_receiver_whose_lease_ran_out_is_not_worked_on_twice_by_one_process(
    hooked: Bed, receiver: ReceiverServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its engine claims it once more; whoever works on it goes on, and knows what is under way."""
    await hooked.key("acme")
    hooks, store = hooks_of(hooked), StoreAway(monkeypatch)
    receiver.rule = lambda _: Reply(500, after_s=0.2)
    webhook_id = await hooks.add(receiver.url())
    await hooks.enqueue()
    async with running_engine(hooked):
        await wait_until(lambda: receiver.journal, describing="the message to be sent")
        store.gives = store.records = False
        hooked.clock.advance_ms(PAST_ANY_LEASE_MS)
        await wait_until(lambda: store.claimed >= 2, describing="it to be claimed once more")
        store.gives = True
        await wait_until(lambda: store.given >= 2, describing="messages to be taken")
        assert len(receiver.journal) == 1
        assert len(hooked.gateway.delivering) == 1
        store.records = True

        async def is_recorded() -> bool:
            return bool((await hooks.log(webhook_id))[0].attempts)

        await wait_until(is_recorded, describing="it to be recorded")
