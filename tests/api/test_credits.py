"""What a key and its tenant have used and may still use."""

from __future__ import annotations

from typing import Any

import pytest

from app.clock import HeldClock
from app.domain.pricing import MAX_CREDITS
from tests.api.asking import bearer, get, shown
from tests.support.bed import Bed, character
from tests.support.calendar import DAY_MS, move_to_last_day_of_month

UNLIMITED = {"remaining_credits": MAX_CREDITS, "unlimited_credits": True, "used_credits": 0}
RUNNING, AT_ONCE = "seconds:600", "seconds:1"


def standing(remaining: float, used: float) -> dict[str, Any]:
    """Return what is shown of a limited scope."""
    return {"remaining_credits": remaining, "unlimited_credits": False, "used_credits": used}


async def told(bed: Bed, key: str) -> dict[str, Any]:
    """Return what a key is told of itself (`token`) and of its tenant (`user`)."""
    answer = await shown(bed, key, "/v1/credits")
    assert answer.keys() == {"data", "message", "success"}
    assert (answer["message"], answer["success"]) == ("", True)
    assert answer["data"].keys() == {"token", "user"}
    found: dict[str, Any] = answer["data"]
    return found


async def test_without_limits_everything_is_there(bed: Bed) -> None:
    """As much as the gateway handles, in the vendor's form, byte for byte."""
    answer = await get(bed, await bed.key(), "/v1/credits")

    each = b'{"remaining_credits":900000000,"unlimited_credits":true,"used_credits":0}'
    assert answer.content == (
        b'{"data":{"token":' + each + b',"user":' + each + b'},"message":"","success":true}'
    )


async def test_what_is_held_is_not_there_and_not_used(bed: Bed) -> None:
    """A running task takes from what remains; only its end makes it used."""
    key = await bed.key(credits_per_month="10")
    await bed.created(key, character("seconds:4,credits:0.25"))
    held = await told(bed, key)
    await bed.pass_time(20)

    assert held["user"] == standing(9.9, 0)
    assert (await told(bed, key))["user"] == standing(9.75, 0.25)


@pytest.mark.parametrize("scenario", ["outcome:failed,seconds:1", "outcome:cancelled,seconds:1"])
async def test_what_has_failed_gives_back_what_it_held(bed: Bed, scenario: str) -> None:
    """It is as if nothing had been asked for."""
    key = await bed.key(credits_per_day="1")
    await bed.created(key, character(scenario))
    held = await told(bed, key)
    await bed.pass_time(20)

    assert held["user"] == standing(0.9, 0)
    assert (await told(bed, key))["user"] == standing(1, 0)


async def test_a_create_that_was_refused_takes_nothing(bed: Bed) -> None:
    """Neither by the vendor nor by the gateway."""
    key = await bed.key(credits_per_day="1")
    bed.vendor.fault("status", status=400, times=1)
    await bed.create(key)
    await bed.create(key, character(timestamps="0,9"))

    assert (await told(bed, key))["user"] == standing(1, 0)


async def test_the_month_is_shown_where_it_is_limited(bed: Bed, clock: HeldClock) -> None:
    """Else the day; without both, what was used in the month."""
    move_to_last_day_of_month(clock, before_end_s=3600 + 86_400)
    by_month = await bed.key("acme", credits_per_day="1", credits_per_month="10")
    by_day = await bed.key("hooli", credits_per_day="1")
    unlimited = await bed.key("globex")
    keys = (by_month, by_day, unlimited)
    for key in keys:
        await bed.created(key, character(AT_ONCE))
    await bed.pass_time(5)
    same_day = [(await told(bed, key))["user"] for key in keys]
    await bed.pass_time(7200)
    next_day = [(await told(bed, key))["user"] for key in keys]
    await bed.pass_time(86_400)
    next_month = [(await told(bed, key))["user"] for key in keys]

    assert same_day == [standing(9.9, 0.1), standing(0.9, 0.1), UNLIMITED | {"used_credits": 0.1}]
    assert next_day == [standing(9.9, 0.1), standing(1, 0), UNLIMITED | {"used_credits": 0.1}]
    assert next_month == [standing(10, 0), standing(1, 0), UNLIMITED]


