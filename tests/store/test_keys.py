"""Names of Redis keys: one shard a tenant, one hash slot a shard, one life a name."""

from __future__ import annotations

import re
import secrets
import zlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.crc import key_slot

from app.domain.ids import Mode
from app.domain.task import TaskState
from app.store import keys
from app.store.keys import (
    ALL_SHARDS,
    LAST_BALANCE,
    LAST_STOCK,
    LIST_NAMES,
    META,
    OPEN_PATTERNS,
    PERMANENT_PATTERNS,
    SHARD_COUNT,
    TURN_OF_BALANCE,
    TURN_OF_STOCK,
    ListName,
    Shard,
    key_index,
    month_before,
    poll_budget,
    shard_of,
    vendor_claim,
    windows,
)
from tests.store.shelf import Shelf
from tests.support.contents import everything

TASK_ID = "task-unified-1767917446-" + "0" * 25
TENANT_ID = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?", re.ASCII)


NAMES_OF_THE_VENDOR = [
    vendor_claim("task-unified-1"),
    poll_budget("vk_1"),
    LAST_BALANCE,
    TURN_OF_BALANCE,
    LAST_STOCK,
    TURN_OF_STOCK,
]
"""Those that belong to no shard, since vendor keys are everybody's."""


def names_of(shard: Shard, tenant_id: str = "acme", key_id: str = "key_1") -> list[str]:
    """Return a name of every kind that lies in a shard."""
    return [
        *(
            shard.epoch,
            shard.marks,
            shard.tenants,
            shard.polls,
            shard.sends,
            shard.doubts,
            shard.retires,
        ),
        *(shard.deliveries, shard.delivering, shard.news(tenant_id, "live")),
        *(shard.webhooks(tenant_id, "live"), shard.webhook(tenant_id, "we_1")),
        *(shard.message("msg_1"), shard.delivery("we_1", "msg_1"), shard.attempts("we_1", "msg_1")),
        *(shard.due(tenant_id, "live", "we_1"), shard.log(tenant_id, "live", "we_1")),
        *(shard.audit, shard.dispatch, shard.queue(tenant_id, "live")),
        *(shard.story(TASK_ID), shard.notice(TASK_ID)),
        *(shard.origins, shard.tokens(tenant_id, key_id)),
        *(shard.tenant(tenant_id), shard.keys(tenant_id), shard.key(tenant_id, key_id)),
        *(shard.task(TASK_ID), shard.ledger(TASK_ID), shard.request(TASK_ID)),
        shard.idempotency(tenant_id, "live", "d" * 64),
        *(shard.slots(tenant_id, "live"), shard.slots(tenant_id, "test", key_id)),
        *(shard.rate(tenant_id, "live"), shard.rate(tenant_id, "test", key_id)),
        *(shard.reads(tenant_id, "live"), shard.reads(tenant_id, "test", key_id)),
        *(shard.listed(tenant_id, "live", "all"), shard.listed(tenant_id, "test", "open", "m n")),
        *(shard.usage(tenant_id, "live", "20261122"), shard.usage(tenant_id, "test", "202611")),
    ]


def test_every_kind_of_name_is_tried_here() -> None:
    """A new kind of key has to be added to this file."""
    kinds = {name for name in vars(Shard) if not name.startswith("_")} - {"of", "number"}
    words = {name.split("}:", 1)[1].split(":")[0] for name in names_of(Shard(0))}

    assert (words - {"idem", "list"}) | {"idempotency", "listed"} == kinds


@pytest.mark.parametrize("shard", ALL_SHARDS, ids=str)
def test_all_keys_of_a_shard_share_one_hash_slot(shard: Shard) -> None:
    """One script may touch any of them on a cluster, whatever the tenant is called."""
    found = [*names_of(shard), *names_of(shard, "x" * 63, "key_" + "z" * 12)]

    assert len({key_slot(name.encode()) for name in found}) == 1
    assert all(name.startswith(f"rg:{{s{shard.number:02d}}}:") for name in found)


def test_shards_lie_in_different_hash_slots() -> None:
    """A cluster can spread them."""
    assert len({key_slot(shard.epoch.encode()) for shard in ALL_SHARDS}) == SHARD_COUNT


@given(tenant_id=st.from_regex(TENANT_ID, fullmatch=True))
def test_a_tenants_shard_never_changes(tenant_id: str) -> None:
    """It is the checksum of the id modulo the number of shards, in every process and version."""
    assert shard_of(tenant_id) == zlib.crc32(tenant_id.encode()) % 16
    assert Shard.of(tenant_id) == ALL_SHARDS[shard_of(tenant_id)]


names = st.from_regex(TENANT_ID, fullmatch=True)
scopes = st.tuples(names, st.sampled_from(["live", "test"]), st.just("") | names)


