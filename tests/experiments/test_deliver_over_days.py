"""Many receivers that fail for days: the whole schedule, and what is delivered again after it."""

from __future__ import annotations

from itertools import pairwise

import pytest

from app.domain.delivery import DISABLE_AFTER_MS, MAX_ATTEMPTS, PLANNED_MS
from tests.flows.delivering import deliver, deliver_after, hooks_of, until_nothing_is_to_come
from tests.support.bed import Bed
from tests.support.receiver import FAULTY, OK, Received, ReceiverServer, Reply
from tests.support.scale import scaled

ENDPOINTS = scaled(1_000, least=12)
HOUR_S = 3600

LATE_S = 2 + ENDPOINTS / 10
"""More than 32 of a tenant's that fail wait for each other; these tests are a second late, too."""

pytestmark = pytest.mark.timeout(60 + ENDPOINTS)

ANSWERS = (
    FAULTY,
    Reply(302, headers=(("location", "/elsewhere"),)),
    Reply(429, headers=(("retry-after", "0"),)),
    Reply(503, headers=(("retry-after", "999999999"),)),
)


def answer_by_path(request: Received) -> Reply:
    """Answer each endpoint in its own way, always the same."""
    return ANSWERS[int(request.path.rpartition("/")[2]) % len(ANSWERS)]


async def test_the_schedule_is_as_published(hooked: Bed, receiver: ReceiverServer) -> None:
    """Ten attempts over more than 72 hours, jitter of a fifth, Retry-After between once and twice.

    Where twice is asked for each time, 120 hours without a success come first. No redirect is
    followed.
    """
    await hooked.key("acme")
    hooks = hooks_of(hooked)
    receiver.rule = answer_by_path
    paths = {await hooks.add(receiver.url(f"/{n}")): f"/{n}" for n in range(ENDPOINTS)}
    await hooks.enqueue()

    await until_nothing_is_to_come(hooked)

    assert {each.path for each in receiver.journal} == set(paths.values())
    for webhook_id, path in paths.items():
        times = [int(each.headers["webhook-timestamp"]) for each in receiver.at(path)]
        gaps = [later - earlier for earlier, later in pairwise(times)]
        put_off = answer_by_path(receiver.at(path)[0]) is ANSWERS[3]
        for gap_s, planned_ms in zip(gaps, PLANNED_MS[1:], strict=False):
            planned_s = planned_ms / 1000
            low, high = (2, 2) if put_off else (1, 1.2)
            assert low * planned_s - 1 <= gap_s <= high * planned_s + LATE_S
        webhook = await hooks.get(webhook_id)
        if put_off:
            assert webhook.off_reason == "failing"
            assert sum(gaps[:-1]) * 1000 < DISABLE_AFTER_MS <= (sum(gaps) + LATE_S) * 1000
        else:
            assert (len(times), webhook.off_reason) == (MAX_ATTEMPTS, None)
            assert sum(gaps) >= 72 * HOUR_S
            assert await hooks.states(webhook_id) == {"failed": 1}


async def test_a_thousand_failed_deliveries_are_replayed_by_range(
    hooked: Bed, receiver: ReceiverServer
) -> None:
    """All of them arrive, each once, with the ids and bodies of the first time."""
    count = scaled(1_000, least=40)
    await hooked.key("acme")
    hooks = hooks_of(hooked)
    receiver.rule = lambda _: FAULTY
    webhook_id = await hooks.add(receiver.url())
    sent = await hooks.enqueue(count)
    await deliver(hooked)
    for planned_ms in PLANNED_MS[1:]:
        await deliver_after(hooked, planned_ms * 1.2 / 1000 + 1)
    # One that fails is worked on for a second at a time.
    await until_nothing_is_to_come(hooked)
    assert await hooks.states(webhook_id) == {"failed": count}
    bodies = {each.message_id: each.body for each in receiver.journal}
    receiver.rule = lambda _: OK

    replayed = await hooks.redeliver(webhook_id, since=0)
    await deliver(hooked)

    assert replayed == count
    assert await hooks.states(webhook_id) == {"delivered": count}
    assert sorted(each.message_id for each in receiver.accepted) == sorted(sent)
    assert all(bodies[each.message_id] == each.body for each in receiver.accepted)
