"""The audit log: one entry an act, in the order done, read in pages over all shards."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain.audit import Act, Actor
from app.errors import StoreForeign, StoreUnavailable
from app.store.audit import AuditLog
from app.store.connect import connect
from app.store.keys import ALL_SHARDS, SHARD_COUNT, Shard
from tests.store.shelf import Shelf

Page = tuple[list[dict[str, Any]], str | None]

TENANT_OF_SHARD = {Shard.of(f"t{n}").number: f"t{n}" for n in range(400)}
"""A tenant's id for each shard."""


async def put(shelf: Shelf, shard: int, entry_id: str, tenant_id: str = "") -> str:
    """Write an entry at a place of its own choosing; returns the id it is shown by."""
    act = Act(Actor("cli"), "tenant.changed", tenant_id or TENANT_OF_SHARD[shard], 0)
    await shelf.redis.xadd(ALL_SHARDS[shard].audit, {"entry": act.entry()}, id=entry_id)
    return f"{entry_id}-{shard}"


def place(entry_id: str) -> tuple[int, ...]:
    """Return an entry's place in the order of all shards."""
    return tuple(int(part) for part in entry_id.split("-"))


async def walk(shelf: Shelf, size: int, tenant_id: str | None = None) -> list[list[str]]:
    """Read the log page by page to its end; returns the ids of each page."""
    pages: list[list[str]] = []
    before: str | None = None
    while True:
        acts, before = await shelf.audit.page(tenant_id=tenant_id, before=before, limit=size)
        pages.append([act["id"] for act in acts])
        if before is None:
            return pages
        assert before == acts[-1]["id"]
        assert len(pages) < 100, "the pages have no end"


async def test_an_entry_reads_back_as_the_act_that_was_done(shelf: Shelf) -> None:
    """Who, what, to whom, when and in which request; with an id of its own."""
    now_ms = shelf.clock.now_ms()
    act = Act(Actor("admin", "req-1"), "tenant.secrets_shown", "acme", now_ms, "", {"é": [1]})

    await shelf.audit.record(act)

    acts, following = await shelf.audit.page(tenant_id=None, before=None, limit=10)
    assert following is None
    assert [{name: value for name, value in one.items() if name != "id"} for one in acts] == [
        json.loads(act.entry())
    ]
    assert place(acts[0]["id"])[2] == Shard.of("acme").number


@pytest.mark.parametrize("size", [1, 2, 3, 16, 17, 100])
async def test_pages_have_no_gap_and_no_repeat(shelf: Shelf, size: int) -> None:
    """Also where all shards have entries of the very same millisecond and number."""
    expected = [
        await put(shelf, shard, entry_id)
        for entry_id in ("5-0", "5-1", "6-0")
        for shard in range(SHARD_COUNT)
    ]

    pages = await walk(shelf, size)

    assert [one for page in pages for one in page] == sorted(expected, key=place, reverse=True)
    assert {len(page) for page in pages[:-1]} <= {size}
    assert pages[-1]


entries = st.lists(
    st.tuples(st.integers(0, SHARD_COUNT - 1), st.integers(1, 4), st.integers(0, 2)),
    unique=True,
    max_size=25,
)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(found=entries, size=st.integers(1, 9))
async def test_whatever_was_done_where_the_pages_are_the_whole_log_in_order(
    shelf: Shelf, found: list[tuple[int, int, int]], size: int
) -> None:
    """Newest first, every entry once."""
    await shelf.redis.delete(*(shard.audit for shard in ALL_SHARDS))
    for shard, at_ms, number in sorted(found):
        await put(shelf, shard, f"{at_ms}-{number}")

    pages = await walk(shelf, size)

    expected = sorted(((ms, number, shard) for shard, ms, number in found), reverse=True)
    assert [place(one) for page in pages for one in page] == expected


@pytest.mark.parametrize("size", [1, 2, 5])
async def test_a_tenants_page_has_its_own_acts_alone(shelf: Shelf, size: int) -> None:
    """However many of its neighbours lie between them."""
    shard = Shard.of("acme").number
    own = []
    for n in range(1, 61):
        is_own = n % 12 == 0
        entry_id = await put(shelf, shard, f"{n}-0", "acme" if is_own else "hooli")
        own += [entry_id] if is_own else []
    assert Shard.of("hooli").number == shard

    pages = await walk(shelf, size, "acme")

    assert [one for page in pages for one in page] == list(reversed(own))
    assert await walk(shelf, size, "globex") == [[]]


async def test_what_is_added_while_somebody_reads_does_not_shift_the_pages(shelf: Shelf) -> None:
    """A new entry is newer than every page that follows."""
    expected = [await put(shelf, shard, "7-0") for shard in range(4)]
    first, before = await shelf.audit.page(tenant_id=None, before=None, limit=2)
    await put(shelf, 0, "8-0")
    await put(shelf, 9, "7-1")

    second, following = await shelf.audit.page(tenant_id=None, before=before, limit=2)

    assert [act["id"] for act in first + second] == list(reversed(expected))
    assert following is None


@pytest.mark.parametrize(
    "before", ["", "x", "1", "1-2", "1-2-3-4", "a-0-0", "-1-0-0", "1-0-x", "1.5-0-0", "٣-x-0"]
)
async def test_a_place_that_no_page_gave_is_refused(shelf: Shelf, before: str) -> None:
    """As a wrong value, not as a defect."""
    with pytest.raises(ValueError, match=r".*"):
        await shelf.audit.page(tenant_id=None, before=before, limit=5)


@pytest.mark.parametrize(
    "before",
    [
        *("0-0-0", "0-0-7", "0-1-0", "9-0-99", "9999999999999-0-0"),
        *(f"{2**64}-0-0", f"{2**64 - 1}-{2**64 - 1}-0", f"5-{2**64}-0"),
    ],
)
async def test_a_place_beyond_the_log_is_answered_all_the_same(shelf: Shelf, before: str) -> None:
    """Or refused as a wrong value: no place that can be written breaks the look."""
    await put(shelf, 3, "5-0")

    try:
        acts, _ = await shelf.audit.page(tenant_id=None, before=before, limit=5)
    except ValueError:
        return

    assert [act["id"] for act in acts] in ([], ["5-0-3"])


async def test_acts_are_listed_in_the_order_they_were_done(shelf: Shelf) -> None:
    """By the store's own order, also within one millisecond and with a clock that stands still."""
    caller = await shelf.caller()
    await shelf.limit("acme", tasks_in_flight=1)
    await shelf.switch("acme", disabled=True)
    await shelf.switch("acme", disabled=False)
    await shelf.revoke("acme", caller.key_id)

    acts, _ = await shelf.audit.page(tenant_id="acme", before=None, limit=10)

    assert [act["act"] for act in reversed(acts)] == [
        "tenant.created",
        "key.issued",
        "tenant.changed",
        "tenant.changed",
        "tenant.changed",
        "key.revoked",
    ]


async def test_a_store_of_another_epoch_records_nothing(shelf: Shelf) -> None:
    """And a store that is away says so."""
    act = Act(Actor("cli"), "tenant.secrets_shown", "acme", 0)
    stranger = AuditLog(shelf.redis, "0" * 32)
    away = AuditLog(connect("unix:///nonexistent/socket"), "0" * 32)

    with pytest.raises(StoreForeign):
        await stranger.record(act)
    with pytest.raises(StoreUnavailable):
        await away.record(act)
    with pytest.raises(StoreUnavailable):
        await away.page(tenant_id=None, before=None, limit=1)

    assert await shelf.audit.page(tenant_id=None, before=None, limit=1) == ([], None)
