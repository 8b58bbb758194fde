"""How the gateway is brought to give each documented answer by itself; nothing is faked."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx2
from pydantic import SecretStr

from app.domain.ids import mint_api_key
from tests.api.asking import UNKNOWN_ID, bearer
from tests.api.wire import Line
from tests.contract.pairs import Pair
from tests.support.bed import Bed, character
from tests.support.processes import GatewayProcess
from tests.support.redis_server import RedisServer


@dataclass(frozen=True, slots=True)
class Scene:
    """A gateway, the store under it, and the pair that is to be played."""

    bed: Bed
    server: RedisServer
    pair: Pair

    async def ask(self, key: str, **changes: Any) -> httpx2.Response:
        """Ask as the pair says; `changes` are for the HTTP client, and win."""
        asked: dict[str, Any] = {"url": self.pair.asked_path, "headers": [bearer(key)]}
        if self.pair.asked_body is not None:
            asked["json"] = self.pair.asked_body
        return await self.bed.http.request(self.pair.method, **asked | changes)


Act = Callable[[Scene], Awaitable[httpx2.Response]]


@dataclass(frozen=True, slots=True)
class Way:
    """What to do, and the settings it takes."""

    act: Act
    settings: dict[str, Any]


WAYS: dict[str, Way] = {}
"""By the name that stands in the table."""


def way(name: str, **settings: Any) -> Callable[[Act], Act]:
    """Enter a function under `name`."""

    def enter(act: Act) -> Act:
        WAYS[name] = Way(act, settings)
        return act

    return enter


@way("asked")
async def ask(scene: Scene) -> httpx2.Response:
    """Ask, with a key that may do anything."""
    return await scene.ask(await scene.bed.key())


@way("a key nobody issued")
async def ask_as_a_stranger(scene: Scene) -> httpx2.Response:
    """Ask with a key of the right shape."""
    return await scene.ask(mint_api_key("live", secrets.choice))


@way("no key")
async def ask_as_nobody(scene: Scene) -> httpx2.Response:
    """Ask without a word about who asks."""
    return await scene.ask("", headers=[])


@way("no credits left")
async def ask_without_credits(scene: Scene) -> httpx2.Response:
    """Ask for more than the tenant may spend."""
    return await scene.ask(await scene.bed.key(credits_per_day="0.05"))


@way("a model of others")
async def ask_for_a_model_of_others(scene: Scene) -> httpx2.Response:
    """Ask for a model that is not on the tenant's list."""
    return await scene.ask(await scene.bed.key(models=["sora-character"]))


@way("a disabled tenant")
async def ask_for_a_disabled_tenant(scene: Scene) -> httpx2.Response:
    """Ask for a task of a tenant that was switched off."""
    key = await scene.bed.key("acme")
    task_id = await scene.bed.created(key)
    await scene.bed.switch("acme", disabled=True)
    return await scene.ask(key, url=f"/v1/tasks/{task_id}")


@way("a long body", max_body_bytes=1024)
async def ask_at_length(scene: Scene) -> httpx2.Response:
    """Ask in more bytes than are read."""
    body = {**(scene.pair.asked_body or {}), "note": "x" * 1024}
    return await scene.ask(await scene.bed.key(), json=body)


@way("one create too many")
async def ask_too_often(scene: Scene) -> httpx2.Response:
    """Create what may be created in a minute, and ask once more."""
    key = await scene.bed.key(creates_per_minute=1)
    await scene.bed.created(key)
    return await scene.ask(key)


@way("one read too many")
async def read_too_often(scene: Scene) -> httpx2.Response:
    """Read as often as a second allows, and ask once more."""
    key = await scene.bed.key(reads_per_second=1)
    await scene.ask(key)
    return await scene.ask(key)


@way("a defect", testing={"failpoints": "submit.arrived=raise"})
async def ask_where_something_breaks(scene: Scene) -> httpx2.Response:
    """Ask a gateway with a fault in it."""
    return await scene.ask(await scene.bed.key())


@way("a conflict at the vendor")
async def ask_amid_a_conflict(scene: Scene) -> httpx2.Response:
    """Ask while the vendor refuses over something the caller has no part in."""
    scene.bed.vendor.fault("status", status=409)
    return await scene.ask(await scene.bed.key())


@way("no vendor key", vendor={"keys": SecretStr("")})
async def ask_without_a_vendor(scene: Scene) -> httpx2.Response:
    """Ask a gateway that has nothing to call the vendor with."""
    return await scene.ask(await scene.bed.key())


@way("a store emptied")
async def ask_an_empty_store(scene: Scene) -> httpx2.Response:
    """Ask a gateway whose store has lost everything."""
    key = await scene.bed.key()
    scene.server.flush()
    return await scene.ask(key)


@way("a spender")
async def ask_after_spending(scene: Scene) -> httpx2.Response:
    """Ask with a key that has a limit and has used a part of it."""
    key = await scene.bed.key(credits_per_month="2")
    await scene.bed.created(key, character("seconds:1"))
    await scene.bed.pass_time(5)
    return await scene.ask(key)


@way("a list")
async def list_one(scene: Scene) -> httpx2.Response:
    """List the one task that is under way."""
    key = await scene.bed.key()
    await _one_under_way(scene, key)
    return await scene.ask(key)


@way("a batch")
async def read_two(scene: Scene) -> httpx2.Response:
    """Read a task that is under way, and one that there is not."""
    key = await scene.bed.key()
    ids = [await _one_under_way(scene, key), UNKNOWN_ID]
    return await scene.ask(key, json={"task_ids": ids})


@way("a broken head")
async def ask_in_broken_http(scene: Scene) -> httpx2.Response:
    """Send a started gateway a head that no HTTP client would write."""
    return await asyncio.to_thread(_send_a_broken_head, scene)


def _send_a_broken_head(scene: Scene) -> httpx2.Response:
    folder = scene.bed.gateway.settings.data_dir
    same_store = {"REELGATE_DATA_DIR": str(folder)}
    with (
        GatewayProcess(folder, scene.server.url, scene.bed.vendor.url, **same_store) as gateway,
        Line(gateway.url) as line,
    ):
        head = f"{scene.pair.method} {scene.pair.path} HTTP/1.1\r\nhost: a\r\ncontent-length: -1"
        line.send(f"{head}\r\n\r\n".encode())
        received = line.receive()
    return httpx2.Response(received.status, headers=received.headers, content=received.body)


async def _one_under_way(scene: Scene, key: str) -> str:
    task_id = await scene.bed.created(key, character("seconds:60"))
    await scene.bed.pass_time(24)
    return task_id
