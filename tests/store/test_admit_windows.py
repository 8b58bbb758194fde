"""Credit windows: UTC days and months, and a task's costs in the window it was admitted in."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.domain.task import TaskState
from app.store.keys import Shard, windows
from tests.store.shelf import PRICE, Shelf

DAY_MS = 86_400_000
# Far enough ahead that no record of these tests is in the past for Redis, which expires by itself.
LAST_MOMENTS = [
    datetime(2036, 1, 31, 23, 59, 59, 999_000, UTC),
    datetime(2036, 2, 29, 23, 59, 59, 999_000, UTC),
    datetime(2036, 12, 31, 23, 59, 59, 999_000, UTC),
]
MID_MONTH = datetime(2036, 2, 28, 23, 59, 59, 999_000, UTC)


def go_to(shelf: Shelf, moment: datetime) -> None:
    """Put the clock to a moment."""
    shelf.clock.advance_ms(round(moment.timestamp() * 1000) - shelf.clock.now_ms())


@pytest.mark.parametrize("moment", [*LAST_MOMENTS, MID_MONTH])
async def test_a_new_utc_day_begins_with_its_first_millisecond(
    shelf: Shelf, moment: datetime
) -> None:
    """A day's credits are gone until 23:59:59.999 and all there at 00:00:00.000."""
    go_to(shelf, moment)
    caller = await shelf.caller(credits_per_day="0.2")

    before = [await shelf.attempt(caller) for _ in range(3)]
    shelf.clock.advance_ms(1)
    after = [await shelf.attempt(caller) for _ in range(3)]

    assert before == after == ["admitted", "admitted", "credit_exhausted"]


@pytest.mark.parametrize("moment", LAST_MOMENTS)
async def test_a_new_utc_month_begins_with_its_first_millisecond(
    shelf: Shelf, moment: datetime
) -> None:
    """The same holds for months, of any length."""
    go_to(shelf, moment)
    caller = await shelf.caller(credits_per_month="0.2")

    before = [await shelf.attempt(caller) for _ in range(3)]
    shelf.clock.advance_ms(1)
    after = [await shelf.attempt(caller) for _ in range(3)]

    assert before == after == ["admitted", "admitted", "credit_exhausted"]


async def test_a_months_credits_do_not_come_back_with_a_new_day(shelf: Shelf) -> None:
    """Both windows are kept side by side."""
    go_to(shelf, MID_MONTH)
    caller = await shelf.caller(credits_per_day="0.2", credits_per_month="0.3")

    before = [await shelf.attempt(caller) for _ in range(3)]
    shelf.clock.advance_ms(1)
    after = [await shelf.attempt(caller) for _ in range(2)]

    assert before == ["admitted", "admitted", "credit_exhausted"]
    assert after == ["admitted", "credit_exhausted"]


@pytest.mark.parametrize("moment", [*LAST_MOMENTS, MID_MONTH])
async def test_a_task_settles_in_the_window_it_was_admitted_in(
    shelf: Shelf, moment: datetime
) -> None:
    """Accepted and finished after midnight, a task still costs the day before."""
    go_to(shelf, moment)
    caller = await shelf.caller(credits_per_day="0.2")
    old_day, old_month = windows(shelf.clock.now_ms())
    task = await shelf.admit(caller)

    shelf.clock.advance_ms(1)
    await shelf.accept(task, held_microcredits=PRICE + 1)
    held = await shelf.figures(caller, old_day)
    await shelf.move(await shelf.reload(task), TaskState.COMPLETED, charged=PRICE + 2)

    new_day, new_month = windows(shelf.clock.now_ms())
    assert held["held"] == PRICE + 1
    assert (await shelf.figures(caller, old_day))["settled"] == PRICE + 2
    assert (await shelf.figures(caller, old_month))["settled"] == PRICE + 2
    assert await shelf.figures(caller, new_day) == {}
    assert new_month == old_month or await shelf.figures(caller, new_month) == {}
    assert [await shelf.attempt(caller) for _ in range(3)][-1] == "credit_exhausted"


async def test_what_is_settled_and_what_is_held_count_together(shelf: Shelf) -> None:
    """A finished task goes on counting, an unfinished one counts already."""
    caller = await shelf.caller(credits_per_day="0.3")
    done = await shelf.submitted(caller)
    await shelf.move(done, TaskState.COMPLETED, charged=PRICE)

    outcomes = [await shelf.attempt(caller) for _ in range(3)]

    assert outcomes == ["admitted", "admitted", "credit_exhausted"]


async def test_released_credits_can_be_spent_again(shelf: Shelf) -> None:
    """A task that failed leaves its whole price to the next one."""
    caller = await shelf.caller(credits_per_day="0.1", credits_per_month="0.1")
    task = await shelf.submitted(caller)
    full = await shelf.attempt(caller)

    await shelf.move(task, TaskState.FAILED)

    assert full == "credit_exhausted"
    assert await shelf.attempt(caller) == "admitted"


async def test_costs_above_the_hold_are_booked_and_stop_the_next_create(shelf: Shelf) -> None:
    """What the vendor charged is charged, over the limit too; then the tenant must wait."""
    caller = await shelf.caller(credits_per_day="0.3")
    task = await shelf.submitted(caller)

    await shelf.move(task, TaskState.COMPLETED, charged=5 * PRICE)

    day, _ = windows(shelf.clock.now_ms())
    assert (await shelf.figures(caller, day))["settled"] == 5 * PRICE
    assert await shelf.attempt(caller) == "credit_exhausted"


@pytest.mark.parametrize(
    ("limits", "more"),
    [
        ({"credits_per_day": "0"}, 0),
        ({"credits_per_day": "0.2"}, 0),
        ({"credits_per_day": "0.3"}, 1),
        ({"credits_per_day": None, "credits_per_month": "0.499999"}, 2),
        ({"credits_per_day": None}, 4),
    ],
)
async def test_a_changed_limit_counts_what_was_spent_before(
    shelf: Shelf, limits: dict[str, str | None], more: int
) -> None:
    """Lowered, raised or lifted: what is left is the new limit less all of today's spending."""
    caller = await shelf.caller(credits_per_day="0.2")
    await shelf.move(await shelf.submitted(caller), TaskState.COMPLETED, charged=PRICE)
    await shelf.admit(caller)

    await shelf.limit("acme", **limits)

    outcomes = [await shelf.attempt(caller) for _ in range(4)]
    assert outcomes == ["admitted"] * more + ["credit_exhausted"] * (4 - more)


async def test_spending_counts_from_before_there_was_a_limit(shelf: Shelf) -> None:
    """A tenant's figures are kept also while nothing limits it."""
    caller = await shelf.caller()
    for _ in range(3):
        await shelf.admit(caller)

    await shelf.limit("acme", credits_per_month="0.3")

    assert await shelf.attempt(caller) == "credit_exhausted"


async def test_usage_is_kept_for_four_hundred_days(shelf: Shelf) -> None:
    """A window's figures outlive the tasks; they expire 400 days after its last create."""
    caller = await shelf.caller()
    await shelf.admit(caller)
    day, month = windows(shelf.clock.now_ms())

    lives = [
        await shelf.redis.pexpiretime(Shard.of("acme").usage("acme", "live", window))
        for window in (day, month)
    ]

    assert lives == [shelf.clock.now_ms() + 400 * DAY_MS] * 2
