"""Reading tasks: one by an ASGI route that skips dependency resolution, for it is asked most."""

from __future__ import annotations

from typing import Any, Final, cast

from fastapi import APIRouter, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from app.api.callers import reader
from app.api.recent import RecentAnswers, Remembered
from app.api.requests import StrictRequest, StrictRoute
from app.domain.contract import encode
from app.domain.ids import TASK_ID_PREFIX, is_task_id
from app.domain.listing import ListQuery, batch_ids, list_item
from app.domain.rates import Rates
from app.domain.tenant import Caller
from app.errors import InvalidTaskId, StoreUnavailable, TaskNotFound
from app.store.task_reads import TaskRead
from app.wiring import Gateway

router = APIRouter(route_class=StrictRoute)

_PRIVATE: Final = {"cache-control": "private, no-cache"}


class ReadTask:
    """Answers a status read with the stored bytes, with recent ones while the store is away."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send one task's answer to its owner.

        Raises:
            InvalidKey, TenantDisabled: the caller may not read.
            RateLimited: it has read too often.
            InvalidTaskId: the id has another prefix.
            TaskNotFound: unknown, expired or foreign.
            StoreUnavailable: the store is away, and this process has not answered it lately.
        """
        scope["reelgate.route"] = "/v1/tasks/{task_id}"
        gateway: Gateway = scope["app"].state.gateway
        headers = dict(_PRIVATE)
        try:
            task = await self._from_store(scope, gateway)
        except StoreUnavailable:
            found = self._from_memory(scope, gateway)
            if found is None:
                raise
            task, headers["age"] = found.task, str(found.age_s)
        if not task.finished:
            headers["retry-after"] = str(max(1, round(gateway.settings.poll.min_interval_s)))
        await Response(task.body, media_type="application/json", headers=headers)(
            scope, receive, send
        )

    async def _from_store(self, scope: Scope, gateway: Gateway) -> TaskRead:
        recent: RecentAnswers = scope["app"].state.recent
        began_ms = gateway.clock.now_ms()
        caller = await reader(scope, gateway)
        task_id = scope["path_params"]["task_id"]
        require_task_id(task_id)
        task = await gateway.store.reads.one(task_id, caller=caller, now_ms=gateway.clock.now_ms())
        rates: Rates = scope["reelgate.rates"]
        quota = None if rates.reads is None else rates.reads.quota
        recent.keep(task_id, task, caller, quota, began_ms=began_ms)
        return task

    def _from_memory(self, scope: Scope, gateway: Gateway) -> Remembered | None:
        """Return what this process last told, where it knows the caller; else the store is away."""
        recent: RecentAnswers = scope["app"].state.recent
        caller: Caller | None = scope.get("reelgate.caller")
        if caller is None:
            return None
        task_id = scope["path_params"]["task_id"]
        return recent.find(task_id, caller, now_ms=gateway.clock.now_ms())


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
    caller = await reader(request.scope, gateway)
    wanted = batch_ids(await cast(StrictRequest, request).json())
    found = await gateway.store.reads.several(wanted, caller=caller, now_ms=gateway.clock.now_ms())
    body = b'{"data":[' + b",".join(found) + b"]}"
    return Response(body, media_type="application/json", headers=_PRIVATE)


@router.post("/v1/tasks/{task_id}/cancel", response_class=Response)
async def cancel_task(request: Request, task_id: str) -> Response:
    """Call off a task that has not been sent; afterwards it is too late."""
    gateway: Gateway = request.app.state.gateway
    caller = await reader(request.scope, gateway)
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
