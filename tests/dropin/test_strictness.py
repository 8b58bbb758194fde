"""The strictest programs: they give up at the first member that is not as on the vendor's pages."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import OpenBed
from tests.dropin.callers import Caller, Distrust, may_download, read_strictly, word_for
from tests.support.bed import CHARACTER, Bed, character
from tests.support.dictated_vendor import TASK, DictatedVendor, words

PROMPT = "a fox [sandbox seconds:2]"
MODELS: dict[str, dict[str, Any]] = {
    "sora-character": character("seconds:2"),
    "sora-2": {"model": "sora-2", "prompt": PROMPT},
    "veo-3.1-generate-preview": {"model": "veo-3.1-generate-preview", "prompt": PROMPT},
    "MiniMax-Hailuo-2.3": {"model": "MiniMax-Hailuo-2.3", "prompt": PROMPT},
    "happyhorse-1.0-text-to-video": {"model": "happyhorse-1.0-text-to-video", "prompt": PROMPT},
}
"""Among them models whose pages leave out members that others have."""

BARE = {"id": TASK["id"], "status": "pending"}


@pytest.mark.parametrize("model", MODELS)
async def test_every_answer_of_a_task_can_be_trusted(bed: Bed, caller: Caller, model: str) -> None:
    """From the create to the end, of every kind of model: also where the vendor is short."""
    created = await caller.create(MODELS[model])
    read_strictly(created.json, wanted=model)
    task_id = created.json["id"]

    for _ in range(3):
        reply = await caller.task(task_id)
        read_strictly(reply.json, wanted=model, asked_id=task_id)
        await bed.pass_time(1.5)

    assert reply.json["status"] == "completed"


@pytest.mark.parametrize("outcome", ["failed", "cancelled"])
async def test_a_bad_end_can_be_trusted_too(bed: Bed, caller: Caller, outcome: str) -> None:
    """No results then, and an error in one shape."""
    task_id = (await caller.create(character(f"outcome:{outcome},seconds:1"))).json["id"]
    await bed.pass_time(5)

    reply = await caller.task(task_id)

    read_strictly(reply.json, wanted="sora-character", asked_id=task_id)
    assert reply.json["error"].keys() == {"code", "message", "type"}
    assert reply.json["error"]["type"] == "task_error"


@pytest.mark.parametrize("mode", ["commit_then_status", "commit_then_reset", "missing_id"])
async def test_a_task_in_doubt_can_be_trusted_too(bed: Bed, caller: Caller, mode: str) -> None:
    """The vendor's answer is lost, the caller's is whole."""
    bed.vendor.fault(mode)

    created = await caller.create(CHARACTER)

    read_strictly(created.json, wanted="sora-character")
    assert created.json["status"] == "pending"


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"object": None, "type": None, "model": None, "progress": None},
        {"object": 1, "type": [], "model": {}, "progress": "40"},
        {"progress": 45.5, "created": "yesterday"},
        {"progress": -1},
        {"progress": 1e300, "results": [], "error": None},
        {"progress": True, "task_info": None, "usage": None},
    ],
    ids=str,
)
async def test_a_careless_vendor_does_not_reach_a_strict_program(
    dictated_bed: Bed, dictated: DictatedVendor, said: dict[str, Any]
) -> None:
    """What it leaves out or writes as another type is put right on the way, in both calls."""
    caller = Caller(dictated_bed.http, await dictated_bed.key())
    dictated.of_create = words({**BARE, **said})
    dictated.say(BARE, **said | {"status": "processing"})

    created = await caller.create(CHARACTER)
    await dictated_bed.pass_time(2)
    read = await caller.task(created.json["id"])

    for reply in (created, read):
        read_strictly(reply.json, wanted="sora-character")
    assert read.json["status"] == "processing"


async def test_progress_never_goes_back(dictated_bed: Bed, dictated: DictatedVendor) -> None:
    """A bar that a program draws only grows, whatever the vendor says meanwhile."""
    caller = Caller(dictated_bed.http, await dictated_bed.key())
    task_id = (await caller.create(CHARACTER)).json["id"]
    drawn = []

    for progress in (10, 40, 20, 0, 60):
        dictated.say(TASK, status="processing", progress=progress)
        await dictated_bed.pass_time(15)
        drawn.append((await caller.task(task_id)).json["progress"])

    assert drawn == [10, 40, 40, 40, 60]


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        ("queued", "running"),
        ("waiting", "running"),
        ("running", "running"),
        ("in_progress", "running"),
        ("Baking", "running"),
        ("", "running"),
        ("success", "succeeded"),
        ("SUCCEEDED", "succeeded"),
        ("done", "succeeded"),
        ("error", "failed"),
        ("cancelled", "failed"),
        ("canceled", "failed"),
    ],
)
async def test_a_word_of_another_vendor_becomes_one_of_four(
    dictated_bed: Bed, dictated: DictatedVendor, word: str, meaning: str
) -> None:
    """A strict program knows four; a tolerant one reads the same from them as from the word."""
    caller = Caller(dictated_bed.http, await dictated_bed.key())
    task_id = (await caller.create(CHARACTER)).json["id"]
    dictated.say(TASK, status=word, results=["https://example.com/a.mp4"])
    await dictated_bed.pass_time(2)

    reply = await caller.task(task_id)

    read_strictly(reply.json, wanted="sora-character")
    assert word_for(reply.json["status"]) == meaning == word_for(word)


@pytest.mark.unaudited("the vendor gives one id to all tasks, and names it in a link")
@pytest.mark.parametrize(
    "links",
    [
        ["https://media.evolink.ai/a/b.mp4"],
        ["https://ark-content.tos-cn.volces.com/a.mp4?X-Tos-Signature=a%2Fb&x=1#t=2"],
        ["https://files.evolink.ai/a.mp4", "https://files.evolink.ai/b.mp4"],
        ["/files/a.mp4"],
        ["http://example.com/a.mp4"],
        [f"https://media.evolink.ai/{TASK['id']}/a.mp4"],
    ],
    ids=lambda links: str(links[0]),
)
async def test_links_arrive_as_the_vendor_wrote_them(
    dictated_bed: Bed, dictated: DictatedVendor, links: list[str]
) -> None:
    """Some programs trust two hosts alone, one resolves relative paths, all need the signature."""
    caller = Caller(dictated_bed.http, await dictated_bed.key())
    task_id = (await caller.create(CHARACTER)).json["id"]
    dictated.say(
        TASK, status="completed", results=links, result_data=[{"url": link} for link in links]
    )
    await dictated_bed.pass_time(2)

    answer = (await caller.task(task_id)).json

    assert answer["results"] == links
    assert [each["url"] for each in answer["result_data"]] == links


async def test_a_program_that_trusts_the_vendors_hosts_downloads(
    dictated_bed: Bed, dictated: DictatedVendor
) -> None:
    """No link leads through the gateway, whose host such a program has never heard of."""
    caller = Caller(dictated_bed.http, await dictated_bed.key())
    task_id = (await caller.create(CHARACTER)).json["id"]
    dictated.say(TASK, status="completed", results=["https://media.evolink.ai/a.mp4"])
    await dictated_bed.pass_time(2)

    (link,) = (await caller.task(task_id)).json["results"]

    assert may_download(link)


async def test_the_name_in_answers_is_the_model_that_is_used(open_gateway_bed: OpenBed) -> None:
    """As at the vendor: who asks for a short name and compares the two has to know the long one."""
    async with open_gateway_bed() as bed:
        caller = Caller(bed.http, await bed.key())

        reply = await caller.create({"model": "grok-imagine-text-to-video", "prompt": PROMPT})

    with pytest.raises(Distrust, match="model"):
        read_strictly(reply.json, wanted="grok-imagine-text-to-video")
    read_strictly(reply.json, wanted="grok-imagine-text-to-video-beta")
