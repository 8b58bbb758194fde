"""Keys over the admin API: issued, listed, revoked, expired."""

from __future__ import annotations

import re
from typing import Any

import pytest

from app.domain.ids import digest_of_api_key, mode_of_api_key
from tests.api.asking import bearer
from tests.api.operating import ENDED, NO_LIMITS, TENANTS, WORKS, Operator, precisely, shown_at
from tests.support.answers import error_of
from tests.support.bed import CREATE_PATH
from tests.support.contents import everything

KEYS = f"{TENANTS}/acme/keys"
LIMITS = NO_LIMITS | {"creates_per_minute": 2, "credits_per_day": "0.5", "models": ["sora-2"]}


def without_secret(key: dict[str, Any]) -> dict[str, Any]:
    """Return an issued key as lists show it."""
    return {name: value for name, value in key.items() if name != "key"}


@pytest.mark.parametrize("written", [{}, {"json": {}}])
async def test_a_key_needs_no_wishes(operator: Operator, written: dict[str, Any]) -> None:
    """The body may be left out; then it is a live key without end and limits of its own."""
    await operator.tenant()

    issued = await operator.done("POST", KEYS, **written)

    assert list(issued) == [
        *("id", "key", "tenant", "name", "mode", "state", "created_at", "expires_at", "limits")
    ]
    assert re.fullmatch(r"key_[0-9a-z]{12}", issued["id"])
    assert mode_of_api_key(issued["key"]) == "live"
    assert without_secret(issued) == {
        "id": issued["id"],
        "tenant": "acme",
        "name": "live",
        "mode": "live",
        "state": "active",
        "created_at": shown_at(operator.bed.clock.now_ms()),
        "expires_at": None,
        "limits": NO_LIMITS,
    }
    assert await operator.answers_of(issued) == [WORKS]


async def test_a_key_is_as_it_was_wished_for(operator: Operator) -> None:
    """Name, mode, end and limits; the list shows all of it but the secret."""
    await operator.tenant()
    wish = {
        "name": "nightly ★",
        "mode": "test",
        "expires_at": "2099-12-01T01:30:00+01:30",
        "limits": {"creates_per_minute": 2, "credits_per_day": "0.50", "models": ["sora-2"]},
    }

    issued = await operator.done("POST", KEYS, json=wish)

    assert mode_of_api_key(issued["key"]) == "test"
    assert issued | {"created_at": ""} == wish | {
        "id": issued["id"],
        "key": issued["key"],
        "tenant": "acme",
        "state": "active",
        "created_at": "",
        "expires_at": "2099-12-01T00:00:00Z",
        "limits": LIMITS,
    }
    assert await operator.keys() == [without_secret(issued)]


@pytest.mark.parametrize("name", ["name", "mode", "expires_at", "limits"])
async def test_null_is_the_default(operator: Operator, name: str) -> None:
    """As if the field had been left out."""
    await operator.tenant()

    issued = await operator.key(**{name: None})

    assert (issued["name"], issued["mode"], issued["expires_at"]) == ("live", "live", None)
    assert issued["limits"] == NO_LIMITS


async def test_keys_are_listed_oldest_first_and_without_secrets(operator: Operator) -> None:
    """Each tenant's own, in every state."""
    await operator.tenant("acme")
    await operator.tenant("hooli")
    assert await operator.keys() == []
    issued = []
    for number in range(3):
        issued.append(await operator.key(name=f"number {number}", mode="test"))
        operator.bed.clock.advance_ms(1)
    stranger = await operator.key("hooli")

    assert await operator.keys() == [without_secret(key) for key in issued]
    assert await operator.keys("hooli") == [without_secret(stranger)]


async def test_secrets_are_told_once_and_kept_nowhere(
    operator: Operator, capsys: pytest.CaptureFixture[str]
) -> None:
    """No list, no tenant, no audit entry, no log line and no key in Redis has one."""
    await operator.tenant()
    first = await operator.key(name="first")
    second = await operator.rotate(first)

    said = [
        await operator.done("GET", path)
        for path in (TENANTS, f"{TENANTS}/acme", KEYS, "/admin/v1/audit")
    ]
    said.append(await operator.done("DELETE", f"{KEYS}/{second['id']}"))

    kept = str(await everything(operator.bed.gateway.store.redis))
    logged = "".join(capsys.readouterr())
    for key in (first["key"], second["key"]):
        assert key not in str(said)
        assert key not in kept
        assert key not in logged
        assert digest_of_api_key(key) in kept
    assert "rg_live_" not in str(said) + kept


async def test_a_revoked_key_ends_at_once(operator: Operator) -> None:
    """For creates and reads; the answer is the key, and asking again changes nothing."""
    await operator.tenant()
    key, other = await operator.key(), await operator.key(name="other")
    assert await operator.answers_of(key) == [WORKS]

    revoked = await operator.done("DELETE", f"{KEYS}/{key['id']}")
    again = await operator.done("DELETE", f"{KEYS}/{key['id']}")

    assert revoked == again == without_secret(key) | {"state": "revoked"}
    assert await operator.answers_of(key, other) == [ENDED, WORKS]
    assert [each["state"] for each in await operator.keys()].count("revoked") == 1