async def test_a_task_counts_in_the_window_it_was_admitted_in(bed: Bed, clock: HeldClock) -> None:
    """What ends after midnight is settled on the day before, and the new day is whole."""
    clock.advance_ms(DAY_MS - clock.now_ms() % DAY_MS - 10_000)
    key = await bed.key(credits_per_day="1")
    await bed.created(key, character("seconds:60"))
    before = (await told(bed, key))["user"]
    await bed.pass_time(10)
    midnight = (await told(bed, key))["user"]
    await bed.pass_time(120)

    assert before == standing(0.9, 0)
    assert midnight == standing(1, 0)
    assert (await told(bed, key))["user"] == standing(1, 0)


async def test_a_key_has_a_balance_of_its_own(bed: Bed) -> None:
    """`token` is the calling key's part, by the key's limits; `user` is all of the tenant."""
    tight = await bed.key("acme", credits_per_month="10")
    other = await bed.another_key("acme", credits_per_day="0.5")
    await bed.created(tight, character(AT_ONCE))
    await bed.created(other, character(AT_ONCE))
    await bed.created(other, character(RUNNING))
    await bed.pass_time(20)

    of_tenant = standing(9.7, 0.2)
    assert await told(bed, tight) == {
        "token": UNLIMITED | {"used_credits": 0.1},
        "user": of_tenant,
    }
    assert await told(bed, other) == {"token": standing(0.3, 0.1), "user": of_tenant}


async def test_a_limited_key_of_an_unlimited_tenant(bed: Bed) -> None:
    """The two are told apart: the key has an end, the tenant has none."""
    await bed.key("acme")
    key = await bed.another_key("acme", credits_per_month="2")
    await bed.created(key, character(AT_ONCE))
    await bed.pass_time(5)

    assert await told(bed, key) == {
        "token": standing(1.9, 0.1),
        "user": UNLIMITED | {"used_credits": 0.1},
    }


async def test_what_remains_is_what_can_still_be_spent(bed: Bed) -> None:
    """At nothing left the next create is refused, and the balance does not change by that."""
    key = await bed.key(credits_per_day="0.3")
    for _ in range(3):
        await bed.created(key, character(RUNNING))

    refused = await bed.create(key)

    assert refused.status_code == 402
    assert (await told(bed, key))["user"] == standing(0, 0)


async def test_a_limit_that_was_lowered_below_what_is_used_is_told_as_it_is(bed: Bed) -> None:
    """Less than nothing remains, to the microcredit."""
    key = await bed.key(credits_per_day="1")
    await bed.created(key, character(AT_ONCE))
    await bed.created(key, character(RUNNING))
    await bed.pass_time(5)
    await bed.limit("acme", credits_per_day="0.05")

    assert (await told(bed, key))["user"] == standing(-0.15, 0.1)


async def test_the_largest_limit_is_shown_exactly(bed: Bed) -> None:
    """To the last microcredit, as a number."""
    key = await bed.key(credits_per_month="899999999.999999")

    assert (await told(bed, key))["user"] == standing(899_999_999.999999, 0)


async def test_test_mode_costs_nothing(bed: Bed) -> None:
    """Its tasks hold and settle 0, and what live keys use is not seen from there."""
    live = await bed.key("acme", credits_per_day="1")
    test = await bed.another_key("acme", mode="test")
    await bed.created(live, character(AT_ONCE))
    await bed.created(test, character(AT_ONCE))
    await bed.pass_time(20)

    assert await told(bed, test) == {"token": UNLIMITED, "user": standing(1, 0)}
    assert (await told(bed, live))["user"] == standing(0.9, 0.1)


async def test_other_tenants_are_not_in_it(bed: Bed) -> None:
    """Neither of the same shard nor of another."""
    key = await bed.key("acme", credits_per_day="1")
    for name in ("hooli", "globex"):
        await bed.created(await bed.key(name), character(RUNNING))

    assert (await told(bed, key))["user"] == standing(1, 0)


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT"])
async def test_credits_are_only_read(bed: Bed, method: str) -> None:
    """405 with the one method there is."""
    answer = await bed.http.request(method, "/v1/credits", headers=[bearer(await bed.key())])

    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


async def test_a_query_changes_nothing(bed: Bed) -> None:
    """Names that mean nothing here are ignored, and nobody in between keeps the answer."""
    key = await bed.key()

    plain, queried = [await get(bed, key, p) for p in ("/v1/credits", "/v1/credits?t=1&t=2")]

    assert queried.content == plain.content
    assert plain.headers["cache-control"] == "private, no-cache"
