"""The list of a tenant's tasks: what it shows, what it can be asked for, and what stays out."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.listing import MAX_PAGE
from tests.api.asking import bearer, get, shown
from tests.support.answers import error_of
from tests.support.bed import Bed, character

SEEDANCE = {"model": "seedance-1.5-pro", "prompt": "a boat on a lake"}
DAY_S = 86_400


async def in_turn(bed: Bed, key: str, *scenarios: str) -> list[str]:
    """Create one task a scenario, a second apart, and return their ids, oldest first."""
    ids = []
    for scenario in scenarios:
        ids.append(await bed.created(key, character(scenario)))
        bed.clock.advance_ms(1000)
    return ids


async def one_of_each(bed: Bed, key: str) -> dict[str, str]:
    """Return the id of a task of each status, by the status."""
    ends = {
        "completed": "seconds:1",
        "failed": "outcome:failed,code:service_error,seconds:1",
        "cancelled": "outcome:cancelled,seconds:1",
        "processing": "seconds:60",
    }
    ids = await in_turn(bed, key, *ends.values())
    await bed.pass_time(20)
    bed.clock.advance_ms(1000)
    return {**dict(zip(ends, ids, strict=True)), "pending": await bed.created(key)}


def ids_in(page: dict[str, Any]) -> list[str]:
    """Return the ids on a page, in its order."""
    return [item["id"] for item in page["data"]]


async def test_who_has_created_nothing_has_an_empty_list(bed: Bed) -> None:
    """It is a page like any other."""
    page = await shown(bed, await bed.key(), "/v1/tasks")

    assert page == {"data": [], "total": 0, "page": 1, "page_size": 20}


async def test_an_entry_is_a_task_in_short(bed: Bed) -> None:
    """Nine members, whatever has become of the task; links to results are not among them."""
    key = await bed.key()
    ids = await one_of_each(bed, key)

    page = await shown(bed, key, "/v1/tasks")
    entries = {item["id"]: item for item in page["data"]}

    def entry(name: str, **differing: Any) -> dict[str, Any]:
        plain = {
            "id": ids[name],
            "status": name,
            "model": "sora-character",
            "type": "video",
            "progress": 0,
            "created_at": int(ids[name].split("-")[2]),
            "has_results": False,
            "has_error": False,
            "credits_used": 0,
        }
        return plain | differing

    assert page["total"] == 5
    assert entries[ids["pending"]] == entry("pending")
    assert entries[ids["completed"]] == entry(
        "completed", progress=100, has_results=True, credits_used=0.1
    )
    moving = entries[ids["processing"]]
    assert moving == entry("processing", progress=moving["progress"])
    for name in ("failed", "cancelled"):
        over = entries[ids[name]]
        assert over == entry(name, status="failed", has_error=True, progress=over["progress"])
    assert "media.example.com" not in str(page)


async def test_an_entry_and_the_task_itself_agree(bed: Bed) -> None:
    """What the list says of a task is what reading it says."""
    key = await bed.key()
    await one_of_each(bed, key)

    page = await shown(bed, key, "/v1/tasks")

    for item in page["data"]:
        task = await shown(bed, key, f"/v1/tasks/{item['id']}")
        assert {name: task[name] for name in ("id", "status", "model", "type", "progress")} == {
            name: item[name] for name in ("id", "status", "model", "type", "progress")
        }
        assert item["created_at"] == task["created"]
        assert item["has_results"] == ("results" in task)
        assert item["has_error"] == ("error" in task)
        assert item["credits_used"] == task["usage"].get("credits_used", 0)


async def test_the_cost_of_an_entry_is_what_was_settled(bed: Bed) -> None:
    """Not what was held: the vendor's final figure, which may be more or less."""
    key = await bed.key()
    await bed.created(key, character("seconds:1,credits:0.37"))
    await bed.pass_time(20)

    page = await shown(bed, key, "/v1/tasks")

    assert [item["credits_used"] for item in page["data"]] == [0.37]


async def test_the_newest_comes_first(bed: Bed) -> None:
    """By the time of creation, however the tasks have gone on since."""
    key = await bed.key()
    ids = await in_turn(bed, key, "seconds:600", "seconds:1", "seconds:600", "seconds:3")
    await bed.pass_time(20)

    assert ids_in(await shown(bed, key, "/v1/tasks")) == ids[::-1]
    assert ids_in(await shown(bed, key, "/v1/tasks?status=completed")) == [ids[3], ids[1]]


@pytest.mark.parametrize(
    ("status", "names"),
    [
        ("processing", {"processing", "pending"}),
        ("completed", {"completed"}),
        ("failed", {"failed", "cancelled"}),
        ("cancelled", {"cancelled"}),
        ("", {"processing", "pending", "completed", "failed", "cancelled"}),
    ],
)
async def test_a_list_may_be_of_one_status(bed: Bed, status: str, names: set[str]) -> None:
    """`processing` has all that is not over, `failed` also the cancelled; the total is theirs."""
    key = await bed.key()
    ids = await one_of_each(bed, key)

    page = await shown(bed, key, f"/v1/tasks?status={status}")

    assert set(ids_in(page)) == {ids[name] for name in names}
    assert page["total"] == len(names)


