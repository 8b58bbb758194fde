"""Webhook endpoints in the store: whose they are, how many, and what they are told of."""

from __future__ import annotations

import asyncio
import secrets

import pytest

from app.domain.delivery import Redelivery
from app.domain.tenant import Caller
from app.domain.webhook import Webhook, WebhookChange, WebhookWish, mint_webhook_id
from app.errors import (
    InvalidKey,
    TenantDisabled,
    TenantNotFound,
    TooManyWebhooks,
    WebhookDisabled,
    WebhookNotFound,
)
from app.store.keys import Shard
from app.store.webhooks import Asker
from tests.store.hooking import FAULTY, URL, Worker, hooks_on
from tests.store.shelf import Shelf
from tests.support.hooks import Hooks, fresh_secret
from tests.support.tenant_keys import act


@pytest.fixture
async def hooks(shelf: Shelf) -> Hooks:
    """The endpoints of acme's live mode."""
    return await hooks_on(shelf)


def new(hooks: Hooks) -> Webhook:
    """Return an endpoint that is not stored yet."""
    return Webhook.made(
        WebhookWish.read({"url": URL}),
        mint_webhook_id(secrets.choice),
        tenant_id=hooks.tenant_id,
        mode=hooks.mode,
        now_ms=hooks.clock.now_ms(),
    )


async def index_of(hooks: Hooks) -> dict[str, str]:
    """Return what the scripts that change tasks read of the endpoints."""
    name = Shard.of(hooks.tenant_id).webhooks(hooks.tenant_id, hooks.mode)
    found = await hooks.redis.hgetall(name)
    return {webhook_id.decode(): line.decode() for webhook_id, line in found.items()}


async def test_endpoints_are_listed_oldest_first(hooks: Hooks, shelf: Shelf) -> None:
    """Each is shown as it was wished for."""
    first = await hooks.add(URL, description="films")
    shelf.clock.advance_ms(1000)
    second = await hooks.add(URL, events=["task.failed"], disabled=True)

    found = await hooks.webhooks.all(hooks.asker)

    assert [webhook.id for webhook in found] == [first, second]
    assert [webhook.disabled for webhook in found] == [False, True]
    assert found[0].description == "films"
    assert found[1].events == ["task.failed"]


async def test_no_other_tenant_or_mode_sees_an_endpoint(hooks: Hooks, shelf: Shelf) -> None:
    """Neither reads, changes, rotates, deletes or redelivers it; it answers as an unknown one."""
    webhook_id = await hooks.add(URL)
    for other in (await hooks_on(shelf, "globex"), await hooks_on(shelf, mode="test")):
        asker = other.asker

        for refused in (
            other.webhooks.get(webhook_id, asker),
            other.webhooks.change(webhook_id, WebhookChange.read({"disabled": True}), asker),
            other.webhooks.rotate(webhook_id, fresh_secret(), old_until_ms=0, asker=asker),
            other.webhooks.delete(webhook_id, asker),
            other.deliveries.redeliver(webhook_id, Redelivery.read({"since": 0}), asker),
        ):
            with pytest.raises(WebhookNotFound):
                await refused
        assert await other.webhooks.all(asker) == []
    assert (await hooks.get(webhook_id)).disabled is False


@pytest.mark.parametrize(
    "webhook_id", ["", "we_", "we_0123456789abcdeg\n", "x:y", "we_" + "A" * 16]
)
async def test_what_cannot_be_an_id_is_not_looked_for(hooks: Hooks, webhook_id: str) -> None:
    """It is an unknown endpoint like any other."""
    with pytest.raises(WebhookNotFound):
        await hooks.get(webhook_id)


async def test_there_are_never_more_endpoints_than_may_be(hooks: Hooks) -> None:
    """Of forty that are made at once for ten places, ten are."""

    async def made() -> bool:
        try:
            await hooks.webhooks.add(new(hooks), fresh_secret(), most=10, asker=hooks.asker)
        except TooManyWebhooks:
            return False
        return True

    results = await asyncio.gather(*(made() for _ in range(40)))

    assert sum(results) == 10
    assert len(await hooks.webhooks.all(hooks.asker)) == 10
    assert len(await index_of(hooks)) == 10


