"""One process: what it does when it starts, what it weighs, which part of the work it takes."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import psutil
import pytest

from tests.support.customer import Customer
from tests.support.fleet import Fleet
from tests.support.processes import GatewayProcess
from tests.support.wait import wait_until

READY_WITHIN_S = 15.0
MOST_RSS_BYTES = 90_000_000


@pytest.fixture
def silent_vendor() -> Iterator[socket.socket]:
    """A listening socket that notices whoever connects and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener


def has_caller(listener: socket.socket) -> bool:
    """Return whether somebody has connected since the last look."""
    try:
        line, _ = listener.accept()
    except BlockingIOError:
        return False
    line.close()
    return True


def outbound(gateway: GatewayProcess) -> list[object]:
    """Return the network connections and datagram sockets that the process opened by itself."""
    own_port = int(gateway.url.rpartition(":")[2])
    lines = psutil.Process(gateway.pid).net_connections("inet")
    return [line for line in lines if not line.laddr or line.laddr.port != own_port]


async def finished(customer: Customer, gateway: GatewayProcess, task_id: str) -> bool:
    """Return whether a task is completed."""
    return await customer.status(gateway, task_id) == "completed"


async def test_nobody_is_called_before_the_first_create(
    fleet: Fleet, silent_vendor: socket.socket
) -> None:
    """A start opens no connection to the vendor or anybody else, and neither does a test key."""
    address = f"http://127.0.0.1:{silent_vendor.getsockname()[1]}"
    (gateway,) = await fleet.start(
        "serve", REELGATE_VENDOR__BASE_URL=address, REELGATE_CREATE_ANSWER_S="0.5"
    )
    opened_by_start = outbound(gateway)
    trial = await fleet.customer(mode="test")
    rehearsed = await trial.create(gateway, scenario="seconds:0")
    assert rehearsed is not None
    await wait_until(
        lambda: finished(trial, gateway, rehearsed.task_id), describing="the test key's task to end"
    )
    called_early = has_caller(silent_vendor)

    paid = await (await fleet.customer()).create(gateway)

    assert opened_by_start == []
    assert not called_early
    assert has_caller(silent_vendor)
    assert paid is not None
    assert paid.status == 200


async def test_a_process_is_small_and_soon_ready(fleet: Fleet) -> None:
    """It is ready within 15 s, and weighs under 90 MB before and after its first task."""
    began_s = time.monotonic()
    (gateway,) = await fleet.start("serve")
    ready_s = time.monotonic() - began_s
    process = psutil.Process(gateway.pid)
    at_first = process.memory_info().rss
    customer = await fleet.customer()
    created = await customer.create(gateway, scenario="seconds:0")
    assert created is not None

    await wait_until(
        lambda: finished(customer, gateway, created.task_id), describing="the task to end"
    )

    afterwards = process.memory_info().rss
    weights = f"{at_first / 1e6:.1f} MB after the start, {afterwards / 1e6:.1f} MB after one task"
    assert max(at_first, afterwards) < MOST_RSS_BYTES, weights
    assert ready_s < READY_WITHIN_S, f"ready after {ready_s:.1f} s"


async def test_api_and_engine_may_be_processes_of_their_own(fleet: Fleet) -> None:
    """The one answers tenants, the other follows their tasks; together they are a gateway."""
    (api,) = await fleet.start("api", options=("--role", "api"))
    (engine,) = await fleet.start("engine", options=("--role", "engine"))
    customer = await fleet.customer()

    created = await customer.create(api, scenario="seconds:0")

    assert created is not None
    await wait_until(
        lambda: finished(customer, api, created.task_id), describing="the engine to finish the task"
    )
    probes = [engine.http.get(path).status_code for path in ("/healthz", "/readyz", "/metrics")]
    assert probes == [200, 200, 200]
    refused = engine.http.get(f"/v1/tasks/{created.task_id}")
    assert refused.status_code == 404
    assert refused.json()["error"]["reason"] == "unknown_path"
    assert 'call="report"' not in api.http.get("/metrics").text
