"""What operators do to keys: issued, rotated and ended, and nobody locked out on the way."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from app.clock import HeldClock
from app.domain.api_key import DEFAULT_GRACE_S, ApiKey, Grace, KeyWish
from app.domain.audit import Actor
from app.domain.ids import family_of
from app.domain.instants import rfc3339
from app.errors import KeyEnded, KeyNotFound, StoreUnavailable, TenantNotFound
from app.flows.manage_keys import IssuedKey
from tests.conftest import OpenBed
from tests.flows.watching import reason_of
from tests.support.bed import Bed, character, open_bed, settings_for
from tests.support.contents import everything
from tests.support.redis_server import RedisServer, Relay
from tests.support.vendor import Vendor

CLI = Actor("cli")
DAY_S = 86_400


async def issue(bed: Bed, **wish: Any) -> IssuedKey:
    """Issue a key of the tenant of these tests, which is made if there is none."""
    await bed.key()
    read = KeyWish.read(wish, now_ms=bed.clock.now_ms())
    return await bed.gateway.store.manage_keys.issue("acme", read, CLI)


async def rotate(bed: Bed, key_id: str, grace_s: int | None = None) -> IssuedKey:
    """Rotate a key of the tenant of these tests."""
    grace = Grace.read({"grace_s": grace_s})
    return await bed.gateway.store.manage_keys.rotate("acme", key_id, grace, CLI)


async def stored(bed: Bed, key_id: str) -> ApiKey:
    """Return a key as the store has it."""
    return await bed.gateway.store.keys.get("acme", key_id)


async def works(bed: Bed, secret: str) -> bool:
    """Say whether a key opens its tenant; what it asks for does not exist."""
    answer = await bed.read(secret, "task-unified-1767917446-" + "0" * 25)
    assert answer.status_code in (401, 404)
    return bool(answer.status_code == 404)


async def acts(bed: Bed, tenant_id: str = "acme") -> list[dict[str, Any]]:
    """Return the acts done to a tenant, oldest first."""
    found, _ = await bed.gateway.store.audit.page(tenant_id=tenant_id, before=None, limit=100)
    return list(reversed(found))


async def test_an_issued_key_is_the_one_that_was_wished_for(bed: Bed) -> None:
    """Name, mode, limits and end; without a name it is called by its mode."""
    end_ms = (bed.clock.now_ms() // 1000 + 60) * 1000
    limits = {"tasks_in_flight": 2, "models": ["sora-character"]}

    wished = await issue(bed, name="farm", mode="test", expires_at=end_ms // 1000, limits=limits)
    plain = await issue(bed)

    assert await stored(bed, wished.key.id) == wished.key
    assert wished.key.limits.fields() == {"tasks_in_flight": "2", "models": ",sora-character,"}
    assert (wished.key.name, wished.key.mode) == ("farm", "test")
    assert (wished.key.expires_ms, wished.key.created_ms) == (end_ms, bed.clock.now_ms())
    assert (plain.key.name, plain.key.mode, plain.key.expires_ms) == ("live", "live", None)
    assert await works(bed, wished.secret)
    assert await works(bed, plain.secret)


async def test_a_rotated_key_is_the_old_one_with_another_secret(bed: Bed) -> None:
    """Same name, mode, limits and end; the id says which generation it is."""
    old = await issue(bed, name="farm", expires_at=4_102_444_800, limits={"tasks_in_flight": 2})
    bed.clock.advance_ms(5_000)

    new = await rotate(bed, old.key.id)

    assert new.secret != old.secret
    assert new.key == old.key.model_copy(
        update={"id": f"{old.key.id}.2", "created_ms": old.key.created_ms + 5_000}
    )
    assert await stored(bed, new.key.id) == new.key


@pytest.mark.parametrize("grace_s", [None, 1, 60, 90 * DAY_S])
async def test_the_old_key_works_for_the_time_of_grace(bed: Bed, grace_s: int | None) -> None:
    """Both open the tenant until then; to the millisecond, and a day where nothing is said."""
    old = await issue(bed)
    new = await rotate(bed, old.key.id, grace_s)

    bed.clock.advance_ms((DEFAULT_GRACE_S if grace_s is None else grace_s) * 1000 - 1)
    before = [await works(bed, key.secret) for key in (old, new)]
    bed.clock.advance_ms(1)
    after = [await works(bed, key.secret) for key in (old, new)]

    assert (before, after) == ([True, True], [False, True])
    assert (await stored(bed, old.key.id)).state == "active"


async def test_without_grace_the_old_key_ends_at_once(bed: Bed) -> None:
    """And for good: it says revoked."""
    old = await issue(bed)

    new = await rotate(bed, old.key.id, 0)

    assert [await works(bed, key.secret) for key in (old, new)] == [False, True]
    assert (await stored(bed, old.key.id)).state == "revoked"


async def test_grace_makes_no_key_live_longer(bed: Bed) -> None:
    """A key that ends sooner by itself still does, and so does the one in its place."""
    old = await issue(bed, expires_at=bed.clock.now_ms() // 1000 + 10)

    new = await rotate(bed, old.key.id, 60)

    bed.clock.advance_ms(10_000)
    assert [await works(bed, key.secret) for key in (old, new)] == [False, False]


async def test_a_key_can_be_rotated_again_and_again(bed: Bed) -> None:
    """Each generation from the one before it; all belong to one family."""
    first = await issue(bed)
    keys = [first]
    for _ in range(11):
        keys.append(await rotate(bed, keys[-1].key.id, 60))

    assert [key.key.id for key in keys] == [
        first.key.id,
        *(f"{first.key.id}.{n}" for n in range(2, 13)),
    ]
    assert [await works(bed, key.secret) for key in keys] == [True] * 12


async def test_of_two_rotations_of_one_key_the_second_is_refused(bed: Bed) -> None:
    """It says which key to rotate instead, and changes nothing."""
    old = await issue(bed)
    new = await rotate(bed, old.key.id)
    await rotate(bed, new.key.id)
    untouched = await everything(bed.gateway.store.redis)

    with pytest.raises(KeyEnded, match=rf"{old.key.id}\.2"):
        await rotate(bed, old.key.id)
    with pytest.raises(KeyEnded, match=rf"{old.key.id}\.3"):
        await rotate(bed, new.key.id, 0)

    assert await everything(bed.gateway.store.redis) == untouched


async def test_of_ten_rotations_at_once_one_is_done(bed: Bed) -> None:
    """One new key; the others are told that it was done."""
    old = await issue(bed)

    outcomes = await asyncio.gather(
        *(rotate(bed, old.key.id, 60) for _ in range(10)), return_exceptions=True
    )

    assert [type(outcome) for outcome in outcomes].count(KeyEnded) == 9
    assert len(await bed.gateway.store.keys.of_tenant("acme")) == 3


@pytest.mark.parametrize("how", ["revoked", "expired"])
async def test_an_ended_key_is_not_rotated(bed: Bed, how: str) -> None:
    """A rotation brings nothing back to life; nothing is changed and nothing recorded."""
    old = await issue(bed, expires_at=bed.clock.now_ms() // 1000 + 10)
    if how == "revoked":
        await bed.revoke("acme", old.key.id)
    else:
        bed.clock.advance_ms(10_000)
    untouched = await everything(bed.gateway.store.redis)

    with pytest.raises(KeyEnded):
        await rotate(bed, old.key.id)

    assert await everything(bed.gateway.store.redis) == untouched


async def test_what_there_is_not_is_neither_rotated_nor_ended(bed: Bed) -> None:
    """An unknown key, another tenant's, a key of no tenant: nothing is written."""
    old = await issue(bed)
    await bed.key("hooli")
    manage, untouched = bed.gateway.store.manage_keys, await everything(bed.gateway.store.redis)

    for tenant_id, key_id, error in [
        ("acme", "key_0", KeyNotFound),
        ("hooli", old.key.id, KeyNotFound),
        ("nobody", old.key.id, TenantNotFound),
    ]:
        with pytest.raises(error):
            await manage.rotate(tenant_id, key_id, Grace(), CLI)
        with pytest.raises(error):
            await manage.revoke(tenant_id, key_id, CLI)
    with pytest.raises(TenantNotFound):
        await manage.issue("nobody", KeyWish(), CLI)
    with pytest.raises(TenantNotFound):
        await manage.of_tenant("nobody")

    assert await everything(bed.gateway.store.redis) == untouched


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"tasks_in_flight": 2}, "too_many_in_flight"),
        ({"creates_per_minute": 2}, "rate_limited"),
        ({"credits_per_day": "0.2"}, "credit_exhausted"),
        ({"credits_per_month": "0.2"}, "credit_exhausted"),
    ],
    ids=lambda case: next(iter(case)) if isinstance(case, dict) else case,
)
async def test_a_key_at_its_limit_is_at_its_limit_after_a_rotation(
    bed: Bed, limits: dict[str, Any], reason: str
) -> None:
    """Old and new share what the key may use: a rotation gives nobody anything twice."""
    old = await issue(bed, limits=limits)
    await bed.created(old.secret)
    new = await rotate(bed, old.key.id)

    answers = [await bed.create(secret) for secret in (new.secret, new.secret, old.secret)]

    assert answers[0].status_code == 200
    assert [reason_of(answer) for answer in answers[1:]] == [reason, reason]


