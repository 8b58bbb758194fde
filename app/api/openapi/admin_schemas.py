"""What operators send and are sent."""

from __future__ import annotations

from typing import Any, Final, get_args

from app.api.openapi.pieces import Schema, reference
from app.api.openapi.schemas import FIGURES, listed, record, usage_day, usage_report
from app.domain.api_key import MAX_GRACE_S
from app.domain.origins import MAX_ORIGINS
from app.domain.resolution import Verb
from app.domain.task import TaskState
from app.domain.tenant import TENANT_GROUP

_WRITTEN_AMOUNT: Final = (
    r"^([0-9]{1,8}(\.[0-9]{1,6})?|[0-8][0-9]{8}(\.[0-9]{1,6})?|900000000(\.0{1,6})?)$"
)
"""A decimal with at most six places, up to the largest amount that is handled."""

_AMOUNT: Final[Schema] = {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{1,6})?$"}
_INSTANT: Final[Schema] = {
    "type": "string",
    "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$",
    "description": "RFC 3339, in UTC.",
}
_MILLISECONDS: Final[Schema] = {"type": "integer", "description": "The same, in milliseconds."}
_TASK_ID: Final[Schema] = {"type": "string", "pattern": "^task-unified-[0-9]{10}-[0-9a-z]{25}$"}
_MODE: Final[Schema] = {"type": "string", "enum": ["live", "test"]}
_NO_CONTROL: Final = r"[^\x00-\x1f\x7f]"

_NAME: Final[Schema] = {
    "type": "string",
    "minLength": 1,
    "maxLength": 200,
    "pattern": f"^{_NO_CONTROL}+$",
}
_GROUP: Final[Schema] = {
    "type": "string",
    "pattern": f"^{TENANT_GROUP}$",
    "description": "A label for reports; tasks show it as `user_group`.",
}
TENANT_ID: Final[Schema] = {
    "type": "string",
    "pattern": "^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$",
}
ENTRY_ID: Final[Schema] = {"type": "string", "pattern": "^[0-9]{1,15}-[0-9]{1,15}-[0-9]{1,2}$"}
_SECRET: Final[Schema] = {
    "type": "string",
    "pattern": "^whsec_",
    "description": "Signs webhooks in the form of Standard Webhooks.",
}


def _or_null(schema: Schema) -> Schema:
    """Return a schema that takes null for absent."""
    return {**schema, "type": [schema["type"], "null"]}


def _up_to_a_million(description: str) -> Schema:
    limits = {"type": ["integer", "null"], "minimum": 0, "maximum": 1_000_000}
    return {**limits, "description": description}


_LIMITS: Final[Schema] = {
    "creates_per_minute": _up_to_a_million("A bucket of so many, refilled over a minute."),
    "reads_per_second": _up_to_a_million("A bucket of so many, refilled over a second."),
    "tasks_in_flight": _up_to_a_million("Unfinished tasks."),
    "credits_per_day": {
        "type": ["string", "null"],
        "pattern": _WRITTEN_AMOUNT,
        "description": "Credits of a day of UTC, as a decimal string.",
    },
    "credits_per_month": {
        "type": ["string", "null"],
        "pattern": _WRITTEN_AMOUNT,
        "description": "Credits of a month of UTC, as a decimal string.",
    },
    "models": {
        "type": ["array", "null"],
        "items": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9 ._:/-]{0,127}$"},
        "description": "The models that may be used.",
    },
}


def _choice(description: str, *words: str) -> Schema:
    return {
        "type": ["string", "null"],
        "enum": [*words, None],
        "description": f"{description} Null means {words[0]}.",
    }


_CONDUCT: Final[Schema] = {
    "when_full": _choice("Of a create beyond tasks_in_flight.", "reject", "queue"),
    "max_queued": _up_to_a_million("Tasks that may wait in the queue."),
    "when_vendor_down": _choice(
        "Of a create while the vendor takes none; one that may have been sent is not concerned.",
        "reject",
        "queue",
    ),
    "when_in_doubt": _choice(
        "Of the hold of a task whose outcome stays unknown to the end.", "charge", "release"
    ),
}


def _limits(names: Schema, description: str) -> Schema:
    return {
        "type": "object",
        "description": f"{description} Missing or null means unlimited.",
        "properties": names,
        "additionalProperties": False,
    }


def _shown(limits: Schema) -> Schema:
    return {**limits, "required": list(limits["properties"])}


def _wish(properties: dict[str, Any], *required: str, **more: Any) -> Schema:
    """Return the schema of a body that an operator writes: a name that is not known is refused."""
    needed = {"required": list(required)} if required else {}
    return {
        "type": "object",
        **more,
        **needed,
        "properties": properties,
        "additionalProperties": False,
    }


