"""An operator ends a doubt, or corrects a cost: with a reason, in the ledger and the audit log."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from app.domain.audit import Actor
from app.domain.resolution import Resolution
from app.errors import NotResolvable, TaskNotFound
from app.flows.explain import ExplainTask
from app.store.keys import Shard
from tests.flows.doubting import doubted, movements
from tests.support.bed import Bed, character

OPERATOR = Actor("cli")
UNKNOWN_ID = "task-unified-1767917446-0123456789abcdefghijklmno"
HELD = 100_000


async def resolve(bed: Bed, task_id: str, how: str, **more: Any) -> None:
    """Give an operator's word."""
    wanted = Resolution.read({"as": how, "reason": "seen in the console", **more})
    await bed.gateway.resolve(task_id, wanted, OPERATOR)


async def acts(bed: Bed) -> list[dict[str, Any]]:
    """Return what the audit log has of resolved tasks, newest first."""
    entries, _ = await bed.gateway.store.audit.page(tenant_id=None, before=None, limit=100)
    return [each for each in entries if each["act"] == "task.resolved"]


async def test_what_the_vendor_has_is_followed_from_then_on(bed: Bed) -> None:
    """To its end, at its price, like a task that was never in doubt; nothing is sent again."""
    key = await bed.key()
    task_id = await doubted(bed, key)
    (create,) = bed.vendor.creates()

    await resolve(bed, task_id, "accepted", vendor_id=create["created_task_id"])
    state = (await bed.stored(task_id))["state"]
    await bed.pass_time(30)

    assert state == "submitted"
    assert (await bed.read(key, task_id)).json()["status"] == "completed"
    assert await movements(bed, task_id) == [("hold", HELD), ("settle", HELD)]
    assert len(bed.vendor.creates()) == 1


async def test_what_the_vendor_does_not_have_has_failed(bed: Bed) -> None:
    """The hold and the slot are given back."""
    key = await bed.key(tasks_in_flight=1)
    task_id = await doubted(bed, key, mode="reset")

    await resolve(bed, task_id, "rejected")

    shown = (await bed.read(key, task_id)).json()
    assert (shown["status"], shown["error"]["code"]) == ("failed", "service_error")
    assert await movements(bed, task_id) == [("hold", HELD), ("release", HELD)]
    assert (await bed.create(key)).status_code == 200


@pytest.mark.parametrize(("policy", "end"), [("charge", "settle"), ("release", "release")])
async def test_what_nobody_will_find_out_is_written_off(bed: Bed, policy: str, end: str) -> None:
    """At once, and as the tenant wishes."""
    key = await bed.key(when_in_doubt=policy)
    task_id = await doubted(bed, key)

    await resolve(bed, task_id, "written_off")

    assert (await bed.read(key, task_id)).json()["error"]["code"] == "outcome_unknown"
    assert await movements(bed, task_id) == [("hold", HELD), (end, HELD)]


@pytest.mark.parametrize(
    ("scenario", "to", "entry"),
    [
        ("seconds:1", "0", ("correction", -HELD)),
        ("seconds:1", "0.25", ("correction", 150_000)),
        ("outcome:failed,seconds:1", "0.1", ("correction", HELD)),
    ],
)
async def test_the_cost_of_a_finished_task_is_corrected(
    bed: Bed, scenario: str, to: str, entry: tuple[str, int]
) -> None:
    """An entry is added and the figures follow; what its tenant was answered stays."""
    key = await bed.key()
    task_id = await bed.created(key, character(scenario))
    await bed.pass_time(20)
    answer, before = (await bed.read(key, task_id)).content, await movements(bed, task_id)

    await resolve(bed, task_id, "corrected", credits=to)
    await resolve(bed, task_id, "corrected", credits=to)

    assert await movements(bed, task_id) == [*before, entry]
    assert (await bed.usage())["settled"] == round(float(to) * 1_000_000)
    assert (await bed.read(key, task_id)).content == answer
    story = await ExplainTask(bed.gateway.store.tasks)(task_id)
    assert story["balanced"]
    assert float(story["credits_charged"]) == float(to)


async def test_a_correction_of_nothing_moves_nothing(bed: Bed) -> None:
    """The audit log has the operator's word all the same."""
    task_id = await bed.created(await bed.key(), character("seconds:1"))
    await bed.pass_time(20)
    before = await movements(bed, task_id)

    await resolve(bed, task_id, "corrected", credits="0.1")

    assert await movements(bed, task_id) == before
    assert len(await acts(bed)) == 1


@pytest.mark.parametrize("how", ["accepted", "rejected", "written_off", "corrected"])
async def test_every_resolution_is_audited_with_its_reason(bed: Bed, how: str) -> None:
    """Who, when, which task, and what was said; in the step that changed it."""
    task_id = await doubted(bed, await bed.key())
    more = {}
    if how == "accepted":
        more = {"vendor_id": bed.vendor.creates()[0]["created_task_id"]}
    if how == "corrected":
        await resolve(bed, task_id, "rejected")
        more = {"credits": "0.1"}

    await resolve(bed, task_id, how, **more)

    entry = (await acts(bed))[0]
    assert (entry["actor"], entry["tenant"]) == ("cli", "acme")
    assert entry["at_ms"] == bed.clock.now_ms()
    assert entry["detail"] == {
        "as": how,
        "reason": "seen in the console",
        "task": task_id,
        **({"credits": "0.1"} if how == "corrected" else more),
    }