async def test_a_slot_of_the_old_key_is_free_again_for_the_new_one(bed: Bed) -> None:
    """The end of a task that the old key made counts for its whole family."""
    old = await issue(bed, limits={"tasks_in_flight": 1})
    await bed.created(old.secret, character("seconds:1"))
    new = await rotate(bed, old.key.id, 0)
    full = await bed.create(new.secret)

    await bed.pass_time(3)

    assert reason_of(full) == "too_many_in_flight"
    assert (await bed.create(new.secret)).status_code == 200


async def test_a_replay_is_known_by_the_new_key(bed: Bed, vendor: Vendor) -> None:
    """An Idempotency-Key belongs to the tenant, so a rotation between two tries doubles nothing."""
    old = await issue(bed)
    first = await bed.create(old.secret, idempotency_key="one")
    new = await rotate(bed, old.key.id, 0)

    again = await bed.create(new.secret, idempotency_key="one")

    assert again.content == first.content
    assert len(vendor.creates()) == 1


@pytest.mark.parametrize("fatal_word", [b"key.rotated", b"rg:key:", b"key.expiry_set"])
async def test_a_rotation_that_dies_on_its_way_locks_nobody_out(
    bed: Bed,
    redis_server: RedisServer,
    vendor: Vendor,
    clock: HeldClock,
    tmp_path: Path,
    fatal_word: bytes,
) -> None:
    """Whichever reply was the last: the old key works, and a further rotation gives a good key."""
    # The store knows the script by now, so that the reply that is lost is the rotation's own.
    await rotate(bed, (await issue(bed)).key.id, 60)
    old = await issue(bed)
    async with Relay(redis_server) as relay:
        settings = settings_for(f"unix://{relay.socket_path}", tmp_path, vendor.url)
        async with open_bed(settings, clock, vendor) as dying:
            relay.fatal_word = fatal_word
            with pytest.raises(StoreUnavailable):
                await rotate(dying, old.key.id, 60)

    assert await works(bed, old.secret)
    with pytest.raises(KeyEnded, match=rf"{old.key.id}\.2"):
        await rotate(bed, old.key.id, 60)
    new = await rotate(bed, f"{old.key.id}.2", 60)
    assert await works(bed, new.secret)
    clock.advance_ms(60_000)
    assert not await works(bed, old.secret), "it was to end, and its end was written with the rest"