_KEY_LIMITS: Final = _limits(_LIMITS, "What a key and those it is rotated to may use.")
_TENANT_LIMITS: Final = _limits({**_LIMITS, **_CONDUCT}, "What a tenant may use.")

_ORIGINS: Final[Schema] = {
    "type": "array",
    "items": {"type": "string", "format": "origin"},
    "description": "Origins of the web pages that may call with the tenant's keys and tokens, as"
    " `https://app.example.com`.",
}

_TENANT: Final[Schema] = {
    "id": TENANT_ID,
    "name": _NAME,
    "group": _GROUP,
    "disabled": {"type": "boolean"},
    "limits": reference("schemas", "ShownTenantLimits"),
    "origins": _ORIGINS,
}

_KEY: Final[Schema] = {
    "id": {"type": "string", "pattern": r"^key_[0-9a-z]+(\.[0-9]+)?(~[0-9a-z]{12})?$"},
    "tenant": TENANT_ID,
    "name": {"type": "string"},
    "mode": _MODE,
    "state": {"type": "string", "enum": ["active", "revoked", "expired"]},
    "created_at": _INSTANT,
    "expires_at": _or_null(_INSTANT),
    "limits": reference("schemas", "ShownKeyLimits"),
}

_AUDIT_ENTRY: Final = record(
    {
        "id": ENTRY_ID,
        "at": _INSTANT,
        "at_ms": _MILLISECONDS,
        "actor": {"type": "string"},
        "act": {"type": "string"},
        "tenant": {"type": "string"},
        "key": {"type": "string"},
        "detail": {"type": "object"},
        "request_id": {"type": "string"},
    },
    optional=("key", "request_id"),
    description="One act of an operator.",
)

_STEP: Final = record(
    {
        "at": _INSTANT,
        "at_ms": _MILLISECONDS,
        "step": {"type": "string", "description": "A state, or what else was done."},
        "detail": {"type": "string"},
    }
)

_MOVEMENT: Final = record(
    {
        "at": _INSTANT,
        "at_ms": _MILLISECONDS,
        "kind": {"type": "string", "enum": ["hold", "adjust", "settle", "release", "correction"]},
        "credits": _AMOUNT,
        "on_hold": {**_AMOUNT, "description": "What is held after it."},
        "spent": {**_AMOUNT, "description": "What the task has cost after it."},
    },
    description="One movement of credits.",
)

_STATE: Final[Schema] = {"type": "string", "enum": [state.value for state in TaskState]}

_STORY: Final = record(
    {
        "id": _TASK_ID,
        "tenant": TENANT_ID,
        "key": {"type": "string"},
        "mode": _MODE,
        "model": {"type": "string"},
        "state": _STATE,
        "created_at": _INSTANT,
        "submitted_at": _or_null(_INSTANT),
        "finished_at": _or_null(_INSTANT),
        "vendor_id": {"type": ["string", "null"], "description": "The vendor's id of the task."},
        "vendor_key": {"type": ["string", "null"]},
        "reads": {"type": "integer", "minimum": 0, "description": "Status reads at the vendor."},
        "credits_held": _AMOUNT,
        "credits_charged": _AMOUNT,
        "balanced": {
            "type": "boolean",
            "description": "Whether the ledger says the same as `credits_held` and"
            " `credits_charged`.",
        },
        "steps": {"type": "array", "items": reference("schemas", "TaskStep")},
        "ledger": {"type": "array", "items": reference("schemas", "TaskMovement")},
        "answer": {"type": "object", "description": "What its tenant reads."},
    },
    description="All that is known of a task, and every credit of it.",
)

_DOUBT: Final = record(
    {
        "id": _TASK_ID,
        "tenant": TENANT_ID,
        "mode": _MODE,
        "model": {"type": "string"},
        "since": _INSTANT,
        "age_s": {"type": "integer", "minimum": 0},
        "credits_held": _AMOUNT,
        "resends": {"type": "integer", "minimum": 0},
        "slot_freed": {"type": "boolean"},
        "vendor_key": {"type": ["string", "null"]},
    },
    description="A task of which nobody knows whether the vendor has it.",
)

_REASON: Final[Schema] = {
    "type": "string",
    "minLength": 3,
    "maxLength": 500,
    "pattern": f"^{_NO_CONTROL}+$",
    "description": "Why; for the audit log.",
}

