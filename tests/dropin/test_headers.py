"""What programs write into the head of a request, and what they look for in that of an answer."""

from __future__ import annotations

import re

import pytest

from tests.api.browsing import APP, allow
from tests.dropin.callers import BROWSER, Caller
from tests.support.bed import CHARACTER, Bed, character

RUN_ID = "run_2026-11-22.0001"

CALLING_CARDS = {
    "User-Agent": BROWSER,
    "X-Evo-Client": "cli",
    "X-Evo-Client-Version": "1.2.3",
    "X-Evo-Tool": "generate_video",
    "X-EvoLink-Source": "skill",
    "X-EvoLink-Skill": "video-gen",
    "X-EvoLink-Package": "video-gen-skill",
    "X-EvoLink-Campaign": "autumn",
    "X-EvoLink-Touchpoint": "readme",
    "Origin": APP,
    "Referer": f"{APP}/videos",
    "Cookie": "session=c0ffee",
    "Accept": "text/html,application/json;q=0.9,*/*;q=0.8",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Accept-Language": "en-GB,en;q=0.5",
}
"""What programs, and the browsers some run in, say about themselves; `acme` names the origin."""


async def test_what_programs_say_about_themselves_changes_nothing(bed: Bed, caller: Caller) -> None:
    """Created and read as without all that."""
    await allow(bed, "acme", APP)
    caller.headers = CALLING_CARDS

    created = await caller.create(CHARACTER, Idempotency_Key=RUN_ID, X_Evo_Run_Id=RUN_ID)
    read = await caller.task(created.json["id"])

    assert (created.status, read.status) == (200, 200)
    assert created.json["id"] == read.json["id"]
    assert len(bed.vendor.creates()) == 1


async def test_what_programs_say_about_themselves_goes_no_further(bed: Bed, caller: Caller) -> None:
    """The vendor hears of neither the program nor its user: the gateway speaks for itself."""
    await allow(bed, "acme", APP)
    caller.headers = CALLING_CARDS

    await caller.create(CHARACTER, Idempotency_Key=RUN_ID, X_Evo_Run_Id=RUN_ID)

    (heard,) = bed.vendor.creates()
    told = str(heard["headers"]).lower()
    left = [card for card in (*CALLING_CARDS.values(), RUN_ID, caller.key) if card.lower() in told]
    assert left == []
    assert not re.search(r"x-evo|x-evolink|cookie|origin|referer", told)
    assert heard["idempotency_key"].startswith("rg-")


@pytest.mark.parametrize("declared", ["application/json", "application/json; charset=UTF-8", ""])
async def test_a_get_may_say_what_kind_of_body_it_has_not(caller: Caller, declared: str) -> None:
    """Many programs send one set of headers with everything."""
    task_id = (await caller.create(CHARACTER)).json["id"]

    assert (await caller.task(task_id, Content_Type=declared)).ok


@pytest.mark.parametrize("bearer", ["Bearer {}", "bearer {}", "BEARER {}", "Bearer  {}"])
async def test_the_key_may_be_written_as_some_write_it(caller: Caller, bearer: str) -> None:
    """The scheme's case and a blank too many are nobody's secret."""
    reply = await caller.create(CHARACTER, Authorization=bearer.format(caller.key))

    assert reply.ok


@pytest.mark.parametrize(
    "name", ["a" * 16, "a" * 96, "A-Za-z0-9._-0000", "550e8400-e29b-41d4-a716"]
)
@pytest.mark.parametrize(
    "headers", [("Idempotency_Key", "X_Evo_Run_Id"), ("Idempotency_Key",), ("X_Evo_Run_Id",)]
)
async def test_a_repeated_create_is_marked(
    bed: Bed, caller: Caller, name: str, headers: tuple[str, ...]
) -> None:
    """Every name that the vendor's own client may make: one task, and a header that says so."""
    sent = dict.fromkeys(headers, name)

    first, second = await caller.create(CHARACTER, **sent), await caller.create(CHARACTER, **sent)

    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert second.json == first.json
    assert len(bed.vendor.creates()) == 1


async def test_a_name_that_was_used_for_another_request_is_told(bed: Bed, caller: Caller) -> None:
    """No program may take the first task for that of its second request."""
    await caller.create(CHARACTER, Idempotency_Key=RUN_ID)

    reply = await caller.create(character(timestamps="0,1"), Idempotency_Key=RUN_ID)

    assert reply.status == 409
    assert reply.json["error"]["reason"] == "idempotency_conflict"
    assert len(bed.vendor.creates()) == 1


async def test_every_answer_has_an_id_to_complain_with(caller: Caller) -> None:
    """Programs look for it under two names and print the first they find."""
    good = await caller.create(CHARACTER)
    bad = await caller.create({"model": "sora-character"})
    read = await caller.task(good.json["id"])
    lost = await caller.call("GET", "/nowhere")

    found = [
        reply.headers.get("x-request-id") or reply.headers.get("x-oneapi-request-id")
        for reply in (good, bad, read, lost)
    ]
    assert len(set(found)) == 4
    assert all(found)
    assert bad.json["error"]["request_id"] == found[1]


async def test_a_pause_that_is_asked_for_is_a_number_of_seconds(bed: Bed) -> None:
    """Programs turn it into a number, and wait no longer than half a minute."""
    caller = Caller(bed.http, await bed.key(creates_per_minute=2))
    first = await caller.create(character("seconds:60"))
    running = await caller.task(first.json["id"])
    await caller.create(CHARACTER)
    too_many = await caller.create(CHARACTER)
    bed.vendor.fault("status", status=429, times=1, retry_after=7)
    refused = await Caller(bed.http, await bed.key("hooli")).create(CHARACTER)

    pauses = [reply.headers.get("retry-after", "") for reply in (running, too_many, refused)]

    assert [reply.status for reply in (running, too_many, refused)] == [200, 429, 503]
    assert all(re.fullmatch("[1-9][0-9]*", pause) for pause in pauses)
    assert int(pauses[2]) == 7


async def test_an_ended_task_asks_for_no_pause(bed: Bed, caller: Caller) -> None:
    """Nothing is to be waited for."""
    task_id = (await caller.create(character("seconds:1"))).json["id"]
    await bed.pass_time(5)

    assert "retry-after" not in (await caller.task(task_id)).headers
