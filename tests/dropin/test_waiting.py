"""Programs that wait: how long for an answer, how often they ask, what they do at a refusal."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest

from app.settings import Settings
from tests.conftest import OpenBed
from tests.dropin.callers import Caller, Patience, is_it_charged
from tests.support.bed import CHARACTER, Bed, character
from tests.support.wait import wait_until

SHORTEST_CREATE_TIMEOUT_S = 25
SHORTEST_POLL_TIMEOUT_S = 10

COMMITTED: list[tuple[str, dict[str, Any]]] = [
    ("commit_then_reset", {}),
    ("commit_then_close", {}),
    ("commit_then_status", {"status": 500}),
    ("commit_then_status", {"status": 502}),
    ("commit_then_status", {"status": 503}),
    ("commit_then_status", {"status": 408}),
    ("malformed", {}),
    ("html", {"status": 200}),
    ("html", {"status": 403}),
    ("wrong_type", {}),
    ("truncated", {}),
    ("missing_id", {}),
]
"""What can go wrong once the vendor has made a task."""

REFUSED_BY_US: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a field is missing": ({}, {"model": "sora-character"}),
    "a field breaks a rule": ({}, {**CHARACTER, "timestamps": "0,9"}),
    "no credits are left": ({"credits_per_day": "0.05"}, CHARACTER),
    "no price is known": ({"credits_per_day": "5"}, {"model": "sora-2", "prompt": "a fox"}),
    "the model is for others": ({"models": ["veo3.1-fast-beta"]}, CHARACTER),
    "the model is unknown": ({}, {"model": "no-such-model"}),
    "there were too many": ({"creates_per_minute": 0}, CHARACTER),
    "there are too many": ({"tasks_in_flight": 0}, CHARACTER),
}
"""Limits of a tenant, and a create that it is refused."""


class LostAnswers(httpx2.AsyncBaseTransport):
    """A line that breaks when the first answer is on its way back."""

    def __init__(self, line: httpx2.AsyncBaseTransport) -> None:
        self._line = line
        self.lost = 0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Carry a request, and lose the answer to the first."""
        answer = await self._line.handle_async_request(request)
        if not self.lost:
            self.lost += 1
            await answer.aread()
            raise httpx2.ReadError("the connection was reset", request=request)
        return answer


def made(bed: Bed) -> int:
    """Return how many tasks the vendor has made."""
    return sum(entry["created_task_id"] is not None for entry in bed.vendor.creates())


def test_a_create_is_answered_before_the_most_impatient_program_leaves() -> None:
    """Their timeouts begin at 25 seconds; no setting can make the gateway wait longer."""
    longest = next(
        rule.le for rule in Settings.model_fields["create_answer_s"].metadata if hasattr(rule, "le")
    )

    assert Settings().create_answer_s < SHORTEST_CREATE_TIMEOUT_S
    assert longest <= SHORTEST_CREATE_TIMEOUT_S


async def test_a_slow_vendor_does_not_make_a_create_slow(open_gateway_bed: OpenBed) -> None:
    """The answer is a task to follow; what the vendor says later is found by polling it."""
    async with open_gateway_bed(create_answer_s=0.1) as bed:
        caller = Caller(bed.http, await bed.key())
        bed.vendor.fault("delay", ms=600)
        created = await caller.create(character("seconds:1"))
        (entry,) = bed.vendor.creates()
        bed.vendor.heal()
        task_id = created.json["id"]

        async def is_known() -> bool:
            return (await bed.stored(task_id))["state"] == "submitted"

        await wait_until(is_known, describing="the vendor's answer to be recorded")
        await bed.pass_time(5)
        ended = await caller.task(task_id)

    assert entry["answer_status"] is None, "the caller is answered while the vendor still thinks"
    assert (created.status, created.json["status"]) == (200, "pending")
    assert ended.json["status"] == "completed"


