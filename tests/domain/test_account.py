"""Models, credits and usage as a tenant is told of them."""

from __future__ import annotations

import json
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.account import (
    Balance,
    DaySpan,
    balance,
    credits_answer,
    models_answer,
    usage_answer,
)
from app.domain.contract import credits_number
from app.domain.pricing import MAX_CREDITS, PER_CREDIT, format_credits
from app.domain.tenant import Limits
from app.errors import InvalidRequest
from tests.domain.samples import CATALOGUE
from tests.support.properties import checked

TODAY = date(2026, 11, 22)
amounts = st.integers(0, MAX_CREDITS * PER_CREDIT)


def span(**given: str) -> DaySpan:
    """Read the query of a usage call; `from_` stands for the word that Python keeps."""
    return DaySpan.read([(name.strip("_"), value) for name, value in given.items()], today=TODAY)


@pytest.mark.parametrize(
    ("query", "first", "last"),
    [
        ({}, "2026-10-24", "2026-11-22"),
        ({"from_": "", "to": ""}, "2026-10-24", "2026-11-22"),
        ({"from_": "2026-11-01"}, "2026-11-01", "2026-11-22"),
        ({"to": "2024-03-01"}, "2024-02-01", "2024-03-01"),
        ({"from_": "2026-11-22", "to": "2026-11-22"}, "2026-11-22", "2026-11-22"),
        ({"from_": "2025-10-19", "to": "2026-11-22"}, "2025-10-19", "2026-11-22"),
        ({"from_": "2030-01-01", "to": "2030-01-02"}, "2030-01-01", "2030-01-02"),
        ({"from_": "1970-01-01", "to": "1970-01-01"}, "1970-01-01", "1970-01-01"),
        ({"to": "1970-01-01"}, "1969-12-03", "1970-01-01"),
        ({"from_": "9998-12-31", "to": "9998-12-31"}, "9998-12-31", "9998-12-31"),
    ],
    ids=str,
)
def test_a_span_is_read_so(query: dict[str, str], first: str, last: str) -> None:
    """Both ends included; thirty days up to today, or up to the end that is named."""
    assert span(**query) == DaySpan(date.fromisoformat(first), date.fromisoformat(last))


@pytest.mark.parametrize(
    ("query", "param"),
    [
        *(
            ({"from_": text}, "from")
            for text in (
                *("2026-W48-7", "20261122", "2026-11-2", "2026-11-31", "2026-02-29", "22.11.2026"),
                *("2026-11-22T00:00:00Z", "today", "٢٠٢٦-11-22", "1969-12-31", "9999-01-01"),
                *("0000-00-00", " 2026-11-22", "2026-11-22\n", "-026-11-22", "9" * 5000),
            )
        ),
        ({"to": "2026-W48-7"}, "to"),
        ({"to": "yesterday"}, "to"),
        ({"from_": "2026-11-23"}, "from"),
        ({"from_": "2026-11-02", "to": "2026-11-01"}, "from"),
        ({"from_": "2025-10-18", "to": "2026-11-22"}, "from"),
        ({"from_": "1970-01-01", "to": "9998-12-31"}, "from"),
    ],
    ids=str,
)
def test_a_span_that_is_none_is_refused(query: dict[str, str], param: str) -> None:
    """No day, an empty span, or more than four hundred days; the message stays short."""
    with pytest.raises(InvalidRequest) as refused:
        span(**query)

    assert refused.value.param == param
    assert len(refused.value.message) < 200


def test_a_day_that_is_given_twice_is_refused() -> None:
    """Even where both are equal."""
    with pytest.raises(InvalidRequest, match="more than once"):
        DaySpan.read([("to", "2026-11-22"), ("to", "2026-11-22")], today=TODAY)


@checked
@given(first=st.dates(date(1970, 1, 1), date(9990, 1, 1)), length=st.integers(1, 400))
def test_a_span_has_every_day_once(first: date, length: int) -> None:
    """In order, over leap days and turns of the year; their figures are called by the day."""
    last = first + timedelta(days=length - 1)

    found = span(from_=f"{first:%Y-%m-%d}", to=f"{last:%Y-%m-%d}")

    days = found.days()
    assert (days[0], days[-1], len(days)) == (first, last, length)
    assert all(after - before == timedelta(days=1) for before, after in pairwise(days))
    assert found.windows() == [day.isoformat().replace("-", "") for day in days]


