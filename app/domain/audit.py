"""What is recorded of every act of an operator."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from app.domain.instants import rfc3339

ActName = Literal[
    "tenant.created",
    "tenant.changed",
    "tenant.deleted",
    "tenant.secrets_shown",
    "webhook_secret.rotated",
    "webhook.created",
    "webhook.changed",
    "webhook.deleted",
    "webhook.rotated",
    "webhook.secrets_shown",
    "webhook.tested",
    "webhook.redelivered",
    "key.issued",
    "key.rotated",
    "key.expiry_set",
    "key.revoked",
    "task.resolved",
    "task.cancelled",
]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: `admin` over HTTP, `cli` on the store; and in the course of which request."""

    name: str
    request_id: str = ""


GATEWAY = Actor("gateway")
"""The gateway itself, where nobody asked."""


@dataclass(frozen=True, slots=True)
class Act:
    """One act: by whom, what, to which tenant and key, and what was asked for; never a secret."""

    by: Actor
    name: ActName
    tenant_id: str
    at_ms: int
    key_id: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)

    def entry(self) -> str:
        """Return the stored form, one JSON object."""
        members: dict[str, Any] = {
            "at": rfc3339(self.at_ms),
            "at_ms": self.at_ms,
            "actor": self.by.name,
            "act": self.name,
            "tenant": self.tenant_id,
            "detail": dict(self.detail),
        }
        if self.key_id:
            members["key"] = self.key_id
        if self.by.request_id:
            members["request_id"] = self.by.request_id
        return json.dumps(members, ensure_ascii=False, separators=(",", ":"))