async def test_a_task_changes_its_list_as_it_goes_on(bed: Bed) -> None:
    """It is on exactly one of the lists of the open and the closed at any time."""
    key = await bed.key()
    await bed.created(key, character("seconds:5"))

    async def totals() -> list[int]:
        asked = [f"/v1/tasks?status={word}" for word in ("processing", "completed", "failed")]
        return [(await shown(bed, key, path))["total"] for path in asked]

    at_first = await totals()
    await bed.pass_time(3)
    meanwhile = await totals()
    await bed.pass_time(20)

    assert (at_first, meanwhile, await totals()) == ([1, 0, 0], [1, 0, 0], [0, 1, 0])


async def test_a_list_may_be_of_one_model(bed: Bed) -> None:
    """Together with a status too; a model that nobody has used has an empty list."""
    key = await bed.key()
    of_sora = await bed.created(key, character("seconds:1"))
    of_seedance = await bed.created(key, SEEDANCE)
    await bed.pass_time(2)

    async def found(query: str) -> list[str]:
        page = await shown(bed, key, f"/v1/tasks?{query}")
        assert page["total"] == len(page["data"])
        return ids_in(page)

    assert await found("model=sora-character") == [of_sora]
    assert await found("model=seedance-1.5-pro") == [of_seedance]
    assert await found("model=seedance-1.5-pro&status=processing") == [of_seedance]
    assert await found("model=sora-character&status=completed") == [of_sora]
    assert await found("model=sora-character&status=processing") == []
    assert await found("model=no-such-model") == []


@pytest.mark.parametrize("asked", ["veo3.1-fast", "seedance-1.5-pro"])
async def test_a_model_is_found_by_every_name_it_goes_by(bed: Bed, asked: str) -> None:
    """By the name it was asked for under, an alias included, and by the one the list shows."""
    key = await bed.key()
    task_id = await bed.created(key, {"model": asked, "prompt": "a boat on a lake"})
    [entry] = (await shown(bed, key, "/v1/tasks"))["data"]

    for name in (asked, entry["model"]):
        assert ids_in(await shown(bed, key, f"/v1/tasks?model={name}")) == [task_id], name


@pytest.mark.parametrize("odd", ["%00", "a%0Ab", "*", "%25", ":", "sora-character:", "x" * 3000])
async def test_the_name_of_a_model_may_be_anything(bed: Bed, odd: str) -> None:
    """It is looked up, not read: whatever nobody has used has no tasks."""
    key = await bed.key()
    await bed.created(key)

    page = await shown(bed, key, f"/v1/tasks?model={odd}")

    assert page == {"data": [], "total": 0, "page": 1, "page_size": 20}


@pytest.mark.parametrize(("kind", "count"), [("video", 1), ("image", 0), ("audio", 0), ("text", 0)])
async def test_a_list_may_be_of_one_kind(bed: Bed, kind: str, count: int) -> None:
    """All tasks here are videos; who asks for another kind gets an empty page, not an error."""
    key = await bed.key()
    await bed.created(key)

    page = await shown(bed, key, f"/v1/tasks?type={kind}&page_size=7")

    assert (len(page["data"]), page["total"]) == (count, count)
    assert (page["page"], page["page_size"]) == (1, 7)


async def test_pages_follow_each_other_without_gap_or_repetition(bed: Bed) -> None:
    """The total is of the whole list; behind the last page there are empty ones."""
    key = await bed.key()
    ids = await in_turn(bed, key, *["seconds:600"] * 7)

    pages = [await shown(bed, key, f"/v1/tasks?page_size=3&page={page}") for page in (1, 2, 3, 4)]

    assert [task_id for page in pages for task_id in ids_in(page)] == ids[::-1]
    assert [len(page["data"]) for page in pages] == [3, 3, 1, 0]
    assert [(page["total"], page["page"], page["page_size"]) for page in pages] == [
        (7, number, 3) for number in (1, 2, 3, 4)
    ]


async def test_a_page_has_twenty_entries_unless_told_otherwise(bed: Bed) -> None:
    """And at most a hundred."""
    key = await bed.key()
    for _ in range(21):
        await bed.created(key)

    plain = await shown(bed, key, "/v1/tasks")
    longest = await shown(bed, key, "/v1/tasks?page_size=100")

    assert (len(plain["data"]), plain["total"], plain["page_size"]) == (20, 21, 20)
    assert (len(longest["data"]), longest["page_size"]) == (21, 100)


async def test_the_last_page_that_may_be_asked_for_is_empty(bed: Bed) -> None:
    """No place is too far for the store."""
    page = await shown(bed, await bed.key(), f"/v1/tasks?page={MAX_PAGE}&page_size=100")

    assert page == {"data": [], "total": 0, "page": MAX_PAGE, "page_size": 100}


