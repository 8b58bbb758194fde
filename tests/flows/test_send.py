"""Sends: what the vendor's answer, or its silence, makes of a task and of the caller's money."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import pytest

from app.clock import HeldClock
from app.errors import NoVendorCapacity
from app.flows.send import SEND_ATTEMPTS
from app.sandbox import SandboxOptions
from app.sandbox.server import running_sandbox
from app.store.keys import Shard
from tests.conftest import OpenBed
from tests.flows.watching import comes_to, reason_of, task_in
from tests.support.bed import Bed, character, open_bed, settings_for
from tests.support.redis_server import free_port
from tests.support.vendor import Vendor

PRICE = 100_000
HOUR_S = 3600.0

AMBIGUOUS: list[tuple[str, dict[str, Any]]] = [
    *[("commit_then_status", {"status": status}) for status in (408, 418, 500, 502, 503, 504)],
    ("reject_then_status", {"status": 500}),
    ("commit_then_hang", {}),
    ("hang", {}),
    ("slow_drip", {"interval_ms": 50}),
    ("commit_then_reset", {}),
    ("reset", {}),
    ("commit_then_close", {}),
    ("close", {}),
    ("truncated", {}),
    ("truncated", {"bytes": 0}),
    ("malformed", {}),
    ("html", {}),
    ("html", {"status": 400}),
    ("html", {"status": 502}),
    *[("wrong_type", {"kind": kind}) for kind in ("list", "string", "number", "null", "boolean")],
    ("missing_id", {}),
    *[
        ("bad_id", {"kind": kind})
        for kind in ("traversal", "crlf", "long", "empty", "number", "null", "foreign")
    ],
    ("huge", {"mib": 2}),
    ("gzip_bomb", {"mib": 1}),
    ("redirect", {"status": 302}),
    ("redirect", {"status": 307}),
]
"""Ways to leave open whether the vendor has created the task."""

SILENT = ("commit_then_hang", "hang", "slow_drip")
"""Those that end with our own deadline."""


async def ids_in_store(bed: Bed) -> list[str]:
    """Return the ids of all tasks that were ever recorded."""
    names = [raw async for raw in bed.gateway.store.redis.scan_iter(match="rg:{s*}:task:*")]
    return [name.decode().rpartition(":")[2] for name in names]


async def in_flight(bed: Bed) -> int:
    """Return how many slots of the tenant are taken."""
    return int(await bed.gateway.store.redis.scard(Shard.of("acme").slots("acme", "live")))


@pytest.mark.parametrize(("mode", "params"), AMBIGUOUS)
async def test_what_may_have_been_created_is_kept_in_doubt_and_never_sent_again(
    open_gateway_bed: OpenBed, vendor: Vendor, mode: str, params: dict[str, Any]
) -> None:
    """The caller is told `pending`; the hold stays; an hour later there is still one POST."""
    deadline_s = 0.2 if mode in SILENT else 10
    async with open_gateway_bed(vendor={"submit_timeout_s": deadline_s}) as bed:
        key = await bed.key(tasks_in_flight=2)
        vendor.fault(mode, times=1, **params)

        answer = await bed.create(key, idempotency_key="one")
        await bed.pass_time(HOUR_S)
        replay = await bed.create(key, idempotency_key="one")

        task_id = task_in(answer)
        assert answer.json()["status"] == "pending"
        assert replay.content == answer.content
        assert (await bed.stored(task_id))["state"] == "in_doubt"
        assert (await bed.read(key, task_id)).content == answer.content
        assert (await bed.usage())["held"] == PRICE
        assert await in_flight(bed) == 0
        assert len(vendor.creates()) == 1


@pytest.mark.parametrize(
    ("status", "shown", "reason"),
    [
        (400, 400, "vendor_refused"),
        (404, 404, "vendor_refused"),
        (413, 413, "vendor_refused"),
        (415, 415, "vendor_refused"),
        (422, 400, "vendor_refused"),
        (409, 502, "upstream_rejected"),
        (401, 503, "no_vendor_capacity"),
        (402, 503, "no_vendor_capacity"),
        (403, 503, "no_vendor_capacity"),
        (429, 503, "no_vendor_capacity"),
    ],
)
async def test_a_definite_refusal_is_answered_and_leaves_nothing_behind(
    bed: Bed, status: int, shown: int, reason: str
) -> None:
    """Hold and slot are free at once, the id is unknown, and the vendor was asked once."""
    key = await bed.key(tasks_in_flight=1, credits_per_day="0.1")
    bed.vendor.fault("status", times=1, status=status)

    answer = await bed.create(key)

    (task_id,) = await ids_in_store(bed)
    assert (answer.status_code, reason_of(answer)) == (shown, reason)
    assert (await bed.stored(task_id))["state"] == "rejected"
    assert (await bed.read(key, task_id)).status_code == 404
    assert (await bed.usage())["held"] == 0
    assert await in_flight(bed) == 0
    assert len(bed.vendor.creates()) == 1
    assert (await bed.create(key)).status_code == 200


@pytest.mark.parametrize("status", [401, 402, 403, 429])
async def test_a_refusal_of_our_key_never_looks_like_the_callers_fault(
    bed: Bed, status: int
) -> None:
    """The vendor's words do not reach a tenant whose own key and credits are in order."""
    key = await bed.key()
    words = "Token quota exceeded for key, visit the dashboard"
    bed.vendor.fault("status", times=1, status=status, message=words, retry_after=7)

    answer = await bed.create(key)

    error = answer.json()["error"]
    assert error["message"] == NoVendorCapacity.default_message
    assert error["type"] == "service_unavailable_error"
    assert error.keys() == {"code", "message", "type", "reason", "request_id"}
    assert answer.headers["retry-after"] == "7"


