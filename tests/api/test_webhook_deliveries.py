"""What an endpoint was told: looked up, and delivered again, to a real receiver."""

from __future__ import annotations

from datetime import UTC, datetime

from app.store.keys import Shard
from tests.api.receiving import Place
from tests.flows.delivering import deliver, deliver_after, hooks_of
from tests.support.bed import character
from tests.support.receiver import FAULTY, OK

DAY_S = 86_400


async def test_a_change_of_address_and_events_is_felt_at_once(place: Place) -> None:
    """By the next message."""
    made = await place.webhook(events=["task.failed"])
    none = await place.told(event="task.completed")
    await place.acme.change(made["id"], url=place.receiver.url("/other"), events=["task.completed"])

    ids = await place.told(event="task.completed")

    assert [(each.path, each.message_id) for each in place.receiver.journal] == [("/other", ids[0])]
    assert none[0] not in str(await place.acme.log(made["id"]))


async def test_what_a_task_told_can_be_looked_up(place: Place) -> None:
    """By the task, by the event, and both; each message has its task's id."""
    made = await place.webhook()
    tasks = [
        await place.bed.created(place.acme.key, character(end))
        for end in ("seconds:0", "outcome:failed,seconds:0")
    ]
    await place.bed.pass_time(30)
    await deliver(place.bed)

    page = await place.acme.log(made["id"])
    of_task = await place.acme.log(made["id"], task_id=tasks[0])
    of_event = await place.acme.log(made["id"], event="task.failed")
    of_both = await place.acme.log(made["id"], task_id=tasks[0], event="task.failed")

    assert {each["task_id"] for each in page["data"]} == set(tasks)
    assert page["total"] == len(page["data"])
    assert {each["task_id"] for each in of_task["data"]} == {tasks[0]}
    assert of_task["data"][0]["event"] == "task.completed"
    assert of_task["total"] == len([each for each in page["data"] if each["task_id"] == tasks[0]])
    assert [each["task_id"] for each in of_event["data"]] == [tasks[1]]
    assert (of_both["data"], of_both["total"]) == ([], 0)


async def test_one_message_is_delivered_again(place: Place) -> None:
    """With the id and the body that it had, beside what it met with before."""
    made = await place.webhook()
    first, second = await place.told(2)

    count = await place.acme.redeliver(made["id"], id=first)
    await deliver(place.bed)

    again = [each for each in place.receiver.journal if each.message_id == first]
    assert count == 1
    assert len(place.receiver.journal) == 3
    assert again[0].body == again[1].body
    page = await place.acme.log(made["id"])
    attempts = {each["id"]: len(each["attempts"]) for each in page["data"]}
    assert attempts == {first: 2, second: 1}
    assert {each["status"] for each in page["data"]} == {"delivered"}


async def test_a_time_is_delivered_again_as_far_as_is_wished(place: Place) -> None:
    """By default all that did not arrive: failed, skipped, and what still waits for its turn."""
    made = await place.webhook()
    failed = await place.failed()
    await place.acme.change(made["id"], disabled=True)
    (skipped,) = await place.told()
    await place.acme.change(made["id"], disabled=False)
    (delivered,) = await place.told()
    place.receiver.rule = lambda _: FAULTY
    (pending,) = await place.told()
    before = await place.acme.log(made["id"])
    statuses = {each["id"]: each["status"] for each in before["data"]}
    place.receiver.rule = lambda _: OK

    counts = {
        status: await place.acme.redeliver(made["id"], since=0, status=status)
        for status in ("delivered", "skipped", "failed", "all")
    }

    assert statuses == {
        pending: "pending",
        delivered: "delivered",
        skipped: "skipped",
        failed: "failed",
    }
    assert counts == {"delivered": 1, "skipped": 1, "failed": 1, "all": 4}
    place.receiver.journal.clear()
    await deliver(place.bed)
    assert {each.message_id for each in place.receiver.journal} == set(statuses)
    after = await place.acme.log(made["id"])
    assert {each["status"] for each in after["data"]} == {"delivered"}


