"""A vendor that reads a create and then gives no usable answer: doubt, and never a second send."""

from __future__ import annotations

import psutil
import pytest

from app.upstream.client import idempotency_key_of
from tests.support.fleet import Fleet
from tests.support.processes import GatewayProcess

pytestmark = pytest.mark.chaos

FAULTS = (
    "commit_then_close",
    "commit_then_reset",
    "commit_then_hang",
    "truncated",
    "malformed",
)


def lines_to_vendor(gateway: GatewayProcess, vendor_url: str) -> int:
    """Return how many connections a process keeps open to the vendor."""
    port = int(vendor_url.rpartition(":")[2])
    lines = psutil.Process(gateway.pid).net_connections("tcp")
    return sum(
        1
        for line in lines
        if line.raddr and line.raddr.port == port and line.status == psutil.CONN_ESTABLISHED
    )


@pytest.mark.parametrize("mode", FAULTS)
async def test_a_broken_answer_is_a_doubt_on_any_connection(fleet: Fleet, mode: str) -> None:
    """On a fresh connection and a reused one the caller gets 200 pending, the vendor one send."""
    # Without an engine there are no status reads, so every connection is one for creates.
    (gateway,) = await fleet.start(
        "api", REELGATE_ROLE="api", REELGATE_VENDOR__SUBMIT_TIMEOUT_S="1"
    )
    customer = await fleet.customer()

    fresh = lines_to_vendor(gateway, fleet.vendor.url)
    fleet.vendor.fault(mode)
    first = await customer.create(gateway, "fresh")
    fleet.vendor.heal()
    good = await customer.create(gateway, "good")
    reused = lines_to_vendor(gateway, fleet.vendor.url)
    fleet.vendor.fault(mode)
    second = await customer.create(gateway, "reused")
    fleet.vendor.heal()
    repeated = [await customer.create(gateway, name) for name in ("fresh", "good", "reused")]

    assert (fresh, reused) == (0, 1)
    doubted = [answer.task_id for answer in (first, second) if answer is not None]
    books = await fleet.books()
    assert customer.counted() == {(200, ""): 6}
    assert [books.tasks[task_id]["state"] for task_id in doubted] == ["in_doubt", "in_doubt"]
    assert {await customer.status(gateway, task_id) for task_id in doubted} == {"pending"}
    assert [answer and answer.body for answer in repeated] == [
        answer and answer.body for answer in (first, good, second)
    ]
    sends = [entry["idempotency_key"] for entry in fleet.vendor.creates()]
    assert [sends[0], sends[2]] == [idempotency_key_of(task_id) for task_id in doubted]
    assert len(sends) == 3
    assert await fleet.violations() == []
