"""Streams and waiting reads over sockets and several processes: cut, killed, stopped, resumed."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from app.domain.contract import encode
from app.domain.task import Task, TaskState
from app.store.keys import Shard
from app.store.task_steps import Change
from tests.support.customer import Customer
from tests.support.events import SocketListening
from tests.support.fleet import Fleet
from tests.support.processes import GatewayProcess
from tests.support.wait import wait_until
from tests.system.test_stopping import STOP_WITHIN_S, exit_code

PATH = "/v1/events"
STEPS = 5
"""How often each task of the longest test changes, its end included."""


async def advance(fleet: Fleet, task: Task, number: int, *, is_last: bool) -> Task:
    """Change a task as an engine does that has read it at the vendor; returns it as it is then."""
    answer = {**json.loads(task.body), "status": "processing", "progress": number}
    state, charged = TaskState.SUBMITTED, 0
    if is_last:
        answer |= {"status": "completed", "progress": 100}
        state, charged = TaskState.COMPLETED, task.held_microcredits
    now_ms = fleet.store.clock.now_ms()
    change = Change(state, encode(answer), charged, now_ms + 3_600_000)
    assert await fleet.store.tasks.advance(task, change, now_ms=now_ms)
    return await load(fleet, task.id)


async def load(fleet: Fleet, task_id: str) -> Task:
    """Return a task of acme as it is stored."""
    (task,) = await fleet.store.tasks.load(Shard.of("acme"), [task_id])
    return task


async def created(customer: Customer, gateway: GatewayProcess, count: int) -> list[str]:
    """Create tasks that stay as they are until the test changes them; returns their ids."""
    await customer.create_many(gateway, count=count, scenario="seconds:9000")
    return [answer.task_id for answer in customer.answers[-count:]]


@dataclass
class Returning:
    """A client that is cut off again and again, and goes on at either process where it was."""

    customer: Customer
    gateways: list[GatewayProcess]
    chance: random.Random
    heard: list[tuple[str, str]] = field(default_factory=list)
    last_id: str = ""
    returns: int = 0

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[SocketListening]:
        """Connect to one of the processes, and take over what was heard in the end."""
        headers = {"last_event_id": self.last_id} if self.last_id else {}
        url = self.chance.choice(self.gateways).url
        async with SocketListening(url, PATH, self.customer.key, **headers) as stream:
            yield stream
        self.heard += [(event.id, event.data["id"]) for event in stream.events]
        self.last_id = stream.text.last_id or self.last_id
        self.returns += 1

    async def listen_until(self, stopping: asyncio.Event) -> None:
        """Listen, each time for as many pieces as chance says."""
        while not stopping.is_set():
            async with self.listening() as stream:
                enough = self.chance.randrange(6)
                await self._hear(stream, enough, stopping)

    @staticmethod
    async def _hear(stream: SocketListening, enough: int, stopping: asyncio.Event) -> None:
        await wait_until(
            lambda: len(stream.events) >= enough or stopping.is_set() or stream.is_over,
            describing="a place to break off at",
        )


async def test_whoever_is_cut_off_at_random_hears_everything_once(fleet: Fleet) -> None:
    """Across two processes, while tasks change and subscriptions are killed."""
    gateways = await fleet.start("a", "b", REELGATE_ROLE="api")
    customer = await fleet.customer()
    clients = [Returning(customer, gateways, random.Random(seed)) for seed in range(4)]
    for client in clients:
        async with client.listening() as stream:
            await stream.hears_where_it_is()
    ids = await created(customer, gateways[0], 30)
    chance, stopping = random.Random(9), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for client in clients:
            group.create_task(client.listen_until(stopping))
        for number in range(1, STEPS + 1):
            chance.shuffle(ids)
            for task_id in ids:
                task = await load(fleet, task_id)
                await advance(fleet, task, number, is_last=number == STEPS)
            await fleet.store.redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        stopping.set()
    told = await fleet.store.redis.xrange(Shard.of("acme").news("acme", "live"))
    for client in clients:
        async with client.listening() as stream:
            missing = len(told) - len(client.heard)
            await stream.heard(missing)

    expected = [(place.decode(), entry[b"task"].decode()) for place, entry in told]
    assert len(expected) == STEPS * len(ids)
    for client in clients:
        assert client.heard == expected
    assert sum(client.returns for client in clients) > 20


async def test_a_stop_sends_streams_away_and_answers_waiting_reads(fleet: Fleet) -> None:
    """At once, not when the drain time is over; the process ends with 0."""
    (gateway,) = await fleet.start("serve", REELGATE_ROLE="api")
    customer = await fleet.customer()
    (task_id,) = await created(customer, gateway, 1)
    url = f"{gateway.url}/v1/tasks/{task_id}"
    async with AsyncExitStack() as stack:
        streams = [
            await stack.enter_async_context(SocketListening(gateway.url, path, customer.key))
            for path in (PATH, f"/v1/tasks/{task_id}/events") * 50
        ]
        async with asyncio.TaskGroup() as group:
            reads = [
                group.create_task(customer.ask("GET", url, params={"wait": "60"}))
                for _ in range(50)
            ]
            await wait_until(
                lambda: waits(gateway) == 50, describing="the reads to wait", within_s=20
            )

            told_s = time.monotonic()
            gateway.process.send_signal(signal.SIGTERM)
        for stream in streams:
            await stream.ended()
        code = await exit_code(gateway)
    took_s = time.monotonic() - told_s

    assert (code, took_s < STOP_WITHIN_S / 2) == (0, True)
    assert {read.result().status_code for read in reads} == {200}
    assert all(stream.text.retry_ms != 2_000 and stream.was_finished for stream in streams)
    assert [event["event"] for event in gateway.events() if event["level"] == "error"] == []


def waits(gateway: GatewayProcess) -> int:
    """Return how many reads a process keeps waiting, as it tells."""
    lines = gateway.http.get("/metrics").text.splitlines()
    found = [line for line in lines if line.startswith('reelgate_listeners{kind="wait"}')]
    return int(float(found[0].split()[-1])) if found else 0


async def test_a_reader_that_takes_nothing_is_hung_up_on(fleet: Fleet) -> None:
    """Once the kernel's buffers have been full for five seconds; others hear on."""
    (gateway,) = await fleet.start("serve", REELGATE_ROLE="api")
    customer = await fleet.customer()
    (task_id,) = await created(customer, gateway, 1)
    deaf = SocketListening(gateway.url, PATH, customer.key)
    await deaf.ask()
    async with SocketListening(gateway.url, PATH, customer.key) as hearing:
        name, at_ms = Shard.of("acme").news("acme", "live"), fleet.store.clock.now_ms()
        body = encode({"id": task_id, "status": "processing", "x": "x" * 60_000})
        fields = {"task": task_id, "event": "task.processing", "subject": "", "body": body}
        for _ in range(200):
            await fleet.store.redis.xadd(name, fields, f"{at_ms}-*")
        await fleet.store.redis.publish("rg:news", f"acme live {task_id}")
        await hearing.heard(200, within_s=20)
        await wait_until(
            lambda: streams_of(gateway) == 1, describing="the deaf one to be gone", within_s=20
        )
    deaf.hang_up()

    assert [event["event"] for event in gateway.events() if event["level"] == "error"] == []
    await fleet.store.redis.delete(name)


def streams_of(gateway: GatewayProcess) -> int:
    """Return how many streams a process has open, as it tells."""
    lines = gateway.http.get("/metrics").text.splitlines()
    found = [line for line in lines if line.startswith('reelgate_listeners{kind="stream"}')]
    return int(float(found[0].split()[-1])) if found else 0
