"""admit.lua's bucket: N creates from rest, refilled at N a minute, whatever the clock does."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain.tenant import Caller
from app.errors import RateLimited
from app.store.keys import Shard
from tests.store.shelf import Shelf

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

many = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@dataclass
class Bucket:
    """The rule itself, in exact arithmetic: what was used drains as time passes its last mark."""

    per_minute: int
    used: Fraction = Fraction(0)
    at_ms: int | None = None

    def take(self, now_ms: int) -> bool:
        """Return whether one create passes now."""
        last_ms = now_ms if self.at_ms is None else self.at_ms
        at_ms = max(now_ms, last_ms)
        used = max(
            Fraction(0), self.used - Fraction((at_ms - last_ms) * self.per_minute, MINUTE_MS)
        )
        if used + 1 > self.per_minute:
            return False
        self.used, self.at_ms = used + 1, at_ms
        return True


async def fresh(shelf: Shelf, per_minute: int) -> Caller:
    """Return a caller of a new tenant; Redis forgets no bucket while its test clock runs."""
    return await shelf.caller(f"t{secrets.token_hex(8)}", creates_per_minute=per_minute)


async def verdicts(
    shelf: Shelf, caller: Caller, steps: list[tuple[int, int]]
) -> list[tuple[int, bool]]:
    """Move the clock by each step, try so many creates there, and return instants and verdicts."""
    found = []
    for step_ms, tries in steps:
        shelf.clock.advance_ms(step_ms)
        for _ in range(tries):
            outcome = await shelf.attempt(caller)
            assert outcome in ("admitted", "rate_limited")
            found.append((shelf.clock.now_ms(), outcome == "admitted"))
    return found


def within_a_minute(steps: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the steps, shortened so that the clock is never a minute behind where it has been."""
    behind_ms, found = 0, []
    for step_ms, tries in steps:
        shortened_ms = max(step_ms, behind_ms - MINUTE_MS + 1)
        behind_ms = max(0, behind_ms - shortened_ms)
        found.append((shortened_ms, tries))
    return found