@pytest.mark.parametrize(
    ("param", "value"),
    [
        *(
            ("status", word)
            for word in ("pending", "done", "Completed", "queued", "%20", "failed,")
        ),
        *(("type", word) for word in ("videos", "Video", "*", "0")),
        *(("page", word) for word in ("0", "-1", "1.0", "x", "%201", "1000001", "9" * 5000)),
        *(("page_size", word) for word in ("0", "-1", "101", "1e1", "ten", "%D9%A1", "+5")),
    ],
)
async def test_a_value_that_breaks_its_rule_is_refused(bed: Bed, param: str, value: str) -> None:
    """The answer names the parameter and says what it may be."""
    answer = await get(bed, await bed.key(), f"/v1/tasks?{param}={value}")

    assert answer.status_code == 400
    assert error_of(answer)["reason"] == "invalid_request"
    assert error_of(answer)["param"] == param
    assert f"Invalid {param} parameter" in error_of(answer)["message"]
    assert "must be" in error_of(answer)["message"]


@pytest.mark.parametrize(
    ("param", "value"),
    [
        ("status", "failed"),
        ("type", "video"),
        ("model", "sora-2"),
        ("page", "1"),
        ("page_size", "5"),
    ],
)
async def test_a_name_that_stands_twice_is_refused(bed: Bed, param: str, value: str) -> None:
    """Even with the same value: one of the two would be ignored without a word."""
    answer = await get(bed, await bed.key(), f"/v1/tasks?{param}={value}&{param}={value}")

    assert error_of(answer)["param"] == param
    assert "more than once" in error_of(answer)["message"]


async def test_names_that_mean_nothing_here_are_ignored(bed: Bed) -> None:
    """Clients send numbers against caches and filters of other services, repeated or empty."""
    key = await bed.key()
    await bed.created(key)

    plain = await shown(bed, key, "/v1/tasks")
    odd = "limit=1&limit=2&Status=done&status=&page=&_=1767917446&%00=%ff&sort"

    assert await shown(bed, key, f"/v1/tasks?{odd}") == plain


async def test_other_tenants_and_the_other_mode_are_not_in_it(bed: Bed) -> None:
    """`hooli` lives in the same shard as `acme`, `globex` in another."""
    keys = {name: await bed.key(name) for name in ("acme", "hooli", "globex")}
    keys["acme in test mode"] = await bed.another_key("acme", mode="test")
    ids = {name: await bed.created(key) for name, key in keys.items()}

    for name, key in keys.items():
        page = await shown(bed, key, "/v1/tasks")
        assert (ids_in(page), page["total"]) == ([ids[name]], 1), name


async def test_keys_of_a_tenant_share_one_list(bed: Bed) -> None:
    """A task is the tenant's, whichever of its keys has created it."""
    first = await bed.key()
    second = await bed.another_key("acme")
    task_id = await bed.created(first)

    assert ids_in(await shown(bed, second, "/v1/tasks")) == [task_id]


async def test_what_was_refused_within_its_create_is_in_no_list(bed: Bed) -> None:
    """Nobody was told the id, so there never was such a task."""
    key = await bed.key()
    bed.vendor.fault("status", status=400, times=1)
    refused = await bed.create(key)

    answers = [await shown(bed, key, f"/v1/tasks?status={word}") for word in ("", "failed")]

    assert refused.status_code == 400
    assert [(page["data"], page["total"]) for page in answers] == [([], 0), ([], 0)]


async def test_a_replay_is_no_second_entry(bed: Bed) -> None:
    """One task, one entry."""
    key = await bed.key()
    for _ in range(3):
        await bed.created(key, idempotency_key="order-1")

    assert (await shown(bed, key, "/v1/tasks"))["total"] == 1


@pytest.mark.unaudited("its tasks are forgotten in the end")
@pytest.mark.parametrize("scenario", ["seconds:1", "outcome:failed,seconds:1", "outcome:cancelled"])
async def test_a_forgotten_task_leaves_every_list_and_its_total(bed: Bed, scenario: str) -> None:
    """Thirty days after its end; one that was created later or has ended later stays."""
    key = await bed.key()
    await bed.created(key, character(scenario))
    given_up = await bed.created(key, character("outcome:never"))
    await bed.pass_time(20)
    await bed.pass_time(30 * DAY_S - 60)
    before = await shown(bed, key, "/v1/tasks")
    younger = await bed.created(key, character("seconds:1"))
    await bed.pass_time(120)

    after = await shown(bed, key, "/v1/tasks")
    over = [await shown(bed, key, f"/v1/tasks?status={s}") for s in ("failed", "cancelled")]

    assert before["total"] == 2
    assert (ids_in(after), after["total"]) == ([younger, given_up], 2)
    assert [page["total"] for page in over] == [1, 0]


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "PATCH", "POST"])
async def test_the_list_is_only_read(bed: Bed, method: str) -> None:
    """405 with the one method there is."""
    answer = await bed.http.request(method, "/v1/tasks", headers=[bearer(await bed.key())])

    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET"


async def test_nobody_in_between_keeps_a_list(bed: Bed) -> None:
    """A proxy's copy would be old, or somebody else's."""
    answer = await get(bed, await bed.key(), "/v1/tasks")

    assert answer.headers["cache-control"] == "private, no-cache"
    assert answer.headers["content-type"] == "application/json"
