"""What many listeners cost, and how fast they hear: bounds that a busy machine keeps, too.

The figures themselves are shown by `pytest -s`.
"""

from __future__ import annotations

import asyncio
import resource
import statistics
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Iterable, Iterator
from dataclasses import dataclass, field

import psutil
import pytest

from tests.support.customer import Customer
from tests.support.events import SocketListening
from tests.support.fleet import Fleet
from tests.support.processes import GatewayProcess
from tests.support.wait import wait_until
from tests.system.test_live import PATH, advance, created, load, streams_of, waits

CLIENTS = 500
TASKS = 50
MEDIAN_S = 0.3
LOOSER = 10
"""A busy machine may take so many times as long as the goal says."""

IDLE = 2_000
MOST_KIB = 40
MOST_COMMANDS_A_SECOND = 5
HEARTBEAT_S = 4

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(autouse=True)
def many_files() -> Iterator[None]:
    """Let this process and those that it starts have as many connections as the system permits."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def in_turns(works: Iterable[Awaitable[None]], at_once: int = 100) -> None:
    """Await all, so many at a time: more would be turned away by the listening socket."""
    turn = asyncio.Semaphore(at_once)

    async def one(work: Awaitable[None]) -> None:
        async with turn:
            await work

    await asyncio.gather(*map(one, works))


@dataclass
class Heard:
    """When each task was changed, and how long after that its listeners heard of it."""

    url: str
    customer: Customer
    began_s: dict[str, float] = field(default_factory=dict)
    heard_of: Counter[str] = field(default_factory=Counter)
    took_s: dict[str, list[float]] = field(default_factory=lambda: {"stream": [], "wait": []})

    async def wait(self, task_id: str) -> None:
        """Wait for the end of a task by a read."""
        address = f"{self.url}/v1/tasks/{task_id}"
        answer = await self.customer.ask("GET", address, params={"wait": "60"}, timeout=70)
        assert answer.json()["status"] == "completed"
        self._note("wait", task_id)

    async def follow(self, task_id: str) -> None:
        """Wait for the end of a task by a stream."""
        path = f"/v1/tasks/{task_id}/events"
        async with SocketListening(self.url, path, self.customer.key) as stream:
            # The wait's own glances would be part of the figure.
            stream.on_text = lambda: self._look(stream, task_id)
            await stream.ended(within_s=60)

    def is_done(self, task_id: str) -> bool:
        """Return whether all listeners of a task have heard of its end."""
        return self.heard_of[task_id] == CLIENTS // TASKS

    def _look(self, stream: SocketListening, task_id: str) -> None:
        if stream.events[1:] and not stream.is_over:
            self._note("stream", task_id)

    def _note(self, kind: str, task_id: str) -> None:
        self.took_s[kind].append(time.monotonic() - self.began_s[task_id])
        self.heard_of[task_id] += 1


async def test_of_500_listeners_each_hears_of_its_task_in_no_time(
    fleet: Fleet,
) -> None:
    """Half by streams, half by waiting reads, all at one process, a tenth of one for each task."""
    (gateway,) = await fleet.start("serve", REELGATE_ROLE="api")
    customer = await fleet.customer()
    ids = await created(customer, gateway, TASKS)
    heard = Heard(gateway.url, customer)
    async with asyncio.TaskGroup() as group:
        for number in range(CLIENTS // 2):
            group.create_task(heard.wait(ids[number % TASKS]))
            group.create_task(heard.follow(ids[number % TASKS]))
        await wait_until(lambda: are_there(gateway), describing="all listeners", within_s=60)
        for task_id in ids:
            task = await load(fleet, task_id)
            heard.began_s[task_id] = time.monotonic()
            await advance(fleet, task, 1, is_last=True)
            # One after the other: this process takes longer to read the answers than they take.
            await wait_until(lambda each=task_id: heard.is_done(each), describing="all to hear")

    for kind, times in heard.took_s.items():
        median_s = statistics.median(times)
        sys.stdout.write(
            f"{kind}: median {median_s * 1000:.0f} ms, most {max(times) * 1000:.0f} ms\n"
        )
        assert len(times) == CLIENTS // 2
        assert median_s < MEDIAN_S * LOOSER


def are_there(gateway: GatewayProcess) -> bool:
    """Return whether every client listens."""
    return waits(gateway) + streams_of(gateway) == CLIENTS


async def test_2000_idle_streams_cost_little(
    fleet: Fleet,
) -> None:
    """In memory, in commands to the store while nothing happens, and in time of the processor."""
    (gateway,) = await fleet.start(
        "serve", REELGATE_ROLE="api", REELGATE_LIVE__HEARTBEAT_S=str(HEARTBEAT_S)
    )
    customer = await fleet.customer()
    streams = [SocketListening(gateway.url, PATH, customer.key) for _ in range(IDLE + 50)]
    await in_turns(stream.ask() for stream in streams[:50])
    process = psutil.Process(gateway.pid)
    before_bytes = process.memory_info().rss

    await in_turns(stream.ask() for stream in streams[50:])

    await wait_until(lambda: streams_of(gateway) == IDLE + 50, describing="streams", within_s=30)
    each_kib = (process.memory_info().rss - before_bytes) / IDLE / 1024
    async with SocketListening(gateway.url, PATH, customer.key) as watched:
        # Between two heartbeats of one stream every stream has one.
        await heartbeats(watched, 1)
        seen_s, calls, busy_s = time.monotonic(), await counted(fleet), used_s(process)
        await heartbeats(watched, 2)
        took_s = time.monotonic() - seen_s
        a_second = (await counted(fleet) - calls) / took_s
        share = (used_s(process) - busy_s) / took_s
    for stream in streams:
        stream.hang_up()

    sys.stdout.write(
        f"{each_kib:.1f} KiB each, {a_second:.1f} commands a second, {share:.1%} of a core\n"
    )
    assert each_kib <= MOST_KIB
    assert a_second <= MOST_COMMANDS_A_SECOND


async def heartbeats(stream: SocketListening, count: int) -> None:
    """Wait for so many heartbeats of a stream."""
    await wait_until(
        lambda: stream.text.comments >= count,
        describing=f"{count} heartbeats",
        within_s=4 * HEARTBEAT_S,
    )


def used_s(process: psutil.Process) -> float:
    """Return how much processor time a process has used, seconds."""
    times = process.cpu_times()
    return float(times.user + times.system)


async def counted(fleet: Fleet) -> int:
    """Return how many commands the store has been sent so far, but for these questions."""
    stats = await fleet.store.redis.info("commandstats")
    return sum(each["calls"] for name, each in stats.items() if name != "cmdstat_info")