@pytest.mark.parametrize(
    ("limits", "suffix", "expected"),
    [
        ({}, "", (None, 30, 3)),
        ({"credits_per_day": "5"}, "", (5_000_000, 10, 1)),
        ({"credits_per_month": "7"}, "", (7_000_000, 30, 3)),
        ({"credits_per_day": "5", "credits_per_month": "7"}, "", (7_000_000, 30, 3)),
        ({"credits_per_day": "0"}, "", (0, 10, 1)),
        ({"credits_per_month": "0", "credits_per_day": "5"}, "", (0, 30, 3)),
        ({"credits_per_day": "5"}, ":key_1", (5_000_000, 4, 2)),
        ({}, ":key_1", (None, 40, 20)),
        ({"credits_per_day": "5"}, ":key_2", (5_000_000, 0, 0)),
    ],
)
def test_a_balance_is_of_the_month_where_that_is_limited_else_of_the_day(
    limits: dict[str, str], suffix: str, expected: tuple[int | None, int, int]
) -> None:
    """A limit of zero is one; without any, the month's figures are told."""
    day = {"settled": 10, "held": 1, "settled:key_1": 4, "held:key_1": 2}
    month = {"settled": 30, "held": 3, "settled:key_1": 40, "held:key_1": 20}

    found = balance(Limits.read(limits), day=day, month=month, suffix=suffix)

    assert (found.limit, found.settled, found.held) == expected


@pytest.mark.parametrize(
    ("found", "shown"),
    [
        (Balance(12_500_000, 2_000_000, 500_000), (10, False, 2)),
        (Balance(1_000_000, 300_000, 1), (0.699999, False, 0.3)),
        (Balance(0, 0, 0), (0, False, 0)),
        (Balance(1_000_000, 3_000_000, 0), (-2, False, 3)),
        (Balance(None, 3_500_000, 9_000_000), (900_000_000, True, 3.5)),
    ],
)
def test_credits_are_told_in_the_vendors_words(found: Balance, shown: tuple[Any, ...]) -> None:
    """Numbers, not texts; what is unlimited still has a number to be reckoned with."""
    assert tuple(found.shown().values()) == shown
    assert list(found.shown()) == ["remaining_credits", "unlimited_credits", "used_credits"]


def test_the_key_is_the_token_and_the_tenant_the_user() -> None:
    """And nothing else is in the answer."""
    answer = credits_answer(token=Balance(2_000_000, 0, 0), user=Balance(None, 0, 0))

    assert answer == {
        "data": {
            "token": {"remaining_credits": 2, "unlimited_credits": False, "used_credits": 0},
            "user": {
                "remaining_credits": 900_000_000,
                "unlimited_credits": True,
                "used_credits": 0,
            },
        },
        "message": "",
        "success": True,
    }


@checked
@given(limit=st.none() | amounts, settled=amounts, held=amounts)
def test_what_is_told_of_credits_adds_up(limit: int | None, settled: int, held: int) -> None:
    """To the microcredit, after a way through JSON."""
    found = json.loads(json.dumps(Balance(limit, settled, held).shown()))

    assert round(found["used_credits"] * PER_CREDIT) == settled
    if limit is not None:
        assert round(found["remaining_credits"] * PER_CREDIT) == limit - settled - held


FIGURES = {
    "tasks": 4,
    "completed": 2,
    "failed": 1,
    "settled": 400_000,
    "held": 100_000,
    "tasks@sora": 3,
    "completed@sora": 2,
    "settled@sora": 400_000,
    "held@sora": 100_000,
    "tasks@a:b@c d": 1,
    "failed@a:b@c d": 1,
    "tasks@gone": 0,
    "held@gone": 0,
    "tasks:key_1": 4,
    "held:key_1": 100_000,
    "tasks:key_2": 0,
}
OF_SORA = {"tasks": 3, "completed": 2, "failed": 0, "credits_used": 0.4, "credits_reserved": 0.1}
OF_OTHER = {"tasks": 1, "completed": 0, "failed": 1, "credits_used": 0, "credits_reserved": 0}


