"""The end of a token: by itself, and with its key at the same instant, in every process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from app.domain.api_key import Grace
from app.domain.audit import GATEWAY
from app.store.keys import Shard
from app.store.tokens import LITTER_MS
from tests.api.asking import ask_batch, bearer
from tests.api.browsing import minted, token
from tests.api.operating import WITH_ADMIN, Operator
from tests.conftest import OpenBed
from tests.support.bed import Bed, character
from tests.support.contents import everything
from tests.support.tenant_keys import act, end_key

EndOf = Callable[[Bed, str], Awaitable[None]]


async def revoke(bed: Bed, key_id: str) -> None:
    """Revoke the key."""
    await bed.revoke("acme", key_id)


async def expire(bed: Bed, key_id: str) -> None:
    """Let the key's end come."""
    now_ms = bed.clock.now_ms()
    await end_key(bed.gateway.store.keys, "acme", key_id, at_ms=now_ms, expires_ms=now_ms + 5)
    bed.clock.advance_ms(5)


async def rotate(bed: Bed, key_id: str) -> None:
    """Rotate the key without grace."""
    await bed.gateway.store.manage_keys.rotate("acme", key_id, Grace(grace_s=0), GATEWAY)


async def rotate_gracefully(bed: Bed, key_id: str) -> None:
    """Rotate the key with a minute of grace, and let it pass."""
    await bed.gateway.store.manage_keys.rotate("acme", key_id, Grace(grace_s=60), GATEWAY)
    bed.clock.advance_ms(60_000)


async def disable(bed: Bed, key_id: str) -> None:
    """Switch the tenant off."""
    await bed.switch("acme", disabled=True)


async def delete(bed: Bed, key_id: str) -> None:
    """Delete the tenant."""
    gone = act("acme", at_ms=bed.clock.now_ms(), name="tenant.deleted")
    await bed.gateway.store.tenants.delete("acme", force=True, act=gone)


async def pass_away(bed: Bed, key_id: str) -> None:
    """Let the token's own time pass."""
    bed.clock.advance_ms(900_000)


ENDS: list[tuple[EndOf, int]] = [
    (revoke, 401),
    (expire, 401),
    (rotate, 401),
    (rotate_gracefully, 401),
    (disable, 403),
    (delete, 401),
    (pass_away, 401),
]


async def statuses(bed: Bed, secret: str, task_id: str) -> list[int]:
    """Use a token in every way that it has."""
    answers = [
        await bed.create(secret),
        await bed.read(secret, task_id),
        await ask_batch(bed, secret, {"task_ids": [task_id]}),
        await bed.http.get("/v1/models", headers=[bearer(secret)]),
        await bed.http.post(f"/v1/tasks/{task_id}/cancel", headers=[bearer(secret)]),
    ]
    return [answer.status_code for answer in answers]


@pytest.mark.parametrize(("end", "status"), ENDS, ids=lambda each: getattr(each, "__name__", ""))
async def test_a_token_dies_with_its_key_everywhere_at_once(
    open_gateway_bed: OpenBed, end: EndOf, status: int
) -> None:
    """Also in a process that has just served it, and so remembers whose it is."""
    async with open_gateway_bed() as bed, open_gateway_bed() as other:
        told = await minted(bed, await bed.key("acme"))
        secret, key_id = told["token"], told["id"].partition("~")[0]
        task_id = await bed.created(secret)
        lived = [await statuses(each, secret, task_id) for each in (bed, other)]

        await end(bed, key_id)
        died = [await statuses(each, secret, task_id) for each in (bed, other)]

    assert lived == [[200, 200, 200, 200, 409]] * 2
    assert died == [[status] * 5] * 2


