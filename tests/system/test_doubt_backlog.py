"""What is in doubt is seen: by operators, on gauges, by alarms, and by who looks from outside."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from pydantic import SecretStr

from app.upstream.client import idempotency_key_of
from app.worker import Chore
from tests.conftest import OpenBed
from tests.support.alarms import going_off
from tests.support.auditor import audit, read_books
from tests.support.bed import Bed, character
from tests.support.scale import scaled
from tests.system.conftest import Run

TOKEN = "canary-admin-token-0001"
WAYS = ("commit_then_reset", "commit_then_close", "commit_then_status", "truncated", "malformed")
ROUNDS = scaled(1_000) // len(WAYS)


async def drilled(bed: Bed) -> None:
    """Lose answers in every way, between creates that are answered, over three tenants."""
    for number in range(ROUNDS):
        key = await bed.key(f"tenant-{number % 3}")
        for way in WAYS:
            bed.vendor.fault(way, times=1)
            await bed.created(key, character("seconds:90000"))
            bed.vendor.heal()
        await bed.created(key, character("seconds:1"))
        await bed.pass_time(10)


def without_owner(bed: Bed, redis_url: str) -> set[str]:
    """Return the tasks for which the vendor made what nobody follows; from journal and raw keys."""
    tasks = read_books(redis_url).tasks
    followed = {task.get("vendor_id") for task in tasks.values()}
    made_for = {idempotency_key_of(task_id): task_id for task_id in tasks}
    return {
        made_for[each["idempotency_key"]]
        for each in bed.vendor.creates()
        if each["created_task_id"] and each["created_task_id"] not in followed
    }


async def shown(bed: Bed) -> dict[str, float | None]:
    """Return what the gauges show after an engine's next count."""
    (count,) = [each for each in bed.gateway.engine.chores if each.name == "doubts"]
    assert isinstance(count, Chore)
    await count.work()
    names = ("doubts", "doubt_oldest_seconds", "doubt_held_microcredits")
    registry = bed.gateway.metrics.registry
    return {name: registry.get_sample_value(f"reelgate_{name}") for name in names}


async def asked(bed: Bed) -> list[dict[str, Any]]:
    """Return the admin API's list."""
    answer = await bed.http.get("/admin/v1/doubts", headers={"authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


async def test_after_a_drill_lists_gauges_alarms_and_auditor_agree(
    open_gateway_bed: OpenBed, redis_url: str, reelgate: Run
) -> None:
    """On every single one; and when the doubts are over, all of them say so."""
    async with open_gateway_bed(admin_token=SecretStr(TOKEN)) as bed:
        before = await shown(bed), going_off(bed.gateway.metrics.registry)
        await drilled(bed)
        now_ms, books = bed.clock.now_ms(), read_books(redis_url)
        doubtful = without_owner(bed, redis_url)
        held = {each: int(books.tasks[each]["held"]) for each in doubtful}
        oldest_ms = min(int(books.tasks[each]["doubt_ms"]) for each in doubtful)

        told, listed = await asked(bed), reelgate("task", "doubt", "list", "--json").json()
        gauges = await shown(bed)
        alarms = going_off(bed.gateway.metrics.registry)
        await bed.pass_time(3_601)
        await shown(bed)
        later = going_off(bed.gateway.metrics.registry)
        await bed.pass_time(86_400)
        after = await shown(bed), going_off(bed.gateway.metrics.registry)

        assert len(doubtful) == ROUNDS * len(WAYS)
        for each in (told, listed):
            assert {task["id"]: int(Decimal(task["credits_held"]) * 10**6) for task in each} == held
            assert [task["since"] for task in each] == sorted(task["since"] for task in each)
        assert gauges == {
            "doubts": len(doubtful),
            "doubt_oldest_seconds": (now_ms - oldest_ms) / 1000,
            "doubt_held_microcredits": sum(held.values()),
        }
        assert alarms == {"ReelgateTasksInDoubt"}
        assert later == {"ReelgateTasksInDoubt", "ReelgateDoubtIsOld"}
        assert before == after
        assert (await asked(bed), before[1]) == ([], set())
    assert audit(read_books(redis_url), bed.vendor.journal()) == []
