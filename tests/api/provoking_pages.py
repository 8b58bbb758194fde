"""The ways to errors that pages and their tokens meet, and those who listen."""

from __future__ import annotations

import httpx2

from app import errors
from app.store.keys import Shard
from app.store.tokens import MAX_TOKENS
from tests.api.asking import bearer
from tests.api.browsing import Page, ask_to_mint, minted, token
from tests.api.ways import Scene, leads_to
from tests.support.events import Listening


@leads_to(errors.TokenScope)
async def spend_with_a_token_that_reads(scene: Scene) -> httpx2.Response:
    """Create with a browser token that is for reading."""
    return await scene.bed.create(await token(scene.bed, await scene.bed.key(), scopes=["read"]))


@leads_to(errors.TokenSpent, tasks_made=1)
async def spend_more_than_a_token_has(scene: Scene) -> httpx2.Response:
    """Create twice with a browser token for one task."""
    secret = await token(scene.bed, await scene.bed.key(), max_tasks=1)
    await scene.bed.created(secret)
    return await scene.bed.create(secret)


@leads_to(errors.OriginNotAllowed)
async def call_from_a_page_of_nobody(scene: Scene) -> httpx2.Response:
    """Use a key in a page of an origin that its tenant does not name."""
    return await Page(scene.bed).call(await scene.bed.key(), "GET", "/v1/models")


@leads_to(errors.TooManyStreams, tasks_made=1, live={"max_streams": 1})
async def listen_where_there_is_no_room(scene: Scene) -> httpx2.Response:
    """Wait for a task in a process that has no room for another."""
    bed, key = scene.bed, await scene.bed.key()
    task_id = await bed.created(key)
    async with Listening(bed.app, "/v1/events", key):
        return await bed.http.get(f"/v1/tasks/{task_id}?wait=1", headers=[bearer(key)])


@leads_to(errors.TooManyTokens)
async def mint_without_end(scene: Scene) -> httpx2.Response:
    """Mint with a key that has as many living tokens as it may."""
    bed, key = scene.bed, await scene.bed.key("acme")
    told = await minted(bed, key)
    tokens = Shard.of("acme").tokens("acme", told["id"].partition("~")[0])
    lived = {f"{told['id']}{n}": bed.clock.now_ms() + 1_000 for n in range(MAX_TOKENS)}
    await bed.gateway.store.redis.zadd(tokens, lived)
    return await ask_to_mint(bed, key)
