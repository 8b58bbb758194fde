"""RateLimit and RateLimit-Policy: how callers stand with their rates, call by call."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.api_key import Grace
from app.domain.audit import GATEWAY
from tests.api.asking import UNKNOWN_ID, ask_batch, get, post_bytes
from tests.api.rates import BAD, BOTH, READS
from tests.api.structured import Policy, Standing, members, policies, standing
from tests.conftest import OpenBed
from tests.support.answers import error_of
from tests.support.bed import CREATE_PATH, Bed, character


async def creates_left(bed: Bed, key: str) -> Standing:
    """Return how a key stands with its creates, without using one."""
    answer = await bed.create(key, BAD)
    assert answer.status_code == 400
    told = standing(answer)
    assert told is not None
    return told


def test_the_reader_of_these_tests_sees_broken_syntax() -> None:
    """A quote, a sign, a blank too few, or a parameter twice is no structured field."""
    assert members('"creates";q=60;w=60, "reads";q=20;w=1') == {
        "creates": {"q": 60, "w": 60},
        "reads": {"q": 20, "w": 1},
    }
    for broken in (
        "",
        "creates;q=1;w=60",
        '"creates"; q=1',
        '"creates";q=-1',
        '"creates";q=1.5',
        '"creates";q=01',
        '"creates";q=1;q=2',
        '"creates";q=1,"reads";q=1',
        '"creates";q=1, "creates";q=1',
        '"creates";q="1"',
    ):
        with pytest.raises(AssertionError):
            members(broken)


async def test_a_create_tells_both_policies_and_how_creates_stand(bed: Bed) -> None:
    """In the letters of the draft: of five a minute one is used, for twelve seconds."""
    answer = await bed.create(await bed.key(**BOTH))

    assert answer.headers["ratelimit-policy"] == '"creates";q=5;w=60, "reads";q=20;w=1'
    assert answer.headers["ratelimit"] == '"creates";r=4;t=12'


async def test_a_read_tells_both_policies_and_how_reads_stand(bed: Bed) -> None:
    """Whatever is read."""
    key = await bed.key(**BOTH)

    for path in READS:
        answer = await get(bed, key, path)

        assert answer.headers["ratelimit-policy"] == '"creates";q=5;w=60, "reads";q=20;w=1'
        assert answer.headers["ratelimit"] == '"reads";r=19;t=1'
        bed.clock.advance_ms(1000)


@pytest.mark.parametrize(
    ("limits", "told", "creates", "reads"),
    [
        ({}, {}, None, None),
        (
            {"creates_per_minute": 5},
            {"creates": Policy(5, 60)},
            Standing("creates", 4, 12),
            None,
        ),
        ({"reads_per_second": 20}, {"reads": Policy(20, 1)}, None, Standing("reads", 19, 1)),
        (
            {"creates_per_minute": 0, "reads_per_second": 1},
            {"creates": Policy(0, 60), "reads": Policy(1, 1)},
            Standing("creates", 0, 60),
            Standing("reads", 0, 1),
        ),
        (
            {"creates_per_minute": 1_000_000, "reads_per_second": 1_000_000},
            {"creates": Policy(1_000_000, 60), "reads": Policy(1_000_000, 1)},
            Standing("creates", 999_999, 1),
            Standing("reads", 999_999, 1),
        ),
    ],
)
async def test_only_what_is_limited_is_told(
    bed: Bed,
    limits: dict[str, int],
    told: dict[str, Policy],
    creates: Standing | None,
    reads: Standing | None,
) -> None:
    """No header where nothing is limited, and none of a policy that has no end."""
    key = await bed.key(**limits)

    created, read = await bed.create(key), await get(bed, key, "/v1/tasks")

    assert policies(created) == policies(read) == told
    assert (standing(created), standing(read)) == (creates, reads)
    assert ("ratelimit-policy" in read.headers) == bool(told)


async def test_creates_are_counted_down_and_come_back(bed: Bed) -> None:
    """Six a minute: one every ten seconds, and `t` is the time to the next one."""
    key = await bed.key(creates_per_minute=6)
    down = [standing(await bed.create(key)) for _ in range(7)]

    up = []
    for seconds in (4, 5, 1, 15, 10, 24, 1, 600):
        bed.clock.advance_ms(seconds * 1000)
        up.append(await creates_left(bed, key))

    assert down == [Standing("creates", left, 10) for left in (5, 4, 3, 2, 1, 0, 0)]
    assert up == [
        Standing("creates", left, for_s)
        for left, for_s in [(0, 6), (0, 1), (1, 10), (2, 5), (3, 5), (5, 1), (6, 0), (6, 0)]
    ]


async def test_reads_are_counted_down_and_come_back(bed: Bed) -> None:
    """Four a second: one every quarter."""
    key = await bed.key(reads_per_second=4)

    async def read() -> tuple[int, int]:
        answer = await get(bed, key, "/v1/tasks")
        told = standing(answer)
        assert told is not None
        return answer.status_code, told.left

    down = [await read() for _ in range(5)]
    up = []
    for milliseconds in (249, 1, 500, 10_000):
        bed.clock.advance_ms(milliseconds)
        up.append(await read())

    assert down == [(200, 3), (200, 2), (200, 1), (200, 0), (429, 0)]
    assert up == [(429, 0), (200, 0), (200, 1), (200, 3)]


@pytest.mark.parametrize("per_second", [1, 7, 20, 39, 40, 45, 100])
async def test_reads_are_counted_exactly_also_where_a_process_takes_several_at_once(
    bed: Bed, per_second: int
) -> None:
    """From rest exactly so many pass, and what is told to be left goes down one by one."""
    key = await bed.key(reads_per_second=per_second)

    answers = [await get(bed, key, "/v1/models") for _ in range(per_second + 3)]

    told = [standing(answer) for answer in answers]
    assert [answer.status_code for answer in answers] == [200] * per_second + [429] * 3
    assert [each.left for each in told if each] == [*range(per_second - 1, -1, -1), 0, 0, 0]


@pytest.mark.parametrize(
    ("of_tenant", "of_key", "quota", "left", "for_s"),
    [
        (6, 3, 3, 2, 20),
        (3, 6, 3, 2, 20),
        (None, 4, 4, 3, 15),
        (4, None, 4, 3, 15),
        (6, 6, 6, 5, 10),
    ],
)
async def test_of_tenant_and_key_the_tighter_one_is_told(
    bed: Bed, of_tenant: int | None, of_key: int | None, quota: int, left: int, for_s: int
) -> None:
    """Both count every create; the caller is told the one it meets first."""
    await bed.key("acme", creates_per_minute=of_tenant)
    key = await bed.another_key("acme", creates_per_minute=of_key)

    answer = await bed.create(key)

    assert policies(answer) == {"creates": Policy(quota, 60)}
    assert standing(answer) == Standing("creates", left, for_s)


async def test_what_other_keys_have_used_up_of_the_tenant_is_told(bed: Bed) -> None:
    """The key's own quota is the lower one, but the tenant has less left."""
    other = await bed.key("acme", creates_per_minute=6, reads_per_second=20)
    key = await bed.another_key("acme", creates_per_minute=5, reads_per_second=10)
    for _ in range(5):
        await bed.created(other)
    for _ in range(15):
        await get(bed, other, "/v1/models")

    create, read = await creates_left(bed, key), await get(bed, key, "/v1/models")

    assert create == Standing("creates", 1, 10)
    assert policies(read) == {"creates": Policy(5, 60), "reads": Policy(10, 1)}
    assert standing(read) == Standing("reads", 4, 1)


