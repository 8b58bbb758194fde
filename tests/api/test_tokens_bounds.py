"""What a token may do: with tasks of its own subject, from its own origin, and nothing beyond."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from tests.api.asking import UNKNOWN_ID, ask_batch, bearer, shown
from tests.api.browsing import APP, Page, allow, token, told_to_pages
from tests.support.answers import error_of
from tests.support.bed import CREATE_PATH, Bed, character

REASON = "reason"
QUEUEING = {"tasks_in_flight": 1, "when_full": "queue"}


def reason(answer: httpx2.Response) -> str:
    """Return the reason of a refusal, or "" where it is none."""
    return "" if answer.is_success else str(error_of(answer)[REASON])


def unnamed(answer: httpx2.Response) -> bytes:
    """Return the body of an answer without the request's id."""
    return answer.content.replace(answer.headers["x-request-id"].encode(), b"")


async def call_off(bed: Bed, key: str, task_id: str) -> httpx2.Response:
    """Ask for a task to be cancelled."""
    return await bed.http.post(f"/v1/tasks/{task_id}/cancel", headers=[bearer(key)])


async def test_a_token_sees_what_it_has_made_and_nothing_else(bed: Bed) -> None:
    """Its key's tasks, and those of the key's other tokens, are unknown to it, on every route."""
    key = await bed.key()
    own, other = [await token(bed, key) for _ in range(2)]
    mine, *foreign = [await bed.created(each) for each in (own, other, key)]

    seen = await bed.read(own, mine)
    answers = [await bed.read(own, each) for each in (*foreign, UNKNOWN_ID)]
    alias = await bed.http.get(f"{CREATE_PATH}/{foreign[0]}", headers=[bearer(own)])
    batch = await ask_batch(bed, own, {"task_ids": [mine, *foreign, UNKNOWN_ID]})

    assert seen.status_code == 200
    assert {answer.status_code for answer in answers} == {404}
    assert len({unnamed(answer) for answer in answers}) == 1
    assert reason(alias) == "task_not_found"
    assert [each["id"] for each in batch.json()["data"]] == [mine]
    assert (await bed.read(key, mine)).status_code == 200


async def test_tokens_of_one_subject_see_the_same_tasks(bed: Bed) -> None:
    """So a page that has its token renewed goes on, also with a token of a rotated key."""
    key = await bed.key()
    first, stranger = [await token(bed, key, subject=name) for name in ("ada", "Ada")]
    task_id = await bed.created(first)

    second = await token(bed, await bed.another_key("acme"), subject="ada")

    assert (await bed.read(second, task_id)).status_code == 200
    assert reason(await bed.read(stranger, task_id)) == "task_not_found"


async def test_the_same_subject_of_another_tenant_is_another(bed: Bed) -> None:
    """The word is each application's own."""
    task_id = await bed.created(await token(bed, await bed.key("acme"), subject="ada"))

    other = await token(bed, await bed.key("hooli"), subject="ada")

    assert reason(await bed.read(other, task_id)) == "task_not_found"


async def test_a_token_calls_off_its_own_tasks_alone(bed: Bed) -> None:
    """A foreign one is as unknown as one that never was."""
    key = await bed.key(**QUEUEING)
    own, other = [await token(bed, key, subject=name) for name in ("ada", "ben")]
    await bed.created(key, character("seconds:900"))
    mine, theirs = await bed.created(own), await bed.created(other)

    refused, done = await call_off(bed, own, theirs), await call_off(bed, own, mine)

    assert (reason(refused), done.json()["status"]) == ("task_not_found", "failed")
    assert (await bed.stored(theirs))["state"] == "queued"


@pytest.mark.parametrize("field", ["base_video_task_id", "source_task_id"])
async def test_a_token_goes_on_from_its_own_tasks_alone(bed: Bed, field: str) -> None:
    """An earlier task of another subject is answered like one that never was."""
    key = await bed.key()
    own, other = [await token(bed, key, subject=name) for name in ("ada", "ben")]
    mine, theirs = [await bed.created(each, character("seconds:1")) for each in (own, other)]
    await bed.pass_time(5)

    answers = [
        await bed.create(own, character(**{field: each})) for each in (mine, theirs, UNKNOWN_ID)
    ]

    assert [reason(answer) for answer in answers] == ["", "task_not_found", "task_not_found"]
    assert len({unnamed(answer) for answer in answers[1:]}) == 1


