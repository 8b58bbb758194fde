"""admit.lua with an Idempotency-Key: one task, one answer, however often it is asked for."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from app.domain.task import Task, TaskState
from app.domain.tenant import Caller
from app.errors import IdempotencyInFlight
from app.store.keys import Shard
from app.store.task_steps import Admitted, Replayed
from app.store.tasks import IDEMPOTENCY_LEASE_MS
from tests.store.shelf import PRICE, Shelf
from tests.support.contents import everything

KEY = "1" * 64
OTHER_KEY = "2" * 64
DAY_MS = 86_400_000


async def repeat(shelf: Shelf, caller: Caller, **changes: Any) -> Admitted | Replayed:
    """Send the create of these tests once more."""
    new = shelf.new(caller, **{"idempotency": KEY, **changes})
    return await shelf.tasks.admit(new, now_ms=shelf.clock.now_ms())


async def replayed(shelf: Shelf, caller: Caller) -> tuple[str, bytes]:
    """Send it once more, where it was answered before; returns task and answer."""
    replay = await repeat(shelf, caller)
    assert isinstance(replay, Replayed)
    return replay.task_id, replay.answer


async def life_of_key(shelf: Shelf, task: Task) -> int:
    """Return when the record of a task's Idempotency-Key expires; -1 is never, -2 is gone."""
    name = Shard.of(task.tenant_id).idempotency(task.tenant_id, task.mode, task.idempotency)
    return int(await shelf.redis.pexpiretime(name))


async def test_a_repetition_while_the_first_call_runs_is_told_to_wait(shelf: Shelf) -> None:
    """Until its lease ends the first call has the key to itself; a repetition changes nothing."""
    caller = await shelf.caller()
    await shelf.admit(caller, idempotency=KEY)
    shelf.clock.advance_ms(IDEMPOTENCY_LEASE_MS - 1)
    untouched = await everything(shelf.redis)

    with pytest.raises(IdempotencyInFlight) as refused:
        await repeat(shelf, caller)

    assert refused.value.retry_after_s == 1
    assert await everything(shelf.redis) == untouched


async def test_after_the_lease_the_task_as_it_stands_is_the_answer_for_good(shelf: Shelf) -> None:
    """The answer given for a dead first call stays the answer, even if it lives after all."""
    caller = await shelf.caller()
    task = await shelf.admit(caller, idempotency=KEY)
    shelf.clock.advance_ms(IDEMPOTENCY_LEASE_MS)

    first = await replayed(shelf, caller)
    late = await shelf.accept(task, body=b'{"status":"pending","late":true}')
    second = await replayed(shelf, caller)

    assert first == second == (task.id, task.body)
    assert late == task.body


async def test_a_replay_is_the_first_answer_byte_for_byte(shelf: Shelf) -> None:
    """However far the task has come since, its create is answered as it was."""
    caller = await shelf.caller()
    task = await shelf.admit(caller, idempotency=KEY)
    body = b'{"status":"pending","n":1.50,"\xc3\xa9":"\\u0041"}'
    await shelf.accept(task, body=body)

    replays = [await replayed(shelf, caller)]
    await shelf.move(await shelf.reload(task), TaskState.SUBMITTED)
    replays.append(await replayed(shelf, caller))
    await shelf.move(await shelf.reload(task), TaskState.COMPLETED, charged=PRICE)
    replays.append(await replayed(shelf, caller))

    assert replays == [(task.id, body)] * 3


async def test_a_replay_takes_nothing_and_needs_no_room(shelf: Shelf) -> None:
    """It passes with every limit used up, lowered to nothing even, and changes no field."""
    caller = await shelf.caller(tasks_in_flight=1, creates_per_minute=1, credits_per_day="0.1")
    task = await shelf.admit(caller, idempotency=KEY)
    await shelf.accept(task)
    await shelf.limit(
        "acme", tasks_in_flight=0, creates_per_minute=0, credits_per_day="0", models=["none"]
    )
    untouched = await everything(shelf.redis)

    answers = [await repeat(shelf, caller) for _ in range(3)]

    assert {type(answer) for answer in answers} == {Replayed}
    assert await everything(shelf.redis) == untouched


@pytest.mark.parametrize("later_ms", [0, IDEMPOTENCY_LEASE_MS, DAY_MS])
@pytest.mark.parametrize("is_answered", [False, True])
async def test_another_body_under_the_same_key_is_refused(
    shelf: Shelf, is_answered: bool, later_ms: int
) -> None:
    """Whether the first create is running, stuck or answered, another one is never taken for it."""
    caller = await shelf.caller()
    task = await shelf.admit(caller, idempotency=KEY)
    if is_answered:
        await shelf.accept(task)
    shelf.clock.advance_ms(later_ms)
    untouched = await everything(shelf.redis)

    outcome = await shelf.attempt(caller, idempotency=KEY, fingerprint="0" * 64)

    assert outcome == "idempotency_conflict"
    assert await everything(shelf.redis) == untouched


async def test_of_fifty_at_once_one_is_admitted(shelves: list[Shelf]) -> None:
    """Three processes get the same create fifty times: one sends it, the others hold back."""
    caller = await shelves[0].caller()

    outcomes = await asyncio.gather(
        *(shelves[n % 3].attempt(caller, idempotency=KEY) for n in range(50))
    )

    assert Counter(outcomes) == {"admitted": 1, "idempotency_in_flight": 49}