async def test_the_tokens_of_other_keys_live_on(bed: Bed) -> None:
    """Those of another key of the tenant, and those of the key that took the place."""
    told = await minted(bed, await bed.key("acme"))
    other = await token(bed, await bed.another_key("acme"))
    key_id = told["id"].partition("~")[0]
    taken = await bed.gateway.store.manage_keys.rotate("acme", key_id, Grace(grace_s=0), GATEWAY)

    after = await token(bed, taken.secret)
    await bed.revoke("acme", key_id)

    assert [(await bed.create(each)).status_code for each in (other, after)] == [200, 200]
    assert (await bed.create(told["token"])).status_code == 401


async def test_a_rotation_shortens_tokens_to_the_end_of_the_old_key(bed: Bed) -> None:
    """Those that end sooner anyway keep their end."""
    key = await bed.key("acme")
    long, short = [await minted(bed, key, ttl_s=ttl_s) for ttl_s in (900, 30)]
    manage = bed.gateway.store.manage_keys
    await manage.rotate("acme", long["id"].partition("~")[0], Grace(grace_s=60), GATEWAY)

    found = []
    for _ in range(2):
        bed.clock.advance_ms(30_000)
        found.append([(await bed.create(each["token"])).status_code for each in (long, short)])

    assert found == [[200, 401], [401, 401]]


async def test_a_token_ends_at_the_second_it_was_told(bed: Bed) -> None:
    """To the millisecond, by the store's clock."""
    secret = await token(bed, await bed.key(), ttl_s=10)

    bed.clock.advance_ms(9_999)
    before = await bed.create(secret)
    bed.clock.advance_ms(1)

    assert (before.status_code, (await bed.create(secret)).status_code) == (200, 401)


async def test_tokens_leave_nothing_behind(bed: Bed) -> None:
    """Every record of one has an end of its own, a minute after the token's."""
    before = await everything(bed.gateway.store.redis)
    key = await bed.key()
    for _ in range(3):
        await minted(bed, key, ttl_s=60)
    minted_last = await minted(bed, key)

    after = await everything(bed.gateway.store.redis)
    lives = [at_ms for name, (_, at_ms) in after.items() if name not in before and at_ms > 0]

    assert len([name for name in after if "~" in name]) == 4
    assert len(lives) >= 9
    assert max(lives) == bed.clock.now_ms() + 900_000 + LITTER_MS
    assert minted_last["expires_at"] * 1000 <= max(lives)
    assert all(after[name][1] > 0 for name in after if "~" in name or ":tokens:" in name)


async def test_what_a_token_has_queued_goes_on_after_its_end_but_not_after_its_keys(
    bed: Bed,
) -> None:
    """A closed tab takes nothing back; an operator who revokes the key does."""
    key = await bed.key(tasks_in_flight=1, when_full="queue")
    await bed.created(key, character("seconds:2"))
    told = await minted(bed, key, ttl_s=1)
    first, second = [await bed.created(told["token"], character("seconds:900")) for _ in range(2)]

    # As it is a minute after its end.
    await bed.gateway.store.redis.delete(Shard.of("acme").key("acme", told["id"]))
    await bed.pass_time(5)
    await bed.work()
    sent = (await bed.stored(first))["state"], (await bed.stored(second))["state"]
    await bed.revoke("acme", told["id"].partition("~")[0])
    await bed.pass_time(20)

    assert sent == ("submitted", "queued")
    assert (await bed.stored(second))["state"] == "cancelled"


async def test_an_operator_ends_a_single_token_by_its_id(open_gateway_bed: OpenBed) -> None:
    """One that leaked; it can not be rotated, for its successor would be a key."""
    async with open_gateway_bed(**WITH_ADMIN) as bed:
        operator = Operator(bed)
        await operator.tenant("acme")
        key = await operator.key("acme")
        leaked, other = [await minted(bed, key["key"]) for _ in range(2)]
        path = f"/admin/v1/tenants/acme/keys/{leaked['id']}"

        refused = await operator.refused("POST", f"{path}/rotate")
        ended = await operator.done("DELETE", path)
        found = [(await bed.create(each["token"])).status_code for each in (leaked, other)]

    assert (refused["reason"], ended["state"]) == ("key_ended", "revoked")
    assert found == [401, 200]