async def test_an_idempotency_key_of_one_subject_tells_another_nothing(bed: Bed) -> None:
    """Each subject has its own, and the keys of the tenant have theirs."""
    key = await bed.key()
    ada, again, ben = [await token(bed, key, subject=name) for name in ("ada", "ada", "ben")]

    answers = [await bed.create(each, idempotency_key="order-1") for each in (ada, again, ben, key)]

    ids = [answer.json()["id"] for answer in answers]
    assert ids[0] == ids[1]
    assert answers[1].headers["idempotency-replayed"] == "true"
    assert len(set(ids)) == 3


@pytest.mark.parametrize("scope", ["create", "read"])
async def test_each_scope_opens_its_own_routes(bed: Bed, scope: str) -> None:
    """A page that only shows progress need not be able to spend."""
    key = await bed.key(**QUEUEING)
    task_id = await bed.created(await token(bed, key, subject="ada"))
    secret = await token(bed, key, scopes=[scope], subject="ada")

    creates = [await bed.create(secret), await call_off(bed, secret, task_id)]
    reads = [
        await bed.read(secret, task_id),
        await ask_batch(bed, secret, {"task_ids": [task_id]}),
        await bed.http.get("/v1/models", headers=[bearer(secret)]),
    ]

    assert {reason(answer) == "token_scope" for answer in creates} == {scope == "read"}
    assert {reason(answer) == "token_scope" for answer in reads} == {scope == "create"}


async def test_a_token_has_the_gateway_call_nobody(bed: Bed) -> None:
    """An address that a page names would be called from within the operator's network."""
    secret = await token(bed, await bed.key())

    answer = await bed.create(secret, character(callback_url="https://example.com/hook"))

    error = error_of(answer)
    assert (error["reason"], error["param"]) == ("token_scope", "callback_url")
    assert bed.vendor.creates() == []


async def test_a_bound_token_is_used_from_its_origin_alone(bed: Bed) -> None:
    """Not from another page of its tenant, not from elsewhere, and not without a page at all."""
    key = await bed.key()
    await allow(bed, "acme", APP, "https://other.example.com")
    secret = await token(bed, key, origin=APP)
    task_id = (await Page(bed).call(secret, "POST", CREATE_PATH, json=character())).json()["id"]
    path = f"/v1/tasks/{task_id}"

    answers: list[Any] = [
        await Page(bed, "https://other.example.com").call(secret, "GET", path),
        await Page(bed, "https://evil.example").call(secret, "GET", path),
        await Page(bed, "null").call(secret, "GET", path),
        await Page(bed, "http://gateway").call(secret, "GET", path),
        await bed.read(secret, task_id),
    ]

    assert [reason(answer) for answer in answers] == ["origin_not_allowed"] * 5
    assert [told_to_pages(answer) for answer in answers] == [{}] * 5
    assert (await Page(bed).call(secret, "GET", path)).status_code == 200


async def test_a_bound_token_ends_with_the_permission_of_its_origin(bed: Bed) -> None:
    """An operator who takes an origin away shuts out what was minted for it."""
    key = await bed.key()
    await allow(bed, "acme", APP)
    secret = await token(bed, key, origin=APP)

    await allow(bed, "acme")

    assert reason(await Page(bed).call(secret, "GET", "/v1/models")) == "origin_not_allowed"


async def test_a_token_that_is_bound_to_no_origin_is_held_to_those_of_its_tenant(bed: Bed) -> None:
    """And it may be used without one, by a program."""
    key = await bed.key()
    await allow(bed, "acme", APP)
    secret = await token(bed, key)

    answers = [
        await Page(bed, origin).call(secret, "GET", "/v1/models")
        for origin in (APP, "https://other.example.com")
    ]

    assert [reason(answer) for answer in answers] == ["", "origin_not_allowed"]
    assert (await shown(bed, secret, "/v1/models"))["data"]
