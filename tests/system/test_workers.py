"""`--workers 2`: two processes behind one port, ended as one."""

from __future__ import annotations

from contextlib import ExitStack

import httpx2
import psutil

from tests.support.bed import CREATE_PATH, character
from tests.support.fleet import Fleet
from tests.support.processes import GatewayProcess
from tests.support.wait import wait_in_thread, wait_until


def serving(gateway: GatewayProcess) -> set[int]:
    """Return the workers that hold at least one of our connections."""
    port = int(gateway.url.rpartition(":")[2])
    return {
        child.pid
        for child in psutil.Process(gateway.pid).children()
        for line in child.net_connections("inet")
        if line.status == psutil.CONN_ESTABLISHED and line.laddr.port == port
    }


def is_alive(process: psutil.Process) -> bool:
    """Return whether a process runs; one that only waits to be collected by init does not."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def lines_to_both(gateway: GatewayProcess, key: str, ends: ExitStack) -> list[httpx2.Client]:
    """Open connections, each kept by a client of its own, until either worker has taken one."""
    clients: list[httpx2.Client] = []

    def both() -> bool:
        client = httpx2.Client(
            base_url=gateway.url, headers={"authorization": f"Bearer {key}"}, trust_env=False
        )
        clients.append(ends.enter_context(client))
        client.get("/healthz")
        return len(serving(gateway)) == 2

    wait_in_thread(both, describing="both workers to take a connection")
    return clients


async def test_two_workers_serve_one_port_and_end_together(fleet: Fleet) -> None:
    """Each worker creates and reads; a stop ends both, with 0, and leaves no orphan."""
    (gateway,) = await fleet.start("serve", options=("--workers", "2"))
    children = psutil.Process(gateway.pid).children(recursive=True)
    key = (await fleet.customer()).key

    with ExitStack() as ends:
        clients = lines_to_both(gateway, key, ends)
        created = [client.post(CREATE_PATH, json=character()).json()["id"] for client in clients]
        reads = [
            client.get(f"/v1/tasks/{task_id}").status_code
            for client in clients
            for task_id in created
        ]
    await fleet.stop()
    # The standard library's own helper process ends when it notices that its parent is gone.
    await wait_until(
        lambda: not any(is_alive(child) for child in children), describing="all to have ended"
    )

    assert set(reads) == {200}
    assert len(fleet.vendor.creates()) == len(created) == len(set(created))
    assert len(children) >= 2
    assert await fleet.violations() == []
