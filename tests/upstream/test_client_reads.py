"""Asking the vendor for a task's status: that very task's report, or nothing learnt."""

from __future__ import annotations

import pytest

from app.upstream.client import VendorClient
from app.upstream.wire import Balance, Reported, Started, Unreadable
from tests.support.fault_server import FaultServer
from tests.support.redis_server import free_port
from tests.support.vendor import VENDOR_KEY, Vendor
from tests.upstream.opened_client import (
    BODY,
    CANARY,
    KEY,
    NO_DOUBT,
    PAST_THE_DEADLINE,
    SHORT_S,
    SLACK_S,
    WITHIN_THE_DEADLINE,
    case,
    new_task_id,
    opened,
    timed,
)

OF_ONE_TASK = {*NO_DOUBT, "bad_id", "missing_id"}
"""Faults that spoil the report of one task, and leave a list of them as it is."""


async def started_at(client: VendorClient) -> str:
    """Create a task and return the vendor's id."""
    outcome = await client.submit(BODY, new_task_id(), KEY)
    assert isinstance(outcome, Started)
    return outcome.vendor_id


async def test_a_report_is_read(vendor: Vendor):
    """Of that very task, with its status word."""
    async with opened(vendor.url) as open_client:
        vendor_id = await started_at(open_client.client)
        outcome = await open_client.client.report(vendor_id, KEY)

    assert isinstance(outcome, Reported)
    assert outcome.report["id"] == vendor_id
    assert outcome.report["status"] in ("pending", "processing")
    assert len(vendor.reads()) == 1


@pytest.mark.parametrize(
    ("mode", "params"),
    [
        *(each for each in WITHIN_THE_DEADLINE if each.values[0] not in NO_DOUBT),
        case("bad_id", kind="other"),
        *(case("status", status=status) for status in (400, 401, 402, 403, 404, 410, 429)),
    ],
)
async def test_a_read_that_goes_wrong_tells_nothing(vendor: Vendor, mode, params):
    """No error of a query ends a task, not even 404 or a report of another one."""
    async with opened(vendor.url) as open_client:
        vendor_id = await started_at(open_client.client)
        vendor.fault(mode, on="report", **params)

        outcome = await open_client.client.report(vendor_id, KEY)

        assert open_client.in_flight == 0
    assert isinstance(outcome, Unreadable)
    assert len(vendor.reads()) == 1
    assert CANARY not in repr(outcome)


@pytest.mark.parametrize(("mode", "params"), PAST_THE_DEADLINE)
async def test_a_read_without_an_end_is_given_up_at_its_deadline(vendor: Vendor, mode, params):
    """One task that hangs does not hold up the others."""
    vendor.fault(mode, on="report", **params)

    async with opened(vendor.url, timeout_s=SHORT_S) as open_client:
        outcome, took_s = await timed(open_client.client.report("task-unified-1-x", KEY))

        assert open_client.in_flight == 0
    assert isinstance(outcome, Unreadable)
    assert took_s < SHORT_S + SLACK_S


@pytest.mark.parametrize("vendor_id", ["task-unified-1767917446-abc123", "task-unified-x"])
async def test_a_task_the_vendor_does_not_know_tells_nothing(vendor: Vendor, vendor_id):
    """It may have expired there, or be known again in a moment."""
    async with opened(vendor.url) as open_client:
        outcome = await open_client.client.report(vendor_id, KEY)

    assert isinstance(outcome, Unreadable)


async def test_a_read_at_a_dead_port_tells_nothing():
    """A vendor that is away is asked again later."""
    async with opened(f"http://127.0.0.1:{free_port()}") as open_client:
        outcome = await open_client.client.report("task-unified-1-x", KEY)

    assert isinstance(outcome, Unreadable)
    assert CANARY not in repr(outcome)


async def test_a_read_asks_for_one_task():
    """With the key that made it, and without a body."""
    async with FaultServer() as server, opened(server.url) as open_client:
        await open_client.client.report("task-unified-1-x", KEY)

    [seen] = server.seen
    assert seen.line == "GET /v1/tasks/task-unified-1-x HTTP/1.1"
    assert ("authorization", f"Bearer {VENDOR_KEY}") in [
        (name.lower(), value) for name, value in seen.headers
    ]
    assert seen.body == b""


async def test_several_tasks_are_read_in_one_call(vendor: Vendor):
    """Each under the vendor's id; one that the vendor does not know is left out."""
    async with opened(vendor.url) as open_client:
        ids = [await started_at(open_client.client) for _ in range(3)]
        outcome = await open_client.client.report_many([*ids, "task-unified-1-x"], KEY)

    assert isinstance(outcome, dict)
    assert outcome.keys() == set(ids)
    assert {reported.report["id"] for reported in outcome.values()} == set(ids)
    assert vendor.reads() == []


@pytest.mark.parametrize(
    ("mode", "params"), [each for each in WITHIN_THE_DEADLINE if each.values[0] not in OF_ONE_TASK]
)
async def test_a_batch_that_goes_wrong_tells_nothing(vendor: Vendor, mode, params):
    """Of none of its tasks; and nothing that was sent stands in what is said about it."""
    async with opened(vendor.url) as open_client:
        ids = [await started_at(open_client.client) for _ in range(2)]
        vendor.fault(mode, on="any", **params)

        outcome = await open_client.client.report_many(ids, KEY)

        assert open_client.in_flight == 0
    assert isinstance(outcome, Unreadable) or outcome == {}
    assert CANARY not in repr(outcome)


@pytest.mark.parametrize(("mode", "params"), PAST_THE_DEADLINE)
async def test_a_batch_without_an_end_is_given_up_at_its_deadline(vendor: Vendor, mode, params):
    """Like a single read."""
    async with opened(vendor.url, timeout_s=SHORT_S) as open_client:
        ids = [await started_at(open_client.client)]
        vendor.fault(mode, on="any", **params)

        outcome, took_s = await timed(open_client.client.report_many(ids, KEY))

        assert open_client.in_flight == 0
    assert isinstance(outcome, Unreadable)
    assert took_s < SHORT_S + SLACK_S


async def test_a_batch_asks_for_its_tasks():
    """With the key that made them, in their order."""
    async with FaultServer() as server, opened(server.url) as open_client:
        await open_client.client.report_many(["task-unified-1-x", "task-unified-1-y"], KEY)

    [seen] = server.seen
    assert seen.line == "POST /v1/tasks/batch HTTP/1.1"
    assert ("authorization", f"Bearer {VENDOR_KEY}") in [
        (name.lower(), value) for name, value in seen.headers
    ]
    assert seen.body == b'{"task_ids": ["task-unified-1-x", "task-unified-1-y"]}'


async def test_what_a_key_has_used_is_read(vendor: Vendor):
    """By the vendor's own count, which costs nothing to ask for."""
    async with opened(vendor.url) as open_client:
        outcome = await open_client.client.balance(KEY)

    assert isinstance(outcome, Balance)
    assert isinstance(outcome.used, int | float)


@pytest.mark.parametrize("mode", ["malformed", "status", "html", "close", "huge"])
async def test_a_balance_that_goes_wrong_tells_nothing(vendor: Vendor, mode):
    """It is looked at again another time."""
    async with opened(vendor.url) as open_client:
        vendor.fault(mode, on="any")

        assert isinstance(await open_client.client.balance(KEY), Unreadable)
