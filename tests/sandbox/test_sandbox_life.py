"""How a task goes: a function of its id and the time, the same in every process."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.sandbox import SandboxOptions, create_sandbox, life, task_ids
from app.sandbox.catalogue import MODELS
from app.sandbox.problems import VendorRefusal
from app.sandbox.scenario import OUTCOMES, Scenario
from app.sandbox.task_ids import LONGEST, Ticket
from tests.sandbox.asking import CREATE, ManualClock, character, in_process

CREATED_MS = 1_767_917_446_250
SORA = MODELS[0]


def ticket_of(**course: Any) -> Ticket:
    """A task that takes ten seconds unless it says otherwise."""
    return Ticket(CREATED_MS, SORA, Scenario(**{"run_ms": 10_000, **course}))


def course(ticket: Ticket, *seconds: float) -> list[tuple[str, int] | None]:
    """Status and progress that long after the creation."""
    moments = (life.moment(ticket, CREATED_MS + round(second * 1000)) for second in seconds)
    return [None if moment is None else (moment.status, moment.progress) for moment in moments]


async def follow(scenario: str, *at_s: float) -> list[tuple[int, dict[str, Any]]]:
    """Create a task and query it at those moments, each time at a new instance."""
    clock = ManualClock()
    options = SandboxOptions(stateless=True)
    async with in_process(create_sandbox(options, now_ms=clock)) as vendor:
        task_id = (await vendor.post(CREATE, json=character(scenario))).json()["id"]
    seen = []
    for second in at_s:
        later = ManualClock(clock.now_ms + round(second * 1000))
        async with in_process(create_sandbox(options, now_ms=later)) as vendor:
            answer = await vendor.get(f"/v1/tasks/{task_id}")
        seen.append((answer.status_code, answer.json()))
    return seen


async def test_a_task_made_by_one_instance_is_followed_at_others():
    """Nothing but the id is needed to say how a task stands."""
    seen = await follow("seconds:10", 0, 5, 10)

    assert [answer["status"] for _, answer in seen] == ["pending", "processing", "completed"]
    assert [answer["progress"] for _, answer in seen] == [0, 50, 100]


async def test_without_a_scenario_the_default_length_holds():
    """The default of the options is part of the id."""
    options = SandboxOptions(stateless=True, default_seconds=0.0)

    async with in_process(create_sandbox(options)) as vendor:
        created = (await vendor.post(CREATE, json=character())).json()
        answer = (await vendor.get(f"/v1/tasks/{created['id']}")).json()

    assert (created["status"], answer["status"]) == ("pending", "completed")


async def test_a_completed_character_is_answered_as_documented():
    """`result_data`, `results` and the final usage are there, and nothing of a failure."""
    [(status, task)] = await follow("", 60)

    assert status == 200
    data = task.pop("result_data")
    assert re.fullmatch(r"chr_[0-9a-z]{8}#", data["character_name"])
    assert data["profile_picture_url"].startswith("https://media.example.com/")
    assert task.pop("results") == [data["profile_picture_url"]]
    assert task.pop("id").startswith("task-unified-1767917446-")
    assert task == {
        "created": 1767917446,
        "duration": 6,
        "model": "sora-character",
        "object": "video.generation.task",
        "progress": 100,
        "status": "completed",
        "task_info": {"can_cancel": False},
        "type": "video",
        "usage": {"credits_used": 0.1, "cost": {"credits": 0.1, "usd": 0.001, "cny": 0.01}},
    }


async def test_a_failed_task_is_a_success_of_http():
    """The failure is in the body, with a word as its code."""
    [(status, task)] = await follow("outcome:failed,code:generation_timeout,seconds:1", 2)

    assert status == 200
    assert (task["status"], task["progress"]) == ("failed", 0)
    assert task["error"] == {
        "code": "generation_timeout",
        "message": "The task took too long.",
        "type": "task_error",
    }
    assert not task.keys() & {"results", "result_data", "usage"}


async def test_a_message_and_a_charge_can_be_asked_for():
    """A vendor that charges for a failure is one that a gateway must survive."""
    [(_, task)] = await follow("outcome:failed,message:All%20full,credits:13.5,seconds:1", 2)

    assert task["error"]["message"] == "All full"
    assert task["usage"] == {
        "credits_used": 13.5,
        "cost": {"credits": 13.5, "usd": 0.199, "cny": 1.35},
    }


@pytest.mark.parametrize(
    ("scenario", "at_s", "expected"),
    [
        ({}, (-5, 1.9, 2, 9.999, 10, 9999), "pending 0|pending 0|processing 20|processing 99|"
         "completed 100|completed 100"),
        ({"run_ms": 0}, (0,), "completed 100"),
        ({"outcome": "cancelled"}, (10,), "cancelled 0"),
        ({"outcome": "never"}, (5, 99, 99_999), "processing 50|processing 99|processing 99"),
        ({"status_word": "queued"}, (1, 5, 10), "queued 0|queued 50|completed 100"),
        ({"lost_ms": 3000}, (2.9, 3, 20), "processing 29|gone|gone"),
        ({"regress_ms": 2000}, (10, 11.9, 12, 99), "completed 100|completed 100|processing 50|"
         "processing 50"),
    ],
)  # fmt: skip
def test_the_course_of_a_scenario(scenario, at_s, expected):
    """Each word changes the course as it says."""
    seen = course(ticket_of(**scenario), *at_s)

    shown = ["gone" if moment is None else f"{moment[0]} {moment[1]}" for moment in seen]
    assert "|".join(shown) == expected


async def test_a_lost_task_is_not_found():
    """`lost` makes the id unknown from then on."""
    seen = await follow("lost:3", 2, 3)

    assert [status for status, _ in seen] == [200, 404]
    assert seen[1][1]["error"] == {
        "code": 404,
        "message": "Task not found or expired",
        "type": "not_found_error",
        "param": "task_id",
    }


async def test_a_prompt_can_hold_the_scenario():
    """Blanks separate the words there."""
    body = {"model": "sora-2", "prompt": "A sea [sandbox outcome:failed code:service_error]"}
    clock = ManualClock()

    async with in_process(create_sandbox(SandboxOptions(stateless=True), now_ms=clock)) as vendor:
        task_id = (await vendor.post(CREATE, json=body)).json()["id"]
        clock.now_ms += 6000
        task = (await vendor.get(f"/v1/tasks/{task_id}")).json()

    assert task["error"]["code"] == "service_error"


async def test_a_video_is_a_list_of_addresses():
    """Models that make a video answer with an array, not with a character."""
    clock = ManualClock()

    async with in_process(create_sandbox(SandboxOptions(stateless=True), now_ms=clock)) as vendor:
        task_id = (await vendor.post(CREATE, json={"model": "sora-2", "prompt": "Sea"})).json()[
            "id"
        ]
        clock.now_ms += 6000
        task = (await vendor.get(f"/v1/tasks/{task_id}")).json()

    assert task["result_data"] == [{"url": task["results"][0]}]
    assert task["usage"]["credits_used"] == 7


@pytest.mark.parametrize(
    ("task_id", "status", "param"),
    [
        ("abc", 400, "task_id"),
        ("task-unified-", 404, "task_id"),
        ("task-unified-1767917446-5lqy8zzv", 404, "task_id"),
        ("task-unified-1767917446-" + "a" * 500, 404, "task_id"),
        ("task-unified-1767917446-%0d%0a", 404, "task_id"),
    ],
)
async def test_a_strange_id_is_refused_or_unknown(task_id, status, param):
    """Ids of another shape are refused, ids that were never made are unknown."""
    async with in_process(create_sandbox(SandboxOptions(stateless=True))) as vendor:
        answer = await vendor.get(f"/v1/tasks/{task_id}")

    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)


def test_an_id_that_was_tampered_with_is_unknown():
    """Whatever single character of it is changed, nothing can be read from it."""
    task_id = task_ids.mint(ticket_of(outcome="failed", code="service_error"))

    for place in range(len("task-unified-"), len(task_id)):
        other = "7" if task_id[place] != "7" else "6"
        assert task_ids.read(task_id[:place] + other + task_id[place + 1 :]) is None
    assert task_ids.read(task_id + "a") is None
    assert task_ids.read(task_id[:-1]) is None


optional_ms = st.none() | st.integers(0, 10**10)


@given(
    created_ms=st.integers(0, 9_999_999_999_999),
    model=st.sampled_from(MODELS),
    scenario=st.builds(
        Scenario,
        run_ms=st.integers(0, 2**32 - 1),
        outcome=st.sampled_from(OUTCOMES),
        code=st.none() | st.from_regex("[a-z0-9_]{1,40}", fullmatch=True),
        credits=st.none() | st.from_regex("[0-9]{1,9}", fullmatch=True),
        lost_ms=optional_ms,
        regress_ms=optional_ms,
    ),
)
def test_an_id_says_everything_back(created_ms, model, scenario):
    """What was put into an id comes out of it, and clients accept its shape."""
    ticket = Ticket(created_ms, model, scenario)

    task_id = task_ids.mint(ticket)

    assert task_ids.read(task_id) == ticket
    assert len(task_id) <= LONGEST
    assert re.fullmatch(r"task-unified-[0-9]{10}-[a-z0-9]{8,156}", task_id)


def test_no_two_ids_are_the_same():
    """Two like tasks of the same millisecond have ids of their own."""
    assert len({task_ids.mint(ticket_of()) for _ in range(200)}) == 200


def test_a_scenario_that_does_not_fit_into_an_id_is_refused():
    """Rather that than an id clients would not take."""
    with pytest.raises(VendorRefusal):
        task_ids.mint(ticket_of(outcome="failed", message="m" * 100))


def test_only_completed_tasks_cost_something():
    """Failed and cancelled ones are free, unless the scenario has its own figure."""
    costs = {outcome: life.final_credits(ticket_of(outcome=outcome)) for outcome in OUTCOMES[:3]}

    assert costs == {"completed": Decimal("0.1"), "failed": Decimal(0), "cancelled": Decimal(0)}
    dear = replace(ticket_of(), scenario=Scenario(1000, outcome="failed", credits="2.5"))
    assert life.final_credits(dear) == Decimal("2.5")
