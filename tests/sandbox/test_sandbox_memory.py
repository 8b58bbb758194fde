"""What the HTTP form remembers: idempotency keys, the balance, the task list, the clock."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from app.sandbox import SandboxOptions, create_sandbox
from tests.sandbox.asking import CHARACTER, CREATE, ManualClock, character, in_process

IDEMPOTENT = {"Idempotency-Key": "a-key-of-sixteen-characters"}


@pytest.fixture
def clock() -> ManualClock:
    """The time outside the sandbox."""
    return ManualClock()


@pytest.fixture
async def vendor(clock: ManualClock):
    """A sandbox of the HTTP form with nothing in it, asked in process."""
    app = create_sandbox(SandboxOptions(balance_credits="10"), now_ms=clock)
    async with in_process(app) as client:
        yield client


async def create(vendor: httpx2.AsyncClient, scenario: str = "", **fields: Any) -> str:
    """Create a task."""
    answer = await vendor.post(CREATE, json=character(scenario, **fields))
    task_id: str = answer.raise_for_status().json()["id"]
    return task_id


async def test_a_repeated_creation_gets_the_first_task(vendor, clock):
    """Same key, same body: the same answer and a header that says so."""
    first = await vendor.post(CREATE, json=CHARACTER, headers=IDEMPOTENT)
    clock.now_ms += 5000
    reordered = dict(reversed(CHARACTER.items()))
    again = await vendor.post(CREATE, json=reordered, headers=IDEMPOTENT)

    assert again.json() == first.json()
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    entries = (await vendor.get("/_sandbox/journal")).json()["entries"]
    assert [bool(entry["created_task_id"]) for entry in entries] == [True, False]
    assert [entry["idempotency_replayed"] for entry in entries] == [False, True]


async def test_another_body_under_the_same_key_is_a_conflict(vendor):
    """The code is the word the vendor's client knows."""
    await vendor.post(CREATE, json=CHARACTER, headers=IDEMPOTENT)

    answer = await vendor.post(CREATE, json=character(timestamps="0,1"), headers=IDEMPOTENT)

    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "idempotency_conflict"


async def test_another_vendor_key_has_idempotency_keys_of_its_own(vendor):
    """Two accounts may use the same word."""
    other = IDEMPOTENT | {"authorization": "Bearer sk-other"}

    answers = [
        await vendor.post(CREATE, json=CHARACTER, headers=headers)
        for headers in (IDEMPOTENT, other)
    ]

    assert answers[0].json()["id"] != answers[1].json()["id"]


async def test_a_refusal_is_not_remembered(vendor):
    """After a slip the same key may be used with the right body."""
    await vendor.post(CREATE, json={"model": "sora-99"}, headers=IDEMPOTENT)

    answer = await vendor.post(CREATE, json=CHARACTER, headers=IDEMPOTENT)

    assert answer.status_code == 200


async def test_an_idempotency_key_of_another_shape_is_refused(vendor):
    """Sixteen to ninety-six characters are known to be accepted."""
    answer = await vendor.post(CREATE, json=CHARACTER, headers={"Idempotency-Key": "short"})

    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "Idempotency-Key"


async def test_a_creation_whose_answer_was_lost_is_found_by_its_key(vendor):
    """The task exists; sending the same again returns it and creates nothing."""
    await vendor.put("/_sandbox/faults/lost", json={"mode": "commit_then_status", "times": 1})
    lost = await vendor.post(CREATE, json=CHARACTER, headers=IDEMPOTENT)

    again = await vendor.post(CREATE, json=CHARACTER, headers=IDEMPOTENT)

    assert (lost.status_code, again.status_code) == (500, 200)
    entries = (await vendor.get("/_sandbox/journal")).json()["entries"]
    assert entries[0]["created_task_id"] == again.json()["id"]


async def test_only_finished_tasks_are_paid_for(vendor, clock):
    """The balance falls when a task completes, by what the query says it cost."""
    await create(vendor, "seconds:5,credits:2.5")
    await create(vendor, "seconds:5,outcome:failed")
    await create(vendor, "seconds:60")

    before = (await vendor.get("/v1/credits")).json()
    clock.now_ms += 5000
    after = (await vendor.get("/v1/credits")).json()

    assert before["data"]["user"] == {"remaining_credits": 10, "used_credits": 0}
    assert after == {
        "data": {
            "token": {"remaining_credits": 7.5, "used_credits": 2.5, "unlimited_credits": False},
            "user": {"remaining_credits": 7.5, "used_credits": 2.5},
        },
        "message": "",
        "success": True,
    }


