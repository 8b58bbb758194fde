"""Reads that wait: for another answer than the client has, or for the next change."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from app.domain.conditional import entity_tag, has_already
from app.domain.tenant import Caller
from app.errors import StoreUnavailable
from app.flows.follow import FollowNews
from app.flows.listeners import Wait
from app.store.task_reads import TaskRead

ROUTE: Final = "/v1/tasks/{task_id}?wait"
"""How such reads are counted: their times are those of tasks, not of the gateway."""


async def read_patiently(
    scope: Scope, receive: Receive, follow: FollowNews, caller: Caller, wait_s: float
) -> tuple[TaskRead, int]:
    """Return a task once it shows something that the client does not have, or as it is at the end.

    Beside it, when the look at it began.

    With `If-None-Match` the client has what that names, else what the task shows now. What has
    ended will show nothing else. A change between the look and the wait is not missed: whoever
    looks is already being woken.

    Raises:
        TooManyStreams: as many wait as may.
        InvalidKey, TenantDisabled, TaskNotFound, StoreForeign: the caller may not read it (now).
        StoreUnavailable: the store was away at the beginning, or at the end.
        ClientDisconnect: nobody waits for the answer any more.
    """
    scope["reelgate.route"] = ROUTE
    until_s = asyncio.get_running_loop().time() + wait_s
    is_conditional = any(name == b"if-none-match" for name, _ in scope["headers"])
    with follow.waiting(caller, scope["path_params"]["task_id"]) as wait:
        task = first = await follow.read_again(wait)

        def is_news(found: TaskRead) -> bool:
            if is_conditional:
                return not has_already(scope["headers"], entity_tag(found.body))
            return found.body != first.body

        if first.finished or is_news(first):
            return first, wait.read_ms
        watch = follow.work.start(_watch(receive, wait), name="news.watch")
        try:
            while await wait.stirred(until_s):
                # It is woken again for what could not be looked at.
                with suppress(StoreUnavailable):
                    task = await follow.read_again(wait)
                    if is_news(task):
                        return task, wait.read_ms
        finally:
            watch.cancel()
        if wait.is_gone:
            raise ClientDisconnect
        if not wait.is_over:
            task = await follow.read_again(wait)
        return task, wait.read_ms


async def _watch(receive: Receive, wait: Wait) -> None:
    """End a wait whose client hangs up."""
    while (await receive())["type"] != "http.disconnect":
        pass
    wait.is_gone = True
    wait.end()