async def test_a_key_that_was_revoked_makes_and_sees_nothing(hooks: Hooks, shelf: Shelf) -> None:
    """The store checks it at that instant, whatever the process remembers."""
    caller = await shelf.caller()
    await hooks.add(URL)
    await shelf.revoke("acme", caller.key_id)
    asker = Asker(caller, hooks.clock.now_ms())

    with pytest.raises(InvalidKey):
        await hooks.webhooks.add(new(hooks), fresh_secret(), most=10, asker=asker)
    with pytest.raises(InvalidKey):
        await hooks.webhooks.all(asker)
    assert len(await index_of(hooks)) == 1


async def test_a_tenant_that_is_off_is_told_so_and_an_operator_is_not(
    hooks: Hooks, shelf: Shelf
) -> None:
    """Operators still see to its endpoints."""
    caller = await shelf.caller()
    webhook_id = await hooks.add(URL)
    await shelf.switch("acme", disabled=True)

    with pytest.raises(TenantDisabled):
        await hooks.webhooks.all(Asker(caller, hooks.clock.now_ms()))
    assert [webhook.id for webhook in await hooks.webhooks.all(hooks.asker)] == [webhook_id]


async def test_an_operator_is_told_that_there_is_no_such_tenant(hooks: Hooks) -> None:
    """Nothing is stored for it."""
    caller = Caller(tenant_id="globex", key_id="", mode="live")

    with pytest.raises(TenantNotFound):
        await hooks.webhooks.all(Asker(caller, 0, by_operator=True))


async def test_acts_of_operators_are_recorded_and_those_of_keys_are_not(
    hooks: Hooks, shelf: Shelf
) -> None:
    """What a tenant does to its own endpoints is its own affair."""
    caller = await shelf.caller()
    audit = Shard.of("acme").audit
    before = await shelf.redis.xlen(audit)
    by_key = Asker(caller, hooks.clock.now_ms())
    webhook = new(hooks)

    await hooks.webhooks.add(webhook, fresh_secret(), most=10, asker=by_key)
    await hooks.webhooks.delete(webhook.id, hooks.act())

    assert await shelf.redis.xlen(audit) - before == 1


async def test_the_index_says_what_an_endpoint_is_told_of(hooks: Hooks) -> None:
    """It moves with every change, in the change's own script."""
    webhook_id = await hooks.add(URL, events=["task.completed"])
    seen = [(await index_of(hooks))[webhook_id]]

    for change in ({"events": ["task.failed", "task.processing"]}, {"disabled": True}):
        await hooks.change(webhook_id, **change)
        seen.append((await index_of(hooks))[webhook_id])
    await hooks.change(webhook_id, disabled=False, description="on again")
    seen.append((await index_of(hooks))[webhook_id])

    assert seen == [
        "on ,task.completed,",
        "on ,task.processing,task.failed,",
        "off ,task.processing,task.failed,",
        "on ,task.processing,task.failed,",
    ]


async def test_enabled_again_an_endpoint_begins_without_failures(
    hooks: Hooks, shelf: Shelf
) -> None:
    """Why and since when it was off is forgotten, too."""
    webhook_id = await hooks.add(URL)
    await hooks.enqueue()
    await Worker(shelf).one_round(FAULTY)
    failing = await hooks.get(webhook_id)

    off = await hooks.change(webhook_id, disabled=True)
    on = await hooks.change(webhook_id, disabled=False)

    assert (failing.failures, failing.failing_ms) == (1, hooks.clock.now_ms())
    assert (off.off_reason, off.off_ms) == ("requested", hooks.clock.now_ms())
    assert (on.off_reason, on.off_ms, on.failures, on.failing_ms) == (None, None, 0, None)


async def test_at_another_address_an_endpoint_begins_without_failures(
    hooks: Hooks, shelf: Shelf
) -> None:
    """Whoever answers there has not failed yet."""
    webhook_id = await hooks.add(URL)
    await hooks.enqueue()
    await Worker(shelf).one_round(FAULTY)

    same = await hooks.change(webhook_id, url=URL, description="named")
    moved = await hooks.change(webhook_id, url="https://example.com/other")

    assert (same.failures, moved.failures) == (1, 0)


async def test_a_disabled_endpoint_is_sent_nothing_more(hooks: Hooks, shelf: Shelf) -> None:
    """What was still to come, and what comes later, counts as skipped."""
    webhook_id = await hooks.add(URL)
    await hooks.enqueue(2)

    await hooks.change(webhook_id, disabled=True)
    await hooks.enqueue(3)

    assert await hooks.states(webhook_id) == {"skipped": 5}
    assert await Worker(shelf).one_round(FAULTY) == 0
    with pytest.raises(WebhookDisabled):
        await hooks.redeliver(webhook_id, since=0)


