"""With the store away the admin API says so, in time, and leaves nothing half done."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.api.operating import (
    CALLED_OFF,
    CANCEL,
    RESOLVE,
    ROUTES,
    TENANTS,
    WITH_ADMIN,
    WRITTEN_OFF,
    Operator,
)
from tests.conftest import OpenBed
from tests.support.answers import error_of
from tests.support.contents import everything
from tests.support.redis_server import RedisServer

WRITTEN = {"POST": {}, "PATCH": {"disabled": True}}
WRITTEN_TO = {
    ("POST", TENANTS): {"id": "other"},
    ("POST", RESOLVE): WRITTEN_OFF,
    ("POST", CANCEL): CALLED_OFF,
}
"""Where that of the method alone would be refused."""


def body_for(method: str, path: str) -> dict[str, Any]:
    """Return the body of a request that nothing is wrong with."""
    body = WRITTEN_TO.get((method, path), WRITTEN.get(method))
    return {} if body is None else {"json": body}


@pytest.mark.parametrize(
    ("method", "path"), ROUTES, ids=[f"{method} {path}" for method, path in ROUTES]
)
async def test_a_frozen_store_is_told(
    open_gateway_bed: OpenBed, redis_server: RedisServer, method: str, path: str
) -> None:
    """503 with `Retry-After`, within seconds; a wrong token is still a wrong token."""
    async with open_gateway_bed(redis_timeout_s=0.2, **WITH_ADMIN) as bed:
        operator = Operator(bed)
        await operator.tenant()
        written = body_for(method, path)
        redis_server.freeze()
        began_s = time.monotonic()
        try:
            answer = await operator.ask(method, path, **written)
            stranger = await Operator(bed, "wrong").ask(method, path, **written)
        finally:
            redis_server.thaw()
        took_s = time.monotonic() - began_s

        assert (answer.status_code, error_of(answer)["reason"]) == (503, "store_unavailable")
        assert int(answer.headers["retry-after"]) >= 1
        assert error_of(stranger)["reason"] == "invalid_admin_token"
        assert took_s < 5


@pytest.mark.parametrize(
    ("method", "path"),
    [each for each in ROUTES if each[0] != "GET"] + [("GET", f"{TENANTS}/acme?secrets=true")],
    ids=lambda value: str(value),
)
async def test_an_emptied_store_is_not_written_to(
    open_gateway_bed: OpenBed, redis_server: RedisServer, method: str, path: str
) -> None:
    """A store that is not ours gets no tenant, no key and no entry of the audit log."""
    async with open_gateway_bed(**WITH_ADMIN) as bed:
        operator = Operator(bed)
        await operator.tenant()
        redis_server.flush()

        error = await operator.refused(method, path, **body_for(method, path))

        missing = ("tenant_not_found", "key_not_found", "task_not_found")
        assert error["code"] in (404, 503)
        assert error["reason"] in ("store_foreign", *missing)
        assert await everything(bed.gateway.store.redis) == {}


async def test_an_act_that_went_well_is_in_the_log_and_one_that_failed_is_not(
    open_gateway_bed: OpenBed, redis_server: RedisServer
) -> None:
    """Change and entry are one: after an outage each tenant has its entry, and no other has one."""
    async with open_gateway_bed(redis_timeout_s=0.2, **WITH_ADMIN) as bed:
        operator = Operator(bed)
        for number in range(6):
            if number % 2:
                redis_server.freeze()
            try:
                await operator.ask("POST", TENANTS, json={"id": f"tenant-{number}"})
            finally:
                if number % 2:
                    redis_server.thaw()

        tenants = {each["id"] for each in (await operator.done("GET", TENANTS))["data"]}
        recorded = [act["tenant"] for act in await operator.acts()]

    assert tenants >= {"tenant-0", "tenant-2", "tenant-4"}
    assert sorted(recorded) == sorted(tenants)
