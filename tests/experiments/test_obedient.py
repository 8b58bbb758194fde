"""A caller that does as the header fields say is never refused, and loses nothing by waiting."""

from __future__ import annotations

import random
from typing import Any

import pytest

from app.domain.rates import Rates
from app.errors import RateLimited
from app.store.task_steps import Admitted
from tests.api.structured import members
from tests.store.shelf import Shelf

SEEDS = 4
REQUESTS = 10_000 // SEEDS
CREATES, READS = 30, 20
SHARE_OF_CREATES = 0.02


class Obedient:
    """What one caller was told last, and until when that is all there is."""

    def __init__(self) -> None:
        self.left = {"creates": 1, "reads": 1}
        self.again_ms = {"creates": 0, "reads": 0}

    def wait_ms(self, policy: str, now_ms: int) -> int:
        """Return how long to wait before the next request of a policy."""
        return 0 if self.left[policy] else max(0, self.again_ms[policy] - now_ms)

    def hears(self, rates: Rates, now_ms: int) -> None:
        """Read the header fields of an answer; every one must be a structured field."""
        told = {name.decode(): value.decode() for name, value in rates.header_fields()}
        quotas = members(told["ratelimit-policy"])
        assert quotas == {"creates": {"q": CREATES, "w": 60}, "reads": {"q": READS, "w": 1}}
        [(policy, standing)] = members(told["ratelimit"]).items()
        assert 0 <= standing["r"] <= quotas[policy]["q"]
        self.left[policy] = standing["r"]
        self.again_ms[policy] = now_ms + standing["t"] * 1000


async def ask(shelf: Shelf, caller: Any, policy: str) -> Rates:
    """Send one request; a refusal fails the test."""
    now_ms = shelf.clock.now_ms()
    if policy == "creates":
        admission = await shelf.tasks.admit(shelf.new(caller), now_ms=now_ms)
        assert isinstance(admission, Admitted)
        return admission.rates
    permit = await shelf.meter.take_read(caller, now_ms=now_ms)
    assert permit.wait_ms is None, "an obedient caller was refused"
    return permit.rates


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_an_obedient_caller_is_never_refused(shelf: Shelf, seed: int) -> None:
    """It asks as fast as it is allowed to, 10,000 times, by nothing but `r` and `t`."""
    lots, obedient = random.Random(seed), Obedient()
    caller = await shelf.caller(creates_per_minute=CREATES, reads_per_second=READS)

    for _ in range(REQUESTS):
        policy = "creates" if lots.random() < SHARE_OF_CREATES else "reads"
        shelf.clock.advance_ms(obedient.wait_ms(policy, shelf.clock.now_ms()))
        obedient.hears(await ask(shelf, caller, policy), shelf.clock.now_ms())


@pytest.mark.parametrize("creates", [1, 7, 60, 500])
async def test_the_time_of_a_refusal_is_no_earlier_than_what_was_told_before(
    shelf: Shelf, creates: int
) -> None:
    """`Retry-After` is not before `t`, and whoever waits for it passes."""
    caller = await shelf.caller(creates_per_minute=creates)
    told = None
    for _ in range(creates):
        told = (await shelf.tasks.admit(shelf.new(caller), now_ms=shelf.clock.now_ms())).rates
    assert told is not None
    [(_, standing)] = members(dict(told.header_fields())[b"ratelimit"].decode()).items()

    with pytest.raises(RateLimited) as refusal:
        await shelf.tasks.admit(shelf.new(caller), now_ms=shelf.clock.now_ms())

    assert standing["r"] == 0
    assert (refusal.value.retry_after_s or 0) >= standing["t"]
    shelf.clock.advance_ms((refusal.value.retry_after_s or 0) * 1000)
    assert await shelf.attempt(caller) == "admitted"