@pytest.mark.parametrize(
    ("scenario", "passed_s", "how", "more", "remedy"),
    [
        ("seconds:900", 0, "corrected", {"credits": "1"}, "wait for its end"),
        ("seconds:1", 20, "rejected", {}, "corrected"),
        ("seconds:1", 20, "accepted", {"vendor_id": "task-unified-1767917446-abc"}, "corrected"),
        ("outcome:failed,seconds:1", 20, "written_off", {}, "corrected"),
    ],
)
async def test_a_word_that_does_not_fit_the_state_is_refused(
    bed: Bed, scenario: str, passed_s: float, how: str, more: dict[str, str], remedy: str
) -> None:
    """It is told what would fit; nothing is changed, and nothing is audited."""
    task_id = await bed.created(await bed.key(), character(scenario))
    await bed.pass_time(passed_s)
    before = await bed.stored(task_id)

    with pytest.raises(NotResolvable) as refusal:
        await resolve(bed, task_id, how, **more)

    assert refusal.value.param == "as"
    assert before["state"] in refusal.value.message
    assert remedy in refusal.value.message
    assert await bed.stored(task_id) == before
    assert await acts(bed) == []


async def test_what_waits_in_the_queue_is_to_be_cancelled(bed: Bed) -> None:
    """The vendor cannot have it, so there is nothing to find out about it."""
    key = await bed.key(tasks_in_flight=1, when_full="queue")
    await bed.created(key)
    task_id = await bed.created(key)

    for how in ("rejected", "written_off"):
        with pytest.raises(NotResolvable, match=r"queued.* cancel it"):
            await resolve(bed, task_id, how)

    assert (await bed.stored(task_id))["state"] == "queued"


async def test_a_record_that_cannot_be_read_is_not_touched(bed: Bed) -> None:
    """Another version has written it: that is said, and no defect."""
    task_id = await doubted(bed, await bed.key())
    place, redis = Shard.of("acme").task(task_id), bed.gateway.store.redis
    await redis.hset(place, "state", "pondering")

    with pytest.raises(NotResolvable, match="use the version"):
        await resolve(bed, task_id, "rejected")

    assert (await bed.stored(task_id))["state"] == "pondering"
    await redis.hset(place, "state", "in_doubt")


@pytest.mark.parametrize("how", ["rejected", "written_off"])
async def test_what_an_operator_ends_is_counted(bed: Bed, how: str) -> None:
    """Else the tasks that were admitted and those that have finished would drift apart."""
    task_id = await doubted(bed, await bed.key())

    await resolve(bed, task_id, how)

    counted = bed.gateway.metrics.registry.get_sample_value(
        "reelgate_tasks_finished_total", {"state": how}
    )
    assert counted == 1


async def test_a_task_in_doubt_has_no_cost_to_correct(bed: Bed) -> None:
    """First it has to end."""
    task_id = await doubted(bed, await bed.key())

    with pytest.raises(NotResolvable, match="in_doubt"):
        await resolve(bed, task_id, "corrected", credits="0")


async def test_a_task_that_there_is_not_is_not_found(bed: Bed) -> None:
    """Neither by what was never given out, nor by what is no id at all."""
    for task_id in (UNKNOWN_ID, "task-1", ""):
        with pytest.raises(TaskNotFound):
            await resolve(bed, task_id, "rejected")


@pytest.mark.parametrize("ended", [False, True])
async def test_two_tasks_are_never_followed_under_one_id(bed: Bed, ended: bool) -> None:
    """An operator who mistakes one task for another would have it charged twice."""
    key = await bed.key()
    await bed.created(key, character("seconds:1"))
    await bed.pass_time(20 if ended else 0)
    taken = bed.vendor.creates()[0]["created_task_id"]
    task_id = await doubted(bed, key)

    with pytest.raises(NotResolvable, match="another task"):
        await resolve(bed, task_id, "accepted", vendor_id=taken)

    assert (await bed.stored(task_id))["state"] == "in_doubt"
    assert await acts(bed) == []


async def test_of_two_operators_one_is_told_to_look_again(bed: Bed) -> None:
    """The doubt ends once, and so does the log of it."""
    task_id = await doubted(bed, await bed.key())
    vendor_id = bed.vendor.creates()[0]["created_task_id"]

    outcomes = await asyncio.gather(
        resolve(bed, task_id, "rejected"),
        resolve(bed, task_id, "written_off"),
        resolve(bed, task_id, "accepted", vendor_id=vendor_id),
        return_exceptions=True,
    )

    assert sum(isinstance(each, NotResolvable) for each in outcomes) == 2
    assert sum(each is None for each in outcomes) == 1
    assert len(await acts(bed)) == 1


async def test_the_story_of_a_doubt_tells_every_step_and_every_credit(bed: Bed) -> None:
    """From the admission to the correction, with what was on hold and spent after each."""
    task_id = await doubted(bed, await bed.key())
    await bed.pass_time(600)
    await resolve(bed, task_id, "written_off")
    await resolve(bed, task_id, "corrected", credits="0.04")

    story = await ExplainTask(bed.gateway.store.tasks)(task_id)

    assert [step["step"] for step in story["steps"]] == [
        *("sending", "in_doubt", "slot_freed", "written_off", "corrected")
    ]
    assert [
        (entry["kind"], entry["credits"], entry["on_hold"], entry["spent"])
        for entry in story["ledger"]
    ] == [
        ("hold", "0.1", "0.1", "0"),
        ("settle", "0.1", "0", "0.1"),
        ("correction", "-0.06", "0", "0.04"),
    ]
    assert (story["balanced"], story["credits_charged"]) == (True, "0.04")
    assert story["steps"][-1]["detail"] == "by an operator, to 0.04"
    assert json.loads(json.dumps(story)) == story
