"""admit.lua: everything that a create takes, in one step or not at all."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from app.domain.tenant import Caller
from app.errors import InvalidKey, StoreForeign, TenantDisabled
from app.store.identity import StoreIdentity
from app.store.keys import Shard, windows
from app.store.task_steps import Admitted
from app.store.tasks import TaskStore
from tests.store.shelf import PRICE, RECOVER_MS, RETENTION_MS, Shelf
from tests.support.contents import everything
from tests.support.tenant_keys import issued_key

LIMITED = [
    ({"tasks_in_flight": 7}, {}),
    ({}, {"tasks_in_flight": 7}),
    ({"tasks_in_flight": 7}, {"tasks_in_flight": 9}),
    ({"creates_per_minute": 7}, {}),
    ({}, {"creates_per_minute": 7}),
    ({"creates_per_minute": 9}, {"creates_per_minute": 7}),
    ({"credits_per_day": "0.7"}, {}),
    ({"credits_per_month": "0.799999"}, {}),
    ({}, {"credits_per_day": "0.7"}),
    ({}, {"credits_per_month": "0.7"}),
    ({"credits_per_day": "0.7", "credits_per_month": "9"}, {"credits_per_day": "0.8"}),
    ({"tasks_in_flight": 9, "credits_per_month": "0.8"}, {"creates_per_minute": 7}),
]
"""Limits of a tenant and of its key under which seven creates pass."""

REFUSED = [
    ("model_not_allowed", {"models": ["sora", "sora-char"]}, {}, 0, {}),
    ("model_not_allowed", {}, {"models": []}, 0, {}),
    ("rate_limited", {"creates_per_minute": 0}, {}, 0, {}),
    ("rate_limited", {"creates_per_minute": 2}, {}, 2, {}),
    ("rate_limited", {"creates_per_minute": 9}, {"creates_per_minute": 1}, 1, {}),
    ("too_many_in_flight", {"tasks_in_flight": 0}, {}, 0, {}),
    ("too_many_in_flight", {"tasks_in_flight": 2}, {}, 2, {}),
    ("too_many_in_flight", {"tasks_in_flight": 9}, {"tasks_in_flight": 1}, 1, {}),
    ("price_unknown", {"credits_per_day": "9"}, {}, 0, {"price_is_known": False}),
    ("price_unknown", {}, {"credits_per_month": "9"}, 0, {"price_is_known": False}),
    ("credit_exhausted", {"credits_per_day": "0"}, {}, 0, {}),
    ("credit_exhausted", {"credits_per_day": "0.099999"}, {}, 0, {}),
    ("credit_exhausted", {"credits_per_day": "0.1"}, {}, 1, {}),
    ("credit_exhausted", {"credits_per_month": "0.25"}, {}, 2, {}),
    ("credit_exhausted", {"credits_per_day": "9"}, {"credits_per_day": "0.1"}, 1, {}),
    ("credit_exhausted", {"credits_per_day": "9"}, {"credits_per_month": "0.1"}, 1, {}),
]
"""Reason, limits of tenant and key, creates before, and what is special about the refused one."""


async def test_an_admitted_task_has_taken_all_it_needs(shelf: Shelf) -> None:
    """Record, hold, slots, request body and the time of its recovery come together."""
    caller = await shelf.caller()
    shard = Shard.of("acme")
    day, month = windows(shelf.clock.now_ms())

    task = await shelf.admit(caller, request_body='{"n":1.50}')

    stored = await shelf.tasks.find(task.id)
    assert stored is not None
    assert stored["state"] == "sending"
    assert stored["tenant"], stored["key"] == (caller.tenant_id, caller.key_id)
    assert await shelf.redis.get(shard.request(task.id)) == b'{"n":1.50}'
    assert await shelf.money(task) == [("hold", PRICE)]
    assert await shelf.redis.zscore(shard.sends, task.id) == shelf.clock.now_ms() + RECOVER_MS
    for window in (day, month):
        assert await shelf.figures(caller, window) == {
            "held": PRICE,
            "tasks": 1,
            f"held:{caller.key_id}": PRICE,
            f"tasks:{caller.key_id}": 1,
            "held@sora-character": PRICE,
            "tasks@sora-character": 1,
        }
    for slots in (shard.slots("acme", "live"), shard.slots("acme", "live", caller.key_id)):
        assert await shelf.redis.smembers(slots) == {task.id.encode()}


async def test_the_task_returned_is_the_task_stored(shelf: Shelf) -> None:
    """What the sender works on is what every other process reads."""
    caller = await shelf.caller()

    task = await shelf.admit(caller, idempotency="i" * 64)

    assert task == await shelf.reload(task)


async def test_the_first_answer_names_the_tenants_group(shelf: Shelf) -> None:
    """The group is known to the store alone, which puts it into the stored answer."""
    caller = await shelf.caller()
    await shelf.redis.hset(Shard.of("acme").tenant("acme"), "group", "film studio")

    task = await shelf.admit(caller)

    assert task.group == "film studio"
    assert (await shelf.reload(task)).body == b'{"status":"pending","group":"film studio"}'


@pytest.mark.parametrize(("reason", "of_tenant", "of_key", "before", "special"), REFUSED)
async def test_a_create_over_a_limit_changes_nothing(
    shelf: Shelf,
    reason: str,
    of_tenant: dict[str, Any],
    of_key: dict[str, Any],
    before: int,
    special: dict[str, Any],
) -> None:
    """Whichever limit is passed, the refusal leaves the store as it was, to the last field."""
    caller = await shelf.colleague(await shelf.caller(**of_tenant), **of_key)
    for _ in range(before):
        await shelf.admit(caller)
    untouched = await everything(shelf.redis)

    outcome = await shelf.attempt(caller, idempotency="i" * 64, **special)

    assert outcome == reason
    assert await everything(shelf.redis) == untouched


async def _revoked(shelf: Shelf) -> Caller:
    caller = await shelf.caller()
    await shelf.revoke(caller.tenant_id, caller.key_id)
    return caller


async def _expired(shelf: Shelf) -> Caller:
    await shelf.caller()
    now_ms = shelf.clock.now_ms()
    secret = await issued_key(shelf.keys, "acme", now_ms=now_ms, expires_ms=now_ms)
    caller = await shelf.keys.find_caller(secret, "live")
    assert caller is not None
    return caller


async def _never_issued(shelf: Shelf) -> Caller:
    await shelf.caller()
    return Caller(tenant_id="acme", key_id="key_000000000000", mode="live")


async def _of_nobody(shelf: Shelf) -> Caller:
    return Caller(tenant_id="nobody", key_id="key_000000000000", mode="live")


async def _of_another_tenant(shelf: Shelf) -> Caller:
    key_id = (await shelf.caller("acme")).key_id
    await shelf.caller("globex")
    return Caller(tenant_id="globex", key_id=key_id, mode="live")


@pytest.mark.parametrize(
    "caller_of", [_revoked, _expired, _never_issued, _of_nobody, _of_another_tenant]
)
async def test_a_key_that_may_not_create_changes_nothing(shelf: Shelf, caller_of: Any) -> None:
    """Revoked, expired, unknown or another tenant's: from that instant it creates nothing."""
    caller = await caller_of(shelf)
    untouched = await everything(shelf.redis)

    with pytest.raises(InvalidKey):
        await shelf.admit(caller)

    assert await everything(shelf.redis) == untouched


