"""What a tenant has used, day by day and model by model."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from app.clock import HeldClock
from tests.api.asking import bearer, get, shown
from tests.conftest import OpenBed
from tests.support.answers import error_of
from tests.support.bed import Bed, character
from tests.support.calendar import DAY_MS, move_to_last_day_of_month, today
from tests.support.dictated_vendor import DictatedVendor

NOTHING = {"tasks": 0, "completed": 0, "failed": 0, "credits_used": 0, "credits_reserved": 0}
SEEDANCE = {"model": "seedance-1.5-pro", "prompt": "a boat [sandbox seconds:1]"}


def figures(**differing: float) -> dict[str, float]:
    """Return the five figures of a day, a model, or the whole."""
    assert differing.keys() <= NOTHING.keys()
    return {**NOTHING, **differing}


async def usage(bed: Bed, key: str, query: str = "") -> dict[str, Any]:
    """Return the answer to a usage call; its total is always that of its days."""
    answer: dict[str, Any] = await shown(bed, key, f"/v1/usage{query}")
    assert answer.keys() == {"data", "total", "from", "to"}
    for name, value in answer["total"].items():
        assert value == pytest.approx(sum(day[name] for day in answer["data"]))
    return answer


async def test_who_has_used_nothing_is_told_the_days_that_were_looked_at(
    bed: Bed, clock: HeldClock
) -> None:
    """The last thirty, today included."""
    last = today(clock)

    assert await usage(bed, await bed.key()) == {
        "data": [],
        "total": NOTHING,
        "from": f"{last - timedelta(days=29)}",
        "to": f"{last}",
    }


async def test_a_day_has_its_figures_and_those_of_each_model(bed: Bed, clock: HeldClock) -> None:
    """Completed, failed and cancelled tasks, and one that still holds."""
    key = await bed.key()
    scenarios = (
        "seconds:1,credits:0.25",
        "outcome:failed,seconds:1",
        "outcome:cancelled,seconds:1",
    )
    for scenario in (*scenarios, "seconds:600"):
        await bed.created(key, character(scenario))
    await bed.created(key, SEEDANCE)
    day = today(clock)
    await bed.pass_time(20)

    answer = await usage(bed, key, f"?from={day}&to={day}")

    of_sora = figures(tasks=4, completed=1, failed=2, credits_used=0.25, credits_reserved=0.1)
    of_seedance = figures(tasks=1, completed=1)
    whole = figures(tasks=5, completed=2, failed=2, credits_used=0.25, credits_reserved=0.1)
    models = {"seedance-1.5-pro": of_seedance, "sora-character": of_sora}
    assert answer == {
        "data": [{"date": f"{day}", **whole, "models": models}],
        "total": whole,
        "from": f"{day}",
        "to": f"{day}",
    }


async def test_a_hold_becomes_use_at_the_end(bed: Bed) -> None:
    """`credits_reserved` while the task runs, `credits_used` afterwards; never in both."""
    key = await bed.key()
    await bed.created(key, character("seconds:4"))
    running = (await usage(bed, key))["total"]
    await bed.pass_time(20)

    assert running == figures(tasks=1, credits_reserved=0.1)
    assert (await usage(bed, key))["total"] == figures(tasks=1, completed=1, credits_used=0.1)


async def test_what_was_refused_within_its_create_is_not_counted(bed: Bed) -> None:
    """By the gateway or by the vendor; a day with nothing else is not shown at all."""
    key = await bed.key()
    bed.vendor.fault("status", status=400, times=1)
    await bed.create(key)
    await bed.create(key, character(timestamps="0,9"))

    assert (await usage(bed, key))["data"] == []


async def test_a_replay_is_not_counted(bed: Bed) -> None:
    """One task, however often it is asked for."""
    key = await bed.key()
    for _ in range(3):
        await bed.created(key, idempotency_key="order-1")

    assert (await usage(bed, key))["total"]["tasks"] == 1


async def test_days_begin_at_midnight_of_utc(bed: Bed, clock: HeldClock) -> None:
    """The last second of a month and the first of the next are on two days; oldest first."""
    move_to_last_day_of_month(clock, before_end_s=1)
    last = today(clock)
    key = await bed.key()
    await bed.created(key, character("seconds:60"))
    clock.advance_ms(999)
    await bed.created(key, SEEDANCE)
    clock.advance_ms(1)
    first = today(clock)
    await bed.created(key, character("outcome:failed,seconds:1"))
    await bed.pass_time(120)

    answer = await usage(bed, key)

    assert (last.month, first.day) != (first.month, last.day)
    assert [(day["date"], day["tasks"]) for day in answer["data"]] == [
        (f"{last}", 2),
        (f"{first}", 1),
    ]
    before, after = answer["data"]
    assert before == {
        "date": f"{last}",
        **figures(tasks=2, completed=2, credits_used=0.1),
        "models": {
            "seedance-1.5-pro": figures(tasks=1, completed=1),
            "sora-character": figures(tasks=1, completed=1, credits_used=0.1),
        },
    }
    assert after["models"] == {"sora-character": figures(tasks=1, failed=1)}


async def test_only_the_days_asked_for_are_shown_and_summed(bed: Bed, clock: HeldClock) -> None:
    """Both ends included; days without a task are left out."""
    key = await bed.key()
    days = []
    for _ in range(3):
        days.append(today(clock))
        await bed.created(key, character("outcome:never"))
        clock.advance_ms(2 * DAY_MS)

    async def dates(first: date, last: date) -> list[str]:
        answer = await usage(bed, key, f"?from={first}&to={last}")
        assert (answer["from"], answer["to"]) == (f"{first}", f"{last}")
        return [day["date"] for day in answer["data"]]

    one = timedelta(days=1)
    assert await dates(days[0], days[2]) == [f"{day}" for day in days]
    assert await dates(days[0], days[2] - one) == [f"{day}" for day in days[:2]]
    assert await dates(days[0] + one, days[2]) == [f"{day}" for day in days[1:]]
    assert await dates(days[0] + one, days[0] + one) == []


async def test_one_end_alone_means_thirty_days_or_today(bed: Bed, clock: HeldClock) -> None:
    """Without `from` the thirty days up to `to`, without `to` everything up to now."""
    key, day = await bed.key(), today(clock)

    by_end = await usage(bed, key, "?to=2026-03-01")
    by_start = await usage(bed, key, f"?from={day - timedelta(days=100)}&to=")

    assert (by_end["from"], by_end["to"]) == ("2026-01-31", "2026-03-01")
    assert (by_start["from"], by_start["to"]) == (f"{day - timedelta(days=100)}", f"{day}")


@pytest.mark.parametrize("first", ["2024-01-01", "2025-12-31", "1970-01-01", "9996-12-01"])
async def test_four_hundred_days_may_be_asked_for_and_no_more(bed: Bed, first: str) -> None:
    """As long as the figures are kept; long ago and far ahead there is nothing."""
    key, start = await bed.key(), date.fromisoformat(first)
    last, too_late = start + timedelta(days=399), start + timedelta(days=400)

    most = await usage(bed, key, f"?from={start}&to={last}")
    answer = await get(bed, key, f"/v1/usage?from={start}&to={too_late}")

    assert (most["from"], most["to"]) == (f"{start}", f"{last}")
    assert (answer.status_code, error_of(answer)["param"]) == (400, "from")
    assert "at most 400 days" in error_of(answer)["message"]


@pytest.mark.parametrize("param", ["from", "to"])
@pytest.mark.parametrize(
    "value",
    [
        "yesterday",
        "2026-13-01",
        "2026-02-30",
        "2026-1-1",
        "20261122",
        "2026-W47-7",
        "2026-11-22T00:00:00Z",
        "%202026-11-22",
        "1767917446",
        "-2026-11-2",
        "0000-01-01",
        "1969-12-31",
        "9999-01-01",
        "%D9%A2026-11-22",
        "%00",
        "9" * 5000,
    ],
)
async def test_what_is_no_day_is_refused(bed: Bed, param: str, value: str) -> None:
    """The answer shows how one is written."""
    answer = await get(bed, await bed.key(), f"/v1/usage?{param}={value}")

    assert answer.status_code == 400
    assert error_of(answer)["reason"] == "invalid_request"
    assert error_of(answer)["param"] == param
    assert "such as 2026-11-22" in error_of(answer)["message"]


async def test_an_end_before_the_beginning_is_refused(bed: Bed) -> None:
    """Nothing lies between them; somebody has mixed them up."""
    answer = await get(bed, await bed.key(), "/v1/usage?from=2026-11-02&to=2026-11-01")

    assert (answer.status_code, error_of(answer)["param"]) == (400, "from")


@pytest.mark.parametrize("param", ["from", "to"])
async def test_a_day_that_stands_twice_is_refused(bed: Bed, param: str) -> None:
    """Even where it is the same."""
    answer = await get(bed, await bed.key(), f"/v1/usage?{param}=2026-11-01&a=1&{param}=2026-11-01")

    assert error_of(answer)["param"] == param
    assert "more than once" in error_of(answer)["message"]


async def test_names_that_mean_nothing_here_are_ignored(bed: Bed) -> None:
    """As in every other query."""
    key = await bed.key()

    assert await usage(bed, key, "?from=&From=x&x=1&x=2&mode=test&key=y") == await usage(bed, key)


async def test_use_is_the_tenants_and_names_no_key(bed: Bed) -> None:
    """What all its keys have used, in the mode of the calling key; others are not seen."""
    first, second = await bed.key("acme"), await bed.another_key("acme")
    test = await bed.another_key("acme", mode="test")
    for key in (first, second, test, await bed.key("hooli"), await bed.key("globex")):
        await bed.created(key, character("seconds:1"))
    await bed.pass_time(20)

    live = await usage(bed, first)

    assert live == await usage(bed, second)
    assert live["total"] == figures(tasks=2, completed=2, credits_used=0.2)
    assert (await usage(bed, test))["total"] == figures(tasks=1, completed=1)
    assert "key" not in str(live)


@pytest.mark.unaudited("the vendor gives one id to all tasks")
async def test_a_model_whose_name_is_odd_keeps_its_figures(open_gateway_bed: OpenBed) -> None:
    """Also one with the signs that part names and figures in the store."""
    names = ["A.b_c-d", "a b", "house/model:1"]
    async with (
        DictatedVendor() as vendor,
        open_gateway_bed(allow_unknown_models=True, vendor={"base_url": vendor.url}) as bed,
    ):
        key = await bed.key()
        for name in names:
            await bed.created(key, {"model": name, "prompt": "a boat"})
        [day] = (await usage(bed, key))["data"]

    assert day["models"] == {name: figures(tasks=1, credits_reserved=0) for name in names}


@pytest.mark.unaudited("its tasks are forgotten in the end")
async def test_what_was_used_outlives_its_tasks(bed: Bed, clock: HeldClock) -> None:
    """Tasks are forgotten after thirty days, figures are not."""
    key, day = await bed.key(), today(clock)
    await bed.created(key, character("seconds:1"))
    await bed.pass_time(20)
    await bed.pass_time(31 * 86_400)

    by_default = await usage(bed, key)
    asked = await usage(bed, key, f"?from={day}&to={day + timedelta(days=1)}")

    assert (await shown(bed, key, "/v1/tasks"))["total"] == 0
    assert by_default["data"] == []
    assert asked["total"] == figures(tasks=1, completed=1, credits_used=0.1)


@pytest.mark.parametrize("method", ["HEAD", "POST", "DELETE"])
async def test_usage_is_only_read(bed: Bed, method: str) -> None:
    """405 with the one method there is."""
    answer = await bed.http.request(method, "/v1/usage", headers=[bearer(await bed.key())])

    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
