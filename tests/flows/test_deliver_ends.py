"""What is not sent, and what becomes of deliveries when their process stops or dies."""

from __future__ import annotations

import json

import pytest

from app.domain.ids import mint_webhook_secret
from app.store.keys import Shard
from tests.conftest import OpenBed
from tests.flows.delivering import deliver, deliver_after, hooks_of, running_engine
from tests.support.bed import Bed, character
from tests.support.hooks import LOOPBACK, Logged
from tests.support.receiver import GONE, OK, ReceiverServer, Reply
from tests.support.wait import wait_until


async def only(bed: Bed, target: str) -> Logged:
    """Return the one message of a receiver."""
    (logged,) = await hooks_of(bed).log(target)
    return logged


async def test_a_callback_is_told_the_end_alone(hooked: Bed, receiver: ReceiverServer) -> None:
    """Not that its task is being worked on; a task that fails is an end, too."""
    key = await hooked.key("acme")
    body = character("outcome:failed,seconds:1", callback_url=receiver.url())
    task_id = await hooked.created(key, body)

    await hooked.pass_time(30)
    await deliver(hooked)

    assert [each.message_id for each in receiver.journal] == [f"msg_{task_id[-25:]}_failed"]
    assert json.loads(receiver.journal[0].body)["status"] == "failed"


async def test_a_callback_that_is_gone_ends_that_delivery_only(
    hooked: Bed, receiver: ReceiverServer
) -> None:
    """There is nothing to disable: the next task's callback goes to the same host."""
    key = await hooked.key("acme")
    receiver.rule = lambda _: GONE
    for _ in range(2):
        await hooked.created(key, character("seconds:0", callback_url=receiver.url()))

    await hooked.pass_time(30)
    await deliver(hooked)
    await deliver_after(hooked, 100_000)

    assert len(receiver.journal) == 2


@pytest.mark.parametrize(
    "secret", ["whsec_", mint_webhook_secret(b"short"), mint_webhook_secret(bytes(23)), "x" * 44]
)
async def test_nothing_is_sent_without_a_secret_of_24_bytes(
    hooked: Bed, receiver: ReceiverServer, secret: str
) -> None:
    """Whatever a record has come to hold: the attempt fails, and its log says why."""
    await hooked.key("acme")
    hooks = hooks_of(hooked)
    webhook_id = await hooks.add(receiver.url())
    await hooks.enqueue()
    await hooks.redis.hset(Shard.of("acme").webhook("acme", webhook_id), "secret", secret)

    await deliver(hooked)

    logged = await only(hooked, webhook_id)
    assert receiver.journal == []
    assert (logged.state, logged.attempts[0]["outcome"]) == ("pending", "not_signed")


async def test_an_address_is_judged_again_at_every_send(
    open_gateway_bed: OpenBed, receiver: ReceiverServer
) -> None:
    """One that was allowed when it was stored is not called once it no longer is."""
    async with open_gateway_bed(webhook={**LOOPBACK, "allow_networks": ""}) as bed:
        await bed.key("acme")
        hooks = hooks_of(bed)
        webhook_id = await hooks.add(receiver.url())
        await hooks.enqueue()

        await deliver(bed)

        assert receiver.journal == []
        assert (await only(bed, webhook_id)).attempts[0]["outcome"] == "refused_address"


async def test_a_huge_answer_is_kept_in_part(hooked: Bed, receiver: ReceiverServer) -> None:
    """A thousand characters of it, without control characters, are in the log."""
    await hooked.key("acme")
    hooks = hooks_of(hooked)
    receiver.rule = lambda _: Reply(500, body=b"\x1b[31mno\r\n" + b"a" * 100_000)
    webhook_id = await hooks.add(receiver.url())
    await hooks.enqueue()

    await deliver(hooked)

    kept = (await only(hooked, webhook_id)).attempts[0]["answer"]
    assert kept.startswith(" [31mno  aaa")
    assert len(kept) == 1000


async def test_a_process_that_stops_gives_back_what_it_has_not_begun(
    hooked: Bed, receiver: ReceiverServer, open_gateway_bed: OpenBed
) -> None:
    """What is under way has its time; the rest is another process's at once, each message once."""
    await hooked.key("acme")
    hooks = hooks_of(hooked)
    webhook_id = await hooks.add(receiver.url())
    receiver.rule = lambda _: Reply(after_s=0.2)
    sent = await hooks.enqueue(20)
    async with running_engine(hooked):
        await wait_until(lambda: len(receiver.journal) == 4, describing="four to be under way")
        assert await hooked.gateway.delivering.drain(10) == 0
    assert len(receiver.journal) == len(receiver.accepted) == 4
    receiver.rule = lambda _: OK

    async with open_gateway_bed(webhook=LOOPBACK) as other:
        await deliver(other)

    assert sorted(each.message_id for each in receiver.journal) == sorted(sent)
    assert await hooks.states(webhook_id) == {"delivered": 20}


async def test_what_a_dead_process_held_comes_back(hooked: Bed, receiver: ReceiverServer) -> None:
    """After the leases of receiver and message another one finds both."""
    await hooked.key("acme")
    hooks = hooks_of(hooked)
    webhook_id = await hooks.add(receiver.url())
    sent = await hooks.enqueue(3)
    queue, now_ms = hooked.gateway.store.delivery_queue, hooked.clock.now_ms()
    shard = Shard.of("acme")
    (held,) = await queue.claim(shard, now_ms=now_ms, lease_ms=30_000, most=1, failing_most=1)
    await queue.take(held, now_ms=now_ms, lease_ms=30_000, attempt_ms=30_000, most=2)
    await deliver(hooked)
    assert receiver.journal == []

    await deliver_after(hooked, 30)

    assert sorted(each.message_id for each in receiver.accepted) == sorted(sent)
    assert await hooks.states(webhook_id) == {"delivered": 3}


async def test_what_is_under_way_past_its_lease_is_not_sent_twice_by_its_process(
    hooked: Bed, receiver: ReceiverServer
) -> None:
    """As when its result cannot be recorded for long; once it can be, it counts."""
    await hooked.key("acme")
    hooks = hooks_of(hooked)
    receiver.rule = lambda _: Reply(after_s=1.5)
    webhook_id = await hooks.add(receiver.url())
    await hooks.enqueue()
    async with running_engine(hooked):
        await wait_until(lambda: receiver.journal, describing="the message to be under way")
        hooked.clock.advance_ms(31_000)

        async def is_recorded() -> bool:
            return await hooks.states(webhook_id) == {"delivered": 1}

        await wait_until(is_recorded, describing="the delivery to be recorded")

    assert len(receiver.journal) == 1


async def test_the_figures_tell_what_became_of_deliveries(
    hooked: Bed, receiver: ReceiverServer
) -> None:
    """By outcome, and without a word that a receiver could make up."""
    await hooked.key("acme")
    hooks = hooks_of(hooked)
    receiver.rule = lambda request: GONE if request.path == "/gone" else OK
    for path in ("/gone", "/here"):
        await hooks.add(receiver.url(path))
    await hooks.enqueue()

    await deliver(hooked)

    text = (await hooked.http.get("/metrics")).text
    for line in (
        'reelgate_deliveries_total{outcome="delivered"} 1.0',
        'reelgate_deliveries_total{outcome="gone"} 1.0',
        'reelgate_delivery_attempts_total{outcome="2xx"} 1.0',
        'reelgate_delivery_attempts_total{outcome="4xx"} 1.0',
        'reelgate_webhooks_disabled_total{reason="gone"} 1.0',
        "reelgate_delivery_attempt_seconds_count 2.0",
    ):
        assert line in text