async def test_tasks_are_listed_newest_first(vendor, clock):
    """Lines have no links, and a filter for what runs means the waiting ones too."""
    done = await create(vendor, "seconds:1")
    failed = await create(vendor, "seconds:1,outcome:failed")
    waiting = await create(vendor, "seconds:60")
    clock.now_ms += 2000

    page = (await vendor.get("/v1/tasks?page_size=2")).json()

    assert [item["id"] for item in page["data"]] == [waiting, failed]
    assert (page["total"], page["page"], page["page_size"]) == (3, 1, 2)
    [item] = (await vendor.get("/v1/tasks?status=completed&type=video")).json()["data"]
    assert item == {
        "id": done,
        "status": "completed",
        "model": "sora-character",
        "type": "video",
        "progress": 100,
        "created_at": 1767917446,
        "has_results": True,
        "has_error": False,
        "credits_used": 0.1,
    }
    [item] = (await vendor.get("/v1/tasks?status=processing")).json()["data"]
    assert item["status"] == "pending"
    assert (await vendor.get("/v1/tasks?model=sora-2")).json()["total"] == 0
    assert (await vendor.get("/v1/tasks?page=2&page_size=2")).json()["data"][0]["id"] == done


@pytest.mark.parametrize("query", ["page=0", "page=x", "page_size=101", "status=odd"])
async def test_a_list_that_makes_no_sense_is_refused(vendor, query):
    """The field is named."""
    answer = await vendor.get(f"/v1/tasks?{query}")

    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == query.partition("=")[0]


async def test_a_batch_leaves_out_what_is_unknown(vendor):
    """The others are answered as a query would."""
    task_id = await create(vendor)

    wanted = [task_id, "task-unified-1767917446-unknown1", "abc"]
    batch = (await vendor.post("/v1/tasks/batch", json={"task_ids": wanted})).json()

    assert batch == {"data": [(await vendor.get(f"/v1/tasks/{task_id}")).json()]}


@pytest.mark.parametrize("wanted", [None, [], "x", [1], ["x"] * 51])
async def test_a_batch_is_of_one_to_fifty_ids(vendor, wanted):
    """Anything else is refused."""
    answer = await vendor.post("/v1/tasks/batch", json={"task_ids": wanted})

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "task_ids")


async def test_the_models_are_listed_by_name(vendor):
    """The list is what clients use to try a key."""
    names = [model["id"] for model in (await vendor.get("/v1/models")).json()["data"]]

    assert names[0] == "sora-character"
    assert len(names) == len(set(names)) > 60


async def test_the_clock_can_be_put_forward(vendor):
    """A task of an hour ends at once."""
    task_id = await create(vendor, "seconds:3600")
    before = (await vendor.get(f"/v1/tasks/{task_id}")).json()["status"]

    moved = (await vendor.post("/_sandbox/clock", json={"advance_ms": 3_600_000})).json()
    after = (await vendor.get(f"/v1/tasks/{task_id}")).json()["status"]

    assert (before, after) == ("pending", "completed")
    assert (moved["offset_ms"], moved["held"]) == (3_600_000, False)


async def test_the_clock_can_be_held(vendor, clock):
    """While it stands nothing goes on, and afterwards nothing was skipped."""
    task_id = await create(vendor, "seconds:10")

    async def progress() -> int:
        found: int = (await vendor.get(f"/v1/tasks/{task_id}")).json()["progress"]
        return found

    await vendor.post("/_sandbox/clock", json={"hold": True, "advance_ms": 4000})
    clock.now_ms += 60_000
    held = await progress()
    released = (await vendor.post("/_sandbox/clock", json={"hold": False})).json()
    clock.now_ms += 1000

    assert held == 40
    assert released["offset_ms"] == 4000 - 60_000
    assert await progress() == 50
    assert (await vendor.delete("/_sandbox/clock")).json()["offset_ms"] == 0
    assert await progress() == 100


@pytest.mark.parametrize(
    "wanted", [{}, {"advance_ms": -1}, {"advance_ms": 1.5}, {"hold": 1}, {"back": 1}]
)
async def test_a_clock_is_not_moved_by_nonsense(vendor, wanted):
    """The refusal leaves it alone."""
    answer = await vendor.post("/_sandbox/clock", json=wanted)

    assert answer.status_code == 400
    assert (await vendor.get("/_sandbox/clock")).json()["offset_ms"] == 0
