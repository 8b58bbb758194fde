"""The parts of the OpenAPI document that no route signature yields, written out."""

from __future__ import annotations

from typing import Any, Final

from app.errors import (
    CreditExhausted,
    GatewayError,
    IdempotencyConflict,
    IdempotencyInFlight,
    InternalError,
    InvalidKey,
    InvalidRequest,
    InvalidTaskId,
    MalformedJson,
    ModelNotAllowed,
    ModelNotFound,
    NotReady,
    NoVendorCapacity,
    NoVendorKey,
    Overloaded,
    PriceUnknown,
    RateLimited,
    RequestTooLarge,
    Stopping,
    StoreForeign,
    StoreUnavailable,
    TaskNotFound,
    TenantDisabled,
    TooManyInFlight,
    UnsupportedMediaType,
    UpstreamRejected,
    VendorRefused,
    VendorUnreachable,
)

_READ_ERRORS: Final = (InvalidKey, TenantDisabled, InternalError, StoreUnavailable, StoreForeign)

_CREATE_ERRORS: Final = (
    InvalidRequest,
    MalformedJson,
    VendorRefused,
    InvalidKey,
    CreditExhausted,
    PriceUnknown,
    TenantDisabled,
    ModelNotAllowed,
    ModelNotFound,
    IdempotencyConflict,
    IdempotencyInFlight,
    RequestTooLarge,
    UnsupportedMediaType,
    RateLimited,
    TooManyInFlight,
    InternalError,
    UpstreamRejected,
    NoVendorKey,
    NoVendorCapacity,
    VendorUnreachable,
    Overloaded,
    StoreUnavailable,
    StoreForeign,
    Stopping,
)

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
    "results": ["https://media.example.com/profile.jpg"],
    "result_data": {
        "character_name": "chr_Axtjik3O#",
        "profile_picture_url": "https://media.example.com/profile.jpg",
    },
}

_SCHEMAS: Final[dict[str, Any]] = {
    "CreateRequest": {
        "type": "object",
        "description": "Fields besides `model` depend on the model; unknown ones are forwarded."
        " Shown are those of `sora-character`.",
        "required": ["model"],
        "properties": {
            "model": {"type": "string", "description": "A name of the catalogue, or an alias."},
            "video_url": {
                "type": ["string", "null"],
                "format": "uri",
                "description": "sora-character: required; http(s) URL on a public host; .mp4, .mov,"
                " .webm or no extension.",
            },
            "timestamps": {
                "type": ["string", "null"],
                "description": "sora-character: seconds, comma separated, at most two apart;"
                " default 0,2.",
            },
        },
        "additionalProperties": True,
    },
    "Task": {
        "type": "object",
        "description": "A task. Fields of the vendor that are not listed pass through.",
        "required": [
            "created",
            "id",
            "model",
            "object",
            "progress",
            "status",
            "task_info",
            "type",
            "usage",
        ],
        "properties": {
            "created": {"type": "integer", "description": "Unix seconds."},
            "id": {"type": "string", "pattern": "^task-unified-[0-9]{10}-[0-9a-z]{25}$"},
            "model": {"type": "string"},
            "object": {"type": "string"},
            "progress": {"type": "integer", "minimum": 0, "maximum": 100},
            "status": {"type": "string", "enum": ["pending", "processing", "completed", "failed"]},
            "task_info": {
                "type": "object",
                "required": ["can_cancel"],
                "properties": {
                    "can_cancel": {"type": "boolean"},
                    "estimated_time": {"type": "integer", "minimum": 0},
                    "video_duration": {"type": "integer"},
                },
            },
            "type": {"type": "string"},
            "usage": {
                "type": "object",
                "properties": {
                    "billing_rule": {"type": "string"},
                    "credits_reserved": {"type": "number", "minimum": 0},
                    "credits_used": {"type": "number", "minimum": 0},
                    "user_group": {"type": "string"},
                },
            },
            "results": {"type": "array", "description": "Only when completed."},
            "result_data": {"type": ["object", "array"], "description": "Only when completed."},
            "error": {
                "type": "object",
                "description": "Only when failed.",
                "required": ["code", "message", "type"],
                "properties": {
                    "code": {"type": "string"},
                    "message": {"type": "string"},
                    "type": {"type": "string", "const": "task_error"},
                },
            },
        },
    },
    "Error": {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["code", "message", "type", "reason", "request_id"],
                "properties": {
                    "code": {"type": "integer", "description": "The HTTP status."},
                    "message": {"type": "string"},
                    "type": {"type": "string"},
                    "param": {"type": "string"},
                    "fallback_suggestion": {"type": "string"},
                    "reason": {
                        "type": "string",
                        "description": "A stable word; see docs/errors.md.",
                    },
                    "request_id": {"type": "string"},
                },
            }
        },
    },
}


