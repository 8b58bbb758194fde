"""A reply that is lost after the commit, or nobody waits for: nothing runs twice or goes astray."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from app.clock import HeldClock
from app.store.connect import connect
from app.store.scripts import Script
from tests.support.auditor import Answered, audit, read_books
from tests.support.bed import Bed, open_bed, settings_for
from tests.support.redis_server import FORMS, RedisServer, relayed
from tests.support.scale import scaled
from tests.support.vendor import Vendor
from tests.support.wait import wait_until

PATIENCE_S = 20.0
SOON_S = 0.5
CALLS = scaled(100_000, share=0.1)
AT_ONCE = 50
LEASE_PASSED_S = 40
WRITES = ("admit", "accept", "advance")
"""The scripts that a task passes on its way; each is sent once a task here."""

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(60 + CALLS // 1_000)]


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """One plain server for the whole file."""
    with RedisServer(tcp=True) as running:
        yield running


@pytest.fixture(scope="module")
def node() -> Iterator[RedisServer]:
    """A cluster of one node for the whole file."""
    with RedisServer(cluster=True) as running:
        yield running


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> str:
    """Each form of address in turn."""
    return str(request.param)


@pytest.fixture
def target(form: str, server: RedisServer, node: RedisServer) -> RedisServer:
    """The empty server that a form of address leads to."""
    chosen = node if form == "redis+cluster" else server
    chosen.flush()
    return chosen


@asynccontextmanager
async def client_of(url: str, patience_s: float = PATIENCE_S) -> AsyncIterator[Redis]:
    """Open a client that has had an answer: a sentinel takes a moment to know its primary."""
    client = connect(url, connect_timeout_s=patience_s, call_timeout_s=patience_s)

    async def answers() -> bool:
        with suppress(RedisConnectionError, RedisTimeoutError):
            await client.get("first")
            return True
        return False

    try:
        await wait_until(answers, describing="the first answer")
        yield client
    finally:
        await client.aclose()


async def asked_until_answered(bed: Bed, key: str, name: str) -> list[Answered]:
    """Repeat a create under its name, a lease apart, and return its answers; the last is a 200."""
    answers: list[Answered] = []
    for _ in range(4):
        answer = await bed.create(key, idempotency_key=name)
        shown = answer.json()
        answers.append(Answered(name, answer.status_code, answer.content, str(shown.get("id", ""))))
        await bed.pass_time(LEASE_PASSED_S)
    assert answers[-1].status == 200
    return answers


@pytest.mark.parametrize("write", WRITES)
async def test_a_write_whose_reply_is_lost_has_run_once(
    form: str, write: str, target: RedisServer, vendor: Vendor, clock: HeldClock, tmp_path: Path
) -> None:
    """By every kind of client: one task stands for the name, held and sent once, however asked."""
    async with relayed(form, target) as (url, relay), client_of(url) as client:
        settings = settings_for(url, tmp_path, vendor.url)
        async with open_bed(settings, clock, vendor) as bed:
            key = await bed.key()
            first = await bed.created(key)
            await bed.pass_time(LEASE_PASSED_S)
            digest = Script(client, write)._digest
            relay.fatal_word = digest.encode()
            answers = await asked_until_answered(bed, key, "order")
            assert relay.fatal_word is None, "no reply was dropped"
            assert (await bed.read(key, first)).json()["status"] == "completed"

    books = read_books(f"unix://{target.socket_path}")
    named = [task["state"] for task in books.tasks.values() if task["idem"]]
    assert audit(books, vendor.journal(), answers) == []
    assert sorted(state for state in named if state != "rejected") == ["completed"]
    assert len(vendor.creates()) == 2


async def comes_back(client: Redis, number: int) -> bool:
    """Say whether a key holds its own number, asked by a call of its own or twice in a pipeline."""
    name, expected = f"{{a}}{number}", str(number).encode()
    if number % 2:
        return bool(await client.get(name) == expected)
    async with client.pipeline(transaction=False) as pipe:
        return bool(await pipe.get(name).get(name).execute() == [expected, expected])


async def cut_off(call: asyncio.Task[bool], chance: random.Random, right: list[bool]) -> bool:
    """Cancel a call somewhere on its way; says whether the cancellation was heeded."""
    await asyncio.sleep(chance.choice((0, chance.uniform(0, 0.005))))
    for _ in range(chance.randrange(20)):
        await asyncio.sleep(0)
    was_cut_off = call.cancel()
    with suppress(asyncio.CancelledError):
        right.append(await call)
    return was_cut_off == call.cancelled()


async def test_of_10_000_cancelled_calls_none_leaves_its_reply_to_another(
    form: str, target: RedisServer
) -> None:
    """A quarter of them by each kind of client, cut off within five milliseconds."""
    chance, count = random.Random(form), CALLS // len(FORMS)
    right: list[bool] = []
    async with relayed(form, target) as (url, relay), client_of(url) as client:
        await client.mset({f"{{a}}{number}": number for number in range(count)})
        relay.reply_delay_s = lambda: chance.choice((0.0, 0.0, 0.001))
        async with asyncio.TaskGroup() as calls:
            for first in range(0, count, AT_ONCE):
                numbers = range(first, min(first + AT_ONCE, count))
                tasks = [calls.create_task(comes_back(client, number)) for number in numbers]
                heeded = await asyncio.gather(*(cut_off(task, chance, right) for task in tasks))
                assert all(heeded)
        relay.reply_delay_s = lambda: 0.0
        answered = len(right)
        right += [await comes_back(client, number) for number in range(20)]

    assert all(right)
    assert 0 < answered < count


async def test_of_many_connections_that_died_in_silence_one_call_is_lost(
    form: str, target: RedisServer
) -> None:
    """By every kind of client: once one is found dead, none that was made before it is trusted."""
    async with relayed(form, target) as (url, relay), client_of(url, SOON_S) as client:
        await client.mset({f"{{a}}{number}": number for number in range(AT_ONCE)})
        relay.reply_delay_s = lambda: SOON_S / 10
        assert all(await asyncio.gather(*(comes_back(client, n) for n in range(AT_ONCE))))
        relay.reply_delay_s = lambda: 0.0

        relay.fall_silent()
        await relay.speak_again()
        with pytest.raises(RedisTimeoutError):
            await comes_back(client, 1)

        assert all(await asyncio.gather(*(comes_back(client, n) for n in range(AT_ONCE))))
