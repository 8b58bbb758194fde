"""What is sent and told about webhook endpoints."""

from __future__ import annotations

from typing import Any, Final, get_args

from app.api.openapi.pieces import Schema, reference
from app.api.openapi.schemas import listed, record
from app.domain.delivery import DeliveryState
from app.domain.delivery_log import LOGGED_EVENTS
from app.domain.listing import MAX_PAGE_SIZE
from app.domain.webhook import EVENTS, MAX_GRACE_S, MAX_URL_CHARS, OffReason, TestedName

_SECONDS: Final[Schema] = {"type": ["integer", "null"], "description": "Unix seconds."}
_INSTANT: Final[Schema] = {
    "type": ["integer", "string", "null"],
    "minimum": 0,
    "maximum": 253_402_300_799,
    "format": "instant",
    "description": "Unix seconds, or RFC 3339 with an offset.",
}
_URL: Final[Schema] = {
    "type": "string",
    "format": "callback-url",
    "maxLength": MAX_URL_CHARS,
    "description": "https on port 443, unless the operator of this gateway allows more.",
}
_EVENTS: Final[Schema] = {
    "items": {"type": "string", "enum": list(EVENTS)},
    "minItems": 1,
}
_DESCRIPTION: Final[Schema] = {
    "type": "string",
    "maxLength": 200,
    "pattern": r"^[^\x00-\x1f\x7f]*$",
    "description": "For people.",
}
_DISABLED: Final[Schema] = {"type": "boolean", "description": "Nothing is sent to it."}
_SHOWN_SECRET: Final[Schema] = {
    "type": "string",
    "pattern": "^whsec_",
    "description": "What its messages are signed with; told this once.",
}
_OWN_SECRET: Final[Schema] = {
    "type": ["string", "null"],
    "format": "signing-secret",
    "pattern": "^whsec_[A-Za-z0-9+/]{32,86}={0,2}$",
    "description": "One of your own, 24 to 64 bytes in base64; without it one is made.",
}


def _or_null(schema: Schema, description: str) -> Schema:
    return {**schema, "type": [schema["type"], "null"], "description": description}


def _wish(properties: dict[str, Any], *required: str, **more: Any) -> Schema:
    """Return the schema of a body, in which no other names are known."""
    found = {"type": "object", "additionalProperties": False, "properties": properties, **more}
    return {**found, "required": list(required)} if required else found


_WEBHOOK: Final[dict[str, Schema]] = {
    "id": {"type": "string", "pattern": "^we_[0-9a-z]{16}$"},
    "object": {"type": "string", "const": "webhook"},
    "url": _URL,
    "events": {**_EVENTS, "type": "array", "description": "What it is told."},
    "description": _DESCRIPTION,
    "disabled": _DISABLED,
    "disabled_reason": {
        "type": ["string", "null"],
        "enum": [*get_args(OffReason), None],
        "description": "`requested`: by you. `gone`: it answered 410. `failing`: it took nothing"
        " for 120 hours.",
    },
    "disabled_at": _SECONDS,
    "created": {**_SECONDS, "type": "integer"},
    "failing_since": {
        **_SECONDS,
        "description": "Unix seconds of the first failure since the last success.",
    },
    "failures": {
        "type": "integer",
        "minimum": 0,
        "description": "Failed attempts since the last success.",
    },
    "last_delivered_at": _SECONDS,
    "previous_secret_until": {
        **_SECONDS,
        "description": "Until when the secret before this one signs along.",
    },
}

_ATTEMPT: Final = record(
    {
        "number": {"type": "integer", "minimum": 1},
        "at": {"type": "integer", "description": "Unix seconds."},
        "outcome": {
            "type": "string",
            "description": "`answered`, or what stood in the way of an answer.",
        },
        "status_code": {"type": ["integer", "null"], "description": "Of the answer."},
        "took_ms": {"type": "integer", "minimum": 0},
        "answer": {"type": "string", "maxLength": 1000, "description": "The begin of its body."},
        "why": {"type": "string", "description": "More on it, for people."},
    }
)

