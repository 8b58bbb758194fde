"""What waits: event streams, and the reads of a task that are put off or answered 304."""

from __future__ import annotations

import json
from typing import Any, Final

from app.api.openapi.pieces import RATES, Schema, answers, headers, in_path, query, success
from app.api.openapi.refusals import READ_ERRORS
from app.domain.conditional import MAX_WAIT_S
from app.domain.news import MAX_SNAPSHOT
from app.errors import InvalidRequest, InvalidTaskId, TaskNotFound, TooManyStreams

_PLACE: Final = "1767917446123-0"

_WAIT: Final = query(
    "wait",
    "Seconds to wait for news of the task, at most. With `If-None-Match` the answer comes as soon"
    " as it is another than the one that is named, and is 304 in the end; without it at once where"
    " the task is over, with the next change, or as it is in the end.",
    30,
    type="number",
    minimum=0,
    maximum=MAX_WAIT_S,
)

_SENT_TAGS: Final[Schema] = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "The `ETag` of an answer that you have, several of them, or `*`: one that is"
    " named is answered 304, without a body.",
    "schema": {"type": "string"},
    "example": '"1f9e0c9a51ab4c0d8a9be07b2c4d11"',
}

READ_PARAMETERS: Final = [_WAIT, _SENT_TAGS]

_READ_HEADERS: Final = ("Age", "Cache-Control", "ETag", "Retry-After-Unfinished", *RATES)


def read_answers(task: dict[str, Any]) -> dict[str, Schema]:
    """Return the `responses` of the read of one task."""
    good = success("The task as it stands.", "Task", task, *_READ_HEADERS)
    errors = (InvalidTaskId, InvalidRequest, TaskNotFound, TooManyStreams, *READ_ERRORS)
    told = answers(good, errors, metered=True)
    unchanged = {
        "description": "The task shows what you have already.",
        "headers": headers("X-Request-Id", *_READ_HEADERS),
    }
    return {"200": told.pop("200"), "304": unchanged, **told}


def _events(task: dict[str, Any]) -> Schema:
    shown = (
        f"retry: 2000\n\nevent: task.{task['status']}\nid: {_PLACE}\ndata: {json.dumps(task)}\n\n"
    )
    return {
        "description": "Server-sent events, `task.<status>`, whose data are the answers of tasks.",
        "headers": headers("X-Request-Id", "Cache-Control", *RATES),
        "content": {"text/event-stream": {"schema": {"type": "string"}, "example": shown}},
    }


_LAST_EVENT: Final[Schema] = {
    "name": "Last-Event-ID",
    "in": "header",
    "required": False,
    "description": "The `id` of the last event that you have: what was told since is told. Where"
    f" some of that is gone, up to {MAX_SNAPSHOT} tasks that are open or have ended since are shown"
    " instead.",
    "schema": {"type": "string"},
    "example": _PLACE,
}


def follow_task(task: dict[str, Any], task_id: str) -> dict[str, Any]:
    """Return the members of the operation that follows one task."""
    errors = (InvalidTaskId, TaskNotFound, TooManyStreams, *READ_ERRORS)
    return {
        "description": "What the task shows now, every change, and the end after its last event.",
        "parameters": [in_path("task_id", task_id, pattern="^task-unified-"), _LAST_EVENT],
        "responses": answers(_events(task), errors, metered=True),
    }


def follow_tasks(task: dict[str, Any]) -> dict[str, Any]:
    """Return the members of the operation that follows all tasks."""
    return {
        "description": "Every change of every task that you see, from now on or from"
        " `Last-Event-ID` on. The stream has no end of its own.",
        "parameters": [_LAST_EVENT],
        "responses": answers(_events(task), (TooManyStreams, *READ_ERRORS), metered=True),
    }
