"""Reading tasks: an ASGI route that skips dependency resolution, for it is asked most."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from app.api.callers import authenticate
from app.domain.ids import TASK_ID_PREFIX, is_task_id
from app.errors import InvalidTaskId, TaskNotFound
from app.wiring import Gateway


class ReadTask:
    """Answers a status read with the stored bytes."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send one task's answer to its owner.

        Raises:
            InvalidKey, TenantDisabled: the caller may not read.
            InvalidTaskId: the id has another prefix.
            TaskNotFound: unknown, expired or foreign.
        """
        scope["reelgate.route"] = "/v1/tasks/{task_id}"
        gateway: Gateway = scope["app"].state.gateway
        caller = await authenticate(scope, gateway.store.tenants)
        task_id = scope["path_params"]["task_id"]
        if not task_id.startswith(TASK_ID_PREFIX):
            raise InvalidTaskId
        if not is_task_id(task_id):
            raise TaskNotFound
        body, finished = await gateway.store.tasks.read(
            task_id, caller=caller, now_ms=gateway.clock.now_ms()
        )
        headers = {"cache-control": "private, no-cache"}
        if not finished:
            headers["retry-after"] = str(max(1, round(gateway.settings.poll.min_interval_s)))
        await Response(body, media_type="application/json", headers=headers)(scope, receive, send)


read_task = ReadTask()

routes = [
    Route("/v1/tasks/{task_id}", read_task, methods=["GET"]),
    Route("/v1/videos/generations/{task_id}", read_task, methods=["GET"]),
]
"""The status read and its alias, for clients that ask the create path first."""
