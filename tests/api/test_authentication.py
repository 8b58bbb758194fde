"""Who may call: told by one bearer key, and by nothing else."""

from __future__ import annotations

import secrets

import pytest

from app.domain.ids import mint_api_key
from tests.api.asking import UNKNOWN_ID, bearer
from tests.conftest import OpenBed
from tests.support.answers import error_of
from tests.support.bed import CHARACTER, CREATE_PATH, Bed
from tests.support.tenant_keys import issued_key

READ_PATH = f"/v1/tasks/{UNKNOWN_ID}"


def with_a_slip(key: str) -> str:
    """Return a key with its last two characters exchanged, or one of them replaced."""
    end = key[-1] + key[-2] if key[-1] != key[-2] else "zz"
    return key[:-2] + end


async def commands_run(bed: Bed) -> set[str]:
    """Return what Redis was asked since the count was reset; asking for the count is left out."""
    counted = await bed.gateway.store.redis.info("commandstats")
    names = {name.removeprefix("cmdstat_") for name in counted}
    return {name for name in names if name.partition("|")[0] not in ("config", "info")}


@pytest.mark.parametrize(("method", "path"), [("POST", CREATE_PATH), ("GET", READ_PATH)])
@pytest.mark.parametrize(
    "sent",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic dXNlcjpwYXNzd29yZA==",
        "Token {key}",
        "{key}",
        "Bearer{key}",
        "Bearer {key} again",
        "Bearer {key}x",
        "Bearer bearer {key}",
        'Bearer "{key}"',
        "Bearer sk-1234567890",
        "Bearer \xe9\xe9\xe9",
        "Bearer " + "k" * 10_000,
    ],
)
async def test_anything_but_one_bearer_key_is_refused(
    bed: Bed, method: str, path: str, sent: str
) -> None:
    """Another scheme, half a header or a key with something around it says nobody's name."""
    header = sent.replace("{key}", await bed.key()).encode("latin-1")

    answer = await bed.http.request(
        method, path, json=CHARACTER, headers=[("authorization", header)]
    )

    assert answer.status_code == 401
    assert error_of(answer)["reason"] == "invalid_key"
    assert answer.headers["www-authenticate"] == "Bearer"
    assert bed.vendor.journal() == []


@pytest.mark.parametrize("path", [READ_PATH, f"{CREATE_PATH}/{UNKNOWN_ID}"])
async def test_a_missing_key_is_asked_for(bed: Bed, path: str) -> None:
    """The message shows the form of the header."""
    answer = await bed.http.get(path)

    assert answer.status_code == 401
    assert "Authorization: Bearer <key>" in error_of(answer)["message"]


async def test_two_authorization_headers_are_refused(bed: Bed) -> None:
    """Also two that are equal: which one a proxy in between has looked at is anybody's guess."""
    key = await bed.key()

    answer = await bed.http.get(READ_PATH, headers=[bearer(key), bearer(key)])

    assert answer.status_code == 401


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer "])
async def test_the_scheme_is_known_in_any_case(bed: Bed, scheme: str) -> None:
    """`Bearer` is a word of HTTP, where case does not count, and nor does a second blank."""
    key = await bed.key()

    answer = await bed.http.get(READ_PATH, headers={"authorization": f"{scheme} {key}"})

    assert answer.status_code == 404


async def test_a_mistyped_key_is_refused_without_asking_redis(bed: Bed) -> None:
    """The checksum tells: whoever guesses keys costs the store nothing."""
    wrong = with_a_slip(await bed.key())
    await bed.gateway.store.redis.config_resetstat()

    answers = [await bed.create(wrong), await bed.read(wrong, UNKNOWN_ID)]

    assert [answer.status_code for answer in answers] == [401, 401]
    assert await commands_run(bed) == set()


async def test_a_key_that_could_exist_is_looked_up(bed: Bed) -> None:
    """The other side of the count: with a right checksum Redis is asked, and says no."""
    await bed.gateway.store.redis.config_resetstat()

    answer = await bed.create(mint_api_key("live", secrets.choice))

    assert answer.status_code == 401
    assert await commands_run(bed) != set()


async def test_the_mode_in_a_key_is_not_for_its_holder_to_choose(bed: Bed) -> None:
    """A test key with `live` written over it is another key, and nobody's."""
    key = await bed.key(mode="test")

    answer = await bed.create(key.replace("rg_test_", "rg_live_"))

    assert answer.status_code == 401


async def test_a_revoked_key_ends_at_once_everywhere(open_gateway_bed: OpenBed) -> None:
    """No process that has seen the key before goes on to serve it."""
    async with open_gateway_bed() as bed, open_gateway_bed() as other:
        key = await bed.key("acme")
        task_id = await bed.created(key)
        assert (await other.read(key, task_id)).status_code == 200
        [known] = await bed.gateway.store.keys.of_tenant("acme")

        await bed.revoke("acme", known.id)

        answers = [await one.read(key, task_id) for one in (bed, other)]
        answers += [await one.create(key) for one in (bed, other)]
    assert [error_of(answer)["reason"] for answer in answers] == ["invalid_key"] * 4
    assert len(bed.vendor.creates()) == 1


async def test_revoking_one_key_leaves_the_others(bed: Bed) -> None:
    """Tasks belong to the tenant: another of its keys reads them on."""
    first = await bed.key("acme")
    [known] = await bed.gateway.store.keys.of_tenant("acme")
    second = await bed.another_key("acme")
    task_id = await bed.created(first)

    await bed.revoke("acme", known.id)

    statuses = [(await bed.read(key, task_id)).status_code for key in (first, second)]
    assert statuses == [401, 200]


async def test_a_disabled_tenant_is_told_so_until_it_is_enabled(bed: Bed) -> None:
    """403 for creates and reads alike, from that instant to the next change."""
    key = await bed.key("acme")
    task_id = await bed.created(key)
    await bed.switch("acme", disabled=True)

    refused = [await bed.create(key), await bed.read(key, task_id)]
    await bed.switch("acme", disabled=False)

    assert [error_of(answer)["reason"] for answer in refused] == ["tenant_disabled"] * 2
    assert [answer.status_code for answer in refused] == [403, 403]
    assert (await bed.read(key, task_id)).status_code == 200


async def test_a_key_ends_when_it_was_said_to(bed: Bed) -> None:
    """Up to the last millisecond it works; from its expiry on it is like no key at all."""
    await bed.key("acme")
    keys, now_ms = bed.gateway.store.keys, bed.clock.now_ms()
    key = await issued_key(keys, "acme", now_ms=now_ms, expires_ms=now_ms + 1000)
    bed.clock.advance_ms(999)
    task_id = await bed.created(key)
    bed.clock.advance_ms(1)

    answers = [await bed.create(key), await bed.read(key, task_id)]

    assert [error_of(answer)["reason"] for answer in answers] == ["invalid_key"] * 2


async def test_all_that_is_wrong_with_a_key_looks_alike(bed: Bed) -> None:
    """Unknown, mistyped, revoked, expired: whoever tries keys learns nothing from the answer."""
    revoked = await bed.key("acme")
    keys, now_ms = bed.gateway.store.keys, bed.clock.now_ms()
    [known] = await keys.of_tenant("acme")
    await bed.revoke("acme", known.id)
    expired = await issued_key(keys, "acme", now_ms=now_ms, expires_ms=now_ms)
    unknown = mint_api_key("live", secrets.choice)

    secrets_tried = (revoked, expired, unknown, with_a_slip(unknown))
    errors = [error_of(await bed.create(key)) for key in secrets_tried]

    same = [{**error, "request_id": ""} for error in errors]
    assert same == [same[0]] * 4