async def test_a_refusal_after_the_answer_shows_as_a_failed_task(
    open_gateway_bed: OpenBed, vendor: Vendor
) -> None:
    """The caller was told 200, so it reads a failure, with the vendor's code and reason."""
    async with open_gateway_bed(create_answer_s=0.05) as bed:
        key = await bed.key(tasks_in_flight=1, credits_per_day="0.1")
        vendor.fault("delay", ms=500, times=1)
        answer = await bed.create(key, character("dance:1"), idempotency_key="one")
        task_id = task_in(answer)

        await comes_to(bed, task_id, "rejected")

        shown = (await bed.read(key, task_id)).json()
        assert shown == {
            **answer.json(),
            "status": "failed",
            "progress": 0,
            "usage": {**answer.json()["usage"], "credits_used": 0},
            "error": {
                "code": "invalid_parameters",
                "message": "Unknown sandbox word: 'dance'",
                "type": "task_error",
            },
        }
        replay = await bed.create(key, character("dance:1"), idempotency_key="one")
        assert replay.content == answer.content
        assert (await bed.usage())["held"] == 0
        assert (await bed.create(key)).status_code == 200


async def test_our_keys_refusal_after_the_answer_blames_the_service(
    open_gateway_bed: OpenBed, vendor: Vendor
) -> None:
    """A vendor key that does not work fails the task without saying why to the tenant."""
    async with open_gateway_bed(
        create_answer_s=0.05, vendor={"keys": "no-key-of-the-vendor"}
    ) as bed:
        key = await bed.key()
        vendor.fault("delay", ms=500, times=1)
        task_id = await bed.created(key)

        await comes_to(bed, task_id, "rejected")

        assert (await bed.read(key, task_id)).json()["error"] == {
            "code": "service_unavailable",
            "message": NoVendorCapacity.default_message,
            "type": "task_error",
        }


class PausingClock(HeldClock):
    """A held clock on which no wait takes time; it keeps count of them."""

    def __init__(self, now_ms: int) -> None:
        super().__init__(now_ms)
        self.pauses_ms: list[int] = []

    async def sleep_ms(self, duration_ms: int) -> None:
        """Count a wait and return."""
        self.pauses_ms.append(duration_ms)


async def test_a_dead_vendor_is_tried_a_few_times_and_then_everything_is_released(
    redis_url: str, vendor: Vendor, clock: HeldClock, tmp_path: Any
) -> None:
    """Nothing can have been created, so nothing is kept: slot, hold and key are free again."""
    pausing = PausingClock(clock.now_ms())
    settings = settings_for(redis_url, tmp_path, f"http://127.0.0.1:{free_port()}")
    async with open_bed(settings, pausing, vendor) as bed:
        key = await bed.key(tasks_in_flight=1, credits_per_day="0.1")

        answers = [await bed.create(key, idempotency_key="one") for _ in range(2)]

        assert [answer.status_code for answer in answers] == [503, 503]
        assert {reason_of(answer) for answer in answers} == {"vendor_unreachable"}
        assert int(answers[0].headers["retry-after"]) > 0
        assert len(pausing.pauses_ms) == 2 * (SEND_ATTEMPTS - 1)
        assert all(0 < pause_ms <= 500 for pause_ms in pausing.pauses_ms)
        assert (await bed.usage())["held"] == 0
        assert await in_flight(bed) == 0
        assert {(await bed.stored(each))["state"] for each in await ids_in_store(bed)} == {
            "rejected"
        }


async def test_a_vendor_that_is_back_in_time_gets_the_task_once(
    redis_url: str, vendor: Vendor, clock: HeldClock, tmp_path: Any
) -> None:
    """The second try reaches it, and the caller notices nothing."""
    port = free_port()

    class Awakening(PausingClock):
        """A clock whose first wait ends with a vendor that listens."""

        async def sleep_ms(self, duration_ms: int) -> None:
            """Start the vendor."""
            await super().sleep_ms(duration_ms)
            opened.append(running.enter_context(running_sandbox(SandboxOptions(), port=port)))

    opened: list[Any] = []
    awakening = Awakening(clock.now_ms())
    settings = settings_for(redis_url, tmp_path, f"http://127.0.0.1:{port}")
    with ExitStack() as running:
        async with open_bed(settings, awakening, vendor) as bed:
            answer = await bed.create(await bed.key())

            late_vendor = Vendor(opened[0].url)
            assert (await bed.stored(task_in(answer)))["state"] == "submitted"
            assert len(late_vendor.creates()) == len(opened) == 1
            late_vendor.close()


async def test_vendor_keys_are_taken_in_turn(open_gateway_bed: OpenBed, vendor: Vendor) -> None:
    """Each create goes out with the next key, and the task remembers which."""
    async with open_gateway_bed(vendor={"keys": "sk-first-key-1111,sk-second-key-2222"}) as bed:
        key = await bed.key()
        tasks = [await bed.created(key) for _ in range(4)]

        stored = [(await bed.stored(task_id))["vendor_key"] for task_id in tasks]

    sent_with = [entry["key"][-4:] for entry in vendor.creates()]
    assert sent_with == ["1111", "2222", "1111", "2222"]
    assert stored[0] == stored[2] != stored[1] == stored[3]


async def test_a_send_says_nothing_of_our_caller(bed: Bed) -> None:
    """The vendor sees the body, our key and a key for repetitions; no id, name or key of ours."""
    key = await bed.key("acme")
    task_id = await bed.created(key, idempotency_key="word-of-the-caller")

    (sent,) = bed.vendor.creates()

    assert sent["body"] == character()
    assert 16 <= len(sent["idempotency_key"]) <= 96
    for secret in (task_id, key, "acme", "word-of-the-caller"):
        assert secret not in str(sent)
