"""What a create is told of its caller's rates: how it stands after it, having taken its share."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.rates import Rates, Standing
from app.domain.tenant import Caller
from app.errors import RateLimited
from app.store.task_steps import Admitted, Replayed
from app.store.tasks import IDEMPOTENCY_LEASE_MS
from tests.store.shelf import Shelf

KEY = "1" * 64


async def rates(shelf: Shelf, caller: Caller, **changes: Any) -> Rates | None:
    """Send a create that must pass or be replayed; returns what it is told."""
    new = shelf.new(caller, **changes)
    return (await shelf.tasks.admit(new, now_ms=shelf.clock.now_ms())).rates


async def test_a_caller_without_limits_is_told_of_none(shelf: Shelf) -> None:
    """Neither policy is there to be told."""
    assert await rates(shelf, await shelf.caller()) == Rates("creates")


async def test_each_create_has_one_less_left(shelf: Shelf) -> None:
    """From rest to nothing; the time is until there is one more."""
    caller = await shelf.caller(creates_per_minute=3, reads_per_second=7)

    told = [await rates(shelf, caller) for _ in range(3)]

    assert told == [
        Rates("creates", Standing(3, left, 20_000), Standing(7, 7, 0)) for left in (2, 1, 0)
    ]


async def test_time_gives_back_what_is_left(shelf: Shelf) -> None:
    """Five seconds of twenty are gone: fifteen remain until the next."""
    caller = await shelf.caller(creates_per_minute=3)
    await rates(shelf, caller)
    shelf.clock.advance_ms(5_000)

    told = await rates(shelf, caller)

    assert told == Rates("creates", Standing(3, 1, 15_000))


@pytest.mark.parametrize(
    ("of_tenant", "of_key", "told"),
    [
        ({"creates_per_minute": 6}, {}, (Standing(6, 5, 10_000), None)),
        ({}, {"creates_per_minute": 6}, (Standing(6, 5, 10_000), None)),
        (
            {"creates_per_minute": 6},
            {"creates_per_minute": 60, "reads_per_second": 4},
            (Standing(6, 5, 10_000), Standing(4, 4, 0)),
        ),
        (
            {"creates_per_minute": 60, "reads_per_second": 3},
            {"creates_per_minute": 6, "reads_per_second": 4},
            (Standing(6, 5, 10_000), Standing(3, 3, 0)),
        ),
        ({"reads_per_second": 0}, {"reads_per_second": 9}, (None, Standing(0, 0, 0))),
    ],
)
async def test_of_tenant_and_key_the_tighter_is_told(
    shelf: Shelf, of_tenant: dict[str, int], of_key: dict[str, int], told: tuple[Any, Any]
) -> None:
    """Whichever of the two it is."""
    caller = await shelf.colleague(await shelf.caller(**of_tenant), **of_key)

    found = await rates(shelf, caller)

    assert found is not None
    assert found.creates == told[0]
    assert (found.reads and found.reads.quota) == (told[1] and told[1].quota)


async def test_a_replay_is_told_how_it_stands_and_takes_nothing(shelf: Shelf) -> None:
    """As often as it is repeated, the same is left."""
    caller = await shelf.caller(creates_per_minute=2)
    task = await shelf.admit(caller, idempotency=KEY)
    await shelf.accept(task)

    told = [await rates(shelf, caller, idempotency=KEY) for _ in range(5)]

    assert told == [Rates("creates", Standing(2, 1, 30_000))] * 5
    assert await rates(shelf, caller) == Rates("creates", Standing(2, 0, 30_000))


async def test_an_answer_put_together_after_a_crash_says_nothing_of_rates(shelf: Shelf) -> None:
    """The limits were not looked at, so nothing is made up."""
    caller = await shelf.caller(creates_per_minute=2)
    await shelf.admit(caller, idempotency=KEY)
    shelf.clock.advance_ms(IDEMPOTENCY_LEASE_MS)

    orphan = await shelf.tasks.admit(
        shelf.new(caller, idempotency=KEY), now_ms=shelf.clock.now_ms()
    )

    assert isinstance(orphan, Replayed)
    assert orphan.rates is None


async def test_creates_and_peeks_tell_the_same(shelf: Shelf) -> None:
    """Who asks without creating is told what the next create will find."""
    caller = await shelf.colleague(
        await shelf.caller(creates_per_minute=5), creates_per_minute=3, reads_per_second=2
    )
    admitted = await shelf.tasks.admit(shelf.new(caller), now_ms=shelf.clock.now_ms())

    peeked = await shelf.meter.peek(caller, "creates", now_ms=shelf.clock.now_ms())

    assert isinstance(admitted, Admitted)
    assert peeked.creates == admitted.rates.creates == Standing(3, 2, 20_000)


async def test_the_wait_of_a_refusal_is_the_time_that_was_told(shelf: Shelf) -> None:
    """With nothing left, `t` and `Retry-After` are one and the same."""
    caller = await shelf.caller(creates_per_minute=7)
    told = [await rates(shelf, caller) for _ in range(7)][-1]
    assert told is not None
    assert told.creates is not None

    with pytest.raises(RateLimited) as refused:
        await shelf.admit(caller)

    assert refused.value.retry_after_s == -(-told.creates.grows_in_ms // 1000)
