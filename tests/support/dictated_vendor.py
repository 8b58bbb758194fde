"""A vendor that says, byte for byte, what a test dictates: over HTTP, in the test's own loop."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import web

TASK = {
    "created": 1757169743,
    "id": "task-unified-1757169743-dictated",
    "model": "sora-character",
    "object": "video.generation.task",
    "progress": 0,
    "status": "pending",
    "task_info": {"can_cancel": True, "estimated_time": 150, "video_duration": 8},
    "type": "video",
    "usage": {"billing_rule": "per_call", "credits_reserved": 0.1, "user_group": "vip"},
}
"""What it says to a create, and of a task, as long as nothing else is dictated."""


@dataclass(frozen=True, slots=True)
class Words:
    """One answer: its status, its bytes, and headers beside the content type."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


def words(value: Any, status: int = 200, **headers: str) -> Words:
    """Return an answer of that JSON."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Words(status, json.dumps(value).encode(), named)


@dataclass(frozen=True, slots=True)
class Heard:
    """One request that reached it; `body` is None where none was sent."""

    path: str
    headers: dict[str, str]
    body: Any


class DictatedVendor:
    """Answers every create with `of_create`, status reads with `of_read`, batches with `of_batch`.

    Use it as a context manager, and set the three as often as needed.
    """

    def __init__(self) -> None:
        self.of_create = words(TASK)
        self.of_read = words(TASK)
        self.of_batch = words({"data": []})
        self.batches: list[Heard] = []
        self.creates: list[Heard] = []
        self.reads: list[Heard] = []

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/v1/videos/generations", self._create)
        app.router.add_post("/v1/tasks/batch", self._batch)
        app.router.add_get("/v1/tasks/{task_id}", self._read)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._runner.cleanup()

    def say(self, task: dict[str, Any], **changes: Any) -> None:
        """Say this of every task from now on."""
        self.of_read = words(task | changes)

    async def _create(self, request: web.Request) -> web.Response:
        heard = Heard(request.path, dict(request.headers), json.loads(await request.read()))
        self.creates.append(heard)
        return _spoken(self.of_create)

    async def _batch(self, request: web.Request) -> web.Response:
        heard = Heard(request.path, dict(request.headers), json.loads(await request.read()))
        self.batches.append(heard)
        return _spoken(self.of_batch)

    async def _read(self, request: web.Request) -> web.Response:
        self.reads.append(Heard(request.path, dict(request.headers), None))
        return _spoken(self.of_read)


def _spoken(said: Words) -> web.Response:
    return web.Response(
        status=said.status, body=said.body, headers=said.headers, content_type="application/json"
    )
