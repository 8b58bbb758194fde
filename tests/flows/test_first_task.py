"""One task from the tenant's create to its end."""

from __future__ import annotations

from tests.support.bed import Bed, character


async def test_the_documented_request_ends_with_a_character(bed: Bed) -> None:
    """The published body is answered as published, and the finished task names the character."""
    key = await bed.key(credits_per_day="1")

    created = await bed.create(key)
    task_id = created.json()["id"]
    await bed.pass_time(2)
    halfway = (await bed.read(key, task_id)).json()
    await bed.pass_time(3)
    await bed.pass_time(3)
    finished = (await bed.read(key, task_id)).json()

    assert created.status_code == 200
    assert created.json()["status"] == "pending"
    assert halfway["status"] == "processing"
    assert finished["status"] == "completed"
    assert finished["result_data"]["character_name"].endswith("#")
    assert finished["id"] == task_id
    assert len(bed.vendor.creates()) == 1


async def test_a_failed_task_costs_nothing(bed: Bed) -> None:
    """The hold of a task that fails goes back to the tenant whole."""
    key = await bed.key(credits_per_day="1")
    task_id = await bed.created(key, character("outcome:failed,code:service_error,seconds:2"))

    await bed.pass_time(5)

    answer = (await bed.read(key, task_id)).json()
    assert answer["status"] == "failed"
    assert answer["error"] == {
        "code": "service_error",
        "message": answer["error"]["message"],
        "type": "task_error",
    }
    assert (await bed.usage())["held"] == 0
    assert (await bed.usage())["settled"] == 0
