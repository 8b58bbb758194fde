"""Every operation of the admin API, by path and method."""

from __future__ import annotations

from typing import Any, Final

from app.api.openapi.admin_schemas import ENTRY_ID, TENANT_ID
from app.api.openapi.operations import Operations
from app.api.openapi.pieces import (
    PERIOD,
    REQUEST_ID,
    Schema,
    answers,
    body,
    in_path,
    query,
    success,
)
from app.api.openapi.refusals import BODY_ERRORS
from app.errors import (
    CannotCancel,
    GatewayError,
    InternalError,
    InvalidAdminToken,
    InvalidRequest,
    KeyEnded,
    KeyNotFound,
    NotResolvable,
    NoVendorKey,
    Stopping,
    StoreForeign,
    StoreUnavailable,
    TaskNotFound,
    TasksOpen,
    TenantExists,
    TenantNotFound,
    UnknownPath,
    VendorUnreachable,
)

_ALWAYS: Final = (
    InvalidAdminToken,
    UnknownPath,
    InternalError,
    StoreUnavailable,
    StoreForeign,
    Stopping,
)
"""The path is unknown where the admin API is off."""

_TENANT: Final = in_path("tenant", "acme")
_KEY: Final = in_path("key", "key_0123456789ab")
_ENTRY: Final = "1767917446000-0-14"
_SECRET: Final = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"  # noqa: S105 - an example

_KEY_LIMITS: Final[dict[str, Any]] = {
    "creates_per_minute": 60,
    "reads_per_second": None,
    "tasks_in_flight": 10,
    "credits_per_day": None,
    "credits_per_month": "1000",
    "models": ["sora-character"],
}
_CONDUCT: Final = {"when_vendor_down": "reject", "when_in_doubt": "charge"}
_TENANT_SHOWN: Final[dict[str, Any]] = {
    "id": "acme",
    "name": "Acme",
    "group": "default",
    "disabled": False,
    "limits": {**_KEY_LIMITS, "when_full": "reject", "max_queued": None, **_CONDUCT},
    "origins": ["https://app.example.com"],
}
_WITH_SECRET: Final = {**_TENANT_SHOWN, "webhook_secret": _SECRET}
_KEY_SHOWN: Final[dict[str, Any]] = {
    "id": "key_0123456789ab",
    "tenant": "acme",
    "name": "render farm",
    "mode": "live",
    "state": "active",
    "created_at": "2026-01-09T00:10:46Z",
    "expires_at": None,
    "limits": _KEY_LIMITS,
}
_ISSUED: Final = {**_KEY_SHOWN, "key": "rg_live_0123456789abcdefghijklmnopqrstABCDEF"}
_FIGURES: Final[dict[str, Any]] = {
    "tasks": 3,
    "completed": 1,
    "failed": 1,
    "credits_used": "0.1",
    "credits_reserved": "0.1",
}
_TASK: Final = "task-unified-1767917446-0123456789abcdefghijklmno"
_TASK_ID: Final = in_path("task_id", _TASK)
_BEGIN: Final = {"at": "2026-01-09T00:10:46Z", "at_ms": 1767917446000}
_END: Final = {"at": "2026-01-10T00:10:46Z", "at_ms": 1768003846000}
_STORY: Final[dict[str, Any]] = {
    "id": _TASK,
    "tenant": "acme",
    "key": "key_0123456789ab",
    "mode": "live",
    "model": "sora-character",
    "state": "written_off",
    "created_at": "2026-01-09T00:10:46Z",
    "submitted_at": None,
    "finished_at": "2026-01-10T00:10:46Z",
    "vendor_id": None,
    "vendor_key": "vk_0123456789ab",
    "reads": 0,
    "credits_held": "0",
    "credits_charged": "0.1",
    "balanced": True,
    "steps": [
        {**_BEGIN, "step": "sending", "detail": "vk_0123456789ab"},
        {**_BEGIN, "step": "in_doubt", "detail": "ReadTimeout"},
        {**_END, "step": "written_off", "detail": "counted as spent"},
    ],
    "ledger": [
        {**_BEGIN, "kind": "hold", "credits": "0.1", "on_hold": "0.1", "spent": "0"},
        {**_END, "kind": "settle", "credits": "0.1", "on_hold": "0", "spent": "0.1"},
    ],
    "answer": {"id": _TASK, "status": "failed", "error": {"code": "outcome_unknown"}},
}

