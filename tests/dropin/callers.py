"""Programs written for the vendor, in small: they know nothing of this gateway.

Each does one thing as public clients do it. None of them imports anything of the application; what
breaks one of these breaks somebody's program.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import httpx2

RETRIED = frozenset({429, 502, 503})
NOTHING_CREATED = frozenset({400, 401, 402, 403})
LONGEST_PAUSE_S = 30.0
STILL_RUNNING = frozenset({"pending", "processing", "queued", "waiting", "running", "in_progress"})
SUCCEEDED = frozenset({"completed", "success", "succeeded", "done"})
ENDED_BADLY = frozenset({"failed", "error", "cancelled", "canceled"})

BROWSER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0"


@dataclass(frozen=True, slots=True)
class Reply:
    """What a client keeps of an answer: it has parsed the text before it looked at the status."""

    status: int
    json: Any
    headers: httpx2.Headers

    @property
    def ok(self) -> bool:
        """What shell clients check: 200, and not another success."""
        return self.status == 200


@dataclass(slots=True)
class Caller:
    """A key, and a base URL that its user wrote with or without `/v1` at the end."""

    http: httpx2.AsyncClient
    key: str
    address: str = "http://gateway"
    headers: dict[str, str] = field(default_factory=dict)

    def url(self, path: str) -> str:
        """Join base and path, so that `/v1` stands there once."""
        return self.address.rstrip("/").removesuffix("/v1") + "/v1" + path

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """Send one request; a GET says that it is JSON, too."""
        sent = {
            "Authorization": f"Bearer {self.key}",
            "Content-Type": "application/json",
            **self.headers,
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        content = None if body is None else json.dumps(body).encode()
        answer = await self.http.request(method, self.url(path), content=content, headers=sent)
        return Reply(answer.status_code, json.loads(answer.text), answer.headers)

    async def create(self, body: dict[str, Any], **headers: str) -> Reply:
        """Ask for a video."""
        return await self.call("POST", "/videos/generations", body, **headers)

    async def task(self, task_id: str, **headers: str) -> Reply:
        """Ask how a task stands."""
        return await self.call("GET", f"/tasks/{task_id}", **headers)


async def poll_where_it_was_created(caller: Caller, task_id: str) -> Reply:
    """Ask the create path first, and the task path only where that one does not exist."""
    first = await caller.call("GET", f"/videos/generations/{task_id}")
    if first.status == 404 and "Invalid URL" in json.dumps(first.json):
        return await caller.task(task_id)
    return first


async def poll_as_an_image(caller: Caller, task_id: str) -> Reply:
    """The same, of a program that began with images."""
    first = await caller.call("GET", f"/images/generations/{task_id}")
    if first.status == 404 and "Invalid URL" in json.dumps(first.json):
        return await caller.task(task_id)
    return first


async def poll_only_where_it_was_created(caller: Caller, task_id: str) -> Reply:
    """Know no other path than that of the create."""
    return await caller.call("GET", f"/videos/generations/{task_id}")


async def poll_the_task(caller: Caller, task_id: str) -> Reply:
    """Ask the documented path."""
    return await caller.task(task_id)


def dig(value: Any, *steps: str | int) -> Any:
    """Follow names and places; None where one is missing."""
    for step in steps:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and len(value) > step:
            value = value[step]
        else:
            return None
    return value


def first_of(answer: Any, paths: Iterable[tuple[str | int, ...]]) -> Any:
    """Return what stands at the first of these places that is not empty."""
    return next((found for path in paths if (found := dig(answer, *path))), None)


def jq_error_or_message(text: str) -> Any:
    """Do as `jq '.error // .message'`, which fails where the text is no JSON."""
    answer = json.loads(text)
    found = answer.get("error")
    return answer.get("message") if found in (None, False) else found


def word_for(status: str) -> str:
    """Sort a status word as tolerant clients do; an unknown one counts as still running."""
    word = status.lower()
    if word in SUCCEEDED:
        return "succeeded"
    return "failed" if word in ENDED_BADLY else "running"


class Distrust(Exception):
    """A strict client gave up on an answer."""


def read_strictly(answer: Any, *, wanted: str, asked_id: str | None = None) -> None:
    """Check an answer as the strictest clients do.

    Raises:
        Distrust: a member is not what the vendor's page says.
    """
    progress, results = answer.get("progress"), answer.get("results")
    completed = answer.get("status") == "completed"
    checks = {
        "id": bool(re.fullmatch(r"task-unified-[A-Za-z0-9_-]{8,180}", str(answer.get("id")))),
        "same id": asked_id is None or answer.get("id") == asked_id,
        "model": answer.get("model") == wanted,
        "object": answer.get("object") == "video.generation.task",
        "type": answer.get("type") == "video",
        "status": answer.get("status") in ("pending", "processing", "completed", "failed"),
        "progress": type(progress) is int and 0 <= progress <= 100,
        "created": type(answer.get("created")) is int,
        "results": (
            isinstance(results, list)
            and len(results) == 1
            and str(results[0]).startswith("https://")
            if completed
            else results is None
        ),
        "error": (answer.get("error") is None) == (answer.get("status") != "failed"),
    }
    wrong = [name for name, holds in checks.items() if not holds]
    if wrong:
        raise Distrust(", ".join(wrong))


@dataclass(slots=True)
class Patience:
    """Repeats what may pass: a create once, a read up to three times; `pause` waits for it."""

    caller: Caller
    pause: Callable[[float], Awaitable[None]]
    paused_s: list[float] = field(default_factory=list)

    async def send(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """Send until it is answered for good, or the tries are used up."""
        tries = 2 if method == "POST" else 4
        for left in range(tries - 1, -1, -1):
            try:
                reply = await self.caller.call(method, path, body, **headers)
            except httpx2.TransportError:
                if not left:
                    raise
                await self._wait(1.0)
                continue
            if reply.status not in RETRIED or not left:
                return reply
            await self._wait(float(reply.headers.get("retry-after", "60")))
        raise AssertionError("unreachable")

    async def _wait(self, seconds: float) -> None:
        """Honour what the answer asked for, but no longer than this client is willing to."""
        self.paused_s.append(seconds)
        await self.pause(min(seconds, LONGEST_PAUSE_S))


def is_it_charged(status: int) -> str:
    """Say what a client tells its user after a create: nothing, a task, or that it is unknown."""
    if status == 200:
        return "task"
    return "nothing" if status in NOTHING_CREATED else "unknown"


def may_download(link: str) -> bool:
    """Say whether a client that trusts two hosts alone would fetch a link."""
    host = httpx2.URL(link).host
    return host.endswith((".evolink.ai", ".volces.com"))