async def test_a_hanging_vendor_does_not_make_a_create_hang(open_gateway_bed: OpenBed) -> None:
    """Nor does it make a second one possible: the task is there, and is not sent again."""
    async with open_gateway_bed(create_answer_s=0.1, vendor={"submit_timeout_s": 1}) as bed:
        caller = Caller(bed.http, await bed.key())
        bed.vendor.fault("commit_then_hang")

        async with asyncio.timeout(SHORTEST_CREATE_TIMEOUT_S):
            created = await caller.create(CHARACTER)

        assert (created.status, created.json["status"]) == (200, "pending")
        assert (await bed.stored(created.json["id"]))["state"] == "sending"
        assert made(bed) == 1


async def test_a_hanging_vendor_does_not_make_a_poll_hang(bed: Bed, caller: Caller) -> None:
    """A read is answered from what is known."""
    task_id = (await caller.create(CHARACTER)).json["id"]
    bed.vendor.fault("hang", on="report")

    async with asyncio.timeout(SHORTEST_POLL_TIMEOUT_S):
        replies = [await caller.task(task_id) for _ in range(20)]

    assert {reply.status for reply in replies} == {200}


async def test_hundreds_of_polls_cost_the_vendor_a_few(open_gateway_bed: OpenBed) -> None:
    """A program asks every 1.5 seconds for a task of 40 minutes; the vendor is asked every 30."""
    poll = {"first_delay_s": 15, "min_interval_s": 5, "max_interval_s": 30}
    async with open_gateway_bed(poll=poll) as bed:
        caller = Caller(bed.http, await bed.key())
        prompt = {"model": "happyhorse-1.0-text-to-video", "prompt": "a fox [sandbox seconds:2400]"}
        created = await caller.create(prompt)
        shown = []
        for _ in range(40):
            shown += [(await caller.task(created.json["id"])) for _ in range(20)]
            await bed.pass_time(30)

    assert created.json["task_info"]["estimated_time"] == 2400
    assert {reply.status for reply in shown} == {200}
    assert shown[-1].json["status"] == "processing"
    assert len(bed.vendor.reads()) <= 40


@pytest.mark.parametrize("period_s", [1.5, 2, 3, 5, 6, 8, 10, 15, 20])
async def test_whatever_its_period_a_program_sees_the_end(
    bed: Bed, caller: Caller, period_s: float
) -> None:
    """And sees it once for all: what has ended stays ended."""
    task_id = (await caller.create(character("seconds:30"))).json["id"]
    seen = []

    for _ in range(int(60 / period_s) + 1):
        seen.append((await caller.task(task_id)).json["status"])
        await bed.pass_time(period_s)

    assert sorted(set(seen), key=seen.index)[-1] == "completed"
    assert seen == sorted(seen, key=["pending", "processing", "completed"].index)


async def test_a_program_that_waits_as_told_gets_through(bed: Bed) -> None:
    """429 says in how many seconds a create passes, and then it does."""
    caller = Caller(bed.http, await bed.key(creates_per_minute=4))
    patience = Patience(caller, bed.pass_time)
    for _ in range(4):
        assert (await caller.create(CHARACTER)).ok

    reply = await patience.send("POST", "/videos/generations", CHARACTER)

    assert reply.ok
    assert patience.paused_s == [15]
    assert made(bed) == 5


async def test_a_program_that_polls_too_often_gets_through(bed: Bed) -> None:
    """429 on a read says in how many seconds the next passes; the task goes on meanwhile."""
    caller = Caller(bed.http, await bed.key(reads_per_second=1))
    patience = Patience(caller, bed.pass_time)
    task_id = (await caller.create(character("seconds:60"))).json["id"]

    replies = [await patience.send("GET", f"/tasks/{task_id}") for _ in range(3)]

    assert [reply.status for reply in replies] == [200, 200, 200]
    assert patience.paused_s == [1, 1]


