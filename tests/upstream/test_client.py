"""Asking the vendor over real HTTP: one send each, a true outcome, within its deadline and size."""

from __future__ import annotations

import asyncio
import re

import pytest

from app.upstream.client import idempotency_key_of
from app.upstream.wire import Ambiguous, NotSent, Refused, Reported, Started
from tests.domain.samples import TASK_ID
from tests.support.fault_server import Fault, FaultServer
from tests.support.redis_server import free_port
from tests.support.vendor import CREATE_PATH, VENDOR_KEY, Vendor
from tests.support.wait import wait_until
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

MIB = 2**20
REFUSALS = (400, 401, 402, 403, 404, 409, 413, 415, 422, 429)


@pytest.fixture
def task_id() -> str:
    """A task of its own for each test."""
    return new_task_id()


@pytest.mark.parametrize(("mode", "params"), WITHIN_THE_DEADLINE)
async def test_a_create_that_goes_wrong_is_in_doubt_and_sent_once(
    vendor: Vendor, task_id, mode, params
):
    """Whether or not the vendor acted: no second send, no held connection, no guess."""
    vendor.fault(mode, **params)

    async with opened(vendor.url) as open_client:
        outcome = await open_client.client.submit(BODY, task_id, KEY)

        assert open_client.in_flight == 0
    assert type(outcome) is (Started if mode in NO_DOUBT else Ambiguous)
    assert len(vendor.creates()) == len(vendor.journal()) == 1
    assert CANARY not in repr(outcome)


@pytest.mark.parametrize(("mode", "params"), PAST_THE_DEADLINE)
async def test_a_create_without_an_end_is_in_doubt_at_its_deadline(
    vendor: Vendor, task_id, mode, params
):
    """Silence and a trickle of bytes alike: the deadline is for the whole call."""
    vendor.fault(mode, **params)

    async with opened(vendor.url, timeout_s=SHORT_S) as open_client:
        outcome, took_s = await timed(open_client.client.submit(BODY, task_id, KEY))

        assert open_client.in_flight == 0
    assert outcome == Ambiguous("TimeoutError")
    assert SHORT_S * 0.9 <= took_s < SHORT_S + SLACK_S
    assert len(vendor.creates()) == 1


async def test_an_honest_create_is_started(vendor: Vendor, task_id):
    """With the vendor's id and the whole report."""
    async with opened(vendor.url) as open_client:
        outcome = await open_client.client.submit(BODY, task_id, KEY)

    assert isinstance(outcome, Started)
    [create] = vendor.creates()
    assert outcome.vendor_id == create["created_task_id"] == outcome.report["id"]
    assert outcome.report["usage"]["credits_reserved"] == 0.1


@pytest.mark.parametrize(("mode", "params"), [case("delay", ms=50), case("bad_id", kind="other")])
async def test_an_unusual_answer_in_good_form_is_a_start(vendor: Vendor, task_id, mode, params):
    """A late one, and one with an id we have not seen the vendor mint."""
    vendor.fault(mode, **params)

    async with opened(vendor.url) as open_client:
        outcome = await open_client.client.submit(BODY, task_id, KEY)

    assert isinstance(outcome, Started)
    assert len(vendor.creates()) == 1


@pytest.mark.parametrize("status", REFUSALS)
@pytest.mark.parametrize("generation", ["integer", "string"])
async def test_a_refusal_in_good_form_is_one(vendor: Vendor, task_id, status, generation):
    """In either of the vendor's two ways, with its message and how long to wait."""
    params = {"status": status, "generation": generation, "message": "No.", "retry_after": 7}
    vendor.fault("status", **params)

    async with opened(vendor.url) as open_client:
        outcome = await open_client.client.submit(BODY, task_id, KEY)

    assert outcome == Refused(status, "No.", None, 7)
    assert len(vendor.creates()) == 1


@pytest.mark.parametrize("wait", ["9" * 5000, "Wed, 21 Oct 2026 07:28:00 GMT", "-1"])
async def test_an_odd_wait_spoils_no_refusal(vendor: Vendor, task_id, wait):
    """The call raises nothing, whatever the header holds."""
    vendor.fault("status", status=429, retry_after=wait)

    async with opened(vendor.url) as open_client:
        outcome = await open_client.client.submit(BODY, task_id, KEY)

    assert isinstance(outcome, Refused)
    assert outcome.retry_after_s in (None, 300)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(vendor: Vendor, task_id, status):
    """Not even to the vendor itself: a second POST would be a second task."""
    vendor.fault("redirect", status=status, location=f"{vendor.url}{CREATE_PATH}", times=1)

    async with opened(vendor.url) as open_client:
        outcome = await open_client.client.submit(BODY, task_id, KEY)

    assert outcome == Ambiguous(f"status {status}")
    assert len(vendor.journal()) == 1


