"""Receivers that fail for days, and what ends it."""

from __future__ import annotations

from tests.flows.delivering import deliver, deliver_after, hooks_of, until_nothing_is_to_come
from tests.support.bed import Bed
from tests.support.receiver import FAULTY, GONE, OK, ReceiverServer

HOUR_S = 3600


async def test_an_endpoint_that_fails_for_five_days_is_disabled(
    hooked: Bed, receiver: ReceiverServer
) -> None:
    """However many messages fail; what comes later is skipped until it is enabled, and kept."""
    await hooked.key("acme")
    hooks = hooks_of(hooked)
    receiver.rule = lambda _: FAULTY
    webhook_id = await hooks.add(receiver.url())
    days = 0
    while (await hooks.get(webhook_id)).off_reason is None:
        await hooks.enqueue()
        await deliver_after(hooked, 24 * HOUR_S)
        days += 1
    tried = len(receiver.journal)
    receiver.rule = lambda _: OK

    (skipped,) = await hooks.enqueue()
    await deliver_after(hooked, 24 * HOUR_S)
    assert len(receiver.journal) == tried
    await hooks.change(webhook_id, disabled=False)
    await hooks.redeliver(webhook_id, id=skipped)
    await deliver(hooked)

    assert days == 6
    assert [each.message_id for each in receiver.accepted] == [skipped]


async def test_gone_disables_at_once(hooked: Bed, receiver: ReceiverServer) -> None:
    """Nothing more goes there; enabled again, what failed goes out by range with the ids it had."""
    await hooked.key("acme")
    hooks = hooks_of(hooked)
    receiver.rule = lambda _: GONE
    webhook_id = await hooks.add(receiver.url())
    first = await hooks.enqueue(1)
    await deliver(hooked)
    receiver.rule = lambda _: OK
    then = await hooks.enqueue(2)
    await deliver_after(hooked, HOUR_S)
    webhook = await hooks.get(webhook_id)

    await hooks.change(webhook_id, disabled=False)
    count = await hooks.redeliver(webhook_id, since=0)
    await deliver(hooked)

    assert webhook.off_reason == "gone"
    assert count == 3
    assert {each.message_id for each in receiver.accepted} == {*first, *then}
    assert await hooks.states(webhook_id) == {"delivered": 3}


async def test_a_receiver_that_recovers_gets_what_it_missed(
    hooked: Bed, receiver: ReceiverServer
) -> None:
    """Its failures are forgotten with the first success."""
    await hooked.key("acme")
    hooks = hooks_of(hooked)
    receiver.rule = lambda request: FAULTY if request.nth <= 3 else OK
    webhook_id = await hooks.add(receiver.url())
    sent = await hooks.enqueue(5)

    await until_nothing_is_to_come(hooked)

    webhook = await hooks.get(webhook_id)
    assert {each.message_id for each in receiver.accepted} == set(sent)
    assert (webhook.failures, webhook.failing_ms, webhook.off_reason) == (0, None, None)
