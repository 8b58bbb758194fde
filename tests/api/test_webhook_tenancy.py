"""Endpoints belong to one tenant and one mode: for all others they are not there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from app.store.keys import shard_of
from tests.api.subscribing import UNKNOWN_WEBHOOK, Json, Subscriber, subscriber, without_secret
from tests.flows.delivering import hooks_of
from tests.support.bed import Bed, character

SAME_SHARD, FAR_SHARD = "hooli", "globex"

WAYS: list[tuple[str, str, Json]] = [
    ("GET", "", {}),
    ("PATCH", "", {"json": {"disabled": True}}),
    ("PATCH", "", {"json": {"url": "https://example.com/mine"}}),
    ("DELETE", "", {}),
    ("POST", "/rotate", {}),
    ("POST", "/rotate", {"json": {"grace_s": 0}}),
    ("POST", "/test", {}),
    ("POST", "/test", {"json": {"event": "task.completed"}}),
    ("POST", "/redeliver", {"json": {"since": 0, "status": "all"}}),
    ("POST", "/redeliver", {"json": {"id": "msg_0123456789abcdefghijklmno_completed"}}),
    ("GET", "/deliveries", {}),
    ("GET", "/deliveries?status=pending", {}),
    ("GET", "/deliveries?task_id=task-unified-1767917446-0123456789abcdefghijklmno", {}),
]
"""Every way to name an endpoint."""

STRANGE_IDS = (
    *("we_", "we_0123456789abcde", "we_0123456789abcdef0", "we_0123456789ABCDEF"),
    *("wh_0123456789abcdef", "0123456789abcdef", "callback-0123456789ab", "*", "we_*"),
    *("%00", "we_0123456789abcde%0A", "%C3%A9", "acme", "live", "we_012345678%3Aabcdef"),
)


@dataclass(frozen=True, slots=True)
class Neighbours:
    """A tenant in both modes, one of the same shard, and one of another."""

    acme: Subscriber
    others: dict[str, Subscriber]


@pytest.fixture
async def town(bed: Bed) -> Neighbours:
    """Each has an endpoint with something in its log."""
    others = {
        "test mode": await subscriber(bed, "acme", mode="test"),
        SAME_SHARD: await subscriber(bed, SAME_SHARD),
        FAR_SHARD: await subscriber(bed, FAR_SHARD),
    }
    for each in others.values():
        await each.webhook()
    await hooks_of(bed, SAME_SHARD).enqueue()
    await hooks_of(bed, FAR_SHARD).enqueue()
    return Neighbours(await subscriber(bed), others)


def test_the_neighbours_are_near_and_far() -> None:
    """Else a check that the store leaves out would never be missed."""
    assert shard_of("acme") == shard_of(SAME_SHARD) != shard_of(FAR_SHARD)


@pytest.mark.parametrize("whose", ["test mode", SAME_SHARD, FAR_SHARD])
async def test_a_foreign_endpoint_is_answered_like_an_unknown_one(
    town: Neighbours, whose: str
) -> None:
    """The same 404 in each way of asking, and nothing happens to it."""
    owner = town.others[whose]
    (before,) = await owner.listed()
    log = await owner.log(before["id"])

    for method, path, more in WAYS:
        foreign = await town.acme.refused(method, f"/{before['id']}{path}", **more)
        unknown = await town.acme.refused(method, f"/{UNKNOWN_WEBHOOK}{path}", **more)

        assert (foreign["code"], foreign["reason"]) == (404, "webhook_not_found"), (method, path)
        assert without_request_id(foreign) == without_request_id(unknown)
    assert await owner.listed() == [before]
    assert await owner.log(before["id"]) == log


@pytest.mark.parametrize(("method", "path", "more"), WAYS)
async def test_an_id_that_no_endpoint_can_have_is_not_found(
    bed: Bed, method: str, path: str, more: Json
) -> None:
    """The same 404; a receiver of callbacks is no endpoint."""
    acme = await subscriber(bed)

    for strange in STRANGE_IDS:
        refused = await acme.refused(method, f"/{strange}{path}", **more)

        assert (refused["code"], refused["reason"]) == (404, "webhook_not_found"), strange
        assert refused["param"] == "webhook_id"


async def test_lists_have_ones_own_alone(town: Neighbours) -> None:
    """Each tenant and each mode its own."""
    mine = await town.acme.webhook()

    lists = {name: await other.listed() for name, other in town.others.items()}

    assert await town.acme.listed() == [without_secret(mine)]
    ids = {webhook["id"] for found in lists.values() for webhook in found}
    assert len(ids) == 3
    assert mine["id"] not in ids


async def test_all_keys_of_a_tenant_and_mode_share_its_endpoints(bed: Bed) -> None:
    """Whichever made it."""
    first, second = await subscriber(bed), await subscriber(bed)
    made = await first.webhook()

    renamed = await second.change(made["id"], description="theirs as well")

    assert await first.listed() == [renamed]


async def test_a_message_of_another_endpoint_is_not_redelivered(bed: Bed) -> None:
    """Nor one of another tenant: each endpoint has a log of its own."""
    acme, globex = await subscriber(bed), await subscriber(bed, FAR_SHARD)
    mine, quiet = await acme.webhook(), await acme.webhook(events=["task.failed"])
    theirs = await globex.webhook()
    (own,) = await hooks_of(bed).enqueue()
    (foreign,) = await hooks_of(bed, FAR_SHARD).enqueue()

    refused = [
        await acme.refused("POST", f"/{webhook_id}/redeliver", json={"id": message_id})
        for webhook_id, message_id in (
            (mine["id"], foreign),
            (quiet["id"], own),
            (mine["id"], "msg_0123456789abcdefghijklmno_completed"),
            (mine["id"], "nonsense"),
            (mine["id"], "*"),
        )
    ]

    assert {(each["code"], each["reason"]) for each in refused} == {(404, "delivery_not_found")}
    assert {each["param"] for each in refused} == {"id"}
    assert await acme.redeliver(mine["id"], id=own) == 1
    assert await globex.redeliver(theirs["id"], id=foreign) == 1


async def test_tasks_are_told_to_the_endpoints_of_their_own_mode(bed: Bed) -> None:
    """A test task's end is none of the live endpoint's business, nor the other way round."""
    live, test = await subscriber(bed), await subscriber(bed, "acme", mode="test")
    of_live, of_test = await live.webhook(), await test.webhook()
    live_task = await bed.created(live.key, character("seconds:0"))
    test_task = await bed.created(test.key, character("seconds:0"))
    await bed.pass_time(30)

    told = {
        "live": [each["task_id"] for each in (await live.log(of_live["id"]))["data"]],
        "test": [each["task_id"] for each in (await test.log(of_test["id"]))["data"]],
    }

    assert set(told["live"]) == {live_task}
    assert set(told["test"]) == {test_task}


def without_request_id(error: dict[str, Any]) -> dict[str, Any]:
    """Return an error without what is its request's alone."""
    return {name: value for name, value in error.items() if name != "request_id"}
