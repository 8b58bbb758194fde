"""Rotating a key: an overlap with its successor, and one account for both."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.domain.ids import mode_of_api_key
from tests.api.asking import bearer
from tests.api.operating import ENDED, TENANTS, WORKS, Operator, precisely, shown_at
from tests.support.answers import error_of
from tests.support.bed import character

KEYS = f"{TENANTS}/acme/keys"


async def test_a_rotated_key_overlaps_with_its_successor(operator: Operator) -> None:
    """Both work for the time of grace, to the millisecond; then the new one alone."""
    bed = operator.bed
    await operator.tenant()
    old = await operator.key(name="web", mode="live", limits={"tasks_in_flight": 100})

    new = await operator.rotate(old, grace_s=60)
    both = await operator.answers_of(old, new)
    bed.clock.advance_ms(59_999)
    last = await operator.answers_of(old, new)
    bed.clock.advance_ms(1)
    after = await operator.answers_of(old, new)

    assert both == last == [WORKS, WORKS]
    assert after == [ENDED, WORKS]
    assert new["key"] != old["key"]
    same = ("tenant", "name", "mode", "expires_at", "limits", "state")
    assert {name: new[name] for name in same} == {name: old[name] for name in same}
    assert new["id"] == f"{old['id']}.2"
    assert [each["state"] for each in await operator.keys()] == ["expired", "active"]


@pytest.mark.parametrize("written", [{}, {"json": {}}, {"json": {"grace_s": None}}])
async def test_the_old_key_goes_on_for_a_day(operator: Operator, written: dict[str, Any]) -> None:
    """Where no other time is asked for."""
    await operator.tenant()
    old = await operator.key()

    await operator.done("POST", f"{KEYS}/{old['id']}/rotate", **written)

    (shown, _) = await operator.keys()
    assert shown["expires_at"] == shown_at(operator.bed.clock.now_ms() + 86_400_000)


async def test_without_grace_the_old_key_ends_at_once(operator: Operator) -> None:
    """It is revoked, and its successor works."""
    await operator.tenant()
    old = await operator.key()

    new = await operator.rotate(old, grace_s=0)

    assert await operator.answers_of(old, new) == [ENDED, WORKS]
    assert [each["state"] for each in await operator.keys()] == ["revoked", "active"]


async def test_a_rotation_does_not_prolong_a_life(operator: Operator) -> None:
    """An end that comes before the grace is over stays, for the old key and for the new one."""
    await operator.tenant()
    soon = precisely(operator.bed.clock.now_ms() + 30_000)
    old = await operator.key(expires_at=soon)

    new = await operator.rotate(old, grace_s=60)
    operator.bed.clock.advance_ms(30_000)

    assert new["expires_at"] == old["expires_at"]
    assert await operator.answers_of(old, new) == [ENDED, ENDED]


async def test_generations_are_counted(operator: Operator) -> None:
    """`.2`, `.3`, … `.11`: of the first id, one after the other."""
    await operator.tenant()
    first = last = await operator.key()

    ids = []
    for _ in range(10):
        last = await operator.rotate(last)
        ids.append(last["id"])

    assert ids == [f"{first['id']}.{number}" for number in range(2, 12)]
    assert await operator.answers_of(last, first) == [WORKS, WORKS]


async def test_generations_share_what_they_may(operator: Operator) -> None:
    """A rotation gives no new credits, no new slots and no new creates."""
    bed = operator.bed
    await operator.tenant()
    limits = {"credits_per_day": "0.3", "creates_per_minute": 3, "tasks_in_flight": 3}
    old = await operator.key(limits=limits)
    for _ in range(2):
        await bed.created(old["key"])

    new = await operator.rotate(old)

    third = await bed.create(new["key"])
    fourth = [error_of(await bed.create(key["key"]))["reason"] for key in (old, new)]
    balance = await bed.http.get("/v1/credits", headers=[bearer(new["key"])])
    assert third.status_code == 200
    assert fourth == ["rate_limited", "rate_limited"]
    assert balance.json()["data"]["token"]["remaining_credits"] == 0


async def test_tasks_of_the_old_key_are_read_with_the_new_one(operator: Operator) -> None:
    """They are the tenant's, and go on to their end."""
    bed = operator.bed
    await operator.tenant()
    old = await operator.key()
    task_id = await bed.created(old["key"], character("seconds:1"))

    new = await operator.rotate(old, grace_s=0)
    await bed.pass_time(2)

    assert (await bed.read(new["key"], task_id)).json()["status"] == "completed"


async def test_a_key_that_has_ended_is_not_rotated(operator: Operator) -> None:
    """Revoked, expired or rotated before: 409 with what to do instead; no key comes of it."""
    bed = operator.bed
    await operator.tenant()
    revoked, rotated = await operator.key(), await operator.key()
    expired = await operator.key(expires_at=precisely(bed.clock.now_ms() + 1000))
    await operator.done("DELETE", f"{KEYS}/{revoked['id']}")
    newer = await operator.rotate(rotated)
    bed.clock.advance_ms(1000)
    before = await operator.keys()

    errors = {
        key["id"]: await operator.refused("POST", f"{KEYS}/{key['id']}/rotate")
        for key in (revoked, expired, rotated)
    }

    for key_id, error in errors.items():
        assert (error["code"], error["reason"]) == (409, "key_ended"), key_id
    assert "issue a new one" in errors[revoked["id"]]["message"]
    assert "issue a new one" in errors[expired["id"]]["message"]
    assert newer["id"] in errors[rotated["id"]]["message"]
    assert await operator.keys() == before


async def test_of_two_rotations_at_once_one_passes(operator: Operator) -> None:
    """There is one successor, not two."""
    await operator.tenant()
    key = await operator.key()
    path = f"{KEYS}/{key['id']}/rotate"

    answers = await asyncio.gather(*(operator.ask("POST", path) for _ in range(5)))

    reasons = sorted(
        "" if answer.status_code == 200 else error_of(answer)["reason"] for answer in answers
    )
    assert reasons == ["", *["key_ended"] * 4]
    assert len(await operator.keys()) == 2


async def test_a_test_key_rotates_to_a_test_key(operator: Operator) -> None:
    """It never reaches the vendor, before or after."""
    await operator.tenant()
    old = await operator.key(mode="test")

    new = await operator.rotate(old)

    assert mode_of_api_key(new["key"]) == "test"
    assert await operator.answers_of(old, new) == [WORKS, WORKS]
    assert operator.bed.vendor.journal() == []
