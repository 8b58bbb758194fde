"""Endpoints are tried out: by messages like all others, to a real receiver."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from standardwebhooks import WebhookVerificationError

from app.domain.tenant import Caller
from app.domain.webhook import WebhookTest
from app.flows.manage_webhooks import TEST_WAIT_MS
from tests.api.receiving import Place, content
from tests.api.subscribing import SECRET
from tests.flows.delivering import deliver
from tests.support.answers import document_of
from tests.support.receiver import FAULTY, GONE, OK, Reply
from tests.support.schema import problems


async def test_a_test_goes_the_way_of_all_messages(place: Place) -> None:
    """Signed and logged like them, and answered with what came of it, as soon as that is known."""
    place.receiver.rule = lambda _: Reply(202, body=b"thanks")
    made = await place.webhook()
    began_s = time.monotonic()

    told = await place.acme.test(made["id"])

    assert time.monotonic() - began_s < TEST_WAIT_MS / 1000
    (received,) = place.receiver.journal
    now_s = place.bed.clock.now_ms() // 1000
    (attempt,) = told.pop("attempts")
    assert content(received, made["secret"])["type"] == "webhook.test"
    assert content(received, made["secret"])["data"] == {"webhook_id": made["id"]}
    assert told == {
        "id": received.message_id,
        "object": "webhook.delivery",
        "event": "webhook.test",
        "task_id": None,
        "status": "delivered",
        "created": now_s,
        "delivered_at": now_s,
        "next_attempt_at": None,
        "tries": 1,
    }
    assert (attempt["outcome"], attempt["status_code"]) == ("answered", 202)
    assert (attempt["number"], attempt["at"], attempt["answer"]) == (1, now_s, "")
    assert (await place.acme.log(made["id"]))["data"] == [told | {"attempts": [attempt]}]
    (webhook,) = await place.acme.listed()
    assert webhook["last_delivered_at"] == now_s


@pytest.mark.parametrize("event", ["task.processing", "task.completed", "task.failed"])
async def test_a_test_can_look_like_a_task(place: Place, event: str) -> None:
    """As the document describes one, whatever the endpoint is otherwise told."""
    made = await place.webhook(events=["task.processing"])

    told = await place.acme.test(made["id"], event=event)

    (received,) = place.receiver.journal
    message = content(received, made["secret"])
    schema = {"$ref": "#/components/schemas/Task"}
    assert message["type"] == told["event"] == event
    assert problems(message["data"], schema, document_of(place.bed.app).content) == []
    assert message["data"]["status"] == event.removeprefix("task.")
    assert told["task_id"] is None
    assert told["id"].endswith("_test")


async def test_a_test_that_fails_says_why(place: Place) -> None:
    """And is tried again on the schedule of all messages."""
    place.receiver.rule = lambda _: FAULTY
    made = await place.webhook()

    told = await place.acme.test(made["id"])

    now_s = place.bed.clock.now_ms() // 1000
    (attempt,) = told["attempts"]
    assert (told["status"], told["delivered_at"]) == ("pending", None)
    assert 5 <= told["next_attempt_at"] - now_s <= 6
    assert (attempt["status_code"], attempt["answer"]) == (500, "out of order")
    (webhook,) = await place.acme.listed()
    assert (webhook["failing_since"], webhook["failures"]) == (now_s, 1)


async def test_an_endpoint_that_nobody_answers_at_is_told_apart(place: Place) -> None:
    """By its outcome, in which there is no status."""
    made = await place.acme.webhook("http://127.0.0.1:9/")

    told = await place.acme.test(made["id"])

    (attempt,) = told["attempts"]
    assert (attempt["outcome"], attempt["status_code"]) == ("not_connected", None)
    assert attempt["why"]


async def test_a_test_is_not_waited_for_without_end(place: Place) -> None:
    """Where no engine works, it is answered as it stands, and stays to be delivered."""
    made = await place.webhook()
    (key,) = await place.bed.gateway.store.keys.of_tenant("acme")
    manage = replace(place.bed.gateway.store.manage_webhooks, test_wait_ms=200)
    caller = Caller(tenant_id="acme", key_id=key.id, mode="live")

    told = (await manage.test(made["id"], WebhookTest(), caller)).public()

    assert (told["status"], told["attempts"], told["tries"]) == ("pending", [], 0)
    assert told["next_attempt_at"] == told["created"]
    await deliver(place.bed)
    assert [each.message_id for each in place.receiver.journal] == [told["id"]]


async def test_an_endpoint_that_is_gone_is_enabled_again(place: Place) -> None:
    """410 disables it and says so; enabling takes the reason away."""
    place.receiver.rule = lambda _: GONE
    made = await place.webhook()
    told = await place.acme.test(made["id"])
    now_s = place.bed.clock.now_ms() // 1000
    (gone,) = await place.acme.listed()

    refused = [
        await place.acme.refused("POST", f"/{made['id']}/test"),
        await place.acme.refused("POST", f"/{made['id']}/redeliver", json={"since": 0}),
        await place.acme.refused("POST", f"/{made['id']}/redeliver", json={"id": told["id"]}),
    ]

    assert told["status"] == "failed"
    assert (gone["disabled"], gone["disabled_reason"]) == (True, "gone")
    assert gone["disabled_at"] == now_s
    assert {(each["code"], each["reason"]) for each in refused} == {(409, "webhook_disabled")}
    enabled = await place.acme.change(made["id"], disabled=False)
    assert (enabled["disabled_reason"], enabled["failing_since"]) == (None, None)
    place.receiver.rule = lambda _: OK
    assert (await place.acme.test(made["id"]))["status"] == "delivered"


async def test_a_secret_of_ones_own_signs(place: Place) -> None:
    """The messages are signed with it, byte for byte as it was written."""
    made = await place.webhook(secret=SECRET)

    await place.acme.test(made["id"])

    (received,) = place.receiver.journal
    assert content(received, SECRET)["type"] == "webhook.test"


async def test_both_secrets_sign_while_a_rotation_overlaps(place: Place) -> None:
    """Whoever still has the old one is not cut off before the time that was told."""
    made = await place.webhook()
    path = f"/{made['id']}/rotate"
    rotated = await place.acme.done("POST", path, json={"grace_s": 60})
    await place.acme.test(made["id"])
    place.bed.clock.advance_ms(60_000)

    await place.acme.test(made["id"])

    during, after = place.receiver.journal
    assert content(during, made["secret"]) == content(during, rotated["secret"])
    content(after, rotated["secret"])
    with pytest.raises(WebhookVerificationError):
        content(after, made["secret"])
