"""The operations on webhook endpoints."""

from __future__ import annotations

from typing import Any, Final, get_args

from app.api.openapi.operations import Operations, for_tenants, told
from app.api.openapi.pieces import RATES, Schema, answers, body, in_path, query, success
from app.api.openapi.refusals import BODY_ERRORS, READ_ERRORS
from app.domain.delivery import DeliveryState
from app.domain.delivery_log import LOGGED_EVENTS
from app.domain.listing import DEFAULT_PAGE_SIZE, MAX_PAGE, MAX_PAGE_SIZE
from app.errors import (
    DeliveryNotFound,
    GatewayError,
    InvalidRequest,
    TooManyWebhooks,
    WebhookDisabled,
    WebhookNotFound,
)

_ID: Final = "we_0123456789abcdef"
_MESSAGE_ID: Final = "msg_0123456789abcdefghijklmno_completed"
_TASK_ID: Final = "task-unified-1767917446-0123456789abcdefghijklmno"
_SECRET: Final = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDazYPF06hi48="  # noqa: S105 - an example

_SHOWN: Final[dict[str, Any]] = {
    "id": _ID,
    "object": "webhook",
    "url": "https://example.com/hooks/videos",
    "events": ["task.completed", "task.failed"],
    "description": "render farm",
    "disabled": False,
    "disabled_reason": None,
    "disabled_at": None,
    "created": 1767917446,
    "failing_since": None,
    "failures": 0,
    "last_delivered_at": None,
    "previous_secret_until": None,
}
_DELIVERED: Final[dict[str, Any]] = {
    "id": _MESSAGE_ID,
    "object": "webhook.delivery",
    "event": "task.completed",
    "task_id": _TASK_ID,
    "status": "delivered",
    "created": 1767917596,
    "delivered_at": 1767917597,
    "next_attempt_at": None,
    "tries": 1,
    "attempts": [
        {
            "number": 1,
            "at": 1767917597,
            "outcome": "answered",
            "status_code": 204,
            "took_ms": 38,
            "answer": "",
            "why": "",
        }
    ],
}
_WISHED: Final = {name: _SHOWN[name] for name in ("url", "events", "description")}


def _about_webhooks(operation_id: str, summary: str, **more: Any) -> Schema:
    return {**for_tenants(operation_id, summary, **more), "tags": ["webhooks"]}


def _of_one(operation_id: str, summary: str, **more: Any) -> Schema:
    parameters = [in_path("webhook_id", _ID), *more.pop("parameters", [])]
    return _about_webhooks(operation_id, summary, parameters=parameters, **more)


def _told_once(description: str, example: Any, *errors: type[GatewayError]) -> dict[str, Schema]:
    good = success(description, "WebhookWithSecret", example, "Cache-Control", *RATES)
    return answers(good, (*errors, *READ_ERRORS), metered=True)


_CREATE: Final = _about_webhooks(
    "create_webhook",
    "Make a webhook endpoint",
    requestBody=body("NewWebhook", _WISHED),
    responses=_told_once(
        "The endpoint, with its secret.",
        {**_SHOWN, "secret": _SECRET},
        *BODY_ERRORS,
        TooManyWebhooks,
    ),
)

_ROTATE: Final = _of_one(
    "rotate_webhook",
    "Replace the secret of a webhook endpoint",
    description="For the time of grace each message is signed with both. Up to three secrets before"
    " the new one sign along, each for its own time; a grace of 0 ends them all.",
    requestBody=body("SecretGrace", {"grace_s": 3600}, required=False),
    responses=_told_once(
        "The endpoint, with its new secret.",
        {**_SHOWN, "previous_secret_until": 1767921046, "secret": _SECRET},
        *BODY_ERRORS,
        WebhookNotFound,
    ),
)

_REDELIVER: Final = _of_one(
    "redeliver",
    "Deliver messages again",
    description="Under the ids that they have, so that a receiver can tell what it had before."
    " What is older than 14 days is gone; what was delivered again 20 times is left out.",
    requestBody=body("Redelivery", {"since": "2026-01-09T00:00:00Z", "status": "failed"}),
    responses=told(
        "How many are on their way again.",
        "Redelivered",
        {"redelivered": 3},
        *BODY_ERRORS,
        WebhookNotFound,
        DeliveryNotFound,
        WebhookDisabled,
    ),
)

_DELIVERIES: Final = _of_one(
    "list_deliveries",
    "List what a webhook endpoint was told",
    description="The newest first, of the last 14 days. Names that are not listed are ignored, an"
    " empty value is none, and a name that stands twice is refused. With a status or an event the"
    " newest 10,000 messages are looked through.",
    parameters=[
        query(
            "status", "Without it all.", "failed", type="string", enum=list(get_args(DeliveryState))
        ),
        query("event", "Without it all.", "task.completed", type="string", enum=[*LOGGED_EVENTS]),
        query(
            "task_id",
            "Only what is about this task.",
            _TASK_ID,
            type="string",
            pattern="^task-unified-[0-9]{10}-[0-9a-z]{25}$",
        ),
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
        "A page of messages, and what became of them.",
        "DeliveryPage",
        {"data": [_DELIVERED], "total": 1, "page": 1, "page_size": 20},
        InvalidRequest,
        WebhookNotFound,
    ),
)

WEBHOOK_OPERATIONS: Final[Operations] = {
    ("/v1/webhooks", "post"): _CREATE,
    ("/v1/webhooks", "get"): _about_webhooks(
        "list_webhooks",
        "List webhook endpoints",
        responses=told(
            "Those of your tenant, in the mode of the key.",
            "WebhookList",
            {"data": [_SHOWN], "total": 1},
        ),
    ),
    ("/v1/webhooks/{webhook_id}", "get"): _of_one(
        "read_webhook",
        "Read a webhook endpoint",
        responses=told("The endpoint, without its secret.", "Webhook", _SHOWN, WebhookNotFound),
    ),
    ("/v1/webhooks/{webhook_id}", "patch"): _of_one(
        "change_webhook",
        "Change a webhook endpoint",
        requestBody=body("WebhookChange", {"events": ["task.completed"], "disabled": False}),
        responses=told(
            "The endpoint as it is now.", "Webhook", _SHOWN, *BODY_ERRORS, WebhookNotFound
        ),
    ),
    ("/v1/webhooks/{webhook_id}", "delete"): _of_one(
        "delete_webhook",
        "Delete a webhook endpoint",
        description="With its log, and with what was still to be sent to it.",
        responses=told(
            "It is deleted.", "DeletedWebhook", {"id": _ID, "deleted": True}, WebhookNotFound
        ),
    ),
    ("/v1/webhooks/{webhook_id}/rotate", "post"): _ROTATE,
    ("/v1/webhooks/{webhook_id}/test", "post"): _of_one(
        "test_webhook",
        "Send a test to a webhook endpoint",
        description="On the way of all messages, signed like them. The answer comes after the"
        " first attempt, or after five seconds without one.",
        requestBody=body("WebhookTest", {"event": "task.completed"}, required=False),
        responses=told(
            "The message, and what has become of it so far.",
            "Delivery",
            {**_DELIVERED, "id": "msg_0123456789abcdefghijklmno_test", "task_id": None},
            *BODY_ERRORS,
            WebhookNotFound,
            WebhookDisabled,
        ),
    ),
    ("/v1/webhooks/{webhook_id}/redeliver", "post"): _REDELIVER,
    ("/v1/webhooks/{webhook_id}/deliveries", "get"): _DELIVERIES,
}