async def test_a_key_creates_until_the_millisecond_it_expires(shelf: Shelf) -> None:
    """One millisecond before its expiry a key is as good as ever."""
    caller = await _expired(shelf)
    shelf.clock.advance_ms(-1)

    assert await shelf.attempt(caller) == "admitted"


async def test_a_disabled_tenant_creates_nothing_until_it_is_enabled(shelf: Shelf) -> None:
    """The switch works from the next create on, both ways."""
    caller = await shelf.caller()
    await shelf.switch("acme", disabled=True)
    untouched = await everything(shelf.redis)

    with pytest.raises(TenantDisabled):
        await shelf.admit(caller)

    assert await everything(shelf.redis) == untouched
    await shelf.switch("acme", disabled=False)
    assert await shelf.attempt(caller) == "admitted"


async def test_a_store_of_another_epoch_admits_nothing(shelf: Shelf) -> None:
    """A process that was set up with another store is refused before anything is looked at."""
    caller = await shelf.caller()
    stranger = TaskStore(
        shelf.redis, StoreIdentity(shelf.redis, "0" * 32), retention_ms=RETENTION_MS
    )
    untouched = await everything(shelf.redis)

    with pytest.raises(StoreForeign):
        await stranger.admit(shelf.new(caller), now_ms=shelf.clock.now_ms())

    assert await everything(shelf.redis) == untouched