WEBHOOK_SCHEMAS: Final[dict[str, Schema]] = {
    "NewWebhook": _wish(
        {
            "url": _URL,
            "events": {
                **_EVENTS,
                "type": ["array", "null"],
                "description": "What it is to be told; all of it by default.",
            },
            "description": _or_null(_DESCRIPTION, "For people."),
            "disabled": _or_null(_DISABLED, "Whether to send nothing yet."),
            "secret": _OWN_SECRET,
        },
        "url",
        description="Missing and null mean the default.",
    ),
    "WebhookChange": _wish(
        {
            "url": _URL,
            "events": {**_EVENTS, "type": "array"},
            "description": _DESCRIPTION,
            "disabled": {
                **_DISABLED,
                "description": "false enables it, whatever disabled it.",
            },
        },
        description="What is missing stays as it is.",
        minProperties=1,
    ),
    "SecretGrace": _wish(
        {
            "grace_s": {
                "type": ["integer", "null"],
                "minimum": 0,
                "maximum": MAX_GRACE_S,
                "description": "How long the old secret signs along, seconds; 0: ends at once. A"
                " day by default.",
            }
        }
    ),
    "WebhookTest": _wish(
        {
            "event": {
                "type": ["string", "null"],
                "enum": [*get_args(TestedName), None],
                "description": "What it looks like: `webhook.test` by default, else as if a task"
                " told it.",
            }
        }
    ),
    "Redelivery": _wish(
        {
            "id": {
                "type": ["string", "null"],
                "minLength": 1,
                "description": "One message, by its `webhook-id`; then nothing else is given.",
            },
            "since": _INSTANT,
            "until": _INSTANT,
            "status": {
                "type": ["string", "null"],
                "enum": ["failed", "skipped", "delivered", "all", None],
                "description": "Only those of this status. By default all that were not"
                " delivered, those too that are still to be tried.",
            },
        },
        description="Either `id`, or `since` and what narrows it.",
    ),
    "Webhook": record(_WEBHOOK),
    "WebhookWithSecret": record({**_WEBHOOK, "secret": _SHOWN_SECRET}),
    "WebhookList": listed("Webhook", total={"type": "integer", "minimum": 0}),
    "DeletedWebhook": record({"id": _WEBHOOK["id"], "deleted": {"type": "boolean", "const": True}}),
    "Redelivered": record({"redelivered": {"type": "integer", "minimum": 0}}),
    "DeliveryAttempt": _ATTEMPT,
    "Delivery": record(
        {
            "id": {
                "type": "string",
                "pattern": "^msg_[0-9a-z]{25}_[a-z]+$",
                "description": "The `webhook-id` of the message.",
            },
            "object": {"type": "string", "const": "webhook.delivery"},
            "event": {"type": "string", "enum": list(LOGGED_EVENTS)},
            "task_id": {"type": ["string", "null"], "description": "null: it is a test."},
            "status": {
                "type": "string",
                "enum": list(get_args(DeliveryState)),
                "description": "`skipped`: the endpoint was disabled.",
            },
            "created": {"type": "integer", "description": "Unix seconds."},
            "delivered_at": _SECONDS,
            "next_attempt_at": _SECONDS,
            "tries": {
                "type": "integer",
                "minimum": 0,
                "description": "Attempts of this round; a redelivery begins a new one.",
            },
            "attempts": {
                "type": "array",
                "maxItems": 50,
                "items": reference("schemas", "DeliveryAttempt"),
                "description": "All that were made, the last 50 of them.",
            },
        }
    ),
    "DeliveryPage": listed(
        "Delivery",
        total={"type": "integer", "minimum": 0},
        page={"type": "integer", "minimum": 1},
        page_size={"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE},
    ),
}
