"""What tenants send and are sent, but for the body of a create."""

from __future__ import annotations

from typing import Any, Final

from app.api.openapi.pieces import Schema, reference
from app.domain.listing import MAX_BATCH, MAX_PAGE_SIZE

_CREDITS: Final[Schema] = {"type": "number", "minimum": 0, "description": "Credits."}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
_DAY: Final[Schema] = {"type": "string", "format": "date", "description": "A day of UTC."}


def record(properties: dict[str, Any], *, optional: tuple[str, ...] = (), **more: Any) -> Schema:
    """Return the schema of an object of ours: all members are there but those that are named."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", **more, "required": required, "properties": properties}


def listed(item: str, **more: Any) -> Schema:
    """Return the schema of an answer that holds things of one kind in `data`."""
    data = {"type": "array", "items": reference("schemas", item)}
    return record({"data": data, **more})


_TASK_INFO: Final = record(
    {
        "can_cancel": {"type": "boolean", "description": "Whether cancelling still helps."},
        "estimated_time": {"type": "integer", "minimum": 0, "description": "Seconds."},
        "video_duration": {"type": "integer", "description": "Seconds."},
        "queue_position": {
            "type": "integer",
            "minimum": 1,
            "description": "Only while it is queued: its place among its tenant's, from 1.",
        },
    },
    optional=("estimated_time", "video_duration", "queue_position"),
)

_TASK_USAGE: Final[Schema] = {
    "type": "object",
    "properties": {
        "billing_rule": {"type": "string"},
        "credits_reserved": {**_CREDITS, "description": "What is held for the task."},
        "credits_used": {**_CREDITS, "description": "What it has cost, once it is over."},
        "user_group": {"type": "string", "description": "The tenant's group."},
    },
}

_TASK: Final = record(
    {
        "created": {"type": "integer", "description": "Unix seconds."},
        "id": {"type": "string", "pattern": "^task-unified-[0-9]{10}-[0-9a-z]{25}$"},
        "model": {"type": "string"},
        "object": {"type": "string"},
        "progress": {"type": "integer", "minimum": 0, "maximum": 100},
        "status": {"type": "string", "enum": ["pending", "processing", "completed", "failed"]},
        "task_info": _TASK_INFO,
        "type": {"type": "string"},
        "usage": _TASK_USAGE,
        "results": {"type": "array", "description": "Only when completed."},
        "result_data": {"type": ["object", "array"], "description": "Only when completed."},
        "error": record(
            {
                "code": {"type": "string"},
                "message": {"type": "string"},
                "type": {"type": "string", "const": "task_error"},
            },
            description="Only when failed.",
        ),
    },
    optional=("results", "result_data", "error"),
    description="A task. Fields of the video service that are not listed pass through.",
)

_TASK_ITEM: Final = record(
    {
        "id": {"type": "string", "pattern": "^task-unified-[0-9]{10}-[0-9a-z]{25}$"},
        "status": {"type": "string", "enum": ["pending", "processing", "completed", "failed"]},
        "model": {"type": "string"},
        "type": {"type": "string", "enum": ["video", "image", "audio", "text"]},
        "progress": {"type": "integer", "minimum": 0, "maximum": 100},
        "created_at": {"type": "integer", "description": "Unix seconds."},
        "has_results": {"type": "boolean"},
        "has_error": {"type": "boolean"},
        "credits_used": {**_CREDITS, "description": "Credits; 0 until the task is over."},
    },
    description="A task in a list.",
)

_BATCH: Final[Schema] = {
    "type": "object",
    "required": ["task_ids"],
    "properties": {
        "task_ids": {
            "type": "array",
            "maxItems": MAX_BATCH,
            "items": {"type": "string"},
            "description": "Ids that nobody has given you are left out of the answer.",
        }
    },
}

_AMOUNT: Final[Schema] = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?$"}
_AMOUNTS: Final[Schema] = {
    "type": "object",
    "description": "Credits by the value of a field, by the name of the field.",
    "additionalProperties": {"type": "object", "additionalProperties": _AMOUNT},
}

_MODEL: Final = record(
    {
        "id": {"type": "string"},
        "object": {"type": "string", "const": "model"},
        "type": {"type": "string"},
        "status": {"type": "string", "enum": ["active", "retired", "unknown"]},
        "status_source": {"type": "string", "description": "Whence the status is known."},
        "billing_rule": {
            "type": "string",
            "enum": ["per_call", "per_second", "per_token", "unknown"],
        },
        "price": {
            "type": "string",
            "pattern": r"^([0-9]+(\.[0-9]+)?|unknown)$",
            "description": "Credits for a call, or `unknown`.",
        },
        "price_per_second": {**_AMOUNT, "description": "Credits for a second of video."},
        "price_by": _AMOUNTS,
        "price_per_second_by": _AMOUNTS,
        "aliases": {"type": "array", "items": {"type": "string"}},
        "callback_url_documented": {"type": "boolean"},
    },
    optional=(
        "status_source",
        "price",
        "price_per_second",
        "price_by",
        "price_per_second_by",
    ),
    description="A model. Its price is told in one of four ways.",
)

_STANDING: Final = record(
    {
        "remaining_credits": {
            "type": "number",
            "description": "The limit of the month, else of the day, less what is used and held.",
        },
        "unlimited_credits": {
            "type": "boolean",
            "description": "No credits are limited; `remaining_credits` is then the largest amount"
            " there is.",
        },
        "used_credits": {**_CREDITS, "description": "What finished tasks have cost."},
    }
)

FIGURES: Final[Schema] = {
    "tasks": {**_COUNT, "description": "Tasks created."},
    "completed": _COUNT,
    "failed": _COUNT,
    "credits_used": {**_CREDITS, "description": "What finished tasks have cost."},
    "credits_reserved": {**_CREDITS, "description": "What is held for unfinished tasks."},
}


def usage_report(day: str, figures: str) -> Schema:
    """Return the schema of a usage report from the names of those of its parts."""
    return listed(day, total=reference("schemas", figures), **{"from": _DAY, "to": _DAY})


def usage_day(figures: Schema, by: dict[str, str]) -> Schema:
    """Return the schema of a day: its figures, and the same by what `by` names."""
    within = {
        name: {"type": "object", "additionalProperties": reference("schemas", each)}
        for name, each in by.items()
    }
    return record({"date": _DAY, **figures, **within})


SCHEMAS: Final[dict[str, Schema]] = {
    "Task": _TASK,
    "TaskItem": _TASK_ITEM,
    "TaskPage": listed(
        "TaskItem",
        total=_COUNT,
        page={"type": "integer", "minimum": 1},
        page_size={"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE},
    ),
    "TaskIds": _BATCH,
    "Tasks": listed("Task"),
    "Model": _MODEL,
    "Models": listed("Model", object={"type": "string", "const": "list"}),
    "Credits": record(
        {
            "data": record(
                {
                    "token": {**_STANDING, "description": "Of the key that asks."},
                    "user": {**_STANDING, "description": "Of its tenant."},
                }
            ),
            "message": {"type": "string"},
            "success": {"type": "boolean"},
        }
    ),
    "UsageFigures": record(FIGURES),
    "UsageDay": usage_day(FIGURES, {"models": "UsageFigures"}),
    "Usage": usage_report("UsageDay", "UsageFigures"),
    "Error": record(
        {
            "error": record(
                {
                    "code": {"type": "integer", "description": "The HTTP status."},
                    "message": {
                        "type": "string",
                        "description": "What is wrong and what to do, for people.",
                    },
                    "type": {"type": "string"},
                    "param": {"type": "string", "description": "The place in the request."},
                    "fallback_suggestion": {"type": "string"},
                    "reason": {
                        "type": "string",
                        "description": "A stable word, for programs; see docs/errors.md.",
                    },
                    "request_id": {"type": "string"},
                },
                optional=("param", "fallback_suggestion"),
            )
        }
    ),
    "Health": record({"status": {"type": "string", "const": "ok"}}),
    "Readiness": record(
        {
            "status": {"type": "string", "const": "ok"},
            "checks": {"type": "object", "additionalProperties": {"type": "string"}},
        }
    ),
}
