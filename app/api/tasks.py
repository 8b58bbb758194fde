"""Reading tasks: one by an ASGI route that skips dependency resolution, for it is asked most."""

from __future__ import annotations

from typing import Any, Final, cast

from fastapi import APIRouter, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from app.api.callers import reader
from app.api.long_poll import read_patiently
from app.api.recent import RecentAnswers, Remembered
from app.api.requests import StrictRequest, StrictRoute
from app.domain.conditional import entity_tag, has_already, read_wait_s
from app.domain.contract import encode
from app.domain.ids import TASK_ID_PREFIX, is_task_id
from app.domain.listing import ListQuery, batch_ids, list_item
from app.domain.rates import Rates
from app.domain.tenant import Caller
from app.errors import InvalidKey, InvalidTaskId, StoreUnavailable, TaskNotFound
from app.store.task_reads import TaskRead
from app.wiring import Gateway

router = APIRouter(route_class=StrictRoute)

_PRIVATE: Final = {"cache-control": "private, no-cache"}


class ReadTask:
    """Answers a status read with the stored bytes, with recent ones while the store is away."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send one task's answer to its owner, or 304 where the client has it already.

        Raises:
            InvalidKey, TenantDisabled: the caller may not read.
            RateLimited, TooManyStreams: it has read too often, or waits too often at once.
            InvalidTaskId: the id has another prefix.
            InvalidRequest: `wait` is no time that can be waited for.
            TaskNotFound: unknown, expired or foreign.
            StoreUnavailable: the store is away, and this process has not answered it lately.
        """
        scope["reelgate.route"] = "/v1/tasks/{task_id}"
        gateway: Gateway = scope["app"].state.gateway
        head = [(b"content-type", b"application/json"), (b"cache-control", b"private, no-cache")]
        try:
            task = await self._from_store(scope, receive, gateway)
        except StoreUnavailable:
            found = self._from_memory(scope, gateway)
            if found is None:
                raise
            task = found.task
            head.append((b"age", b"%d" % found.age_s))
        if not task.finished:
            wait_s = max(1, round(gateway.settings.poll.min_interval_s))
            head.append((b"retry-after", b"%d" % wait_s))
        tag, status, body = entity_tag(task.body), 200, task.body
        head.append((b"etag", tag))
        if has_already(scope["headers"], tag):
            # Without a body there is nothing for its type and length to say.
            del head[0]
            status, body = 304, b""
        else:
            head.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": body})

    async def _from_store(self, scope: Scope, receive: Receive, gateway: Gateway) -> TaskRead:
        recent: RecentAnswers = scope["app"].state.recent
        began_ms = gateway.clock.now_ms()
        caller = await reader(scope, gateway, tokens_for="read")
        task_id = scope["path_params"]["task_id"]
        require_task_id(task_id)
        query: bytes = scope["query_string"]
        wait_s = read_wait_s(query) if query else 0.0
        if wait_s and not gateway.follow.is_draining:
            task, began_ms = await read_patiently(scope, receive, gateway.follow, caller, wait_s)
        else:
            reads, now_ms = gateway.store.reads, gateway.clock.now_ms()
            task = await reads.one(task_id, caller=caller, now_ms=now_ms)
        rates: Rates = scope["reelgate.rates"]
        quota = None if rates.reads is None else rates.reads.quota
        recent.keep(task_id, task, caller, quota, began_ms=began_ms)
        return task

    def _from_memory(self, scope: Scope, gateway: Gateway) -> Remembered | None:
        """Return what this process last told, where it knows the caller; else the store is away.

        Raises:
            InvalidKey: the caller is a token that has ended, maybe while its read waited.
            RateLimited: it has read as often in this second as it may.
        """
        recent: RecentAnswers = scope["app"].state.recent
        caller: Caller | None = scope.get("reelgate.caller")
        if caller is None:
            return None
        now_ms = gateway.clock.now_ms()
        if caller.ends_ms is not None and now_ms >= caller.ends_ms:
            raise InvalidKey
        return recent.find(scope["path_params"]["task_id"], caller, now_ms=now_ms)


read_task = ReadTask()

routes = [
    Route("/v1/tasks/{task_id}", read_task, methods=["GET"]),
    Route("/v1/videos/generations/{task_id}", read_task, methods=["GET"]),
]
"""The status read and its alias, for clients that ask the create path first."""


@router.get("/v1/tasks", response_class=Response)
async def list_tasks(request: Request) -> Response:
    """Return a page of the caller's tasks, newest first."""
    gateway: Gateway = request.app.state.gateway
    caller = await reader(request.scope, gateway)
    query = ListQuery.read(request.query_params.multi_items())
    bodies: list[bytes] = []
    total = 0
    if not query.nothing_matches:
        first, last = query.places
        bodies, total = await gateway.store.reads.page(
            query.status,
            gateway.catalogue.name_of(query.model) if query.model else "",
            first=first,
            last=last,
            caller=caller,
            now_ms=gateway.clock.now_ms(),
        )
    return _answer(
        {
            "data": [list_item(body) for body in bodies],
            "total": total,
            "page": query.page,
            "page_size": query.page_size,
        }
    )


@router.post("/v1/tasks/batch", response_class=Response)
async def read_batch(request: Request) -> Response:
    """Return the caller's tasks among the ids given; unknown and foreign ones are left out."""
    gateway: Gateway = request.app.state.gateway
    caller = await reader(request.scope, gateway, tokens_for="read")
    wanted = batch_ids(await cast(StrictRequest, request).json())
    found = await gateway.store.reads.several(wanted, caller=caller, now_ms=gateway.clock.now_ms())
    body = b'{"data":[' + b",".join(found) + b"]}"
    return Response(body, media_type="application/json", headers=_PRIVATE)


@router.post("/v1/tasks/{task_id}/cancel", response_class=Response)
async def cancel_task(request: Request, task_id: str) -> Response:
    """Call off a task that has not been sent; afterwards it is too late."""
    gateway: Gateway = request.app.state.gateway
    caller = await reader(request.scope, gateway, tokens_for="create")
    require_task_id(task_id)
    body = await gateway.cancel(task_id, caller)
    return Response(body, media_type="application/json", headers=_PRIVATE)


def require_task_id(text: str) -> None:
    """Let an id pass that a task can have.

    Raises:
        InvalidTaskId: it has another prefix.
        TaskNotFound: no task has such an id.
    """
    if not text.startswith(TASK_ID_PREFIX):
        raise InvalidTaskId
    if not is_task_id(text):
        raise TaskNotFound


def _answer(content: dict[str, Any]) -> Response:
    return Response(encode(content), media_type="application/json", headers=_PRIVATE)
