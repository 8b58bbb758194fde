"""Asking the vendor for a task's status: that very task's report, or nothing learnt."""

from __future__ import annotations

import pytest

from app.upstream.client import VendorClient
from app.upstream.wire import Reported, Started, Unreadable
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
