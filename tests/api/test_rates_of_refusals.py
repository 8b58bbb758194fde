"""Which refusals tell a caller its rates, and which have nobody to tell."""

from __future__ import annotations

from typing import Any

import pytest

from app.errors import closed_list
from tests.api.asking import bearer, post_bytes
from tests.api.provoking import WAYS, Scene
from tests.api.rates import BAD, BOTH, READS
from tests.api.structured import Policy, policies, standing
from tests.conftest import OpenBed
from tests.support.answers import error_of
from tests.support.bed import CREATE_PATH, Bed, character
from tests.support.redis_server import RedisServer

TELLS_NOTHING = {
    "invalid_key": "nobody is known who could be told",
    "tenant_disabled": "there is nothing it may do at any rate",
    "origin_not_allowed": "the page may not even read that it was refused",
    "token_scope": "a browser token that is not for a call is not looked at",
    "internal_error": "a defect has no time to look anything up",
    "store_unavailable": "the rates are in the store",
    "store_foreign": "they were",
    "unknown_path": "whose path it is not, no key is looked at",
    "method_not_allowed": "the same",
    "not_ready": "probes have no key",
}
"""Reasons for which an answer has no rates, and why."""


class RatedBed(Bed):
    """A bed whose tenants all have rates, beside the limits they are given."""

    async def key(self, tenant_id: str = "acme", **limits: Any) -> str:  # type: ignore[override]
        """Return a new key of a tenant with rates."""
        return await super().key(tenant_id, **{**BOTH, **limits})


@pytest.mark.parametrize("error", closed_list(), ids=lambda error: error.reason)
async def test_every_refusal_of_a_known_caller_tells_the_rates(
    open_gateway_bed: OpenBed, redis_server: RedisServer, error: Any
) -> None:
    """400, 402, 403 over a model, 404, 409, 413, 415, 429, 502 and 503; but not 401."""
    way = WAYS[error.reason]
    async with open_gateway_bed(**way.settings) as bed:
        answer = await way.act(Scene(RatedBed(**vars(bed)), redis_server))

    assert error_of(answer)["reason"] == error.reason
    is_tenants = answer.request.url.path.startswith("/v1/")
    if error.reason in TELLS_NOTHING or not is_tenants:
        assert (policies(answer), standing(answer)) == ({}, None)
        return
    quota = 1 if error.reason == "rate_limited" else 5
    told = standing(answer)
    assert policies(answer) == {"creates": Policy(quota, 60), "reads": Policy(20, 1)}
    assert told is not None
    assert told.policy == ("creates" if answer.request.url.path == CREATE_PATH else "reads")


@pytest.mark.parametrize("path", [*READS, CREATE_PATH, "/v1/tasks/batch"])
async def test_who_is_not_known_is_told_no_rates(bed: Bed, path: str) -> None:
    """A revoked key is nobody's, although its limits could still be found."""
    await bed.key("acme")
    key = await bed.another_key("acme", **BOTH)
    for each in await bed.gateway.store.keys.of_tenant("acme"):
        await bed.revoke("acme", each.id)
    method = "POST" if path in (CREATE_PATH, "/v1/tasks/batch") else "GET"

    for headers in ([bearer(key)], [], [bearer("rg_live_x")]):
        answer = await bed.http.request(
            method, path, json={"task_ids": [], **character()}, headers=headers
        )

        assert answer.status_code == 401
        assert (policies(answer), standing(answer)) == ({}, None)


async def test_a_revoked_key_is_told_so_whatever_it_sends(bed: Bed) -> None:
    """Its holder is not led to repair a body that nobody would take from it."""
    key = await bed.key("acme", **BOTH)
    [issued] = await bed.gateway.store.keys.of_tenant("acme")
    await bed.revoke("acme", issued.id)

    answers = [await bed.create(key, body) for body in (BAD, {}, character(model="no-such-model"))]
    answers.append(await post_bytes(bed, key, b"{", ("content-type", "text/plain")))

    assert [answer.status_code for answer in answers] == [401] * 4
