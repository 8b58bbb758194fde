"""Every operation that tenants and probes call, by path and method."""

from __future__ import annotations

from typing import Any, Final

from app.api.openapi.live import READ_PARAMETERS, follow_task, follow_tasks, read_answers
from app.api.openapi.models import CREATE_REQUEST
from app.api.openapi.pieces import PERIOD, RATES, Schema, answers, body, in_path, query, success
from app.api.openapi.refusals import BODY_ERRORS, CREATE_ERRORS, READ_ERRORS
from app.domain.browser_token import TokenScopeName
from app.domain.listing import DEFAULT_PAGE_SIZE, MAX_BATCH, MAX_PAGE, MAX_PAGE_SIZE
from app.errors import (
    CannotCancel,
    InternalError,
    InvalidRequest,
    InvalidTaskId,
    NotReady,
    TaskNotFound,
)

Operations = dict[tuple[str, str], Schema]
"""Operations by path and method, in the order in which they are shown."""

_TASK_ID: Final = "task-unified-1767917446-0123456789abcdefghijklmno"

_PENDING: Final[dict[str, Any]] = {
    "created": 1767917446,
    "id": _TASK_ID,
    "model": "sora-character",
    "object": "video.generation.task",
    "progress": 0,
    "status": "pending",
    "task_info": {"can_cancel": False, "estimated_time": 150, "video_duration": 8},
    "type": "video",
    "usage": {"billing_rule": "per_call", "credits_reserved": 0.1, "user_group": "default"},
}

_COMPLETED: Final[dict[str, Any]] = {
    **_PENDING,
    "progress": 100,
    "status": "completed",
    "usage": {**_PENDING["usage"], "credits_used": 0.1},
    "results": ["https://media.example.com/profile.jpg"],
    "result_data": {
        "character_name": "chr_Axtjik3O#",
        "profile_picture_url": "https://media.example.com/profile.jpg",
    },
}

_CANCELLED: Final[dict[str, Any]] = {
    **_PENDING,
    "status": "failed",
    "usage": {**_PENDING["usage"], "credits_used": 0},
    "error": {
        "code": "request_cancelled",
        "message": "The task was cancelled before it was sent.",
        "type": "task_error",
    },
}

_ITEM: Final[dict[str, Any]] = {
    "id": _TASK_ID,
    "status": "completed",
    "model": "sora-character",
    "type": "video",
    "progress": 100,
    "created_at": 1767917446,
    "has_results": True,
    "has_error": False,
    "credits_used": 0.1,
}

_MODEL: Final[dict[str, Any]] = {
    "id": "sora-character",
    "object": "model",
    "type": "video",
    "status": "retired",
    "billing_rule": "per_call",
    "price": "0.1",
    "aliases": [],
    "callback_url_documented": False,
}

_STANDING: Final[dict[str, Any]] = {
    "remaining_credits": 74.5,
    "unlimited_credits": False,
    "used_credits": 25.5,
}

_FIGURES: Final[dict[str, Any]] = {
    "tasks": 3,
    "completed": 1,
    "failed": 1,
    "credits_used": 0.1,
    "credits_reserved": 0.1,
}

_IDEMPOTENCY_KEY: Final[Schema] = {
    "type": "string",
    # Visible ASCII; what stands in quotes means its content, and so may be two letters longer.
    "pattern": r'^("[!-~]{1,255}"|[!#-~][!-~]{0,254}|"[!-~]{0,253}[!#-~]|")$',
}


def _header(name: str, description: str, example: str, **more: Any) -> Schema:
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": description,
        "schema": _IDEMPOTENCY_KEY,
        "example": example,
        **more,
    }


def for_tenants(
    operation_id: str, summary: str, *, tokens_for: TokenScopeName | None = None, **more: Any
) -> Schema:
    """Return an operation of tenants, with the scope that a browser token must have for it."""
    named = {"operationId": operation_id, "tags": ["tasks"], "summary": summary}
    tokens = [{"BrowserToken": [tokens_for]}] if tokens_for else []
    return {**named, "security": [{"ApiKey": []}, *tokens], **more}


CREATE: Final = for_tenants(
    "create_task",
    "Create a task",
    tokens_for="create",
    description="The answer is the task to follow, not a video.",
    parameters=[
        _header(
            "Idempotency-Key",
            "A create repeated with the same key and body gets the first answer: 1 to 255 visible"
            " ASCII characters; a quoted string means its content.",
            "order-4711",
        ),
        _header(
            "X-Evo-Run-Id",
            "A synonym of Idempotency-Key, which wins where both are given.",
            "run-4711",
        ),
    ],
    requestBody=body(
        CREATE_REQUEST,
        {
            "model": "sora-character",
            "video_url": "https://example.com/video.mp4",
            "timestamps": "1,3",
        },
    ),
    responses=answers(
        success(
            "The task to follow.",
            "Task",
            _PENDING,
            "Cache-Control",
            "Idempotency-Replayed",
            "Retry-After-Unfinished",
            *RATES,
        ),
        CREATE_ERRORS,
        metered=True,
    ),
)
"""The create route, in the words of the vendor's own page."""


def _read(operation_id: str, summary: str) -> Schema:
    return for_tenants(
        operation_id,
        summary,
        tokens_for="read",
        parameters=[in_path("task_id", _TASK_ID, pattern="^task-unified-"), *READ_PARAMETERS],
        responses=read_answers(_COMPLETED),
    )