async def test_a_dead_port_is_not_sent_to(task_id):
    """Nothing listens, so nothing was sent, and it may be tried again."""
    async with opened(f"http://127.0.0.1:{free_port()}") as open_client:
        outcome = await open_client.client.submit(BODY, task_id, KEY)

        assert open_client.in_flight == 0
    assert isinstance(outcome, NotSent)
    assert CANARY not in repr(outcome)


async def test_cancellation_passes(vendor: Vendor, task_id):
    """Whoever gives up waiting is not answered with an outcome; the connection is let go."""
    vendor.fault("commit_then_hang")

    async with opened(vendor.url) as open_client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(SHORT_S):
                await open_client.client.submit(BODY, task_id, KEY)

        assert open_client.in_flight == 0
    assert len(vendor.creates()) == 1


@pytest.mark.parametrize("mode", ["huge", "gzip_bomb"])
async def test_an_answer_without_end_is_left_unread(vendor: Vendor, task_id, mode):
    """The vendor notices: it cannot send a gibibyte to somebody who hung up."""
    vendor.fault(mode, mib=1024)

    async with opened(vendor.url) as open_client:
        outcome = await open_client.client.submit(BODY, task_id, KEY)

    assert outcome == Ambiguous("AnswerTooLong")
    assert vendor.creates()[0]["answer_status"] is None


async def test_memory_is_bounded_by_the_cap(task_id):
    """Of a flood no more is taken off the wire than buffers of a fixed size hold."""
    async with FaultServer(Fault.FLOOD) as server, opened(server.url) as open_client:
        outcome = await open_client.client.submit(BODY, task_id, KEY)

        assert outcome == Ambiguous("AnswerTooLong")
        await wait_until(
            lambda: not server.connections_open, describing="the server to see the hang-up"
        )
    assert server.flooded_bytes < 16 * MIB


@pytest.mark.parametrize(("spare_bytes", "is_read"), [(-1, False), (0, True), (1, True)])
async def test_the_cap_is_exact(task_id, spare_bytes, is_read):
    """An answer of just the largest size is read to its end."""
    cap = len(b'{"request": 1}') + spare_bytes

    async with FaultServer() as server, opened(server.url, max_answer_bytes=cap) as open_client:
        outcome = await open_client.client.submit(BODY, task_id, KEY)

    assert (outcome != Ambiguous("AnswerTooLong")) == is_read


async def test_what_is_sent_is_the_body_and_the_documented_headers(task_id):
    """Byte for byte, under the vendor key, asking for plain JSON; nothing else goes along."""
    body = '{"model":"sora-character","n":1.50,"x":1e2}'

    async with FaultServer() as server, opened(server.url) as open_client:
        await open_client.client.submit(body, task_id, KEY)

    [seen] = server.seen
    headers = {name.lower(): value for name, value in seen.headers}
    assert seen.line == f"POST {CREATE_PATH} HTTP/1.1"
    assert seen.body == body.encode()
    assert headers.pop("user-agent").startswith("reelgate/")
    assert headers == {
        "host": f"127.0.0.1:{server.port}",
        "authorization": f"Bearer {VENDOR_KEY}",
        "accept": "application/json",
        "accept-encoding": "identity",
        "connection": "keep-alive",
        "content-type": "application/json",
        "content-length": str(len(body)),
        "idempotency-key": idempotency_key_of(task_id),
    }


def test_the_key_of_a_send_follows_from_the_task():
    """A resend carries the same one; it fits the vendor's alphabet and tells nothing of our id."""
    key = idempotency_key_of(TASK_ID)

    assert key == idempotency_key_of(TASK_ID)
    assert key != idempotency_key_of(TASK_ID[:-1] + "x")
    assert re.fullmatch(r"[A-Za-z0-9._-]{16,96}", key)
    assert TASK_ID[-25:] not in key


async def test_the_vendor_key_is_in_nothing_that_can_be_printed(vendor: Vendor, task_id):
    """Not in the client or what it holds, and not in a refusal that repeats it."""
    vendor.fault("status", status=401, message=f"Incorrect API key provided: {VENDOR_KEY}")

    async with opened(vendor.url) as open_client:
        outcome = await open_client.client.submit(BODY, task_id, KEY)

        held = (open_client.client, open_client.client.keys, open_client.client.limits, KEY)
        printed = [f"{part!r} {part}" for part in (*held, outcome)]
    assert [text for text in printed if CANARY in text] == []


async def test_an_answer_that_repeats_the_key_is_not_printed():
    """A report may hold anything; what is logged of it is chosen field by field."""
    started = Started("task-unified-1-x", {"debug": f"Bearer {VENDOR_KEY}"})
    reported = Reported({"debug": f"Bearer {VENDOR_KEY}"})

    assert CANARY not in f"{started!r} {started} {reported!r} {reported}"