@pytest.mark.parametrize("written", [0, 1, 57, 123, 999])
async def test_a_key_ends_at_the_millisecond_it_was_said_to(
    operator: Operator, written: int
) -> None:
    """One before it works, and from then on it is like no key at all."""
    bed = operator.bed
    await operator.tenant()
    end_ms = (bed.clock.now_ms() // 1000 + 60) * 1000 + written
    key = await operator.key(expires_at=precisely(end_ms))
    before_ms = end_ms - 1 - bed.clock.now_ms()

    bed.clock.advance_ms(before_ms)
    last = await operator.answers_of(key)
    (shown,) = await operator.keys()
    bed.clock.advance_ms(1)

    assert last == [WORKS]
    assert await operator.answers_of(key) == [ENDED]
    assert shown == without_secret(key)
    assert await operator.keys() == [without_secret(key) | {"state": "expired"}]
    assert key["expires_at"] == shown_at(end_ms)


async def test_an_end_may_be_given_in_unix_seconds(operator: Operator) -> None:
    """Whole ones; the next second is soon enough."""
    await operator.tenant()
    end_s = operator.bed.clock.now_ms() // 1000 + 1

    key = await operator.key(expires_at=end_s)

    assert key["expires_at"] == shown_at(end_s * 1000)


async def test_this_very_instant_is_no_future(operator: Operator) -> None:
    """A key that would be born dead is refused, one with a millisecond to live is not."""
    await operator.tenant()
    now_ms = operator.bed.clock.now_ms()

    refused = await operator.refused("POST", KEYS, json={"expires_at": precisely(now_ms)})
    issued = await operator.ask("POST", KEYS, json={"expires_at": precisely(now_ms + 1)})

    assert refused["param"] == "expires_at"
    assert issued.status_code == 200


@pytest.mark.parametrize(("method", "rest"), [("DELETE", ""), ("POST", "/rotate")])
@pytest.mark.parametrize("odd", ["key_000000000000", "other", "{key}.2", "x" * 3000, "%00", "a:b"])
async def test_a_key_that_is_not_there_is_not_found(
    operator: Operator, method: str, rest: str, odd: str
) -> None:
    """Unknown ids, and those of other tenants."""
    await operator.tenant("acme")
    await operator.tenant("hooli")
    mine, other = await operator.key("acme"), await operator.key("hooli")
    key_id = {"other": other["id"]}.get(odd, odd.replace("{key}", mine["id"]))

    error = await operator.refused(method, f"{KEYS}/{key_id}{rest}")

    assert (error["code"], error["reason"], error["param"]) == (404, "key_not_found", "key")
    assert len(error["message"]) < 300
    assert await operator.answers_of(mine, other) == [WORKS, WORKS]


@pytest.mark.parametrize(("method", "rest"), [("DELETE", ""), ("POST", "/rotate")])
async def test_keys_of_a_deleted_tenant_are_out_of_reach(
    operator: Operator, method: str, rest: str
) -> None:
    """404, and nothing is issued."""
    await operator.tenant()
    key = await operator.key()
    await operator.done("DELETE", f"{TENANTS}/acme")
    before = await everything(operator.bed.gateway.store.redis)

    error = await operator.refused(method, f"{KEYS}/{key['id']}{rest}")

    assert error["code"] == 404
    assert error["reason"] in ("key_not_found", "tenant_not_found")
    assert await everything(operator.bed.gateway.store.redis) == before


async def test_limits_of_a_key_hold_beside_those_of_its_tenant(operator: Operator) -> None:
    """Both apply: the tighter one refuses, and other keys are not touched by a key's own."""
    bed = operator.bed
    await operator.tenant(limits={"credits_per_day": "0.3"})
    narrow, wide = await operator.key(limits={"credits_per_day": "0.1"}), await operator.key()

    sequence = [
        (await bed.create(key["key"])).status_code for key in (narrow, narrow, wide, wide, wide)
    ]

    assert sequence == [200, 402, 200, 200, 402]


async def test_a_key_may_be_for_some_models(operator: Operator) -> None:
    """Those that tenant and key both name."""
    bed = operator.bed
    await operator.tenant(limits={"models": ["sora-character", "veo3.1-fast"]})
    key = (await operator.key(limits={"models": ["sora-character", "sora-2"]}))["key"]

    models = await bed.http.get("/v1/models", headers=[bearer(key)])
    refused = await bed.http.post(
        CREATE_PATH, json={"model": "veo3.1-fast", "prompt": "a cat"}, headers=[bearer(key)]
    )

    assert [model["id"] for model in models.json()["data"]] == ["sora-character"]
    assert error_of(refused)["reason"] == "model_not_allowed"
    assert (await bed.create(key)).status_code == 200