async def test_fifty_repetitions_for_a_dead_first_call_agree(shelves: list[Shelf]) -> None:
    """All of them get the very same bytes, also while the vendor's answer comes in after all."""
    caller = await shelves[0].caller()
    task = await shelves[0].admit(caller, idempotency=KEY)
    shelves[0].clock.advance_ms(IDEMPOTENCY_LEASE_MS)

    answers = await asyncio.gather(
        *(repeat(shelves[n % 3], caller) for n in range(25)),
        shelves[0].accept(task),
        *(repeat(shelves[n % 3], caller) for n in range(25)),
    )

    given = {each.answer if isinstance(each, Replayed) else each for each in answers}
    assert len(given) == 1


async def test_a_refused_create_frees_its_key(shelf: Shelf) -> None:
    """An error is not remembered: the same key creates a new task afterwards."""
    caller = await shelf.caller()
    first = await shelf.admit(caller, idempotency=KEY)
    await shelf.move(first, TaskState.REJECTED)

    second = await repeat(shelf, caller, fingerprint="0" * 64)

    assert isinstance(second, Admitted)
    assert second.task.id != first.id


async def test_a_create_refused_after_its_answer_keeps_its_key(shelf: Shelf) -> None:
    """Whoever was told 200 is told 200 again: the task is there, and it failed."""
    caller = await shelf.caller()
    task = await shelf.admit(caller, idempotency=KEY)
    answer = await shelf.tasks.remember(caller, task.id, KEY)
    await shelf.move(task, TaskState.REJECTED)

    replay = await replayed(shelf, caller)

    assert replay == (task.id, answer)


async def test_an_admission_refused_by_a_limit_leaves_the_key_free(shelf: Shelf) -> None:
    """A create that got no place may be repeated, even with another body."""
    caller = await shelf.caller(tasks_in_flight=1)
    task = await shelf.admit(caller)
    refused = await shelf.attempt(caller, idempotency=KEY)
    await shelf.move(task, TaskState.REJECTED)

    outcome = await shelf.attempt(caller, idempotency=KEY, fingerprint="0" * 64)

    assert [refused, outcome] == ["too_many_in_flight", "admitted"]


async def test_a_key_never_expires_while_its_task_is_open(shelf: Shelf) -> None:
    """A task may take weeks; its key is remembered all that time."""
    caller = await shelf.caller()
    task = await shelf.admit(caller, idempotency=KEY)
    lives = [await life_of_key(shelf, task)]
    await shelf.accept(task)
    lives.append(await life_of_key(shelf, task))
    shelf.clock.advance_ms(40 * DAY_MS)
    await shelf.move(await shelf.reload(task), TaskState.SUBMITTED)
    lives.append(await life_of_key(shelf, task))

    replay = await repeat(shelf, caller)

    assert lives == [-1, -1, -1]
    assert isinstance(replay, Replayed)


@pytest.mark.parametrize("end", [TaskState.COMPLETED, TaskState.FAILED])
async def test_a_key_lives_a_day_from_the_end_of_its_task(shelf: Shelf, end: TaskState) -> None:
    """The day begins with the end, not with the create; a replay does not prolong it."""
    caller = await shelf.caller()
    task = await shelf.submitted(caller, idempotency=KEY)
    shelf.clock.advance_ms(3 * DAY_MS)
    await shelf.move(task, end)
    ended_ms = shelf.clock.now_ms()

    shelf.clock.advance_ms(1000)
    await repeat(shelf, caller)

    assert await life_of_key(shelf, task) == ended_ms + DAY_MS


async def test_keys_of_tenants_modes_and_names_never_meet(shelf: Shelf) -> None:
    """The same word means another create to another tenant, in the other mode, or spelled apart."""
    live, other = await shelf.caller("acme"), await shelf.caller("globex")
    test = await shelf.caller("acme", mode="test")
    await shelf.admit(live, idempotency=KEY)

    outcomes = [
        await shelf.attempt(other, idempotency=KEY),
        await shelf.attempt(test, idempotency=KEY),
        await shelf.attempt(live, idempotency=OTHER_KEY),
        await shelf.attempt(live),
        await shelf.attempt(live),
    ]

    assert outcomes == ["admitted"] * 5


async def test_the_api_keys_of_a_tenant_share_its_idempotency_keys(shelf: Shelf) -> None:
    """The scope is the tenant: a service whose API key was rotated can still repeat its create."""
    caller = await shelf.caller()
    task = await shelf.submitted(caller, idempotency=KEY)

    replay = await repeat(shelf, await shelf.colleague(caller))

    assert isinstance(replay, Replayed)
    assert replay.task_id == task.id


async def test_a_revoked_key_replays_nothing(shelf: Shelf) -> None:
    """Who may not create any more may not ask what was created."""
    caller = await shelf.caller()
    await shelf.submitted(caller, idempotency=KEY)
    await shelf.revoke(caller.tenant_id, caller.key_id)

    assert await shelf.attempt(caller, idempotency=KEY) == "invalid_key"
