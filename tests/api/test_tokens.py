"""Minting tokens for browsers: what the holder of a key may wish, and what it gets."""

from __future__ import annotations

import re
from typing import Any

import pytest

from app.domain.ids import digest_of_api_key
from tests.api.asking import bearer, shown
from tests.api.browsing import APP, ask_to_mint, minted, token
from tests.support.answers import error_of
from tests.support.bed import Bed, character
from tests.support.contents import everything
from tests.support.tenant_keys import issued_key

QUARTER_HOUR_S = 900


async def test_a_token_is_told_this_once_with_all_that_it_may(bed: Bed) -> None:
    """By default it creates and reads for a quarter of an hour, with what its key may."""
    told = await minted(bed, await bed.key())

    assert re.fullmatch(r"rgt_live_[0-9A-Za-z]{36}", told.pop("token"))
    assert re.fullmatch(r"key_[0-9a-z]{12}~[0-9a-z]{12}", told["id"])
    assert told == {
        "id": told["id"],
        "expires_at": bed.clock.now_ms() // 1000 + QUARTER_HOUR_S,
        "scopes": ["create", "read"],
        "models": None,
        "max_tasks": None,
        "max_credits": None,
        "origin": None,
        "subject": told["id"],
    }


async def test_a_token_is_told_as_it_was_wished_for(bed: Bed) -> None:
    """Amounts and origins in the one form that they have here."""
    wish = {
        "ttl_s": 60,
        "scopes": ["read"],
        "models": ["sora-character"],
        "max_tasks": 3,
        "max_credits": "0.50",
        "origin": "https://App.Example.com:443",
        "subject": "user-4711",
        "name": "Ada's tab",
    }

    told = await minted(bed, await bed.key(), **wish)

    changed = {"max_credits": "0.5", "origin": APP, "expires_at": bed.clock.now_ms() // 1000 + 60}
    del wish["ttl_s"], wish["name"]
    assert told == {**wish, **changed, "token": told["token"], "id": told["id"]}


async def test_a_token_may_be_minted_without_a_body(bed: Bed) -> None:
    """Then all is as it is by default; null says the same, name by name."""
    key = await bed.key()

    without = await bed.http.post("/v1/tokens", headers=[bearer(key)])
    with_nulls = await ask_to_mint(bed, key, dict.fromkeys(["ttl_s", "scopes", "models", "origin"]))

    assert (without.status_code, with_nulls.status_code) == (200, 200)
    assert without.headers["cache-control"] == "no-store"
    assert without.json()["scopes"] == with_nulls.json()["scopes"] == ["create", "read"]


async def test_nothing_but_the_digest_of_a_token_is_stored(bed: Bed) -> None:
    """Whoever reads the store finds no token that could be used."""
    secret = await token(bed, await bed.key(), subject="user-4711")

    stored = str(await everything(bed.gateway.store.redis))

    assert secret not in stored
    assert secret.removeprefix("rgt_live_")[:30] not in stored
    assert digest_of_api_key(secret) in stored


@pytest.mark.parametrize(
    ("wish", "param", "told"),
    [
        ({"ttl_s": 901}, "ttl_s", "less than or equal to 900"),
        ({"ttl_s": 0}, "ttl_s", "greater than or equal to 1"),
        ({"ttl_s": -5}, "ttl_s", "greater than or equal to 1"),
        ({"ttl_s": 1.5}, "ttl_s", "valid integer"),
        ({"ttl_s": "900"}, "ttl_s", "valid integer"),
        ({"ttl_s": True}, "ttl_s", "valid integer"),
        ({"scopes": []}, "scopes", "at least one"),
        ({"scopes": ["read", "read"]}, "scopes", "none twice"),
        ({"scopes": ["read", "admin"]}, "scopes[1]", "'create' or 'read'"),
        ({"scopes": "read"}, "scopes", "valid list"),
        ({"models": []}, "models", "at least one"),
        ({"models": ["sora-character", "sora-character"]}, "models", "none twice"),
        ({"models": ["a,b"]}, "models[0]", "name of a model"),
        ({"max_tasks": 0}, "max_tasks", "greater than or equal to 1"),
        ({"max_tasks": -1}, "max_tasks", "greater than or equal to 1"),
        ({"max_credits": "0"}, "max_credits", "greater than 0"),
        ({"max_credits": "0.000000"}, "max_credits", "greater than 0"),
        ({"max_credits": "-1"}, "max_credits", "not a credit amount"),
        ({"max_credits": 1}, "max_credits", "decimal string"),
        ({"origin": "null"}, "origin", "one site"),
        ({"origin": "*"}, "origin", "one site"),
        ({"origin": "https://app.example.com/"}, "origin", "before the path"),
        ({"origin": ""}, "origin", "https:// or http://"),
        ({"subject": ""}, "subject", "visible ASCII"),
        ({"subject": "a b"}, "subject", "visible ASCII"),
        ({"subject": "x\ny"}, "subject", "visible ASCII"),
        ({"subject": "x" * 129}, "subject", "1 to 128"),
        ({"name": "\x00"}, "name", "control characters"),
        ({"tenant": "hooli"}, "tenant", "not known here"),
        ({"id": "key_1"}, "id", "not known here"),
        ({"limits": {}}, "limits", "not known here"),
    ],
)
async def test_a_wish_that_breaks_a_rule_is_refused_with_the_rule(
    bed: Bed, wish: dict[str, Any], param: str, told: str
) -> None:
    """At its place, and nothing is minted."""
    key = await bed.key()
    before = await everything(bed.gateway.store.redis)

    answer = await ask_to_mint(bed, key, wish)

    error = error_of(answer)
    assert (answer.status_code, error["reason"], error["param"]) == (400, "invalid_request", param)
    assert told in error["message"]
    assert await everything(bed.gateway.store.redis) == before


async def test_a_token_may_use_fewer_models_than_its_key_and_never_more(bed: Bed) -> None:
    """Named by an alias or not; what the key or its tenant may not use is refused at once."""
    await bed.key("acme", models=["sora-character", "veo3.1-fast-beta", "kling-o1"])
    key = await bed.another_key("acme", models=["sora-character", "veo3.1-fast-beta", "gpt-4o"])

    narrow = await minted(bed, key, models=["sora-character"])
    refused = [
        error_of(await ask_to_mint(bed, key, {"models": ["sora-character", name]}))
        for name in ("sora-2-preview", "no-such-model")
    ]

    assert narrow["models"] == ["sora-character"]
    assert (await minted(bed, key))["models"] == ["sora-character", "veo3.1-fast-beta", "gpt-4o"]
    assert [each["reason"] for each in refused] == ["model_not_allowed", "model_not_found"]
    assert refused[0]["param"] == "models[1]"
    models = await shown(bed, narrow["token"], "/v1/models")
    assert [model["id"] for model in models["data"]] == ["sora-character"]
    other = await bed.create(narrow["token"], {"model": "veo3.1-fast-beta", "prompt": "x"})
    assert error_of(other)["reason"] == "model_not_allowed"


async def test_a_token_is_held_to_the_limits_of_its_key(bed: Bed) -> None:
    """They are the key's family's: a token has no second helping of creates."""
    await bed.key("acme")
    key = await bed.another_key("acme", creates_per_minute=2)
    tokens = [await token(bed, key) for _ in range(2)]
    await bed.created(key)
    await bed.created(tokens[0])

    refused = [await bed.create(each) for each in (key, *tokens)]

    assert [error_of(answer)["reason"] for answer in refused] == ["rate_limited"] * 3


async def test_a_token_of_a_test_key_is_a_test_token(bed: Bed) -> None:
    """It talks to the sandbox, and no live key sees what it makes."""
    await bed.key("acme")
    key = await bed.another_key("acme", mode="test")
    secret = await token(bed, key, subject="ada")
    task_id = await bed.created(secret, character("seconds:1"))

    live = await token(bed, await bed.another_key("acme"), subject="ada")

    assert secret.startswith("rgt_test_")
    assert (await bed.read(secret, task_id)).status_code == 200
    assert (await bed.read(live, task_id)).status_code == 404
    assert bed.vendor.creates() == []


async def test_a_token_never_outlives_its_key(bed: Bed) -> None:
    """A key that ends in a minute mints for a minute."""
    await bed.key("acme")
    store, now_ms = bed.gateway.store, bed.clock.now_ms()
    key = await issued_key(store.keys, "acme", now_ms=now_ms, expires_ms=now_ms + 60_000)

    told = await minted(bed, key)

    assert told["expires_at"] == (now_ms + 60_000) // 1000


async def test_minting_counts_as_a_read(bed: Bed) -> None:
    """And tells how many are left, like every other."""
    key = await bed.key(reads_per_second=1)

    first, second = [await ask_to_mint(bed, key) for _ in range(2)]

    assert (first.status_code, first.headers["ratelimit"]) == (200, '"reads";r=0;t=1')
    assert error_of(second)["reason"] == "rate_limited"


async def test_a_token_mints_no_token(bed: Bed) -> None:
    """Whatever its scopes; what leaves the browser could otherwise live for ever."""
    key = await bed.key()

    answers = [
        await ask_to_mint(bed, await token(bed, key, scopes=scopes))
        for scopes in (["create"], ["read"], ["create", "read"])
    ]

    assert [error_of(answer)["reason"] for answer in answers] == ["token_scope"] * 3


async def test_a_token_is_not_listed_among_keys_and_not_rotated(bed: Bed) -> None:
    """Operators see keys; a token ends by itself, or by its id if it has to be at once."""
    told = await minted(bed, await bed.key())
    keys = bed.gateway.store.manage_keys

    listed = [key.id for key in await keys.of_tenant("acme")]
    await bed.revoke("acme", told["id"])

    assert listed == [told["id"].partition("~")[0]]
    assert error_of(await bed.create(told["token"]))["reason"] == "invalid_key"
