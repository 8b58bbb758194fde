"""Reading tasks: one by an ASGI route that skips dependency resolution, for it is asked most."""

from __future__ import annotations

from typing import Any, Final, cast

from fastapi import APIRouter, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from app.api.callers import reader
from app.api.requests import StrictRequest, StrictRoute
from app.domain.contract import encode
from app.domain.ids import TASK_ID_PREFIX, is_task_id
from app.domain.listing import ListQuery, batch_ids, list_item
from app.errors import InvalidTaskId, TaskNotFound
from app.wiring import Gateway

router = APIRouter(route_class=StrictRoute)

_PRIVATE: Final = {"cache-control": "private, no-cache"}


class ReadTask:
    """Answers a status read with the stored bytes."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send one task's answer to its owner.

        Raises:
            InvalidKey, TenantDisabled: the caller may not read.
            RateLimited: it has read too often.
            InvalidTaskId: the id has another prefix.
            TaskNotFound: unknown, expired or foreign.
        """
        scope["reelgate.route"] = "/v1/tasks/{task_id}"
        gateway: Gateway = scope["app"].state.gateway
        caller = await reader(scope, gateway)
        task_id = scope["path_params"]["task_id"]
        if not task_id.startswith(TASK_ID_PREFIX):
            raise InvalidTaskId
        if not is_task_id(task_id):
            raise TaskNotFound
        task = await gateway.store.reads.one(task_id, caller=caller, now_ms=gateway.clock.now_ms())
        headers = dict(_PRIVATE)
        if not task.finished:
            headers["retry-after"] = str(max(1, round(gateway.settings.poll.min_interval_s)))
        await Response(task.body, media_type="application/json", headers=headers)(
            scope, receive, send
        )


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


def _answer(content: dict[str, Any]) -> Response:
    return Response(encode(content), media_type="application/json", headers=_PRIVATE)
