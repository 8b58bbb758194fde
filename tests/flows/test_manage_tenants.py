"""What operators do to tenants: recorded as it is done, and no secret in the record."""

from __future__ import annotations

import re
from typing import Any

import pytest

from app.domain.api_key import Grace
from app.domain.audit import Actor
from app.domain.tenant import Tenant, TenantChange
from app.errors import TasksOpen, TenantExists, TenantNotFound
from app.flows.manage_tenants import ManageTenants
from app.store.keys import Shard
from tests.support.bed import Bed, character
from tests.support.contents import everything

ADMIN = Actor("admin", "req-1")
GIVEN: dict[str, Any] = {"id": "acme", "name": "Acme", "limits": {"credits_per_day": "1.5"}}


def managing(bed: Bed) -> ManageTenants:
    """Return what operators act through."""
    return bed.gateway.store.manage_tenants


async def create(bed: Bed, **given: Any) -> str:
    """Create a tenant and return its secret."""
    return await managing(bed).create(Tenant.read({**GIVEN, **given}), ADMIN)


async def acts(bed: Bed, tenant_id: str | None = "acme") -> list[dict[str, Any]]:
    """Return the acts done to a tenant, oldest first."""
    found, _ = await bed.gateway.store.audit.page(tenant_id=tenant_id, before=None, limit=100)
    return list(reversed(found))


async def test_a_created_tenant_gets_a_secret_of_its_own(bed: Bed) -> None:
    """In the form of Standard Webhooks, with 32 bytes of chance, and it is the one that is kept."""
    secrets = [await create(bed), await create(bed, id="hooli")]

    kept = [await bed.gateway.store.tenants.webhook_secret(one) for one in ("acme", "hooli")]

    assert secrets == kept
    assert secrets[0] != secrets[1]
    assert all(re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", secret) for secret in secrets)


async def test_a_change_answers_with_the_tenant_as_it_is_then(bed: Bed) -> None:
    """What was not named is as it was."""
    await create(bed)

    changed = await managing(bed).change(
        "acme", TenantChange.read({"group": "films", "limits": {"tasks_in_flight": 2}}), ADMIN
    )

    assert changed == Tenant.read(
        {**GIVEN, "group": "films", "limits": {"credits_per_day": "1.5", "tasks_in_flight": 2}}
    )
    assert changed == await bed.gateway.store.tenants.get("acme")


@pytest.mark.parametrize("grace_s", [0, 60, 86_400])
async def test_a_rotated_secret_has_the_old_one_beside_it_for_its_grace(
    bed: Bed, grace_s: int
) -> None:
    """What is shown from then on is the new one; the old one and its end are kept for signing."""
    old = await create(bed)

    new = await managing(bed).rotate_secret("acme", Grace(grace_s=grace_s), ADMIN)

    record = await bed.gateway.store.redis.hgetall(Shard.of("acme").tenant("acme"))
    assert new != old
    assert await managing(bed).show_secret("acme", ADMIN) == new
    assert record[b"webhook_secret_before"].decode() == old
    assert int(record[b"webhook_before_ms"]) == bed.clock.now_ms() + grace_s * 1000


async def test_every_act_is_recorded_once_and_in_order(bed: Bed) -> None:
    """By whom, what was asked for, in which request; and no secret in any entry."""
    first = await create(bed)
    change = TenantChange.read({"disabled": True, "limits": {"credits_per_day": None}})
    await managing(bed).change("acme", change, ADMIN)
    await managing(bed).show_secret("acme", Actor("cli"))
    second = await managing(bed).rotate_secret("acme", Grace(grace_s=60), ADMIN)
    await managing(bed).delete("acme", force=True, by=ADMIN)

    found = await acts(bed)

    assert [(act["act"], act["detail"]) for act in found] == [
        ("tenant.created", Tenant.read(GIVEN).public()),
        ("tenant.changed", {"disabled": True, "limits": {"credits_per_day": None}}),
        ("tenant.secrets_shown", {}),
        ("webhook_secret.rotated", {"grace_s": 60}),
        ("tenant.deleted", {"force": True}),
    ]
    assert [act["actor"] for act in found] == ["admin", "admin", "cli", "admin", "admin"]
    assert [act.get("request_id") for act in found] == ["req-1", "req-1", None, "req-1", "req-1"]
    assert {act["at_ms"] for act in found} == {bed.clock.now_ms()}
    assert first not in str(found)
    assert second not in str(found)


async def test_a_refused_act_leaves_no_entry(bed: Bed) -> None:
    """Whatever was refused, the whole store is as it was."""
    await create(bed)
    await bed.created(await bed.another_key("acme"), character("seconds:60"))
    redis, manage = bed.gateway.store.redis, managing(bed)
    untouched = await everything(redis)

    with pytest.raises(TenantExists):
        await create(bed, name="another")
    with pytest.raises(TasksOpen):
        await manage.delete("acme", force=False, by=ADMIN)
    with pytest.raises(TenantNotFound):
        await manage.change("nobody", TenantChange.read({"disabled": True}), ADMIN)
    with pytest.raises(TenantNotFound):
        await manage.delete("nobody", force=True, by=ADMIN)
    with pytest.raises(TenantNotFound):
        await manage.show_secret("nobody", ADMIN)
    with pytest.raises(TenantNotFound):
        await manage.rotate_secret("nobody", Grace(), ADMIN)

    assert await everything(redis) == untouched


async def test_a_tenant_deleted_in_the_middle_is_followed_to_the_end(bed: Bed) -> None:
    """The engine goes on reading and settles the task; its caller is told nothing any more."""
    await create(bed)
    key = await bed.another_key("acme")
    task_id = await bed.created(key, character("seconds:5"))

    await managing(bed).delete("acme", force=True, by=ADMIN)
    answer = await bed.read(key, task_id)
    await bed.pass_time(20)

    assert answer.status_code == 401
    assert (await bed.stored(task_id))["state"] == "completed"
    usage = await bed.usage()
    assert (usage["settled"], usage["held"], usage["completed"]) == (100_000, 0, 1)