async def test_a_key_that_is_revoked_meanwhile_gets_no_successor(bed: Bed) -> None:
    """Rotations and revocations at once: whichever comes first, no revoked key lives on."""
    for _ in range(10):
        old = await issue(bed)
        manage = bed.gateway.store.manage_keys

        outcomes = await asyncio.gather(
            rotate(bed, old.key.id, 0),
            manage.revoke("acme", old.key.id, CLI),
            return_exceptions=True,
        )

        acts_of_it = [act for act in await acts(bed) if act.get("key", "").startswith(old.key.id)]
        names = [act["act"] for act in acts_of_it]
        if isinstance(outcomes[0], KeyEnded):
            assert "key.rotated" not in names
        else:
            assert names.index("key.rotated") < len(names) - 1
            assert names[1] == "key.rotated", "the rotation came before any revocation"


async def test_revoking_is_repeatable(bed: Bed) -> None:
    """Each time the key is shown as revoked; each act is recorded."""
    old = await issue(bed)
    manage = bed.gateway.store.manage_keys

    found = [await manage.revoke("acme", old.key.id, CLI) for _ in range(2)]

    assert [key.state for key in found] == ["revoked", "revoked"]
    assert not await works(bed, old.secret)
    assert [act["act"] for act in await acts(bed)][-2:] == ["key.revoked", "key.revoked"]