_RESOLUTION: Final = _wish(
    {
        "as": {"type": "string", "enum": list(get_args(Verb))},
        "reason": {**_REASON, "description": "Why that is to be believed; for the audit log."},
        "vendor_id": {
            "type": ["string", "null"],
            "pattern": "^task-unified-[A-Za-z0-9_-]{1,187}$",
            "description": "With `accepted`, and only then: the vendor's id of the task. The"
            " vendor is asked about it first.",
        },
        "unseen": {
            "type": ["boolean", "null"],
            "description": "With `accepted`: do not ask the vendor about the id.",
        },
        "credits": {
            "type": ["string", "null"],
            "pattern": _WRITTEN_AMOUNT,
            "description": "With `corrected`, and only then: what the task has cost.",
        },
    },
    "as",
    "reason",
)

_FIGURES: Final[Schema] = {
    **FIGURES,
    "credits_used": {**_AMOUNT, "description": "What finished tasks have cost."},
    "credits_reserved": {**_AMOUNT, "description": "What is held for unfinished tasks."},
}

ADMIN_SCHEMAS: Final[dict[str, Schema]] = {
    "TenantLimits": _TENANT_LIMITS,
    "KeyLimits": _KEY_LIMITS,
    "ShownTenantLimits": _shown(_TENANT_LIMITS),
    "ShownKeyLimits": _shown(_KEY_LIMITS),
    "NewTenant": _wish(
        {
            "id": {**TENANT_ID, "description": "Never used again once it has been deleted."},
            "name": {**_or_null(_NAME), "description": "Without it the id is the name."},
            "group": _or_null(_GROUP),
            "disabled": {"type": ["boolean", "null"]},
            "limits": {"anyOf": [reference("schemas", "TenantLimits"), {"type": "null"}]},
            "origins": {**_or_null(_ORIGINS), "maxItems": MAX_ORIGINS},
        },
        "id",
    ),
    "TenantChange": _wish(
        {
            "name": _NAME,
            "group": _GROUP,
            "disabled": {"type": "boolean"},
            "limits": reference("schemas", "TenantLimits"),
            "origins": {**_ORIGINS, "maxItems": MAX_ORIGINS},
        },
        minProperties=1,
        description="What is not named stays as it is. A limit that is named with null is lifted.",
    ),
    "Tenant": record(_TENANT),
    "TenantWithSecret": record({**_TENANT, "webhook_secret": _SECRET}),
    "ShownTenant": record({**_TENANT, "webhook_secret": _SECRET}, optional=("webhook_secret",)),
    "TenantList": listed("Tenant"),
    "DeletedTenant": record({"id": TENANT_ID, "deleted": {"type": "boolean", "const": True}}),
    "WebhookSecret": record({"id": TENANT_ID, "webhook_secret": _SECRET}),
    "Grace": _wish(
        {
            "grace_s": {
                "type": ["integer", "null"],
                "minimum": 0,
                "maximum": MAX_GRACE_S,
                "description": "Seconds for which the old one goes on working; 0 ends it at once."
                " Without it a day.",
            }
        }
    ),
    "NewKey": _wish(
        {
            "name": {"type": ["string", "null"], "maxLength": 200, "pattern": f"^{_NO_CONTROL}*$"},
            "mode": {"type": ["string", "null"], "enum": ["live", "test", None]},
            "expires_at": {
                "description": "An instant to come: unix seconds, or RFC 3339 with an offset.",
                "anyOf": [
                    {"type": "string", "format": "date-time"},
                    {"type": "integer", "minimum": 0, "maximum": 253_402_300_799},
                    {"type": "null"},
                ],
            },
            "limits": {"anyOf": [reference("schemas", "KeyLimits"), {"type": "null"}]},
        }
    ),
    "Key": record(_KEY),
    "IssuedKey": record(
        {
            **_KEY,
            "key": {
                "type": "string",
                "pattern": "^rg_(live|test)_[0-9A-Za-z]{36}$",
                "description": "The key itself, told this once.",
            },
        }
    ),
    "KeyList": listed("Key"),
    "TenantUsageFigures": record(_FIGURES),
    "TenantUsageDay": usage_day(
        _FIGURES, {"models": "TenantUsageFigures", "keys": "TenantUsageFigures"}
    ),
    "TenantUsage": usage_report("TenantUsageDay", "TenantUsageFigures"),
    "TaskStep": _STEP,
    "TaskMovement": _MOVEMENT,
    "TaskStory": _STORY,
    "Doubt": _DOUBT,
    "DoubtList": listed("Doubt"),
    "Resolution": _RESOLUTION,
    "CallingOff": _wish({"reason": _REASON}, "reason"),
    "AuditEntry": _AUDIT_ENTRY,
    "Audit": listed(
        "AuditEntry",
        next={
            **_or_null(ENTRY_ID),
            "description": "What to ask for with `before` to go on; null at the end.",
        },
    ),
}