@pytest.mark.parametrize("status", [401, 402, 403, 429])
async def test_a_program_that_tries_again_pays_once(bed: Bed, caller: Caller, status: int) -> None:
    """The vendor refuses the gateway's key for a moment: a 503 to wait out, and one task."""
    bed.vendor.fault("status", status=status, times=1)
    patience = Patience(caller, bed.pass_time)

    reply = await patience.send(
        "POST", "/videos/generations", CHARACTER, Idempotency_Key="order-4711-0000-0001"
    )

    assert reply.ok
    assert len(patience.paused_s) == 1
    assert made(bed) == 1


async def test_a_program_whose_line_broke_pays_once(bed: Bed) -> None:
    """It repeats under the same name, and gets the first answer."""
    line = LostAnswers(httpx2.ASGITransport(app=bed.app))
    async with httpx2.AsyncClient(transport=line) as http:
        patience = Patience(Caller(http, await bed.key()), bed.pass_time)
        reply = await patience.send(
            "POST", "/videos/generations", CHARACTER, Idempotency_Key="order-4711-0000-0001"
        )

    assert line.lost == 1
    assert reply.ok
    assert reply.headers["idempotency-replayed"] == "true"
    assert made(bed) == 1


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 410, 429, 500, 502, 503])
async def test_a_poll_does_not_fail_because_the_vendors_does(
    bed: Bed, caller: Caller, status: int
) -> None:
    """Some give a task up at the first poll that is no 200, and take 404 and 410 for its loss."""
    task_id = (await caller.create(character("seconds:1"))).json["id"]
    bed.vendor.fault("status", on="report", status=status, times=2)

    meanwhile = []
    for _ in range(2):
        await bed.pass_time(40)
        meanwhile.append((await caller.task(task_id)).json["status"])
    await bed.pass_time(40)

    assert meanwhile == ["pending", "pending"]
    assert (await caller.task(task_id)).json["status"] == "completed"


async def test_a_task_the_vendor_has_lost_is_not_lost_here(bed: Bed, caller: Caller) -> None:
    """It stays as it was: 404 is for ids that were never given out, or long ago."""
    task_id = (await caller.create(character("seconds:60,lost:20"))).json["id"]

    for _ in range(5):
        await bed.pass_time(15)
        assert (await caller.task(task_id)).ok


@pytest.mark.parametrize(("mode", "params"), COMMITTED, ids=str)
async def test_no_program_believes_that_nothing_was_made_where_something_was(
    bed: Bed, caller: Caller, mode: str, params: dict[str, Any]
) -> None:
    """400, 401, 402 and 403 mean `not charged` to programs; here a task was made."""
    bed.vendor.fault(mode, **params)

    reply = await caller.create(CHARACTER)

    assert made(bed) == 1
    assert is_it_charged(reply.status) == "task"
    assert reply.json["id"].startswith("task-unified-")


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 413, 415, 422, 429])
async def test_no_program_is_told_of_a_task_that_was_not_made(
    bed: Bed, caller: Caller, status: int
) -> None:
    """The vendor refused, whatever its reason: no id is given, and none of the four lies."""
    bed.vendor.fault("status", status=status)

    reply = await caller.create(CHARACTER)

    assert made(bed) == 0
    assert is_it_charged(reply.status) in ("nothing", "unknown")
    assert "id" not in reply.json


@pytest.mark.parametrize("why", REFUSED_BY_US)
async def test_what_the_gateway_refuses_the_vendor_never_hears_of(bed: Bed, why: str) -> None:
    """Whatever status it has, nothing was created and nothing is charged."""
    limits, body = REFUSED_BY_US[why]
    caller = Caller(bed.http, await bed.key(**limits))

    reply = await caller.create(body)

    assert 400 <= reply.status < 500
    assert bed.vendor.journal() == []
    assert (await bed.usage()).get("held", 0) == 0


async def test_a_program_with_a_wrong_key_creates_nothing(bed: Bed) -> None:
    """401, which programs take for `nothing was created`."""
    reply = await Caller(bed.http, "sk-evo-0000000000").create(CHARACTER)

    assert is_it_charged(reply.status) == "nothing"
    assert bed.vendor.journal() == []