def _answers(good: dict[str, Any], errors: tuple[type[GatewayError], ...]) -> dict[str, Any]:
    """Return a `responses` object: the success, and every error status with its reasons."""
    by_status: dict[int, list[str]] = {}
    for error in errors:
        statuses = VendorRefused.SHOWN_AS.values() if error is VendorRefused else (error.status,)
        for status in sorted(set(statuses)):
            by_status.setdefault(status, []).append(error.reason)
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {"200": good} | {
        str(status): {"description": f"reason: {', '.join(reasons)}", "content": content}
        for status, reasons in sorted(by_status.items())
    }


def _task(description: str, example: dict[str, Any]) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Task"}
    return {
        "description": description,
        "content": {"application/json": {"schema": schema, "example": example}},
    }


_SECURITY: Final[list[dict[str, list[str]]]] = [{"ApiKey": []}]

CREATE: Final[dict[str, Any]] = {
    "tags": ["tasks"],
    "summary": "Create a task",
    "security": _SECURITY,
    "parameters": [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "description": "A create repeated with the same key and body gets the first answer.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 255},
        },
        {
            "name": "X-Evo-Run-Id",
            "in": "header",
            "required": False,
            "description": "A synonym of Idempotency-Key, which wins where both are given.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 255},
        },
    ],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"$ref": "#/components/schemas/CreateRequest"},
                "example": {
                    "model": "sora-character",
                    "video_url": "https://example.com/video.mp4",
                    "timestamps": "1,3",
                },
            }
        },
    },
    "responses": _answers(_task("The task to follow.", _PENDING), _CREATE_ERRORS),
}
"""The create route, in the words of the vendor's own page."""


PROBES: Final = ("/healthz", "/readyz")

READY: Final[dict[str, Any]] = {
    "responses": _answers({"description": "Work can be done here."}, (NotReady, InternalError))
}
"""The readiness probe; its refusal is in the envelope like every other."""


def _read(operation_id: str, summary: str) -> dict[str, Any]:
    return {
        "get": {
            "operationId": operation_id,
            "tags": ["tasks"],
            "summary": summary,
            "security": _SECURITY,
            "parameters": [
                {"name": "task_id", "in": "path", "required": True, "schema": {"type": "string"}}
            ],
            "responses": _answers(
                _task("The task as it stands.", _COMPLETED),
                (InvalidTaskId, TaskNotFound, *_READ_ERRORS),
            ),
        }
    }


def complete(document: dict[str, Any]) -> dict[str, Any]:
    """Add to the framework's document what it cannot see: ASGI routes, schemas, the key scheme."""
    reads = {
        "/v1/tasks/{task_id}": _read("read_task", "Read a task"),
        "/v1/videos/generations/{task_id}": _read("read_task_alias", "Read a task (alias)"),
    }
    probes = {
        path: document["paths"].pop(path) for path in list(document["paths"]) if path in PROBES
    }
    document["paths"] |= reads | probes
    components = document.setdefault("components", {})
    components.setdefault("schemas", {}).update(_SCHEMAS)
    components["securitySchemes"] = {"ApiKey": {"type": "http", "scheme": "bearer"}}
    return document