async def test_by_default_what_was_delivered_is_left_alone(place: Place) -> None:
    """Also what is to be tried tomorrow goes now."""
    made = await place.webhook()
    await place.told()
    place.receiver.rule = lambda _: FAULTY
    (pending,) = await place.told()
    await deliver_after(place.bed, 7)
    place.receiver.rule = lambda _: OK
    place.receiver.journal.clear()

    count = await place.acme.redeliver(made["id"], since=0)
    await deliver(place.bed)

    assert count == 1
    assert [each.message_id for each in place.receiver.journal] == [pending]


async def test_a_time_has_a_begin_and_an_end(place: Place) -> None:
    """Seconds or a date, both ends within it; the future has nothing."""
    made = await place.webhook()
    times, ids = [], []
    for _ in range(3):
        ids += await place.told()
        times.append(place.bed.clock.now_ms() // 1000)
        place.bed.clock.advance_ms(60_000)
    shown = [f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%dT%H:%M:%SZ}" for at_s in times]

    counts = [
        await place.acme.redeliver(made["id"], status="all", **window)
        for window in (
            {"since": times[1]},
            {"since": shown[1]},
            {"since": times[0], "until": times[1]},
            {"since": shown[1], "until": shown[1]},
            {"since": times[1] + 1, "until": times[2] - 1},
            {"since": times[2] + 3600},
        )
    ]

    assert counts == [2, 2, 2, 1, 0, 0]


async def test_long_logs_are_listed_by_page(place: Place) -> None:
    """Newest first; with a filter as without, and each page goes on where the last one ended."""
    made = await place.webhook()
    ids = []
    for _ in range(3):
        ids += sorted(await hooks_of(place.bed).enqueue(900))
        place.bed.clock.advance_ms(1000)
    ids.reverse()

    for query in ({}, {"status": "pending"}, {"event": "task.completed"}):
        first = await place.acme.log(made["id"], **query)
        late = await place.acme.log(made["id"], page=22, page_size=50, **query)
        last = await place.acme.log(made["id"], page=54, page_size=50, **query)
        beyond = await place.acme.log(made["id"], page=55, page_size=50, **query)

        assert [each["id"] for each in first["data"]] == ids[:20]
        assert [each["id"] for each in late["data"]] == ids[1050:1100]
        assert [each["id"] for each in last["data"]] == ids[2650:]
        assert beyond["data"] == []
        assert {page["total"] for page in (first, late, last, beyond)} == {2700}
        assert (late["page"], late["page_size"]) == (22, 50)
    nothing = await place.acme.log(made["id"], status="failed")
    assert (nothing["data"], nothing["total"]) == ([], 0)


async def test_a_long_time_is_delivered_again_as_a_whole(place: Place) -> None:
    """Thousands of one instant, and of several."""
    made = await place.acme.webhook("http://127.0.0.1:9/")
    await hooks_of(place.bed).enqueue(1200)
    place.bed.clock.advance_ms(1000)
    await hooks_of(place.bed).enqueue(1100)

    count = await place.acme.redeliver(made["id"], since=0)

    assert count == 2300


async def test_a_message_is_forgotten_after_a_fortnight(place: Place) -> None:
    """Neither listed nor delivered again."""
    made = await place.webhook()
    (message_id,) = await place.told()
    place.bed.clock.advance_ms(14 * DAY_S * 1000)
    await place.told()

    page = await place.acme.log(made["id"])
    refused = await place.acme.refused("POST", f"/{made['id']}/redeliver", json={"id": message_id})

    assert message_id not in [each["id"] for each in page["data"]]
    assert page["total"] == 1
    assert refused["reason"] == "delivery_not_found"


async def test_a_deleted_endpoint_is_told_nothing_more(place: Place) -> None:
    """Not what was still to come either."""
    made = await place.webhook()
    await hooks_of(place.bed).enqueue()

    await place.acme.done("DELETE", f"/{made['id']}")
    await deliver(place.bed)

    shard, whose = Shard.of("acme"), ("acme", "live", made["id"])
    left = await place.bed.gateway.store.redis.exists(shard.due(*whose), shard.log(*whose))
    assert (left, place.receiver.journal) == (0, [])
