"""Messages reach the endpoints that want them, signed, once, and with the same id each time."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from standardwebhooks import Webhook

from app.domain.api_key import Grace
from app.domain.audit import GATEWAY
from tests.flows.delivering import deliver, deliver_after, hooks_of
from tests.support.bed import Bed, character
from tests.support.receiver import FAULTY, Received, ReceiverServer, Reply


def is_signed_with(secret: str, received: Received) -> bool:
    """Return whether one of the signatures is of this secret."""
    at = datetime.fromtimestamp(int(received.headers["webhook-timestamp"]), UTC)
    mine = Webhook(secret).sign(received.message_id, at, received.body.decode())
    return mine in received.headers["webhook-signature"].split(" ")


async def test_a_finished_task_is_told_to_its_tenants_endpoint(
    hooked: Bed, receiver: ReceiverServer
) -> None:
    """The envelope carries the task's answer, and the signature is the endpoint's."""
    key = await hooked.key("acme")
    hooks = hooks_of(hooked)
    webhook_id = await hooks.add(receiver.url(), events=["task.completed"])
    task_id = await hooked.created(key, character("seconds:0"))
    await hooked.pass_time(30)
    await deliver(hooked)

    (received,) = receiver.journal
    told = json.loads(received.body)
    assert is_signed_with(hooks.secrets[webhook_id], received)
    answer = (await hooked.read(key, task_id)).json()
    assert told["type"] == "task.completed"
    assert told["data"] == answer
    assert received.message_id == f"msg_{task_id[-25:]}_completed"
    assert await hooks.states(webhook_id) == {"delivered": 1}


async def test_a_failed_attempt_is_repeated_with_the_same_id_and_body(
    hooked: Bed, receiver: ReceiverServer
) -> None:
    """Five seconds and a fifth at the most later it goes again, with a timestamp of its own."""
    await hooked.key("acme")
    hooks = hooks_of(hooked)
    webhook_id = await hooks.add(receiver.url())
    receiver.rule = lambda request: FAULTY if request.nth == 1 else Reply(204)
    await hooks.enqueue()
    await deliver(hooked)

    await deliver_after(hooked, 6)

    first, second = receiver.journal
    assert (first.message_id, first.body) == (second.message_id, second.body)
    assert first.headers["webhook-timestamp"] != second.headers["webhook-timestamp"]
    assert is_signed_with(hooks.secrets[webhook_id], second)
    (delivery,) = await hooks.log(webhook_id)
    assert [attempt["status_code"] for attempt in delivery.attempts] == [500, 204]
    assert delivery.state == "delivered"


async def test_a_callback_gets_the_bare_answer_signed_by_its_tenant(
    hooked: Bed, receiver: ReceiverServer
) -> None:
    """Its query string arrives as it was given; while a rotation overlaps, both secrets sign."""
    key = await hooked.key("acme")
    store = hooked.gateway.store
    old = await store.tenants.webhook_secret("acme")
    latest = await store.manage_tenants.rotate_secret("acme", Grace(grace_s=3600), GATEWAY)
    body = character("seconds:0", callback_url=receiver.url("/cb?a=%2F&b=1"))
    task_id = await hooked.created(key, body)

    await hooked.pass_time(30)
    await deliver(hooked)

    (received,) = receiver.journal
    answer = await hooked.read(key, task_id)
    assert received.path == "/cb?a=%2F&b=1"
    assert received.body == answer.content
    assert old is not None
    assert is_signed_with(latest, received)
    assert is_signed_with(old, received)


async def test_an_endpoint_is_told_each_event_of_its_mode_once(
    hooked: Bed, receiver: ReceiverServer
) -> None:
    """That a task is worked on, and how it ended; progress is no event, nor are tests' tasks."""
    key, test_key = await hooked.key("acme"), await hooked.another_key("acme", mode="test")
    hooks = hooks_of(hooked)
    await hooks.add(receiver.url("/all"))
    good = await hooked.created(key, character("seconds:8"))
    bad = await hooked.created(key, character("outcome:failed,seconds:8"))
    await hooked.created(test_key, character("seconds:8"))

    for _ in range(10):
        await hooked.pass_time(2)
        await deliver(hooked)

    told = sorted(each.message_id for each in receiver.journal)
    assert told == sorted(
        f"msg_{task[-25:]}_{event}"
        for task, end in ((good, "completed"), (bad, "failed"))
        for event in ("processing", end)
    )
    for each in receiver.journal:
        told_of = json.loads(each.body)
        assert told_of["type"] == f"task.{told_of['data']['status']}"
        assert each.message_id.endswith(told_of["data"]["status"])
