"""Figures of days and months: for the tenant, for each key's family and for each model."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.ids import next_key_id
from app.domain.task import TaskState
from app.domain.tenant import Caller
from app.store.keys import windows
from tests.store.shelf import PRICE, Shelf
from tests.support.tenant_keys import act

S = TaskState
A, B = "model-a", "model-b"


async def life(shelf: Shelf, caller: Caller, model: str, *states: TaskState, **last: Any) -> None:
    """Let a task of a model go through `states`; `last` belongs to the last step."""
    task = await shelf.admit(caller, model=model)
    for number, state in enumerate(states, 1):
        if state is S.SUBMITTED:
            await shelf.accept(task)
        else:
            assert await shelf.move(task, state, **(last if number == len(states) else {}))
        task = await shelf.reload(task)


async def figures(shelf: Shelf, caller: Caller) -> dict[str, int]:
    """Return today's figures that are not zero; the month's must be the same."""
    day, month = windows(shelf.clock.now_ms())
    found = await shelf.figures(caller, day)
    assert await shelf.figures(caller, month) == found
    return {name: value for name, value in found.items() if value}


def scoped(suffix: str, **values: int) -> dict[str, int]:
    """Return figures under the names of one key or model."""
    return {f"{name}{suffix}": value for name, value in values.items()}


async def test_every_task_counts_for_tenant_key_and_model(shelf: Shelf) -> None:
    """The tenant's figures are the sum of its keys', and the sum of its models'."""
    first = await shelf.caller()
    second = await shelf.colleague(first)

    await life(shelf, first, A, S.SUBMITTED, S.COMPLETED, charged=PRICE)
    await life(shelf, first, B, S.SUBMITTED, S.FAILED)
    await life(shelf, second, A, S.SUBMITTED, S.COMPLETED, charged=3 * PRICE)
    await life(shelf, second, A, S.SUBMITTED)

    assert await figures(shelf, first) == {
        **scoped("", tasks=4, completed=2, failed=1, settled=4 * PRICE, held=PRICE),
        **scoped(f"@{A}", tasks=3, completed=2, settled=4 * PRICE, held=PRICE),
        **scoped(f"@{B}", tasks=1, failed=1),
        **scoped(f":{first.key_id}", tasks=2, completed=1, failed=1, settled=PRICE),
        **scoped(f":{second.key_id}", tasks=2, completed=1, settled=3 * PRICE, held=PRICE),
    }


@pytest.mark.parametrize(
    ("states", "last", "counted"),
    [
        ((S.SUBMITTED, S.FAILED), {}, {"tasks": 1, "failed": 1}),
        (
            (S.SUBMITTED, S.FAILED),
            {"cancelled": True, "body": b'{"status":"failed","error":"request_cancelled"}'},
            {"tasks": 1, "failed": 1},
        ),
        ((S.QUEUED, S.CANCELLED), {}, {"tasks": 1, "failed": 1}),
        (
            (S.IN_DOUBT, S.WRITTEN_OFF),
            {"charged": PRICE},
            {"tasks": 1, "failed": 1, "settled": PRICE},
        ),
        ((S.REJECTED,), {}, {}),
        ((S.IN_DOUBT, S.REJECTED), {}, {}),
    ],
)
async def test_what_did_not_succeed_has_failed_or_never_was(
    shelf: Shelf, states: tuple[TaskState, ...], last: dict[str, Any], counted: dict[str, int]
) -> None:
    """Called off counts as failed; a create that was refused counts as nothing at all."""
    caller = await shelf.caller()

    await life(shelf, caller, A, *states, **last)

    scopes = ("", f":{caller.key_id}", f"@{A}")
    assert await figures(shelf, caller) == {
        name: value for scope in scopes for name, value in scoped(scope, **counted).items()
    }


async def test_a_task_refused_after_its_answer_counts_as_failed(shelf: Shelf) -> None:
    """Its caller was told 200 and sees it in the list: the figures agree with the list."""
    caller = await shelf.caller()
    task = await shelf.admit(caller)
    await shelf.tasks.remember(caller, task.id, "")

    await shelf.move(task, S.REJECTED)

    found = await figures(shelf, caller)
    assert (found["tasks"], found["failed"]) == (1, 1)


async def test_a_vendors_other_price_moves_every_hold(shelf: Shelf) -> None:
    """Key and model are held the new price as the tenant is."""
    caller = await shelf.caller()
    task = await shelf.admit(caller, model=A)

    await shelf.accept(task, held_microcredits=5 * PRICE)

    found = await figures(shelf, caller)
    assert [found[name] for name in ("held", f"held:{caller.key_id}", f"held@{A}")] == (
        [5 * PRICE] * 3
    )


async def test_a_rotated_key_goes_on_with_its_familys_figures(shelf: Shelf) -> None:
    """What the old key made is settled where the new one's holds are."""
    old = await shelf.caller()
    key = await shelf.keys.get("acme", old.key_id)
    made = act("acme", at_ms=shelf.clock.now_ms(), name="key.rotated")
    heir = key.model_copy(update={"id": next_key_id(key.id)})
    await shelf.keys.issue(heir, secret="rg_live_x", act=made)
    task = await shelf.submitted(old)

    await shelf.admit(old.model_copy(update={"key_id": heir.id}))
    await shelf.move(task, S.COMPLETED, charged=PRICE)

    found = await figures(shelf, old)
    own = {name: value for name, value in found.items() if ":" in name}
    assert own == scoped(f":{old.key_id}", tasks=2, completed=1, settled=PRICE, held=PRICE)


async def test_a_task_counts_on_the_day_it_was_admitted(shelf: Shelf) -> None:
    """Its end days later changes that day's figures and no other's."""
    caller = await shelf.caller()
    task = await shelf.submitted(caller)
    day, _ = windows(shelf.clock.now_ms())
    shelf.clock.advance_ms(40 * 86_400_000)

    await shelf.move(task, S.COMPLETED, charged=PRICE)

    found = await shelf.figures(caller, day)
    assert (found["tasks"], found["completed"], found["settled"], found["held"]) == (1, 1, PRICE, 0)
    assert await shelf.figures(caller, windows(shelf.clock.now_ms())[0]) == {}