forward = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 3000), st.integers(0, 90_000), st.sampled_from([0, 1, 60_000])),
        st.integers(1, 5),
    ),
    min_size=1,
    max_size=12,
)
wandering = st.lists(
    st.tuples(st.integers(-50_000, 70_000), st.integers(1, 4)), min_size=1, max_size=12
)
leaping = st.lists(
    st.tuples(
        st.one_of(
            st.integers(-50_000, 70_000),
            st.sampled_from([-HOUR_MS, HOUR_MS, -MINUTE_MS, DAY_MS // 2, -DAY_MS // 2]),
        ),
        st.integers(1, 4),
    ),
    min_size=1,
    max_size=12,
)
rates = st.one_of(st.integers(1, 12), st.sampled_from([7, 59, 60, 61, 997, 1_000_000]))


@many
@given(per_minute=rates, steps=forward)
async def test_every_verdict_is_the_exact_models(
    shelf: Shelf, per_minute: int, steps: list[tuple[int, int]]
) -> None:
    """At any instants, a create passes exactly when a whole one has been refilled."""
    shelf.clock.advance_ms(DAY_MS)
    caller, model = await fresh(shelf, per_minute), Bucket(per_minute)

    found = await verdicts(shelf, caller, steps)

    assert found == [(at_ms, model.take(at_ms)) for at_ms, _ in found]


@many
@given(per_minute=st.integers(1, 6), steps=forward)
async def test_in_any_time_no_more_pass_than_the_promise(
    shelf: Shelf, per_minute: int, steps: list[tuple[int, int]]
) -> None:
    """Between any two creates, t seconds apart, at most N + N * t / 60 passed."""
    shelf.clock.advance_ms(DAY_MS)
    caller = await fresh(shelf, per_minute)

    found = await verdicts(shelf, caller, steps)

    passed = [at_ms for at_ms, admitted in found if admitted]
    for first, since_ms in enumerate(passed):
        for last, until_ms in enumerate(passed[first:], first):
            promised = per_minute + Fraction(per_minute * (until_ms - since_ms), MINUTE_MS)
            assert last - first + 1 <= promised


@many
@given(per_minute=rates, steps=wandering)
async def test_a_clock_that_wanders_back_refills_nothing_twice(
    shelf: Shelf, per_minute: int, steps: list[tuple[int, int]]
) -> None:
    """Time that was counted once does not count again when the clock passes it again."""
    shelf.clock.advance_ms(DAY_MS)
    caller, model = await fresh(shelf, per_minute), Bucket(per_minute)

    found = await verdicts(shelf, caller, within_a_minute(steps))

    assert found == [(at_ms, model.take(at_ms)) for at_ms, _ in found]


@many
@given(per_minute=st.integers(1, 12), steps=leaping)
async def test_a_leaping_clock_gives_no_more_than_the_time_it_runs_forward(
    shelf: Shelf, per_minute: int, steps: list[tuple[int, int]]
) -> None:
    """However it is set back and ahead, only movement forward refills."""
    shelf.clock.advance_ms(2 * DAY_MS)
    caller = await fresh(shelf, per_minute)

    found = await verdicts(shelf, caller, steps)

    ran_ms = sum(max(0, step_ms) for step_ms, _ in steps[1:])
    passed = sum(admitted for _, admitted in found)
    assert passed <= per_minute + Fraction(per_minute * ran_ms, MINUTE_MS)
    assert passed >= 1


async def test_from_rest_exactly_n_pass(shelf: Shelf) -> None:
    """A tenant that was quiet gets its whole minute at once, and not one more."""
    caller = await fresh(shelf, 30)

    found = await verdicts(shelf, caller, [(0, 35)])

    assert [admitted for _, admitted in found] == [True] * 30 + [False] * 5


async def test_a_clock_far_ahead_locks_nobody_out_once_it_is_right_again(shelf: Shelf) -> None:
    """A bucket emptied by a clock an hour ahead is full again two minutes after the mistake."""
    shelf.clock.advance_ms(DAY_MS)
    caller = await fresh(shelf, 3)
    await verdicts(shelf, caller, [(HOUR_MS, 5)])

    found = await verdicts(shelf, caller, [(-HOUR_MS, 1)] + [(10_000, 1)] * 12)

    assert any(admitted for _, admitted in found)


@pytest.mark.parametrize("set_back_ms", [0, 1, 25_000, 59_999, HOUR_MS])
async def test_retry_after_is_when_one_passes(shelf: Shelf, set_back_ms: int) -> None:
    """Who waits as long as the refusal says gets through, even if the clock was set back."""
    shelf.clock.advance_ms(DAY_MS)
    caller = await fresh(shelf, 4)
    await verdicts(shelf, caller, [(0, 4), (-set_back_ms, 0)])
    with pytest.raises(RateLimited) as refused:
        await shelf.admit(caller)
    assert refused.value.retry_after_s is not None

    found = await verdicts(shelf, caller, [(refused.value.retry_after_s * 1000, 1)])

    assert found[0][1] is True


async def test_retry_after_is_no_longer_than_it_takes(shelf: Shelf) -> None:
    """One millisecond before a whole create has been refilled the answer is still no."""
    shelf.clock.advance_ms(DAY_MS)
    caller = await fresh(shelf, 4)

    found = await verdicts(shelf, caller, [(0, 5), (14_999, 1), (1, 2)])

    assert [admitted for _, admitted in found][4:] == [False, False, True, False]


async def test_a_raised_limit_counts_what_was_used_before(shelf: Shelf) -> None:
    """Two of two used, then five allowed: three more pass at that instant."""
    caller = await fresh(shelf, 2)
    await verdicts(shelf, caller, [(0, 3)])
    await shelf.limit(caller.tenant_id, creates_per_minute=5)

    found = await verdicts(shelf, caller, [(0, 5)])

    assert [admitted for _, admitted in found] == [True] * 3 + [False] * 2


async def test_a_lowered_limit_binds_at_once(shelf: Shelf) -> None:
    """Five used, then two allowed: none passes before the use has drained below two."""
    caller = await fresh(shelf, 5)
    await verdicts(shelf, caller, [(0, 5)])
    await shelf.limit(caller.tenant_id, creates_per_minute=2)

    found = await verdicts(shelf, caller, [(0, 1), (89_999, 1), (30_001, 1)])

    assert [admitted for _, admitted in found] == [False, False, True]


async def test_a_bucket_is_forgotten_when_it_is_sure_to_be_full_again(shelf: Shelf) -> None:
    """Its record goes two minutes after the last create; a full one needs only one of them."""
    caller = await fresh(shelf, 1)
    await verdicts(shelf, caller, [(0, 2)])

    shard = Shard.of(caller.tenant_id)
    expires_ms = await shelf.redis.pexpiretime(shard.rate(caller.tenant_id, "live"))

    assert expires_ms == shelf.clock.now_ms() + 2 * MINUTE_MS
