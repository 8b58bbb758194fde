"""The vendor has answered and the store has not: the outcome is kept until it can be written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from app.clock import HeldClock
from app.flows.recording import RECORD_PATIENCE_MS
from tests.flows.watching import comes_to, reaches, reason_of, sends_end, task_in
from tests.support.auditor import read_books
from tests.support.bed import Bed, open_bed, settings_for
from tests.support.redis_server import RedisServer, Relay
from tests.support.vendor import Vendor
from tests.support.wait import wait_until

OUTCOMES: list[tuple[str | None, int, str]] = [
    (None, 200, "submitted"),
    ("status", 503, "rejected"),
    ("commit_then_status", 200, "in_doubt"),
]
"""What the vendor does, what the caller is told, and the state the task comes to."""


@pytest.fixture(scope="module")
def durable() -> Iterator[RedisServer]:
    """A server that may be killed and started again, and keeps what it acknowledged."""
    with RedisServer(durable=True) as running:
        yield running


@pytest.fixture
def server(durable: RedisServer) -> RedisServer:
    """That server, empty."""
    durable.flush()
    return durable


@pytest.fixture
def store_url(server: RedisServer) -> str:
    """Its books must be right in the end."""
    return server.url


@pytest.fixture
async def mortal_bed(
    server: RedisServer, vendor: Vendor, clock: HeldClock, tmp_path: Path
) -> AsyncIterator[Bed]:
    """A gateway whose store may die."""
    async with open_bed(settings_for(server.url, tmp_path, vendor.url), clock, vendor) as bed:
        yield bed


@pytest.fixture
async def relayed_bed(
    server: RedisServer, vendor: Vendor, clock: HeldClock, tmp_path: Path
) -> AsyncIterator[tuple[Bed, Relay]]:
    """A gateway that may lose replies of its store, which knows all scripts already."""
    async with Relay(server) as relay:
        url = f"unix://{relay.socket_path}"
        async with open_bed(settings_for(url, tmp_path, vendor.url), clock, vendor) as bed:
            key = await bed.key("globex")
            for fault, _, _ in OUTCOMES:
                if fault:
                    vendor.fault(fault, times=1)
                await bed.create(key)
            yield bed, relay


async def answered(vendor: Vendor) -> None:
    """Wait until the vendor has sent an answer to a create."""
    await wait_until(
        lambda: any(entry["answer_status"] for entry in vendor.creates()),
        describing="the vendor's answer",
    )


async def test_an_answer_that_came_while_the_store_was_away_is_recorded_later(
    mortal_bed: Bed, server: RedisServer, vendor: Vendor
) -> None:
    """The store dies during the send and comes back: the caller gets the task, once made."""
    key = await mortal_bed.key()
    vendor.fault("delay", ms=150)

    async with asyncio.TaskGroup() as callers:
        creating = callers.create_task(mortal_bed.create(key))
        await reaches(vendor)
        server.kill()
        await answered(vendor)
        server.restart()

    assert (await mortal_bed.stored(task_in(creating.result())))["state"] == "submitted"
    assert len(vendor.creates()) == 1


@pytest.fixture
async def hurried_bed(
    server: RedisServer, vendor: Vendor, clock: HeldClock, tmp_path: Path
) -> AsyncIterator[Bed]:
    """A gateway that answers a create within a second, whatever it knows by then."""
    settings = settings_for(server.url, tmp_path, vendor.url)
    settings = settings.model_copy(update={"create_answer_s": 1.0})
    async with open_bed(settings, clock, vendor) as bed:
        yield bed


async def test_an_outcome_outlasts_any_failover(
    hurried_bed: Bed, server: RedisServer, vendor: Vendor
) -> None:
    """The caller is told to ask again; the vendor's word is kept, and written down in the end."""
    bed, key = hurried_bed, await hurried_bed.key()
    vendor.fault("delay", ms=150)

    async with asyncio.TaskGroup() as callers:
        creating = callers.create_task(bed.create(key, idempotency_key="one"))
        await reaches(vendor)
        server.kill()
        await answered(vendor)
    bed.clock.advance_ms(300_000)
    server.restart()
    await sends_end(bed)

    (task,) = read_books(server.url).tasks.values()
    assert reason_of(creating.result()) == "store_unavailable"
    assert task["state"] == "submitted"
    assert len(vendor.creates()) == 1


async def test_a_store_that_stays_away_for_good_leaves_a_doubt_and_a_trace(
    hurried_bed: Bed, server: RedisServer, vendor: Vendor, capsys: pytest.CaptureFixture[str]
) -> None:
    """The log names the vendor's id at once, for an operator; what was sent is not sent again."""
    bed, key = hurried_bed, await hurried_bed.key()
    vendor.fault("delay", ms=150)

    async with asyncio.TaskGroup() as callers:
        creating = callers.create_task(bed.create(key, idempotency_key="one"))
        await reaches(vendor)
        server.kill()
        await answered(vendor)
    bed.clock.advance_ms(RECORD_PATIENCE_MS + 1)
    await sends_end(bed)
    server.restart()
    await bed.pass_time(600)
    replay = await bed.create(key, idempotency_key="one")

    (made,) = [entry["created_task_id"] for entry in vendor.creates()]
    assert reason_of(creating.result()) == "store_unavailable"
    assert (await bed.stored(task_in(replay)))["state"] == "in_doubt"
    assert f'"vendor_id": "{made}"' in capsys.readouterr().out


@pytest.mark.parametrize(("fault", "status", "state"), OUTCOMES)
async def test_an_outcome_whose_record_had_no_reply_is_recorded_once(
    relayed_bed: tuple[Bed, Relay], store_url: str, fault: str | None, status: int, state: str
) -> None:
    """The change was made and its reply lost: it is offered again, and changes nothing more."""
    bed, relay = relayed_bed
    key = await bed.key()
    if fault:
        bed.vendor.fault(fault, times=1)
    sent = len(bed.vendor.creates())

    relay.fatal_word = b":polls"
    answer = await bed.create(key)

    books = read_books(store_url)
    assert relay.fatal_word is None
    assert answer.status_code == status
    assert [task["state"] for task in books.tasks.values() if task["tenant"] == "acme"] == [state]
    assert len(bed.vendor.creates()) == sent + 1


async def test_an_admission_whose_reply_was_lost_is_taken_back(
    relayed_bed: tuple[Bed, Relay],
) -> None:
    """Nothing was sent, so slot, hold and key are free again; a repetition creates the task."""
    bed, relay = relayed_bed
    key = await bed.key(tasks_in_flight=1, credits_per_day="0.1")
    sent = len(bed.vendor.creates())

    relay.fatal_word = b":request:"
    lost = await bed.create(key, idempotency_key="one")
    await sends_end(bed)
    again = await bed.create(key, idempotency_key="one")

    assert (lost.status_code, reason_of(lost)) == (503, "store_unavailable")
    assert "idempotency-replayed" not in again.headers
    await comes_to(bed, task_in(again), "submitted")
    assert len(bed.vendor.creates()) == sent + 1