async def test_a_limited_key_leaves_the_others_of_its_tenant_alone(bed: Bed) -> None:
    """A key without limits of a tenant without limits is told nothing, whatever others have."""
    free = await bed.key("acme")
    tight = await bed.another_key("acme", creates_per_minute=1, reads_per_second=1)
    await bed.created(tight)

    refused, passed = await bed.create(tight), await bed.create(free)

    assert (refused.status_code, passed.status_code) == (429, 200)
    assert policies(passed) == {}


async def test_the_two_modes_of_a_tenant_have_rates_of_their_own(bed: Bed) -> None:
    """What test keys use is not missing for live ones."""
    live = await bed.key("acme", creates_per_minute=2)
    test = await bed.another_key("acme", mode="test")
    await bed.created(test)
    await bed.created(test)

    assert (await bed.create(test)).status_code == 429
    assert await creates_left(bed, live) == Standing("creates", 2, 0)


async def test_a_rotated_key_goes_on_where_the_old_one_stood(bed: Bed) -> None:
    """A rotation spends nothing and gives nothing: the two count together."""
    await bed.key("acme")
    old = await bed.another_key("acme", creates_per_minute=3, reads_per_second=3)
    await bed.created(old)
    store = bed.gateway.store
    [of_old] = [key for key in await store.keys.of_tenant("acme") if key.limits.creates_per_minute]
    rotated = await store.manage_keys.rotate("acme", of_old.id, Grace(grace_s=60), GATEWAY)

    told = standing(await bed.create(rotated.secret))

    assert told == Standing("creates", 1, 20)
    assert await creates_left(bed, old) == Standing("creates", 1, 20)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (BAD, 400),
        ({"model": "sora-character"}, 400),
        (character(model="seedance-1.5-pro", prompt="x"), 403),
        (character(model="no-such-model"), 404),
        (character(source_task_id=UNKNOWN_ID), 404),
        (character(source_task_id=5), 400),
    ],
)
async def test_a_refused_create_takes_nothing(bed: Bed, body: dict[str, Any], status: int) -> None:
    """However often it is tried."""
    key = await bed.key(**BOTH, models=["sora-character", "no-such-model"])

    answers = [await bed.create(key, body) for _ in range(7)]

    assert {answer.status_code for answer in answers} == {status}
    assert {standing(answer) for answer in answers} == {Standing("creates", 5, 0)}


