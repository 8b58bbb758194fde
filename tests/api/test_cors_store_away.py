"""Pages while the store is away: what was last known stands, and what is refused can be read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.api.asking import bearer
from tests.api.browsing import APP, Page, allow, token, told_to_pages
from tests.conftest import OpenBed
from tests.support.answers import error_of
from tests.support.bed import CREATE_PATH, Bed, character
from tests.support.redis_server import RedisServer
from tests.support.wait import wait_until

pytestmark = pytest.mark.unaudited("the store is killed or emptied")


@pytest.fixture
def own_server() -> Iterator[RedisServer]:
    """A Redis that only this test uses, for it is killed."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis_url(own_server: RedisServer) -> str:
    """Let the gateways of these tests use it."""
    return own_server.url


@pytest.fixture
async def bed(open_gateway_bed: OpenBed) -> AsyncIterator[Bed]:
    """A gateway whose store is gone when the test ends; `acme` names the origin of a page."""
    async with open_gateway_bed() as opened:
        await opened.key("acme")
        await allow(opened, "acme", APP)
        yield opened


async def test_a_page_learns_that_the_store_is_away(bed: Bed, own_server: RedisServer) -> None:
    """Its preflight is answered from what was last known, and it may read the 503."""
    key = await bed.another_key("acme")
    await Page(bed).call(key, "GET", "/v1/models")
    own_server.kill()
    bed.clock.advance_ms(5_000)

    asked = [await Page(bed, origin).ask_first("POST", CREATE_PATH) for origin in (APP, "null")]
    answer = await Page(bed).call(key, "GET", "/v1/credits")

    assert [each.status_code for each in asked] == [204, 403]
    assert error_of(answer)["reason"] == "store_unavailable"
    assert told_to_pages(answer)["allow-origin"] == APP


async def test_an_emptied_store_takes_nobodys_origin_away(
    bed: Bed, own_server: RedisServer
) -> None:
    """An accident of the operator must not look like a decision of the tenant."""
    key = await bed.another_key("acme")
    await Page(bed).call(key, "GET", "/v1/models")
    own_server.flush()
    bed.clock.advance_ms(5_000)

    asked = await Page(bed).ask_first("POST", CREATE_PATH)
    answer = await Page(bed).call(key, "POST", CREATE_PATH, json=character())

    assert asked.status_code == 204
    assert error_of(answer)["reason"] == "store_foreign"
    assert told_to_pages(answer)["allow-origin"] == APP


async def test_what_is_remembered_of_a_task_is_told_to_its_own_subject_alone(
    bed: Bed, own_server: RedisServer
) -> None:
    """A task of another subject is as unreadable from memory as it is from the store."""
    key = await bed.another_key("acme")
    ada, ben = [await token(bed, key, subject=name) for name in ("ada", "ben")]
    task_id, of_key = await bed.created(ada), await bed.created(key)
    for reader, each in (
        (ada, task_id),
        (key, task_id),
        (key, of_key),
        (ben, await bed.created(ben)),
    ):
        assert (await bed.read(reader, each)).status_code == 200
    own_server.kill()

    found = [
        (await bed.read(reader, each)).status_code
        for reader, each in ((ada, task_id), (key, task_id), (ben, task_id), (ben, of_key))
    ]

    assert found == [200, 200, 503, 503]


async def test_a_token_ends_in_time_also_while_the_store_is_away(
    bed: Bed, own_server: RedisServer
) -> None:
    """What it could read a moment ago is told to it no longer."""
    secret = await token(bed, await bed.another_key("acme"), ttl_s=10)
    task_id = await bed.created(secret)
    await bed.read(secret, task_id)
    own_server.kill()

    found = []
    for passing_ms in (9_999, 1):
        bed.clock.advance_ms(passing_ms)
        answer = await bed.http.get(f"/v1/tasks/{task_id}", headers=[bearer(secret)])
        found.append(answer.status_code)

    assert found == [200, 401]


async def test_a_token_that_ends_while_it_waits_is_told_nothing_more(
    bed: Bed, own_server: RedisServer
) -> None:
    """Not even what it was told before, where the store is away by then."""
    secret = await token(bed, await bed.another_key("acme"), ttl_s=10)
    task_id = await bed.created(secret)
    assert (await bed.read(secret, task_id)).status_code == 200
    path = f"/v1/tasks/{task_id}?wait=1"
    async with asyncio.TaskGroup() as group:
        read = group.create_task(bed.http.get(path, headers=[bearer(secret)]))
        await wait_until(lambda: bed.gateway.follow.audience.waits, describing="the wait")
        own_server.kill()
        bed.clock.advance_ms(10_000)

    assert read.result().status_code == 401
    assert error_of(read.result())["reason"] == "invalid_key"
