"""Notices that are made up, spliced or repeated: they change nothing and cost next to nothing."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from app.domain.callback_token import CallbackToken
from app.store.keys import Shard
from tests.conftest import OpenBed
from tests.flows.doubting import Called, called_back, doubted, made_past_the_gateway
from tests.support.bed import character
from tests.support.contents import everything
from tests.support.scale import scaled

FORGERIES = scaled(1_000)
VENDOR_ID = "task-unified-1767917446-abcdef"


async def frozen(called: Called) -> dict[str, Any]:
    """Return all that is stored of tasks and money."""
    kinds = (":task:", ":ledger:", ":usage:", ":polls", ":doubts", ":sends", ":slots:", ":story:")
    found = await everything(called.bed.gateway.store.redis)
    return {name: value for name, value in found.items() if any(kind in name for kind in kinds)}


async def moved(called: Called, before: dict[str, Any]) -> dict[str, Any]:
    """Return what has changed of states and money; what is kept of notices apart."""
    of_notices = {b"named", b"looked_ms", b"looks", b"version"}

    def essence(found: dict[str, Any]) -> dict[str, Any]:
        return {
            name: {k: v for k, v in value.items() if k not in of_notices}
            if isinstance(value, dict)
            else value
            for name, (value, _) in found.items()
            if not any(kind in name for kind in (":story:", ":doubts", "{vendor}"))
        }

    old, new = essence(before), essence(await frozen(called))
    return {name: new.get(name) for name in old | new if old.get(name) != new.get(name)}


def forgeries(called: Called, task_id: str, other: str, count: int) -> list[str]:
    """Return tokens that the gateway never wrote, about tasks that it has."""
    true, shard = called.token(task_id), Shard.of("acme").number
    named, proof = true.rpartition(".")[::2]
    made_up = [
        CallbackToken(shard, each).write(f"guess {number}".encode())
        for number in range(count // 2)
        for each in (task_id, other)
    ]
    spliced = [
        f"{shard:02d}.{other}.{proof}",
        f"{(shard + 1) % 16:02d}.{task_id}.{proof}",
        f"0{named}.{proof}",
        f"{named}.{proof.upper()}",
        f"{named}.{proof[:-1]}",
        f"{named}.{proof}0",
        f"{named}.{'0' * 40}",
        f"{named}.",
        named,
        proof,
        task_id,
        true + "%20",
        true + "/",
        "..",
        "%2e%2e",
        "99" + true[2:],
    ]
    return made_up + spliced


async def test_forged_and_spliced_tokens_find_nothing(open_gateway_bed: OpenBed) -> None:
    """With true ids of the vendor, and in any number: 404, no read, not a byte changed."""
    async with called_back(open_gateway_bed) as called:
        bed = called.bed
        key = await bed.key()
        task_id = await doubted(bed, key, "seconds:900")
        other = await bed.created(key, character("seconds:900"))
        made = [entry["created_task_id"] for entry in bed.vendor.creates()]
        before = await frozen(called)

        answers: list[httpx2.Response] = [
            await called.notify(token, id=made[number % 2])
            for number, token in enumerate(forgeries(called, task_id, other, FORGERIES))
        ]

        assert {answer.status_code for answer in answers} == {404}
        assert {answer.json()["error"]["reason"] for answer in answers} == {"unknown_path"}
        assert bed.vendor.reads() == []
        assert await frozen(called) == before


async def test_a_forgery_is_told_apart_without_its_body(open_gateway_bed: OpenBed) -> None:
    """Who has no token of ours is answered 404 whatever else is sent."""
    async with called_back(open_gateway_bed) as called:
        for content in (b"", b"{", b"[]", b'{"id": 5}', b"\xff"):
            answer = await called.bed.http.post("/vendor/callback/00.x.y", content=content)
            assert answer.status_code == 404
            assert "00.x.y" not in answer.text


async def test_a_replayed_notice_costs_one_read_in_five_seconds(open_gateway_bed: OpenBed) -> None:
    """However often it comes, and whatever it names: and neither state nor money changes."""
    async with called_back(open_gateway_bed) as called:
        bed = called.bed
        task_id = await doubted(bed, await bed.key(), "seconds:900")
        token, before, reads = called.token(task_id), await frozen(called), []

        for number, step_ms in enumerate((0, 4_999, 1, 4_999, 1)):
            bed.clock.advance_ms(step_ms)
            for more in range(scaled(200)):
                answer = await called.notify(token, id=f"{VENDOR_ID}{number}{more}")
                assert answer.status_code == 200
                await bed.work()
            reads.append(len(bed.vendor.reads()))

        assert reads == [1, 1, 2, 2, 3]
        assert await moved(called, before) == {}


async def test_what_is_made_up_is_asked_about_ever_more_seldom(open_gateway_bed: OpenBed) -> None:
    """Four times after 5 seconds, then after 10, 20, … and an hour: some thirty reads a day."""
    async with called_back(open_gateway_bed) as called:
        bed = called.bed
        task_id = await doubted(bed, await bed.key(), "seconds:900000")
        await called.notify(called.token(task_id), id=VENDOR_ID)
        reads = []

        for pause_s in (0, 5, 5, 5, 5, 9, 1, 19, 1, 86_400 - 51):
            for _ in range(max(1, pause_s // 600)):
                await bed.pass_time(pause_s / max(1, pause_s // 600))
            reads.append(len(bed.vendor.reads()))
        await bed.pass_time(86_400)

        assert reads[:-1] == [1, 2, 3, 4, 5, 5, 6, 6, 7]
        assert 20 < reads[-1] < 40
        assert (await bed.stored(task_id))["state"] == "written_off"
        assert len(bed.vendor.reads()) <= reads[-1] + 1


async def test_a_replayed_notice_of_what_was_written_off_costs_one_read_in_five_seconds(
    open_gateway_bed: OpenBed,
) -> None:
    """To who repeats it honestly it says when it is of use again."""
    async with called_back(open_gateway_bed, doubt_deadline_s=60) as called:
        bed = called.bed
        task_id = await doubted(bed, await bed.key(), "seconds:900000")
        await bed.pass_time(61)
        token, before = called.token(task_id), await frozen(called)

        answers = [await called.notify(token, id=VENDOR_ID) for _ in range(scaled(500))]
        reads = len(bed.vendor.reads())
        bed.clock.advance_ms(4_999)
        answers.append(await called.notify(token, id=VENDOR_ID))
        bed.clock.advance_ms(1)
        last = await called.notify(token, id=VENDOR_ID)

        assert [answer.status_code for answer in answers] == [200] + [429] * (len(answers) - 1)
        assert {answer.headers["retry-after"] for answer in answers[1:]} == {"5"}
        assert (reads, last.status_code, len(bed.vendor.reads())) == (1, 200, 2)
        assert await moved(called, before) == {}


async def test_a_replayed_notice_of_a_followed_task_costs_one_read_in_five_seconds(
    open_gateway_bed: OpenBed,
) -> None:
    """It comes due once, and not again for each notice."""
    async with called_back(open_gateway_bed, poll={"first_delay_s": 3600}) as called:
        bed = called.bed
        task_id = await bed.created(await bed.key(), character("seconds:900"))

        for _ in range(20):
            answer = await called.notify(called.token(task_id), id=called.made_for(task_id))
            await bed.work()
            assert answer.status_code == 200

        assert len(bed.vendor.reads()) == 1


@pytest.mark.parametrize("state", ["completed", "failed"])
async def test_a_notice_about_what_has_ended_costs_nothing(
    open_gateway_bed: OpenBed, state: str
) -> None:
    """Final is final: not even a question."""
    async with called_back(open_gateway_bed) as called:
        bed = called.bed
        task_id = await bed.created(await bed.key(), character(f"outcome:{state},seconds:1"))
        await bed.pass_time(20)
        before, reads = await frozen(called), len(bed.vendor.reads())

        answer = await called.notify(called.token(task_id), id=called.made_for(task_id))

        assert answer.status_code == 200
        assert (await bed.stored(task_id))["state"] == state
        assert len(bed.vendor.reads()) == reads
        assert await frozen(called) == before


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b'{"id": 5}', b'{"id": "../x"}'], ids=str
)
async def test_a_notice_that_names_no_task_asks_nothing(
    open_gateway_bed: OpenBed, body: bytes
) -> None:
    """There is nothing to ask about, and nothing in it goes into an address."""
    async with called_back(open_gateway_bed) as called:
        bed = called.bed
        task_id = await doubted(bed, await bed.key(), "seconds:90000")

        answer = await bed.http.post(
            f"/vendor/callback/{called.token(task_id)}",
            content=body,
            headers={"content-type": "application/json"},
        )

        assert (answer.status_code, json.loads(answer.content)) == (200, {"status": "ok"})
        await bed.pass_time(3600)
        assert bed.vendor.reads() == []
        assert (await bed.stored(task_id))["state"] == "in_doubt"


@pytest.mark.parametrize("ended", [False, True])
async def test_the_task_of_another_is_no_proof(open_gateway_bed: OpenBed, ended: bool) -> None:
    """Of the same model and made in the same second, by another tenant: it stays that one's."""
    async with called_back(open_gateway_bed) as called:
        bed = called.bed
        other = await bed.created(await bed.key("hooli"), character("seconds:1"))
        foreign = called.made_for(other)
        task_id = await doubted(bed, await bed.key("acme"), "seconds:900")
        own = called.made_for(task_id)
        await bed.pass_time(20 if ended else 0)

        answer = await called.notify(called.token(task_id), id=foreign)
        await bed.work()
        left, named = (await bed.stored(task_id))["state"], await called.named(task_id)
        bed.clock.advance_ms(5_000)
        await called.notify(called.token(task_id), id=own)
        await bed.work()

        assert (answer.status_code, left, named) == (200, "in_doubt", [])
        assert (await bed.stored(task_id))["vendor_id"] == own


async def test_what_the_gateway_did_not_send_is_no_proof(open_gateway_bed: OpenBed) -> None:
    """A task of another model, or of another time, that was made with the same vendor key."""
    async with called_back(open_gateway_bed) as called:
        bed = called.bed
        old = await made_past_the_gateway(bed)
        bed.clock.advance_ms(3_600_000)
        bed.vendor.pass_time(3600)
        task_id = await doubted(bed, await bed.key(), "seconds:900")
        body = {"model": "sora-2", "prompt": "a lighthouse"}
        other_model = await made_past_the_gateway(bed, body)

        for vendor_id in (old, other_model):
            await called.notify(called.token(task_id), id=vendor_id)
            await bed.work()
            bed.clock.advance_ms(5_000)

        assert len(bed.vendor.reads()) == 2
        assert await called.named(task_id) == []
        assert (await bed.stored(task_id))["state"] == "in_doubt"