@given(one=scopes, other=scopes)
def test_two_scopes_never_share_a_name(
    one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    """No tenant, mode or key can be spelled so that its counters are somebody else's."""
    shard = Shard(0)
    for kind in (shard.slots, shard.rate, shard.reads, shard.usage, shard.idempotency):
        assert (kind(*one) == kind(*other)) == (one == other)


lists = st.tuples(
    names, st.sampled_from(["live", "test"]), st.sampled_from(LIST_NAMES), st.just("") | st.text()
)


@given(one=lists, other=lists)
def test_two_lists_never_share_a_name(
    one: tuple[str, Mode, ListName, str], other: tuple[str, Mode, ListName, str]
) -> None:
    """Whatever a caller asks for as a model, it is one of that tenant's lists and no other key."""
    shard = Shard(0)

    assert (shard.listed(*one) == shard.listed(*other)) == (one == other)
    assert shard.listed(*one).startswith(f"rg:{{s00}}:list:{one[0]}:{one[1]}:{one[2]}:")


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (datetime(2026, 11, 22, 0, 0, 0, 0, UTC), ("20261122", "202611")),
        (datetime(2026, 12, 31, 23, 59, 59, 999_000, UTC), ("20261231", "202612")),
        (datetime(2027, 1, 1, 0, 0, 0, 0, UTC), ("20270101", "202701")),
        (datetime(2028, 2, 29, 12, 0, 0, 0, UTC), ("20280229", "202802")),
        (datetime(1970, 1, 1, 0, 0, 0, 0, UTC), ("19700101", "197001")),
    ],
)
def test_windows_are_utc_days_and_months(moment: datetime, expected: tuple[str, str]) -> None:
    """To the millisecond, whatever the machine's own time zone is."""
    assert windows(round(moment.timestamp() * 1000)) == expected


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (datetime(2026, 12, 1, 0, 0, 0, 0, UTC), "202611"),
        (datetime(2026, 12, 31, 23, 59, 59, 999_000, UTC), "202611"),
        (datetime(2027, 3, 1, 12, 0, 0, 0, UTC), "202702"),
        (datetime(2027, 1, 31, 12, 0, 0, 0, UTC), "202612"),
        (datetime(2028, 3, 31, 12, 0, 0, 0, UTC), "202802"),
    ],
)
def test_the_month_before_is_the_calendars(moment: datetime, expected: str) -> None:
    """However many days either has."""
    assert month_before(round(moment.timestamp() * 1000)) == expected


def test_every_name_has_a_life() -> None:
    """It is permanent, or without expiry while its task is open, or expires; never two of these."""
    expiring = (
        r"rg:\{s\d\d\}:(rate|reads|usage|notice|tokens|news|message|log|delivery|attempts):.+",
        r"rg:\{vendor\}:((polls|claim):.+|(balance|stock).*)",
    )
    found = [*names_of(Shard(7)), META, key_index("a" * 64), *NAMES_OF_THE_VENDOR]

    for name in found:
        lives = [
            any(re.fullmatch(pattern, name) for pattern in patterns)
            for patterns in (PERMANENT_PATTERNS, OPEN_PATTERNS, expiring)
        ]
        assert lives.count(True) == 1, name


def test_every_kind_of_name_is_described() -> None:
    """The list at the head of the file has a line for each, and no other lines."""
    described = re.findall(r"^    rg:(\S+) ", keys.__doc__ or "", re.MULTILINE)
    of_vendor = {line.split(":")[1] for line in described if line.startswith("{vendor}:")}
    kinds = {line.replace("{sNN}:", "").split(":")[0] for line in described} - {"{vendor}"}
    built = {name.removeprefix("rg:{s07}:").split(":")[0] for name in names_of(Shard(7))}

    assert kinds == built | {"meta", "key"}
    assert of_vendor == {name.split(":")[2] for name in NAMES_OF_THE_VENDOR}


async def test_what_is_written_has_the_described_type(shelf: Shelf) -> None:
    """A whole life of a task leaves only keys that the list knows, each of the type it says."""
    described = {
        rest.replace("{sNN}:", "").split(":")[0]: kind
        for rest, kind in re.findall(r"^    rg:(\S+) +(\w+) ", keys.__doc__ or "", re.MULTILINE)
    }
    caller = await shelf.caller(creates_per_minute=9)
    await shelf.limit("acme", reads_per_second=9)
    await shelf.meter.take_read(caller, now_ms=shelf.clock.now_ms())
    await shelf.admit(caller, idempotency=secrets.token_hex(32))
    await shelf.move(await shelf.submitted(caller), TaskState.COMPLETED)

    for name in await everything(shelf.redis):
        kind = re.sub(r"^rg:(\{s\d\d\}:)?", "", name).split(":")[0]
        assert (await shelf.redis.type(name)).decode() == described[kind]