_CANCELLED_STORY: Final[dict[str, Any]] = {
    **_STORY,
    "state": "cancelled",
    "vendor_key": None,
    "credits_charged": "0",
    "steps": [
        {**_BEGIN, "step": "queued", "detail": ""},
        {**_END, "step": "cancelled", "detail": "by an operator"},
    ],
    "ledger": [
        {**_BEGIN, "kind": "hold", "credits": "0.1", "on_hold": "0.1", "spent": "0"},
        {**_END, "kind": "release", "credits": "0.1", "on_hold": "0", "spent": "0"},
    ],
    "answer": {"id": _TASK, "status": "failed", "error": {"code": "request_cancelled"}},
}


def _for_operators(operation_id: str, summary: str, **more: Any) -> Schema:
    named = {"operationId": operation_id, "tags": ["admin"], "summary": summary}
    return {**named, "security": [{"AdminToken": []}], **more}


def _told(
    description: str, schema: str, example: Any, *errors: type[GatewayError]
) -> dict[str, Schema]:
    good = success(description, schema, example, "Cache-Control")
    return answers(good, (*errors, *_ALWAYS))


ADMIN_OPERATIONS: Final[Operations] = {
    ("/admin/v1/tenants", "post"): _for_operators(
        "create_tenant",
        "Create a tenant",
        requestBody=body(
            "NewTenant", {"id": "acme", "name": "Acme", "limits": {"credits_per_month": "1000"}}
        ),
        responses=_told(
            "The tenant, with the secret of its webhooks.",
            "TenantWithSecret",
            _WITH_SECRET,
            *BODY_ERRORS,
            TenantExists,
        ),
    ),
    ("/admin/v1/tenants", "get"): _for_operators(
        "list_tenants",
        "List tenants",
        responses=_told("All tenants.", "TenantList", {"data": [_TENANT_SHOWN]}),
    ),
    ("/admin/v1/tenants/{tenant}", "get"): _for_operators(
        "read_tenant",
        "Read a tenant",
        parameters=[
            _TENANT,
            query("secrets", "With the secret of its webhooks.", True, type="boolean"),
        ],
        responses=_told(
            "The tenant.", "ShownTenant", _TENANT_SHOWN, InvalidRequest, TenantNotFound
        ),
    ),
    ("/admin/v1/tenants/{tenant}", "patch"): _for_operators(
        "change_tenant",
        "Change a tenant",
        parameters=[_TENANT],
        requestBody=body("TenantChange", {"limits": {"tasks_in_flight": 20}}),
        responses=_told(
            "The tenant as it is now.", "Tenant", _TENANT_SHOWN, *BODY_ERRORS, TenantNotFound
        ),
    ),
    ("/admin/v1/tenants/{tenant}", "delete"): _for_operators(
        "delete_tenant",
        "Delete a tenant",
        description="Its keys end at once, and its id is never used again.",
        parameters=[
            _TENANT,
            query("force", "Although tasks are unfinished.", True, type="boolean"),
        ],
        responses=_told(
            "It is deleted.",
            "DeletedTenant",
            {"id": "acme", "deleted": True},
            InvalidRequest,
            TenantNotFound,
            TasksOpen,
        ),
    ),
    ("/admin/v1/tenants/{tenant}/webhook-secret/rotate", "post"): _for_operators(
        "rotate_webhook_secret",
        "Replace the secret of a tenant's webhooks",
        parameters=[_TENANT],
        requestBody=body("Grace", {"grace_s": 3600}, required=False),
        responses=_told(
            "The new secret.",
            "WebhookSecret",
            {"id": "acme", "webhook_secret": _SECRET},
            *BODY_ERRORS,
            TenantNotFound,
        ),
    ),
    ("/admin/v1/tenants/{tenant}/keys", "post"): _for_operators(
        "issue_key",
        "Issue a key",
        parameters=[_TENANT],
        requestBody=body(
            "NewKey", {"name": "render farm", "limits": {"tasks_in_flight": 10}}, required=False
        ),
        responses=_told(
            "The key, with its secret.", "IssuedKey", _ISSUED, *BODY_ERRORS, TenantNotFound
        ),
    ),
    ("/admin/v1/tenants/{tenant}/keys", "get"): _for_operators(
        "list_keys",
        "List the keys of a tenant",
        parameters=[_TENANT],
        responses=_told(
            "The keys, without their secrets.", "KeyList", {"data": [_KEY_SHOWN]}, TenantNotFound
        ),
    ),
    ("/admin/v1/tenants/{tenant}/keys/{key}/rotate", "post"): _for_operators(
        "rotate_key",
        "Replace a key",
        description="The new key has the name, mode, limits and expiry of the old one, and counts"
        " towards the same limits.",
        parameters=[_TENANT, _KEY],
        requestBody=body("Grace", {"grace_s": 3600}, required=False),
        responses=_told(
            "The new key, with its secret.",
            "IssuedKey",
            {**_ISSUED, "id": "key_0123456789ab.2"},
            *BODY_ERRORS,
            TenantNotFound,
            KeyNotFound,
            KeyEnded,
        ),
    ),
    ("/admin/v1/tenants/{tenant}/keys/{key}", "delete"): _for_operators(
        "revoke_key",
        "Revoke a key",
        parameters=[_TENANT, _KEY],
        responses=_told(
            "The key as it is now.",
            "Key",
            {**_KEY_SHOWN, "state": "revoked"},
            TenantNotFound,
            KeyNotFound,
        ),
    ),
    ("/admin/v1/tenants/{tenant}/usage", "get"): _for_operators(
        "read_tenant_usage",
        "Read what a tenant used, day by day",
        parameters=[
            _TENANT,
            *PERIOD,
            query("mode", "Without it live.", "live", type="string", enum=["live", "test"]),
        ],
        responses=_told(
            "The days on which something happened.",
            "TenantUsage",
            {
                "data": [
                    {
                        "date": "2026-01-09",
                        **_FIGURES,
                        "models": {"sora-character": _FIGURES},
                        "keys": {"key_0123456789ab": _FIGURES},
                    }
                ],
                "total": _FIGURES,
                "from": "2026-01-01",
                "to": "2026-01-31",
            },
            InvalidRequest,
            TenantNotFound,
        ),
    ),
    ("/admin/v1/tasks/{task_id}/explain", "get"): _for_operators(
        "explain_task",
        "Explain a task",
        description="Its steps, and every credit of it.",
        parameters=[_TASK_ID],
        responses=_told("All that is known of it.", "TaskStory", _STORY, TaskNotFound),
    ),
    ("/admin/v1/tasks/{task_id}/cancel", "post"): _for_operators(
        "cancel_any_task",
        "Cancel a queued task of any tenant",
        description="It costs nothing. One that was sent, or has ended, cannot be cancelled.",
        parameters=[_TASK_ID],
        requestBody=body("CallingOff", {"reason": "its tenant asked for it by telephone"}),
        responses=_told(
            "The story of the task as it is now.",
            "TaskStory",
            _CANCELLED_STORY,
            *BODY_ERRORS,
            TaskNotFound,
            CannotCancel,
        ),
    ),
    ("/admin/v1/doubts", "get"): _for_operators(
        "list_doubts",
        "List the tasks in doubt",
        description="The oldest doubt first.",
        responses=_told(
            "The tasks of which nobody knows whether the vendor has them.",
            "DoubtList",
            {
                "data": [
                    {
                        "id": _TASK,
                        "tenant": "acme",
                        "mode": "live",
                        "model": "sora-character",
                        "since": "2026-01-09T00:10:46Z",
                        "age_s": 640,
                        "credits_held": "0.1",
                        "resends": 0,
                        "slot_freed": True,
                        "vendor_key": "vk_0123456789ab",
                    }
                ]
            },
        ),
    ),
    ("/admin/v1/doubts/{task_id}/resolve", "post"): _for_operators(
        "resolve_doubt",
        "End a doubt, put a task right, or correct what it has cost",
        description="Of a task that is in doubt, submitted or watching; `corrected` is for one"
        " that has ended, and what its tenant was told of that stays.",
        parameters=[_TASK_ID],
        requestBody=body(
            "Resolution", {"as": "written_off", "reason": "the vendor's support has no trace of it"}
        ),
        responses=_told(
            "The story of the task as it is now.",
            "TaskStory",
            _STORY,
            *BODY_ERRORS,
            TaskNotFound,
            NotResolvable,
            NoVendorKey,
            VendorUnreachable,
        ),
    ),
    ("/admin/v1/audit", "get"): _for_operators(
        "read_audit",
        "Read what operators did",
        description="The newest first.",
        parameters=[
            query("tenant", "Of this tenant alone.", "acme", **TENANT_ID),
            query("limit", "Without it 100.", 100, type="integer", minimum=1, maximum=1000),
            query("before", "The `next` of an earlier page.", _ENTRY, **ENTRY_ID),
        ],
        responses=_told(
            "Acts of operators.",
            "Audit",
            {
                "data": [
                    {
                        "id": _ENTRY,
                        "at": "2026-01-09T00:10:46Z",
                        "at_ms": 1767917446000,
                        "actor": "admin",
                        "act": "key.issued",
                        "tenant": "acme",
                        "key": "key_0123456789ab",
                        "detail": {"mode": "live"},
                        "request_id": REQUEST_ID,
                    }
                ],
                "next": None,
            },
            InvalidRequest,
        ),
    ),
}
