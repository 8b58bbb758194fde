"""Notices to a real receiver."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from app.sandbox import SandboxOptions, create_sandbox
from tests.sandbox.asking import CREATE, ManualClock, character, in_process


@dataclass
class Receiver:
    """Takes what is sent to it and answers with the statuses it was given, then with 200."""

    statuses: list[int] = field(default_factory=list)
    received: asyncio.Queue[tuple[str, dict[str, Any]]] = field(default_factory=asyncio.Queue)
    url: str = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection with one request."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length: ")[2].split()[0])
        body = json.loads(await reader.readexactly(length))
        status = self.statuses.pop(0) if self.statuses else 200
        writer.write(b"HTTP/1.1 %d X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % status)
        await writer.drain()
        writer.close()
        await self.received.put((head.split(" ")[1], body))

    async def next(self) -> dict[str, Any]:
        """The next body, which must come soon."""
        async with asyncio.timeout(5):
            return (await self.received.get())[1]


@dataclass
class Stage:
    """A sandbox with its clock, its client and someone to notify."""

    clock: ManualClock
    vendor: httpx2.AsyncClient
    receiver: Receiver

    async def create(self, scenario: str) -> str:
        """Create a task whose end is to be told."""
        body = character(scenario, callback_url=self.receiver.url)
        answer = await self.vendor.post(CREATE, json=body)
        task_id: str = answer.raise_for_status().json()["id"]
        return task_id

    async def attempts(self, count: int) -> list[dict[str, Any]]:
        """So many attempts, as the sandbox tells of them."""
        async with asyncio.timeout(5):
            while True:
                shown = (await self.vendor.get("/_sandbox/callbacks")).json()["entries"]
                if len(shown) >= count:
                    return shown
                # In process nothing else would ever get its turn.
                await asyncio.sleep(0)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """A sandbox of the HTTP form with its lifespan entered."""
    receiver, clock = Receiver(), ManualClock()
    app = create_sandbox(SandboxOptions(), now_ms=clock)
    listening = await asyncio.start_server(receiver.answer, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    receiver.url = f"http://127.0.0.1:{port}/hook?sig=a%2Fb"
    async with app.router.lifespan_context(app), in_process(app) as vendor:
        yield Stage(clock, vendor, receiver)
    listening.close()
    await listening.wait_closed()


async def test_the_end_of_a_task_is_told(stage):
    """The body is that of a query, and the address is used as it was given."""
    task_id = await stage.create("seconds:30")
    stage.clock.now_ms += 30_000

    async with asyncio.timeout(5):
        path, body = await stage.receiver.received.get()

    assert path == "/hook?sig=a%2fb"
    assert body == (await stage.vendor.get(f"/v1/tasks/{task_id}")).json()
    [attempt] = await stage.attempts(1)
    assert (attempt["task_id"], attempt["status"], attempt["attempt"]) == (task_id, 200, 0)


async def test_moving_the_sandbox_clock_sends_notices(stage):
    """Nobody has to wait for a long task."""
    task_id = await stage.create("seconds:3600,outcome:failed")

    await stage.vendor.post("/_sandbox/clock", json={"advance_ms": 3_600_000})

    body = await stage.receiver.next()
    assert (body["id"], body["status"]) == (task_id, "failed")


async def test_a_refused_notice_is_sent_three_times_more(stage):
    """After one, two and four seconds, and then never again."""
    stage.receiver.statuses = [500, 302, 404, 503]
    await stage.create("seconds:0")

    for wait_ms in (0, 1000, 2000, 4000):
        stage.clock.now_ms += wait_ms
        await stage.receiver.next()
        await stage.attempts(1 + (wait_ms >= 1000) + (wait_ms >= 2000) + (wait_ms >= 4000))

    stage.clock.now_ms += 60_000
    other = await stage.create("seconds:0")
    assert (await stage.receiver.next())["id"] == other
    attempts = await stage.attempts(5)
    assert [attempt["status"] for attempt in attempts] == [500, 302, 404, 503, 200]
    assert [attempt["attempt"] for attempt in attempts] == [0, 1, 2, 3, 0]


async def test_a_receiver_that_is_away_is_noted(stage):
    """The kind of failure is written down in place of a status."""
    stage.receiver.url = "http://127.0.0.1:1/hook"
    await stage.create("seconds:0")

    [attempt] = await stage.attempts(1)

    assert (attempt["status"], attempt["failure"]) == (None, "ConnectError")


@pytest.mark.parametrize(
    ("word", "statuses"),
    [
        ("true", ["completed"]),
        ("lost", []),
        ("twice", ["completed", "completed"]),
        ("early", ["pending", "completed"]),
        ("forged", ["completed", "failed"]),
    ],
)
async def test_a_vendor_may_notify_badly(stage, word, statuses):
    """Lost, doubled, early and forged notices can be asked for."""
    outcome = "failed" if word == "forged" else "completed"
    task_id = await stage.create(f"seconds:30,outcome:{outcome},callback:{word}")
    seen = []
    if word in ("early", "forged"):
        seen.append(await stage.receiver.next())
    stage.clock.now_ms += 30_000
    last = await stage.create("seconds:0")

    while (body := await stage.receiver.next())["id"] != last or len(seen) < len(statuses):
        if body["id"] == task_id:
            seen.append(body)

    assert [body["status"] for body in seen] == statuses


async def test_a_late_notice_comes_half_a_minute_late(stage):
    """The end is long known by then."""
    late = await stage.create("seconds:1,callback:late")
    stage.clock.now_ms += 1000
    other = await stage.create("seconds:0")
    first = await stage.receiver.next()

    stage.clock.now_ms += 30_000

    assert first["id"] == other
    assert (await stage.receiver.next())["id"] == late


async def test_attempts_can_be_forgotten(stage):
    """What still waits is forgotten too."""
    await stage.create("seconds:5")
    await stage.vendor.delete("/_sandbox/callbacks")
    stage.clock.now_ms += 5000
    await stage.create("seconds:0")

    await stage.receiver.next()

    assert len(await stage.attempts(1)) == 1


async def test_nothing_is_left_behind_when_the_sandbox_stops():
    """Neither a notice that waits nor one that is being sent keeps a task alive."""
    app = create_sandbox(SandboxOptions())
    done, reached = asyncio.Event(), asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.set()
        await done.wait()
        writer.close()

    listening = await asyncio.start_server(silent, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"
    async with app.router.lifespan_context(app), in_process(app) as vendor:
        for scenario in ("seconds:0", "seconds:900"):
            await vendor.post(CREATE, json=character(scenario, callback_url=url))
        await reached.wait()
        assert len(tasks_of_the_sandbox()) == 2

    assert tasks_of_the_sandbox() == []
    done.set()
    listening.close()
    await listening.wait_closed()


def tasks_of_the_sandbox() -> list[asyncio.Task[Any]]:
    """The unfinished tasks that run code of the sandbox."""
    sources = {task: task.get_coro().cr_code.co_filename for task in asyncio.all_tasks()}
    return [task for task, source in sources.items() if "/app/sandbox/" in source]
