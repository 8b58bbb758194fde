"""What operators send and are sent."""

from __future__ import annotations

from typing import Any, Final

from app.api.openapi.pieces import Schema, reference
from app.api.openapi.schemas import FIGURES, listed, record, usage_day, usage_report
from app.domain.api_key import MAX_GRACE_S
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

_WHEN: Final[Schema] = {
    "type": ["string", "null"],
    "enum": ["reject", None],
    "description": "What becomes of a create that cannot go at once.",
}
_QUEUEING: Final[Schema] = {
    "when_full": _WHEN,
    "max_queued": _up_to_a_million("Of no effect in this version, which keeps no queue."),
    "when_vendor_down": _WHEN,
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
_TENANT_LIMITS: Final = _limits({**_LIMITS, **_QUEUEING}, "What a tenant may use.")

_TENANT: Final[Schema] = {
    "id": TENANT_ID,
    "name": _NAME,
    "group": _GROUP,
    "disabled": {"type": "boolean"},
    "limits": reference("schemas", "ShownTenantLimits"),
}

_KEY: Final[Schema] = {
    "id": {"type": "string", "pattern": r"^key_[0-9a-z]+(\.[0-9]+)?$"},
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
        "at_ms": {"type": "integer", "description": "The same, in milliseconds."},
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
        },
        "id",
    ),
    "TenantChange": _wish(
        {
            "name": _NAME,
            "group": _GROUP,
            "disabled": {"type": "boolean"},
            "limits": reference("schemas", "TenantLimits"),
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
    "AuditEntry": _AUDIT_ENTRY,
    "Audit": listed(
        "AuditEntry",
        next={
            **_or_null(ENTRY_ID),
            "description": "What to ask for with `before` to go on; null at the end.",
        },
    ),
}
