"""A changed limit counts what was used before: lowered it refuses, raised it lets through."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.asking import bearer
from tests.api.operating import Operator
from tests.support.answers import error_of
from tests.support.bed import character

DAY_S = 86_400


async def outcomes(operator: Operator, key: str, count: int) -> list[str]:
    """Create `count` times and return the reasons; "" where it passed."""
    found = []
    for _ in range(count):
        answer = await operator.bed.create(key)
        found.append("" if answer.status_code == 200 else error_of(answer)["reason"])
    return found


@pytest.fixture
async def key(operator: Operator) -> str:
    """A key of a tenant without limits, which has made three tasks of 0.1 credits each."""
    await operator.tenant()
    secret: str = (await operator.key())["key"]
    assert await outcomes(operator, secret, 3) == ["", "", ""]
    return secret


@pytest.mark.parametrize("name", ["credits_per_day", "credits_per_month"])
@pytest.mark.parametrize("ended", [False, True], ids=["held", "settled"])
async def test_credits_spent_before_the_limit_count(
    operator: Operator, key: str, name: str, ended: bool
) -> None:
    """Held or settled: 0.3 are gone, whatever the limit was when they went."""
    if ended:
        await operator.bed.pass_time(30)
    await operator.change(limits={name: "0.2"})
    below = await outcomes(operator, key, 1)
    await operator.change(limits={name: "0.3"})
    equal = await outcomes(operator, key, 1)
    await operator.change(limits={name: "0.5"})
    above = await outcomes(operator, key, 3)
    await operator.change(limits={name: None})

    assert below == equal == ["credit_exhausted"]
    assert above == ["", "", "credit_exhausted"]
    assert await outcomes(operator, key, 3) == ["", "", ""]


async def test_a_lowered_limit_shows_as_less_than_nothing(operator: Operator, key: str) -> None:
    """The balance is the limit less what is gone, not nought."""
    await operator.change(limits={"credits_per_month": "0.2"})

    balance = await operator.bed.http.get("/v1/credits", headers=[bearer(key)])

    assert balance.json()["data"]["user"]["remaining_credits"] == -0.1


async def test_tasks_in_flight_before_the_limit_count(operator: Operator, key: str) -> None:
    """Three are open: a limit of two refuses until two have ended."""
    await operator.change(limits={"tasks_in_flight": 2})
    below = await outcomes(operator, key, 1)
    await operator.change(limits={"tasks_in_flight": 4})
    above = await outcomes(operator, key, 2)
    await operator.change(limits={"tasks_in_flight": 2})
    await operator.bed.pass_time(30)

    assert below == ["too_many_in_flight"]
    assert above == ["", "too_many_in_flight"]
    assert await outcomes(operator, key, 3) == ["", "", "too_many_in_flight"]


async def test_a_lowered_rate_applies_to_the_next_create(operator: Operator) -> None:
    """What was taken out before is missing from the smaller bucket too."""
    await operator.tenant(limits={"creates_per_minute": 60})
    secret = (await operator.key())["key"]
    first = await outcomes(operator, secret, 1)

    await operator.change(limits={"creates_per_minute": 2})

    lowered = await outcomes(operator, secret, 4)
    operator.bed.clock.advance_ms(30_000)
    assert first == [""]
    assert lowered == ["", *["rate_limited"] * 3]
    assert await outcomes(operator, secret, 2) == ["", "rate_limited"]


async def test_a_raised_rate_is_no_windfall(operator: Operator) -> None:
    """What was used up stays used; the bucket fills at the new limit's pace from then on."""
    await operator.tenant(limits={"creates_per_minute": 2})
    secret = (await operator.key())["key"]
    assert await outcomes(operator, secret, 3) == ["", "", "rate_limited"]

    await operator.change(limits={"creates_per_minute": 60})

    at_once = (await outcomes(operator, secret, 60)).count("")
    operator.bed.clock.advance_ms(60_000)
    in_a_minute = (await outcomes(operator, secret, 70)).count("")
    assert at_once == 58
    assert in_a_minute == 60


async def test_a_rate_of_nought_stops_everything(operator: Operator, key: str) -> None:
    """From the next create on, until it is lifted."""
    await operator.change(limits={"creates_per_minute": 0})
    stopped = await outcomes(operator, key, 1)
    await operator.change(limits={"creates_per_minute": None})

    assert stopped == ["rate_limited"]
    assert await outcomes(operator, key, 1) == [""]


async def test_a_model_taken_off_the_list_is_refused(operator: Operator, key: str) -> None:
    """From the next create on; an empty list permits none."""
    found = []
    for models in (["veo3.1-fast"], [], ["sora-character"], None):
        await operator.change(limits={"models": models})
        found += await outcomes(operator, key, 1)

    assert found == ["model_not_allowed", "model_not_allowed", "", ""]


async def test_a_limit_of_reads_applies_within_a_second(operator: Operator, key: str) -> None:
    """A process may have a share in hand, which lasts no longer."""
    path = "/v1/models"
    before = await operator.bed.http.get(path, headers=[bearer(key)])

    await operator.change(limits={"reads_per_second": 0})
    operator.bed.clock.advance_ms(1001)

    after = await operator.bed.http.get(path, headers=[bearer(key)])
    assert before.status_code == 200
    assert error_of(after)["reason"] == "rate_limited"


async def test_yesterdays_credits_do_not_count_today(operator: Operator, key: str) -> None:
    """A limit of the day looks at the day alone."""
    await operator.bed.pass_time(30)
    await operator.change(limits={"credits_per_day": "0.2"})
    refused = await outcomes(operator, key, 1)

    operator.bed.clock.advance_ms(DAY_S * 1000)

    assert refused == ["credit_exhausted"]
    assert await outcomes(operator, key, 3) == ["", "", "credit_exhausted"]


@pytest.mark.parametrize("change", [{"name": "x"}, {"limits": {"models": None}}, {"group": "y"}])
async def test_a_change_of_something_else_leaves_the_counters(
    operator: Operator, key: str, change: dict[str, Any]
) -> None:
    """Neither given back nor taken twice."""
    await operator.change(limits={"credits_per_day": "0.4"})

    await operator.change(**change)

    assert await outcomes(operator, key, 2) == ["", "credit_exhausted"]


async def test_a_repeated_create_is_answered_whatever_the_limits_are_by_then(
    operator: Operator,
) -> None:
    """A replay costs nothing, so a lowered limit does not refuse it."""
    bed = operator.bed
    await operator.tenant()
    secret = (await operator.key())["key"]
    first = await bed.create(secret, character(), idempotency_key="order-1")
    await operator.change(
        limits={"credits_per_day": "0", "creates_per_minute": 0, "tasks_in_flight": 0, "models": []}
    )

    again = await bed.create(secret, character(), idempotency_key="order-1")

    assert again.status_code == 200
    assert again.content == first.content