async def test_a_deleted_endpoint_leaves_nothing_to_come(hooks: Hooks, shelf: Shelf) -> None:
    """Its queue, its log and its place in the schedule go with it."""
    webhook_id = await hooks.add(URL)
    await hooks.enqueue(3)

    await hooks.webhooks.delete(webhook_id, hooks.asker)

    names = [name.decode() for name in await shelf.redis.keys(f"*{webhook_id}*")]
    assert names == []
    assert await index_of(hooks) == {}
    assert await shelf.redis.zcard(Shard.of("acme").deliveries) == 0
    with pytest.raises(WebhookNotFound):
        await hooks.get(webhook_id)


async def test_a_deleted_tenant_s_endpoints_go_with_it(hooks: Hooks, shelf: Shelf) -> None:
    """Of both modes, with their secrets; what was due for them is not sent."""
    for mode in ("live", "test"):
        of_mode = await hooks_on(shelf, mode=mode)
        await of_mode.add(URL)
        await of_mode.enqueue()

    await shelf.tenants.delete("acme", force=False, act=act("acme", at_ms=hooks.clock.now_ms()))

    assert await shelf.redis.keys("*:webhook*:acme:*") == []
    worker = Worker(shelf)
    assert await worker.one_round(FAULTY) == 0
    assert await shelf.redis.zcard(Shard.of("acme").deliveries) == 0


async def test_a_rotated_secret_signs_along_until_its_time_is_over(
    hooks: Hooks, shelf: Shelf
) -> None:
    """The new one comes first; after the overlap it is alone."""
    webhook_id = await hooks.add(URL)
    old, latest = hooks.secrets[webhook_id], fresh_secret()
    until_ms = hooks.clock.now_ms() + 60_000
    shown = await hooks.webhooks.rotate(
        webhook_id, latest, old_until_ms=until_ms, asker=hooks.asker
    )
    await hooks.enqueue(2)
    worker = Worker(shelf)

    during = await worker.taken(most=1)
    shelf.clock.advance_ms(60_000)
    after = await worker.take(during.held, most=1)

    assert shown.secret_before_until_ms == until_ms
    assert during.secrets == (latest, old)
    assert after is not None
    assert after.secrets == (latest,)


async def rotated(hooks: Hooks, webhook_id: str, *, grace_ms: int) -> str:
    """Replace an endpoint's secret; returns the new one."""
    secret, until_ms = fresh_secret(), hooks.clock.now_ms() + grace_ms
    await hooks.webhooks.rotate(webhook_id, secret, old_until_ms=until_ms, asker=hooks.asker)
    return secret


async def signing(hooks: Hooks, worker: Worker) -> tuple[str, ...]:
    """Return what the next message of the one endpoint is signed with."""
    await hooks.enqueue()
    taken = await worker.taken()
    await worker.queue.release(taken.held)
    return taken.secrets


async def test_a_rotation_that_is_repeated_leaves_the_secret_that_receivers_know(
    hooks: Hooks, shelf: Shelf
) -> None:
    """All that were to sign along do, each until its own end."""
    webhook_id, worker = await hooks.add(URL), Worker(shelf)
    known = hooks.secrets[webhook_id]
    lost = await rotated(hooks, webhook_id, grace_ms=3_000)
    second = await rotated(hooks, webhook_id, grace_ms=1_000)

    at_once = await signing(hooks, worker)
    shelf.clock.advance_ms(1_000)
    later = await signing(hooks, worker)
    third = await rotated(hooks, webhook_id, grace_ms=60_000)
    fourth = await rotated(hooks, webhook_id, grace_ms=60_000)

    assert at_once == (second, lost, known)
    assert later == (second, known)
    assert await signing(hooks, worker) == (fourth, third, second, known)


async def test_three_secrets_sign_along_at_most_and_none_after_a_rotation_without_overlap(
    hooks: Hooks, shelf: Shelf
) -> None:
    """The newest of them; the last rotation is for secrets that have leaked."""
    webhook_id, worker = await hooks.add(URL), Worker(shelf)
    secrets = [await rotated(hooks, webhook_id, grace_ms=60_000) for _ in range(5)]

    of_five = await signing(hooks, worker)
    last = await rotated(hooks, webhook_id, grace_ms=0)

    assert of_five == tuple(reversed(secrets[1:]))
    assert await signing(hooks, worker) == (last,)