async def test_a_wiped_store_admits_nothing_and_stays_empty(shelf: Shelf) -> None:
    """An emptied store is no fresh quota, and no refused create may begin to fill it."""
    caller = await shelf.caller()
    await shelf.redis.flushall()

    with pytest.raises(StoreForeign):
        await shelf.admit(caller)

    assert await everything(shelf.redis) == {}


@pytest.mark.parametrize(("of_tenant", "of_key"), LIMITED)
async def test_of_fifty_at_once_as_many_pass_as_the_tightest_limit_allows(
    shelves: list[Shelf], of_tenant: dict[str, Any], of_key: dict[str, Any]
) -> None:
    """Three processes race for seven places of any kind: seven are admitted, never more or less."""
    caller = await shelves[0].colleague(await shelves[0].caller(**of_tenant), **of_key)

    outcomes = await asyncio.gather(*(shelves[n % 3].attempt(caller) for n in range(50)))

    assert Counter(outcomes)["admitted"] == 7
    assert len(set(outcomes)) == 2


async def test_keys_of_a_tenant_share_its_limits(shelves: list[Shelf]) -> None:
    """Two keys racing for a tenant's places get as many together as one would alone."""
    first = await shelves[0].caller(tasks_in_flight=7)
    second = await shelves[0].colleague(first)

    outcomes = await asyncio.gather(
        *(shelves[n % 3].attempt((first, second)[n % 2]) for n in range(50))
    )

    assert Counter(outcomes) == {"admitted": 7, "too_many_in_flight": 43}


@pytest.mark.parametrize(
    "limits",
    [
        {"tasks_in_flight": 2},
        {"creates_per_minute": 2},
        {"credits_per_day": "0.2"},
        {"credits_per_month": "0.299999"},
    ],
)
async def test_a_keys_limit_binds_that_key_alone(shelf: Shelf, limits: dict[str, Any]) -> None:
    """What other keys of the tenant use does not count against it, nor its own against theirs."""
    first = await shelf.caller()
    second = await shelf.colleague(first, **limits)

    before = [await shelf.attempt(first) for _ in range(3)]
    own = [await shelf.attempt(second) for _ in range(4)]
    after = [await shelf.attempt(first) for _ in range(3)]

    assert before == after == ["admitted"] * 3
    assert [outcome == "admitted" for outcome in own] == [True, True, False, False]


async def test_a_refusal_by_the_key_takes_nothing_of_the_tenant(shelf: Shelf) -> None:
    """Creates that the key's own limit stops leave the tenant's minute to its other keys."""
    first = await shelf.caller(creates_per_minute=2)
    second = await shelf.colleague(first, credits_per_day="0")

    refused = [await shelf.attempt(second) for _ in range(5)]
    passed = [await shelf.attempt(first) for _ in range(3)]

    assert refused == ["credit_exhausted"] * 5
    assert passed == ["admitted", "admitted", "rate_limited"]


async def test_tenants_and_modes_have_limits_of_their_own(shelf: Shelf) -> None:
    """A full tenant stands in nobody's way, not even its own test keys'."""
    limits = {"tasks_in_flight": 1, "creates_per_minute": 1}
    callers = [
        await shelf.caller("acme", **limits),
        await shelf.caller("acme", mode="test"),
        await shelf.caller("globex", **limits),
    ]

    outcomes = [await shelf.attempt(caller) for caller in callers]

    assert outcomes == ["admitted"] * 3


async def test_a_test_key_holds_no_credits(shelf: Shelf) -> None:
    """A tenant that may not spend at all can still try the gateway out."""
    caller = await shelf.caller(mode="test", credits_per_day="0", credits_per_month="0")

    task = await shelf.admit(caller)

    assert await shelf.money(task) == [("hold", 0)]


async def test_the_same_task_admitted_twice_is_one_task_with_a_key(shelf: Shelf) -> None:
    """Repeating an admission whose reply was lost takes nothing a second time."""
    caller = await shelf.caller()
    new = shelf.new(caller, idempotency="i" * 64)
    first = await shelf.tasks.admit(new, now_ms=shelf.clock.now_ms())
    untouched = await everything(shelf.redis)

    outcome = await shelf.offer(new)

    assert isinstance(first, Admitted)
    assert outcome == "idempotency_in_flight"
    assert await everything(shelf.redis) == untouched