async def test_every_process_knows_at_once_that_a_key_was_rotated(
    open_gateway_bed: OpenBed,
) -> None:
    """One that has served the old key a moment ago refuses it, and serves the new one."""
    async with open_gateway_bed() as one, open_gateway_bed() as other:
        old = await issue(one)
        assert await works(other, old.secret)

        new = await rotate(one, old.key.id, 0)

        assert [await works(other, key.secret) for key in (old, new)] == [False, True]


async def test_keys_are_listed_without_their_secrets(bed: Bed) -> None:
    """Every generation, oldest first, with what became of it."""
    old = await issue(bed)
    bed.clock.advance_ms(1)
    new = await rotate(bed, old.key.id, 0)

    keys = await bed.gateway.store.manage_keys.of_tenant("acme")

    found = [key for key in keys if family_of(key.id) == old.key.id]
    assert [(key.id, key.state) for key in found] == [
        (old.key.id, "revoked"),
        (new.key.id, "active"),
    ]
    shown = str([key.public(now_ms=bed.clock.now_ms()) for key in found])
    assert not any(secret in shown for secret in (old.secret, new.secret))


async def test_every_act_is_recorded_once_and_in_order(bed: Bed) -> None:
    """By whom, at which key, with what was asked for; and no secret in any entry."""
    first = await issue(bed, name="farm", limits={"credits_per_day": "1.5"})
    second = await rotate(bed, first.key.id, 60)
    third = await rotate(bed, second.key.id, 0)
    await bed.gateway.store.manage_keys.revoke("acme", third.key.id, Actor("admin", "req-7"))
    now_ms = bed.clock.now_ms()

    found = (await acts(bed))[2:]

    assert [(act["act"], act["key"], act["detail"]) for act in found] == [
        ("key.issued", first.key.id, {"name": "farm", "limits": {"credits_per_day": "1.5"}}),
        ("key.rotated", second.key.id, {"from": first.key.id, "grace_s": 60}),
        ("key.expiry_set", first.key.id, {"expires_at": rfc3339(now_ms + 60_000)}),
        ("key.rotated", third.key.id, {"from": second.key.id, "grace_s": 0}),
        ("key.revoked", second.key.id, {}),
        ("key.revoked", third.key.id, {}),
    ]
    assert [act["actor"] for act in found] == ["cli"] * 5 + ["admin"]
    assert found[-1]["request_id"] == "req-7"
    assert not any(key.secret in str(found) for key in (first, second, third))
