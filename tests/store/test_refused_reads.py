"""Every read of a tenant asks first whether its caller still may, at the read's own instant."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from app.domain.tenant import Caller
from app.errors import GatewayError, InvalidKey, StoreForeign, TenantDisabled
from app.store.account import AccountStore
from app.store.task_reads import TaskReads
from tests.store.shelf import Shelf
from tests.support.contents import everything
from tests.support.tenant_keys import act, issued_key

TASK_ID = "task-unified-1767917446-" + "0" * 25
OTHER_EPOCH = "0" * 32


def reads_of(shelf: Shelf, caller: Caller, epoch_id: str = "") -> list[Callable[[], Any]]:
    """Return every kind of read by a caller, ready to be made."""
    tasks = TaskReads(shelf.redis, epoch_id) if epoch_id else shelf.reads
    accounts = AccountStore(shelf.redis, epoch_id) if epoch_id else shelf.accounts
    who: Any = {"caller": caller, "now_ms": shelf.clock.now_ms()}
    return [
        lambda: tasks.one(TASK_ID, **who),
        lambda: tasks.several([TASK_ID], **who),
        lambda: tasks.several([], **who),
        lambda: tasks.page("all", "", first=0, last=9, **who),
        lambda: accounts.of_caller(caller, ["20261122"], now_ms=who["now_ms"]),
        lambda: accounts.of_caller(caller, [], now_ms=who["now_ms"]),
    ]


async def _revoked(shelf: Shelf, caller: Caller) -> Caller:
    await shelf.revoke("acme", caller.key_id)
    return caller


async def _expired(shelf: Shelf, _: Caller) -> Caller:
    now_ms = shelf.clock.now_ms()
    secret = await issued_key(shelf.keys, "acme", now_ms=now_ms, expires_ms=now_ms)
    found = await shelf.keys.find_caller(secret, "live")
    assert found is not None
    return found


async def _of_disabled(shelf: Shelf, caller: Caller) -> Caller:
    await shelf.switch("acme", disabled=True)
    return caller


async def _of_deleted(shelf: Shelf, caller: Caller) -> Caller:
    gone = act("acme", at_ms=shelf.clock.now_ms(), name="tenant.deleted")
    await shelf.tenants.delete("acme", force=True, act=gone)
    return caller


async def _revoked_of_disabled(shelf: Shelf, caller: Caller) -> Caller:
    await shelf.switch("acme", disabled=True)
    return await _revoked(shelf, caller)


async def _never_issued(_: Shelf, caller: Caller) -> Caller:
    return caller.model_copy(update={"key_id": "key_000000000000"})


async def _of_a_neighbour(shelf: Shelf, caller: Caller) -> Caller:
    await shelf.caller("hooli")
    return caller.model_copy(update={"tenant_id": "hooli"})


async def _of_nobody(_: Shelf, caller: Caller) -> Caller:
    return caller.model_copy(update={"tenant_id": "nobody"})


@pytest.mark.parametrize(
    ("become", "refusal"),
    [
        (_revoked, InvalidKey),
        (_expired, InvalidKey),
        (_of_disabled, TenantDisabled),
        (_of_deleted, InvalidKey),
        (_revoked_of_disabled, InvalidKey),
        (_never_issued, InvalidKey),
        (_of_a_neighbour, InvalidKey),
        (_of_nobody, InvalidKey),
    ],
)
async def test_who_may_not_read_is_refused_whatever_is_asked(
    shelf: Shelf,
    become: Callable[[Shelf, Caller], Awaitable[Caller]],
    refusal: type[GatewayError],
) -> None:
    """One task, several, a page or the account; and the refusal leaves no trace."""
    caller = await become(shelf, await shelf.caller())
    untouched = await everything(shelf.redis)

    for read in reads_of(shelf, caller):
        with pytest.raises(refusal):
            await read()

    assert await everything(shelf.redis) == untouched


async def test_a_store_of_another_epoch_answers_nothing(shelf: Shelf) -> None:
    """It makes no list empty, no task unknown and no account unused: it is the wrong store."""
    caller = await shelf.caller()

    for read in reads_of(shelf, caller, OTHER_EPOCH):
        with pytest.raises(StoreForeign):
            await read()
    await shelf.redis.flushall()
    for read in reads_of(shelf, caller):
        with pytest.raises(StoreForeign):
            await read()

    assert await everything(shelf.redis) == {}
