"""Tenants, their keys, and the limits either may carry."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, Field, PlainSerializer, ValidationError

from app.domain.ids import Mode
from app.domain.pricing import format_credits, parse_credits


def _credits_in(value: Any) -> Any:
    return parse_credits(value) if isinstance(value, str) else value


CreditAmount = Annotated[
    int,
    BeforeValidator(_credits_in),
    PlainSerializer(format_credits, return_type=str),
    Field(ge=0),
]
"""Microcredits inside; a decimal string such as "12.5" outside."""


ModelName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._:/-]{0,127}$")]
"""A model's name in a list of limits; the stored form joins names with commas."""

_NUMBERS = ("creates_per_minute", "tasks_in_flight", "credits_per_day", "credits_per_month")


class LimitsRefused(ValueError):
    """A set of limits breaks a rule; the message names field and rule."""


class Limits(BaseModel, frozen=True, extra="forbid", strict=True):
    """What a tenant or key may use; None means unlimited."""

    creates_per_minute: int | None = Field(None, ge=0, le=1_000_000)
    tasks_in_flight: int | None = Field(None, ge=0, le=1_000_000)
    credits_per_day: CreditAmount | None = None
    credits_per_month: CreditAmount | None = None
    models: list[ModelName] | None = None

    @property
    def spending_is_limited(self) -> bool:
        """Return whether a credit limit of any window is set."""
        return self.credits_per_day is not None or self.credits_per_month is not None

    @classmethod
    def read(cls, given: Any) -> Self:
        """Check limits that an operator wrote.

        Raises:
            LimitsRefused: a name is unknown or a value breaks its rule.
        """
        if not isinstance(given, dict):
            raise LimitsRefused("limits must be a JSON object")
        if any(
            isinstance(given.get(name), int | float)
            for name in ("credits_per_day", "credits_per_month")
        ):
            raise LimitsRefused(
                'limits.credits_per_*: write credits as a decimal string, such as "12.5"'
            )
        try:
            return cls.model_validate(given)
        except ValidationError as refusal:
            first = refusal.errors(include_input=False, include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            raise LimitsRefused(
                f"limits.{place}: {first['msg'].removeprefix('Value error, ')};"
                f" known limits: {', '.join(cls.model_fields)}"
            ) from None

    def fields(self) -> dict[str, str]:
        """Return the stored form: one hash field a limit that is set, plain integers and names."""
        found = {
            name: str(value) for name in _NUMBERS if (value := getattr(self, name)) is not None
        }
        if self.models is not None:
            found["models"] = "," + "".join(f"{name}," for name in self.models)
        return found

    @classmethod
    def of_fields(cls, fields: dict[str, str]) -> Self:
        """Read the stored form back."""
        numbers = {name: int(fields[name]) for name in _NUMBERS if name in fields}
        models = fields.get("models")
        names = None if models is None else [name for name in models.split(",") if name]
        return cls(**numbers, models=names)

    def public(self) -> dict[str, Any]:
        """Return the form operators read and write: every limit, credits as decimal strings."""
        return self.model_dump(mode="json")


LIMIT_FIELDS = tuple(Limits.model_fields)
"""Names of the limits, as stored and as shown."""


TENANT_GROUP = r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}"
"""What a group label may be; it is put into stored answers as it stands."""


class Tenant(BaseModel, frozen=True):
    """A team: the holder of keys, limits and tasks."""

    id: str = Field(pattern=r"^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$")
    name: str = Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")
    group: str = Field("default", pattern=f"^{TENANT_GROUP}$")
    disabled: bool = False
    limits: Limits = Field(default_factory=Limits)

    def public(self) -> dict[str, Any]:
        """Return the form operators read."""
        return {
            "id": self.id,
            "name": self.name,
            "group": self.group,
            "disabled": self.disabled,
            "limits": self.limits.public(),
        }


class Caller(BaseModel, frozen=True):
    """Who is calling, as far as the key alone tells: the store decides whether it still may."""

    tenant_id: str
    key_id: str
    mode: Mode
