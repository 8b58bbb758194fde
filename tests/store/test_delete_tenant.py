"""delete_tenant.lua: a tenant ends for good; what it had begun is still brought to its end."""

from __future__ import annotations

import asyncio

import pytest

from app.domain.task import TaskState
from app.domain.tenant import Tenant
from app.errors import KeyNotFound, StoreForeign, TasksOpen, TenantExists, TenantNotFound
from app.store.keys import Shard
from app.store.tenants import TenantStore
from tests.store.shelf import PRICE, Shelf
from tests.support.contents import everything
from tests.support.tenant_keys import act, issued_key

S = TaskState


async def delete(shelf: Shelf, *, force: bool = False, tenants: TenantStore | None = None) -> None:
    """Delete the tenant of these tests."""
    gone = act("acme", at_ms=shelf.clock.now_ms(), name="tenant.deleted")
    await (tenants or shelf.tenants).delete("acme", force=force, act=gone)


async def test_a_deleted_tenant_is_there_for_nobody(shelf: Shelf) -> None:
    """Neither by its id nor in the list; its secret is gone, others are as they were."""
    await shelf.caller("acme")
    await shelf.caller("hooli")

    await delete(shelf)

    with pytest.raises(TenantNotFound):
        await shelf.tenants.get("acme")
    with pytest.raises(TenantNotFound):
        await shelf.tenants.webhook_secret("acme")
    with pytest.raises(TenantNotFound):
        await shelf.accounts.of_tenant("acme", "live", ["20261122"])
    assert [tenant.id for tenant in await shelf.tenants.all()] == ["hooli"]
    assert await shelf.redis.smembers(Shard.of("acme").tenants) == {b"hooli"}
    assert "whsec" not in str(await shelf.redis.hgetall(Shard.of("acme").tenant("acme")))


@pytest.mark.parametrize("mode", ["live", "test"])
@pytest.mark.parametrize("states", [(), (S.IN_DOUBT,), (S.SUBMITTED,), (S.SUBMITTED, S.WATCHING)])
async def test_open_tasks_hold_a_deletion_up(
    shelf: Shelf, mode: str, states: tuple[TaskState, ...]
) -> None:
    """Of either mode and in whatever state; the message says how many, and nothing is changed."""
    caller = await shelf.caller(mode="test" if mode == "test" else "live")
    task = await shelf.admit(caller)
    for state in states:
        if state is S.SUBMITTED:
            await shelf.accept(task, held_microcredits=task.held_microcredits)
        else:
            await shelf.move(task, state)
        task = await shelf.reload(task)
    untouched = await everything(shelf.redis)

    with pytest.raises(TasksOpen, match=r"\b1\b"):
        await delete(shelf)

    assert await everything(shelf.redis) == untouched


async def test_finished_tasks_hold_nothing_up(shelf: Shelf) -> None:
    """Nor do those that were refused."""
    caller = await shelf.caller()
    await shelf.move(await shelf.submitted(caller), S.COMPLETED, charged=PRICE)
    await shelf.move(await shelf.admit(caller), S.REJECTED)

    await delete(shelf)

    assert await shelf.attempt(caller) == "invalid_key"


async def test_what_a_deleted_tenant_had_begun_is_settled(shelf: Shelf) -> None:
    """Deleted by force in the middle of it: accepted, followed, charged, and the books balance."""
    caller = await shelf.caller(tasks_in_flight=3)
    sending, doubtful = await shelf.admit(caller), await shelf.admit(caller)
    submitted = await shelf.submitted(caller)
    await shelf.move(doubtful, S.IN_DOUBT)

    await delete(shelf, force=True)

    await shelf.accept(sending)
    await shelf.move(await shelf.reload(sending), S.COMPLETED, charged=2 * PRICE)
    await shelf.move(await shelf.reload(doubtful), S.WRITTEN_OFF, charged=PRICE)
    await shelf.move(submitted, S.FAILED)
    ends = [(await shelf.reload(task)).state for task in (sending, doubtful, submitted)]
    assert ends == [S.COMPLETED, S.WRITTEN_OFF, S.FAILED]
    assert await shelf.money(sending) == [
        ("hold", PRICE),
        ("adjust", PRICE),
        ("settle", 2 * PRICE),
    ]


async def test_an_id_is_never_given_again(shelf: Shelf) -> None:
    """Not to another tenant, not with force, not after any time."""
    await shelf.caller()
    await delete(shelf, force=True)
    shelf.clock.advance_ms(10 * 365 * 86_400_000)
    untouched = await everything(shelf.redis)

    created = act("acme", at_ms=shelf.clock.now_ms(), name="tenant.created")
    with pytest.raises(TenantExists):
        await shelf.tenants.add(Tenant(id="acme", name="new"), "whsec_", created)

    assert await everything(shelf.redis) == untouched


async def test_its_keys_open_nothing_from_that_instant(shelves: list[Shelf]) -> None:
    """On every process, whatever it remembers of the key; and it gets no new ones."""
    caller = await shelves[0].caller(reads_per_second=1000)
    for each in shelves:
        assert await each.attempt(caller) == "admitted"

    await delete(shelves[0], force=True)

    assert [await each.attempt(caller) for each in shelves] == ["invalid_key"] * 3
    with pytest.raises(TenantNotFound):
        await issued_key(shelves[1].keys, "acme", now_ms=0)
    with pytest.raises(KeyNotFound):
        await shelves[1].revoke("acme", caller.key_id)


async def test_a_deletion_is_done_once(shelf: Shelf) -> None:
    """The second finds no tenant, and neither does a change; the log has one entry of it."""
    await shelf.caller()
    await delete(shelf)
    untouched = await everything(shelf.redis)

    for force in (False, True):
        with pytest.raises(TenantNotFound):
            await delete(shelf, force=force)
    with pytest.raises(TenantNotFound):
        await shelf.limit("acme", tasks_in_flight=1)
    with pytest.raises(TenantNotFound):
        await shelf.switch("acme", disabled=False)

    assert await everything(shelf.redis) == untouched


async def test_an_unknown_tenant_is_not_deleted(shelf: Shelf) -> None:
    """Its id is free afterwards."""
    with pytest.raises(TenantNotFound):
        await delete(shelf, force=True)

    assert await shelf.attempt(await shelf.caller()) == "admitted"


async def test_a_store_of_another_epoch_deletes_nothing(shelf: Shelf) -> None:
    """Force or not."""
    await shelf.caller()
    stranger = TenantStore(shelf.redis, "0" * 32)
    untouched = await everything(shelf.redis)

    for force in (False, True):
        with pytest.raises(StoreForeign):
            await delete(shelf, force=force, tenants=stranger)

    assert await everything(shelf.redis) == untouched


async def test_a_create_and_a_deletion_at_once_are_one_after_the_other(
    shelves: list[Shelf],
) -> None:
    """Either the create came first and holds the deletion up, or it finds no tenant any more."""
    for round_ in range(10):
        tenant_id = f"round-{round_}"
        caller = await shelves[0].caller(tenant_id)
        gone = act(tenant_id, at_ms=shelves[0].clock.now_ms(), name="tenant.deleted")

        outcome, deleted = await asyncio.gather(
            shelves[round_ % 2].attempt(caller),
            shelves[2].tenants.delete(tenant_id, force=False, act=gone),
            return_exceptions=True,
        )

        assert (outcome, type(deleted)) in [("admitted", TasksOpen), ("invalid_key", type(None))]
