"""A hold ends by a verdict about its own task, never by a sweep: however late, and once.

Elsewhere a sweeper has settled reservations that were merely old, and a failure that was verified
later was then called refunded, though no credit had moved. So every chore and every schedule runs
here over tasks that are old, again and again, and then the verdict comes.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.domain.audit import Actor
from app.domain.resolution import Resolution
from app.store.keys import ALL_SHARDS
from tests.conftest import OpenBed
from tests.support.bed import Bed, character

OPERATOR = Actor("cli")
HELD = 100_000
DAY_S = 86_400
DEADLINE_S = 1_000
LATE_S = 20 * DAY_S
POLL = {
    "first_delay_s": 1,
    "min_interval_s": 10,
    "max_interval_s": 10,
    "deadline_s": DEADLINE_S,
    "watch_interval_s": DAY_S / 4,
    "give_up_s": 2 * LATE_S,
}


async def money(bed: Bed, task_id: str) -> list[tuple[str, int]]:
    """Return kinds and amounts of a task's ledger."""
    entries = await bed.gateway.store.tasks.ledger("acme", task_id)
    return [(kind, amount) for _, kind, amount in entries]


async def sweep(bed: Bed, days: float) -> None:
    """Let days pass, and all that an engine ever does over them, due or not."""
    for _ in range(round(days * 4)):
        await bed.pass_time(DAY_S / 4)
        for flow in bed.gateway.engine.flows.values():
            for shard in ALL_SHARDS:
                await flow(shard)
        for chore in bed.gateway.engine.chores:
            await chore.work()


async def watched(bed: Bed, key: str, scenario: str) -> str:
    """Return a task that is past our own deadline."""
    task_id = await bed.created(key, character(scenario))
    for _ in range(DEADLINE_S // 100 + 1):
        await bed.pass_time(100)
    assert (await bed.stored(task_id))["state"] == "watching"
    return task_id


@pytest.mark.parametrize(
    ("scenario", "state", "end"),
    [
        ("", "completed", [("settle", HELD)]),
        (",credits:0.04", "completed", [("settle", 40_000), ("release", 60_000)]),
        (",credits:0.3", "completed", [("adjust", 200_000), ("settle", 300_000)]),
        (",outcome:failed", "failed", [("release", HELD)]),
        (",outcome:cancelled", "failed", [("release", HELD)]),
    ],
)
async def test_no_sweep_settles_a_hold_and_the_late_verdict_does(
    open_gateway_bed: OpenBed, scenario: str, state: str, end: list[tuple[str, int]]
) -> None:
    """Long past its deadline it is on hold, and nothing else; then it is charged, or released."""
    async with open_gateway_bed(poll=POLL) as bed:
        key = await bed.key()
        task_id = await watched(bed, key, f"seconds:{LATE_S}{scenario}")

        await sweep(bed, 4)
        kept, held = await money(bed, task_id), (await bed.stored(task_id))["held"]
        bed.clock.advance_ms(LATE_S * 1000)
        bed.vendor.pass_time(LATE_S)
        await sweep(bed, 1)
        ended = await money(bed, task_id)
        await sweep(bed, 1)

        assert (kept, held) == ([("hold", HELD)], str(HELD))
        assert ended == [("hold", HELD), *end]
        assert await money(bed, task_id) == ended
        record = await bed.stored(task_id)
        charged = sum(amount for kind, amount in end if kind == "settle")
        assert (record["state"], int(record["charged"]), record["held"]) == (state, charged, "0")


@pytest.mark.parametrize(
    ("policy", "written_off"), [("charge", ("settle", HELD)), ("release", ("release", HELD))]
)
@pytest.mark.parametrize(("verdict", "charged"), [("late success", HELD), ("late failure", 0)])
async def test_after_a_write_off_only_evidence_moves_a_credit(
    open_gateway_bed: OpenBed, policy: str, written_off: Any, verdict: str, charged: int
) -> None:
    """Swept for days it stays as it was written off; then the ledger says what has really moved."""
    async with open_gateway_bed(doubt_deadline_s=60) as bed:
        key = await bed.key(when_in_doubt=policy)
        bed.vendor.fault("commit_then_close", times=1)
        task_id = await bed.created(key)
        await sweep(bed, 2)
        before = await money(bed, task_id)
        shown = (await bed.read(key, task_id)).content
        credits = str(charged / 1_000_000)
        wanted = Resolution.read({"as": "corrected", "credits": credits, "reason": verdict})

        for _ in range(3):
            await bed.gateway.resolve(task_id, wanted, OPERATOR)
            await sweep(bed, 0.5)

        more = charged - (HELD if policy == "charge" else 0)
        corrections = [("correction", more)] if more else []
        assert before == [("hold", HELD), written_off]
        assert await money(bed, task_id) == [*before, *corrections]
        assert (await bed.read(key, task_id)).content == shown
        assert json.loads(shown)["error"]["code"] == "outcome_unknown"
        assert int((await bed.stored(task_id))["charged"]) == charged
