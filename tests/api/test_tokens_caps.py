"""The tasks and credits of a token: counted when they are admitted, to the last one, anywhere."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import httpx2
import pytest

from tests.api.browsing import minted, token
from tests.conftest import OpenBed
from tests.support.answers import error_of
from tests.support.bed import Bed, character

AT_ONCE = 50
SPENT = "token_spent"


def outcomes(answers: list[httpx2.Response]) -> Counter[str]:
    """Count what creates came to: the reason of a refusal, or "" for a task."""
    return Counter("" if each.is_success else error_of(each)["reason"] for each in answers)


@pytest.mark.parametrize(
    ("cap", "passing"),
    [({"max_tasks": 7}, 7), ({"max_credits": "0.35"}, 3)],
    ids=["tasks", "money"],
)
async def test_exactly_as_many_pass_as_the_token_has_left(
    open_gateway_bed: OpenBed, cap: dict[str, Any], passing: int
) -> None:
    """Fifty at once, over two processes; a task of these costs 0.1."""
    async with open_gateway_bed() as one, open_gateway_bed() as other:
        secret = await token(one, await one.key(), **cap)

        answers = await asyncio.gather(
            *(bed.create(secret) for bed in (one, other) for _ in range(AT_ONCE // 2))
        )

        assert outcomes(answers) == {"": passing, SPENT: AT_ONCE - passing}
        assert len(one.vendor.creates()) == passing


async def test_a_spent_token_goes_on_reading(bed: Bed) -> None:
    """The page that used it up still shows what becomes of it."""
    secret = await token(bed, await bed.key(), max_tasks=1)
    task_id = await bed.created(secret)

    assert outcomes([await bed.create(secret)]) == {SPENT: 1}
    assert (await bed.read(secret, task_id)).status_code == 200


async def test_a_refused_create_costs_a_token_nothing(bed: Bed) -> None:
    """Neither one that breaks a rule, nor one that a limit refuses, nor a replay."""
    key = await bed.key(tasks_in_flight=1)
    secret = await token(bed, key, max_tasks=2, max_credits="0.2")
    await bed.create(secret, idempotency_key="once")

    refused = [
        await bed.create(secret, {"model": "no-such-model"}),
        await bed.create(secret),
        await bed.create(secret, idempotency_key="once"),
    ]
    await bed.pass_time(10)

    assert outcomes(refused) == {"model_not_found": 1, "too_many_in_flight": 1, "": 1}
    assert outcomes([await bed.create(secret) for _ in range(2)]) == {"": 1, SPENT: 1}


async def test_what_was_admitted_stays_counted(bed: Bed) -> None:
    """Also where the vendor refuses it, or it costs less in the end: a page tries only so often."""
    secret = await token(bed, await bed.key(), max_tasks=2, max_credits="0.2")
    bed.vendor.fault("status", times=1, status=400)

    first, second, third = [
        await bed.create(secret, character("seconds:1,credits:0.01")) for _ in range(3)
    ]
    await bed.pass_time(10)

    assert outcomes([first, second, third]) == {"vendor_refused": 1, "": 1, SPENT: 1}


async def test_a_model_without_a_price_is_refused_to_a_token_with_a_credit_limit(bed: Bed) -> None:
    """As to a tenant with one: nobody could say how much is left."""
    key = await bed.key()
    body = {"model": "sora-2", "prompt": "x"}
    limited, free = await token(bed, key, max_credits="900"), await token(bed, key)

    answers = [await bed.create(each, body) for each in (limited, free)]

    assert outcomes(answers[:1]) == {"price_unknown": 1}
    assert answers[1].status_code != 402


async def test_caps_of_one_token_are_not_those_of_another(bed: Bed) -> None:
    """Each has its own count; the subject alone is shared."""
    key = await bed.key()
    tokens = [await token(bed, key, max_tasks=1, subject="ada") for _ in range(3)]

    answers = [await bed.create(each) for each in tokens for _ in range(2)]

    assert outcomes(answers) == {"": 3, SPENT: 3}


async def test_the_credits_of_a_test_token_are_never_spent(bed: Bed) -> None:
    """What the sandbox makes costs nothing; its tasks are counted like others."""
    await bed.key("acme")
    told = await minted(
        bed, await bed.another_key("acme", mode="test"), max_credits="0.000001", max_tasks=2
    )

    answers = [await bed.create(told["token"], character("seconds:1")) for _ in range(3)]

    assert outcomes(answers) == {"": 2, SPENT: 1}