async def test_a_create_that_is_not_read_takes_nothing(open_gateway_bed: OpenBed) -> None:
    """Too large, not JSON, not called JSON, or under a bad name."""
    async with open_gateway_bed(max_body_bytes=1024) as bed:
        key = await bed.key(**BOTH)
        answers = [
            await post_bytes(bed, key, b"x" * 1025),
            await post_bytes(bed, key, b"{"),
            await post_bytes(bed, key, b"{}", ("content-type", "text/plain")),
            await post_bytes(bed, key, b"{}", ("idempotency-key", "two words")),
        ]

    assert [answer.status_code for answer in answers] == [413, 400, 415, 400]
    assert {standing(answer) for answer in answers} == {Standing("creates", 5, 0)}


@pytest.mark.parametrize(
    ("limits", "status"), [({"tasks_in_flight": 1}, 429), ({"credits_per_day": "0.1"}, 402)]
)
async def test_a_create_that_meets_another_limit_takes_nothing(
    bed: Bed, limits: dict[str, Any], status: int
) -> None:
    """Of the two limits it has met one, and only that one counts."""
    key = await bed.key(creates_per_minute=5, **limits)
    await bed.created(key)

    answers = [await bed.create(key) for _ in range(7)]

    assert {answer.status_code for answer in answers} == {status}
    assert {standing(answer) for answer in answers} == {Standing("creates", 4, 12)}


async def test_a_replay_takes_nothing_and_tells_the_rates(bed: Bed) -> None:
    """It passes at any time, also when no create is left; so does a conflict fail at any time."""
    key = await bed.key(creates_per_minute=2)
    first = await bed.create(key, idempotency_key="order-1")
    replays = [await bed.create(key, idempotency_key="order-1") for _ in range(3)]
    await bed.created(key)

    late = await bed.create(key, idempotency_key="order-1")
    conflict = await bed.create(key, character(timestamps="0,1"), idempotency_key="order-1")

    assert {standing(answer) for answer in (first, *replays)} == {Standing("creates", 1, 30)}
    assert (late.status_code, conflict.status_code) == (200, 409)
    assert standing(late) == standing(conflict) == Standing("creates", 0, 30)


async def test_every_read_takes_one(bed: Bed) -> None:
    """Of whatever is read, and also where the answer is that there is nothing, or a mistake."""
    key = await bed.key(reads_per_second=20)
    task_id = await bed.created(key)
    paths = [
        *READS,
        f"/v1/tasks/{task_id}",
        f"{CREATE_PATH}/{task_id}",
        "/v1/tasks/job-1",
        "/v1/tasks?page=0",
        "/v1/usage?from=x",
    ]

    answers = [await get(bed, key, path) for path in paths]
    answers += [await ask_batch(bed, key, body) for body in ({"task_ids": [task_id] * 50}, {})]

    told = [standing(answer) for answer in answers]
    assert [each.left for each in told if each] == list(range(19, 19 - len(answers), -1))
    assert {answer.status_code for answer in answers} == {200, 400, 404}


async def test_creates_and_reads_do_not_take_from_each_other(bed: Bed) -> None:
    """A client that reads too often can still create, and the other way round."""
    key = await bed.key(creates_per_minute=1, reads_per_second=1)
    await bed.created(key)
    await get(bed, key, "/v1/models")

    read, created = await get(bed, key, "/v1/models"), await bed.create(key)
    bed.clock.advance_ms(1000)
    again = await get(bed, key, "/v1/models")

    assert (read.status_code, created.status_code, again.status_code) == (429, 429, 200)
    assert error_of(read)["reason"] == error_of(created)["reason"] == "rate_limited"


async def test_looking_up_the_rates_of_a_refused_create_costs_no_read(bed: Bed) -> None:
    """A caller that sends bad creates can still read all it may."""
    key = await bed.key(reads_per_second=3, creates_per_minute=3)
    for _ in range(10):
        await bed.create(key, BAD)

    told = [standing(await get(bed, key, "/v1/models")) for _ in range(3)]

    assert [each.left for each in told if each] == [2, 1, 0]