def told(description: str, schema: str, example: Any, *errors: Any) -> dict[str, Schema]:
    """Return the `responses` of a read other than that of one task."""
    good = success(description, schema, example, "Cache-Control", *RATES)
    return answers(good, (*errors, *READ_ERRORS), metered=True)


_CANCEL: Final = for_tenants(
    "cancel_task",
    "Cancel a task",
    tokens_for="create",
    description="Free of charge, and only while the task is queued. Repeating is harmless.",
    parameters=[in_path("task_id", _TASK_ID, pattern="^task-unified-")],
    responses=told(
        "The task, cancelled.", "Task", _CANCELLED, InvalidTaskId, TaskNotFound, CannotCancel
    ),
)

_LIST: Final = for_tenants(
    "list_tasks",
    "List tasks",
    description="The newest first. Names that are not listed are ignored, an empty value is none,"
    " and a name that stands twice is refused.",
    parameters=[
        query(
            "status",
            "`processing` means all that are not over; `failed` has the cancelled ones, too.",
            "completed",
            type="string",
            enum=["processing", "completed", "failed", "cancelled"],
        ),
        query(
            "type",
            "All tasks are videos at present.",
            "video",
            type="string",
            enum=["video", "image", "audio", "text"],
        ),
        query("model", "The name of a model, or an alias.", "sora-character", type="string"),
        query("page", "Without it 1.", 1, type="integer", minimum=1, maximum=MAX_PAGE),
        query(
            "page_size",
            f"Without it {DEFAULT_PAGE_SIZE}.",
            DEFAULT_PAGE_SIZE,
            type="integer",
            minimum=1,
            maximum=MAX_PAGE_SIZE,
        ),
    ],
    responses=told(
        "A page of tasks.",
        "TaskPage",
        {"data": [_ITEM], "total": 1, "page": 1, "page_size": 20},
        InvalidRequest,
    ),
)

_BATCH: Final = for_tenants(
    "read_tasks",
    f"Read up to {MAX_BATCH} tasks",
    tokens_for="read",
    requestBody=body("TaskIds", {"task_ids": [_TASK_ID]}),
    responses=told(
        "The tasks in the order asked for, once each; unknown ids are left out.",
        "Tasks",
        {"data": [_COMPLETED]},
        *BODY_ERRORS,
    ),
)

_MODELS: Final = for_tenants(
    "list_models",
    "List the models that you may use",
    tokens_for="read",
    responses=told("The models.", "Models", {"object": "list", "data": [_MODEL]}),
)

_CREDITS: Final = for_tenants(
    "read_credits",
    "Read how much is left to spend",
    responses=told(
        "Of the month where it is limited, else of the day.",
        "Credits",
        {"data": {"token": _STANDING, "user": _STANDING}, "message": "", "success": True},
    ),
)

_USAGE: Final = for_tenants(
    "read_usage",
    "Read what was used, day by day",
    parameters=list(PERIOD),
    responses=told(
        "The days on which something happened.",
        "Usage",
        {
            "data": [{"date": "2026-01-09", **_FIGURES, "models": {"sora-character": _FIGURES}}],
            "total": _FIGURES,
            "from": "2026-01-01",
            "to": "2026-01-31",
        },
        InvalidRequest,
    ),
)

TASK_OPERATIONS: Final[Operations] = {
    ("/v1/videos/generations", "post"): CREATE,
    ("/v1/tasks/{task_id}", "get"): _read("read_task", "Read a task"),
    ("/v1/videos/generations/{task_id}", "get"): _read("read_task_alias", "Read a task (alias)"),
    ("/v1/tasks/{task_id}/events", "get"): for_tenants(
        "follow_task",
        "Follow a task",
        tokens_for="read",
        **follow_task(_COMPLETED, _TASK_ID),
    ),
    ("/v1/events", "get"): for_tenants(
        "follow_tasks", "Follow all tasks", tokens_for="read", **follow_tasks(_COMPLETED)
    ),
    ("/v1/tasks/{task_id}/cancel", "post"): _CANCEL,
    ("/v1/tasks", "get"): _LIST,
    ("/v1/tasks/batch", "post"): _BATCH,
    ("/v1/models", "get"): _MODELS,
    ("/v1/credits", "get"): _CREDITS,
    ("/v1/usage", "get"): _USAGE,
}


def _probe(operation_id: str, summary: str, **more: Any) -> Schema:
    return {"operationId": operation_id, "tags": ["probes"], "summary": summary, **more}


READY: Final = _probe(
    "ready",
    "Readiness",
    description="Says whether work can be done: the expected store answers, the engine runs.",
    responses=answers(
        success(
            "Work can be done here.",
            "Readiness",
            {"status": "ok", "checks": {"store": "ok", "engine": "ok"}},
        ),
        (NotReady, InternalError),
    ),
)
"""The readiness probe; its refusal is in the envelope like every other."""

PROBES: Final[Operations] = {
    ("/healthz", "get"): _probe(
        "live",
        "Liveness",
        description="Says that the process answers; asks nothing of anything else.",
        responses=answers(
            success("The process answers.", "Health", {"status": "ok"}), (InternalError,)
        ),
    ),
    ("/readyz", "get"): READY,
}