def test_a_day_is_told_with_its_models() -> None:
    """Only days and models with activity; a model's name may hold the marks of the figures."""
    days = span(from_="2026-11-20", to="2026-11-22")

    answer = usage_answer(
        days, [{}, FIGURES, {"tasks": 0, "held": 0}], amount=credits_number, with_keys=False
    )

    of_day = {"tasks": 4, "completed": 2, "failed": 1, "credits_used": 0.4, "credits_reserved": 0.1}
    assert answer == {
        "data": [
            {"date": "2026-11-21", **of_day, "models": {"a:b@c d": OF_OTHER, "sora": OF_SORA}}
        ],
        "total": of_day,
        "from": "2026-11-20",
        "to": "2026-11-22",
    }


def test_operators_are_told_of_keys_and_in_decimal_texts() -> None:
    """Each key that has figures, by its family."""
    today = span(from_="2026-11-22", to="2026-11-22")

    answer = usage_answer(today, [FIGURES], amount=format_credits, with_keys=True)

    [day] = answer["data"]
    assert day["keys"] == {
        "key_1": {
            "tasks": 4,
            "completed": 0,
            "failed": 0,
            "credits_used": "0",
            "credits_reserved": "0.1",
        }
    }
    assert (answer["total"]["credits_used"], day["credits_used"]) == ("0.4", "0.4")
    assert day["models"].keys() == {"a:b@c d", "sora"}


names = st.sampled_from(["tasks", "completed", "failed", "settled", "held"])
figures = st.lists(st.dictionaries(names, st.integers(0, 10**12)), min_size=1, max_size=20)


@checked
@given(found=figures)
def test_a_total_is_the_sum_of_the_days(found: list[dict[str, int]]) -> None:
    """Exactly, however many there are; days come in order and none is empty."""
    last = TODAY
    first = last - timedelta(days=len(found) - 1)

    answer = usage_answer(DaySpan(first, last), found, amount=str, with_keys=False)

    shown = {"settled": "credits_used", "held": "credits_reserved"}
    for name in ("tasks", "completed", "failed", "settled", "held"):
        expected = sum(each.get(name, 0) for each in found)
        assert int(answer["total"][shown.get(name, name)]) == expected
        assert expected == sum(int(day[shown.get(name, name)]) for day in answer["data"])
    dates = [day["date"] for day in answer["data"]]
    assert dates == sorted(set(dates))
    assert len(dates) == sum(any(each.values()) for each in found)


def test_every_model_of_the_catalogue_is_listed() -> None:
    """With the price in one of its forms, and where its state comes from if that is known."""
    answer = models_answer(CATALOGUE)

    assert [each["id"] for each in answer["data"]] == list(CATALOGUE.models)
    for each in answer["data"]:
        prices = {name for name in each if name.startswith("price")}
        assert len(prices) == 1
        assert each["object"] == "model"
        assert each["status"] in ("active", "retired", "unknown")
        assert "" not in each.values()
    assert len({frozenset(n for n in each if n[:5] == "price") for each in answer["data"]}) > 1


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ([{}], None),
        ([{"models": ["sora-character"]}], ["sora-character"]),
        ([{}, {"models": ["sora-character"]}], ["sora-character"]),
        ([{"models": ["sora-character", "sora-2"]}, {"models": ["sora-character"]}], 1),
        ([{"models": []}], []),
        ([{"models": ["not in the catalogue"]}, {}], []),
    ],
    ids=str,
)
def test_only_what_tenant_and_key_both_permit_is_listed(
    limits: list[dict[str, Any]], expected: Any
) -> None:
    """In the catalogue's order."""
    answer = models_answer(CATALOGUE, *(Limits.read(each) for each in limits))

    found = [each["id"] for each in answer["data"]]
    if expected is None:
        assert len(found) == len(CATALOGUE.models)
    else:
        assert found == (["sora-character"] if expected == 1 else expected)
