"""API keys of tenants: what an operator may wish, and what is shown of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, Field

from app.domain.ids import Mode
from app.domain.instants import Instant, rfc3339
from app.domain.tenant import LABEL_CHARACTER, Limits, Refused, matching, parsed

MAX_GRACE_S: Final = 90 * 86_400
"""Longest overlap of a rotation: a quarter is enough for the slowest roll-out."""

DEFAULT_GRACE_S: Final = 86_400

KeyLabel = Annotated[
    str,
    matching(
        LABEL_CHARACTER + "{0,200}", "at most 200 characters of UTF-8 without control characters"
    ),
]
"""A name for people; it may be empty."""


class KeyWish(BaseModel, frozen=True, extra="forbid"):
    """A key to be issued, as an operator writes it."""

    name: KeyLabel = ""
    mode: Mode = "live"
    expires_at: Instant | None = None
    limits: Limits = Field(default_factory=Limits)

    @classmethod
    def read(cls, given: Any, *, now_ms: int) -> Self:
        """Check a wish; missing and null mean the default.

        Raises:
            Refused: a name is unknown or a value breaks its rule.
        """
        if isinstance(given, dict):
            given = {name: value for name, value in given.items() if value is not None}
        wish = parsed(cls, given)
        if wish.expires_at is not None and wish.expires_at <= now_ms:
            raise Refused("expires_at: it must lie in the future", param="expires_at")
        return wish


class Grace(BaseModel, frozen=True, extra="forbid"):
    """How long what is replaced goes on working, seconds; 0 ends it at once."""

    grace_s: Annotated[int, Field(strict=True, ge=0, le=MAX_GRACE_S)] = DEFAULT_GRACE_S

    @classmethod
    def read(cls, given: Any) -> Self:
        """Check a grace that an operator wrote; missing and null mean a day.

        Raises:
            Refused: a name is unknown or the value breaks its rule.
        """
        if isinstance(given, dict):
            given = {name: value for name, value in given.items() if value is not None}
        return parsed(cls, given)


class ApiKey(BaseModel, frozen=True):
    """An API key as operators see it; the secret itself is stored nowhere."""

    id: str
    tenant_id: str
    name: str
    mode: Mode
    state: Literal["active", "revoked"] = "active"
    created_ms: int
    expires_ms: int | None = None
    limits: Limits = Field(default_factory=Limits)

    def works_at(self, now_ms: int) -> bool:
        """Return whether the key can be used at an instant."""
        return self.state == "active" and (self.expires_ms is None or now_ms < self.expires_ms)

    def fields(self, digest: str) -> dict[str, str]:
        """Return the stored form; `digest` is the SHA-256 of the secret."""
        found = {
            "id": self.id,
            "name": self.name,
            "mode": self.mode,
            "state": self.state,
            "digest": digest,
            "created_ms": str(self.created_ms),
        }
        if self.expires_ms is not None:
            found["expires_ms"] = str(self.expires_ms)
        return found | self.limits.fields()

    @classmethod
    def of_fields(cls, tenant_id: str, fields: Mapping[str, str]) -> Self:
        """Read the stored form back."""
        return cls(
            id=fields["id"],
            tenant_id=tenant_id,
            name=fields["name"],
            mode="test" if fields["mode"] == "test" else "live",
            state="active" if fields["state"] == "active" else "revoked",
            created_ms=int(fields["created_ms"]),
            expires_ms=int(fields["expires_ms"]) if "expires_ms" in fields else None,
            limits=Limits.of_fields(fields),
        )

    def public(self, *, now_ms: int) -> dict[str, Any]:
        """Return the form operators read at an instant; an expired key says so."""
        ended = self.state == "active" and not self.works_at(now_ms)
        return {
            "id": self.id,
            "tenant": self.tenant_id,
            "name": self.name,
            "mode": self.mode,
            "state": "expired" if ended else self.state,
            "created_at": rfc3339(self.created_ms),
            "expires_at": None if self.expires_ms is None else rfc3339(self.expires_ms),
            "limits": self.limits.public(),
        }
