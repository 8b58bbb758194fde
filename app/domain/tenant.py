"""Tenants, and the limits that a tenant or one of its keys may carry."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    PlainSerializer,
    ValidationError,
    ValidationInfo,
)
from pydantic_core import ErrorDetails

from app.domain.ids import Mode, family_of, is_token_id
from app.domain.origins import MAX_ORIGINS, OriginText
from app.domain.pricing import format_credits, parse_credits


def _credits_in(value: Any, told: ValidationInfo) -> Any:
    if told.context == _WRITTEN and not isinstance(value, str | None):
        raise ValueError('write credits as a decimal string, such as "12.5"')
    return parse_credits(value) if isinstance(value, str) else value


CreditAmount = Annotated[
    int,
    BeforeValidator(_credits_in),
    PlainSerializer(format_credits, return_type=str),
    Field(ge=0),
]
"""Microcredits inside; a decimal string such as "12.5" outside."""


def matching(pattern: str, words: str) -> AfterValidator:
    """Return a check that a text has the shape of `pattern`, told in `words` where it has not."""
    shape = re.compile(pattern)

    def check(text: str) -> str:
        if shape.fullmatch(text) is None:
            raise ValueError(f"it must be {words}")
        return text

    return AfterValidator(check)


ModelName = Annotated[
    str,
    matching(
        r"[A-Za-z0-9][A-Za-z0-9 ._:/-]{0,127}",
        "the name of a model: 1 to 128 of A-Z a-z 0-9 . _ : / - and blanks",
    ),
]
"""A model's name in a list of limits; the stored form joins names with commas."""

_CREDITS: Final = ("credits_per_day", "credits_per_month")
_NUMBERS: Final = ("creates_per_minute", "reads_per_second", "tasks_in_flight", *_CREDITS)

_SHOWN_CHARS: Final = 64
"""Of a name that is not known; longer than any that is."""

_WRITTEN: Final = "written"
"""Context of values that an operator wrote: a bare number is no amount of credits there."""

Parsed = TypeVar("Parsed", bound=BaseModel)


class Refused(ValueError):
    """What an operator wrote breaks a rule: `param` is its place, the message names the rule."""

    def __init__(self, message: str, *, param: str) -> None:
        super().__init__(message)
        self.param = param


class LimitsRefused(Refused):
    """A set of limits breaks a rule; the message names field and rule."""


def parsed(kind: type[Parsed], given: Any, *, place: str = "") -> Parsed:
    """Check what an operator wrote, a parsed JSON value, against the rules of `kind`.

    Raises:
        Refused: a name is unknown or a value breaks its rule; `place` is put before its name.
    """
    if not isinstance(given, dict):
        raise Refused(f"{place or 'the body'} must be a JSON object", param=place or "body")
    try:
        return kind.model_validate(given, context=_WRITTEN)
    except ValidationError as refusal:
        first = refusal.errors(include_url=False)[0]
        where = _written_place(place, first["loc"])
        raise Refused(f"{where}: {_rule(kind, first)}", param=where) from None


def _written_place(place: str, inside: tuple[int | str, ...]) -> str:
    """Write a place as it is named in answers: `limits.models[0]`."""
    where = place
    for part in inside:
        name = part if isinstance(part, int) else part[:_SHOWN_CHARS]
        where += f"[{name}]" if isinstance(part, int) else f".{name}" if where else str(name)
    return where


def _rule(kind: type[BaseModel], problem: ErrorDetails) -> str:
    """Say which rule was broken, in words for people."""
    match problem["type"]:
        case kind_of_problem if problem["input"] is None and kind_of_problem.endswith("_type"):
            remedy = "leave it out to keep it" if len(problem["loc"]) == 1 else "leave it out"
            return f"it must not be null: {remedy}"
        case "extra_forbidden":
            known = ", ".join(sorted(_siblings(kind, problem["loc"])))
            return f"this name is not known here; known are {known}"
        case "missing":
            return "it is required"
        case "model_type":
            return "it must be a JSON object"
        case _:
            return problem["msg"].removeprefix("Value error, ").replace("Input should", "it should")


def _siblings(kind: type[BaseModel], place: tuple[int | str, ...]) -> set[str]:
    """Return the names that are known where an unknown one was found."""
    for part in place[:-1]:
        inner = kind.model_fields[str(part)].annotation if part in kind.model_fields else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return set()
        kind = inner
    return {field.alias or name for name, field in kind.model_fields.items()}


class Limits(BaseModel, frozen=True, extra="forbid", strict=True):
    """What a tenant or key may use; None means unlimited."""

    creates_per_minute: int | None = Field(None, ge=0, le=1_000_000)
    reads_per_second: int | None = Field(None, ge=0, le=1_000_000)
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
        try:
            return parsed(cls, given, place="limits")
        except Refused as refusal:
            raise LimitsRefused(str(refusal), param=refusal.param) from None

    def permits(self, model: str) -> bool:
        """Return whether a model may be used."""
        return self.models is None or model in self.models

    def fields(self) -> dict[str, str]:
        """Return the stored form: one hash field a limit that is set, plain integers and names."""
        found = {
            name: str(value) for name in _NUMBERS if (value := getattr(self, name)) is not None
        }
        if self.models is not None:
            found["models"] = "," + "".join(f"{name}," for name in self.models)
        return found

    def lifted(self) -> list[str]:
        """Return the names that were given as null: limits to take away."""
        return sorted(name for name in self.model_fields_set if name not in self.fields())

    @classmethod
    def of_fields(cls, fields: Mapping[str, str]) -> Self:
        """Read the stored form back."""
        found: dict[str, Any] = {
            name: int(fields[name]) for name in (*_NUMBERS, "max_queued") if name in fields
        }
        if (models := fields.get("models")) is not None:
            found["models"] = [name for name in models.split(",") if name]
        words = ("when_full", "when_vendor_down", "when_in_doubt")
        found |= {name: fields[name] for name in words if name in fields}
        return cls(**found)

    def public(self) -> dict[str, Any]:
        """Return the form operators read and write: every limit, credits as decimal strings."""
        return self.model_dump(mode="json")


WhenFull = Literal["reject", "queue"] | None
WhenInDoubt = Literal["charge", "release"] | None


_DEFAULTS: Final = {"when_full": "reject", "when_vendor_down": "reject", "when_in_doubt": "charge"}


class TenantLimits(Limits, frozen=True):
    """A tenant's limits: numbers and models, and what happens to what cannot go at once."""

    when_full: WhenFull = None
    max_queued: int | None = Field(None, ge=0, le=1_000_000)
    when_vendor_down: WhenFull = None
    when_in_doubt: WhenInDoubt = None

    @property
    def charges_doubt(self) -> bool:
        """Return whether a task of unknown outcome counts as spent in the end."""
        return self.when_in_doubt != "release"

    def public(self) -> dict[str, Any]:
        """Return the form operators read and write; an unset `when_…` is shown as it acts."""
        shown = super().public()
        return shown | {name: shown[name] or default for name, default in _DEFAULTS.items()}

    def fields(self) -> dict[str, str]:
        """Return the stored form."""
        more = ("when_full", "max_queued", "when_vendor_down", "when_in_doubt")
        return super().fields() | {
            name: str(value) for name in more if (value := getattr(self, name)) is not None
        }


def _sorted(names: list[str]) -> list[str]:
    return sorted(set(names))


TENANT_GROUP = r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}"
"""What a group label may be; it is put into stored answers as it stands."""

TenantId = Annotated[
    str,
    matching(
        r"[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?",
        "1 to 63 of a-z 0-9 _ -, with a letter or digit at both ends",
    ),
]
LABEL_CHARACTER = r"[^\x00-\x1f\x7f\ud800-\udfff]"
"""What a name for people is made of: halves of surrogate pairs, as an argument that is not UTF-8
has them, can be neither stored nor sent."""

TenantName = Annotated[
    str,
    matching(
        LABEL_CHARACTER + "{1,200}", "1 to 200 characters of UTF-8 without control characters"
    ),
]
TenantGroup = Annotated[
    str, matching(TENANT_GROUP, "1 to 64 of A-Z a-z 0-9 . _ - and blanks, a letter or digit first")
]


TenantOrigins = Annotated[list[OriginText], Field(max_length=MAX_ORIGINS), AfterValidator(_sorted)]
"""Origins of the pages that may call with a tenant's keys and tokens."""


class Tenant(BaseModel, frozen=True, extra="forbid"):
    """A team: the holder of keys, limits and tasks."""

    id: TenantId
    name: TenantName
    group: TenantGroup = "default"
    disabled: Annotated[bool, Field(strict=True)] = False
    limits: TenantLimits = Field(default_factory=TenantLimits)
    origins: TenantOrigins = []

    @classmethod
    def read(cls, given: Any) -> Self:
        """Check a tenant that an operator wrote; a missing or null name is the id.

        Raises:
            Refused: a name is unknown or a value breaks its rule.
        """
        if isinstance(given, dict):
            given = {name: value for name, value in given.items() if value is not None}
            given = {"name": given.get("id"), **given}
        return parsed(cls, given)

    @property
    def state(self) -> str:
        """The stored word for `disabled`."""
        return "disabled" if self.disabled else "active"

    def fields(self) -> dict[str, str]:
        """Return the stored form."""
        named = {"id": self.id, "name": self.name, "group": self.group, "state": self.state}
        if self.origins:
            named["origins"] = " ".join(self.origins)
        return named | self.limits.fields()

    @classmethod
    def of_fields(cls, fields: Mapping[str, str]) -> Self:
        """Read the stored form back."""
        return cls(
            id=fields["id"],
            name=fields["name"],
            group=fields["group"],
            disabled=fields["state"] != "active",
            limits=TenantLimits.of_fields(fields),
            origins=fields.get("origins", "").split(),
        )

    def public(self) -> dict[str, Any]:
        """Return the form operators read."""
        return {
            "id": self.id,
            "name": self.name,
            "group": self.group,
            "disabled": self.disabled,
            "limits": self.limits.public(),
            "origins": self.origins,
        }


class TenantChange(BaseModel, frozen=True, extra="forbid"):
    """What is to be changed of a tenant: what is not named stays, a limit named null is lifted."""

    name: TenantName = ""
    group: TenantGroup = ""
    disabled: Annotated[bool, Field(strict=True)] = False
    limits: TenantLimits = Field(default_factory=TenantLimits)
    origins: TenantOrigins = []

    @classmethod
    def read(cls, given: Any) -> Self:
        """Check a change that an operator wrote.

        Raises:
            Refused: a name is unknown, a value breaks its rule, or nothing is to be changed.
        """
        change = parsed(cls, given)
        if not change.model_fields_set:
            names = ", ".join(cls.model_fields)
            raise Refused(f"nothing to change: give one of {names}", param="body")
        return change

    def fields(self) -> dict[str, str]:
        """Return the stored form of what is set."""
        given = self.model_fields_set
        found: dict[str, str] = {
            name: getattr(self, name) for name in ("name", "group") if name in given
        }
        if "disabled" in given:
            found["state"] = "disabled" if self.disabled else "active"
        if "origins" in given:
            found["origins"] = " ".join(self.origins)
        return found | self.limits.fields()

    def public(self) -> dict[str, Any]:
        """Return what was named, as an operator writes it."""
        return self.model_dump(mode="json", exclude_unset=True)


class Caller(BaseModel, frozen=True):
    """Who is calling, as far as the key alone tells: the store decides whether it still may."""

    tenant_id: str
    key_id: str
    mode: Mode
    subject: str = ""
    """Whose tasks alone a browser token sees; "" for a plain key, which sees its tenant's."""
    scopes: frozenset[str] = frozenset()
    """What a browser token is for; a plain key needs none, for it may do all that a key may."""
    origin: str = ""
    """The one origin that a browser token may be used from; "" for any of its tenant's."""
    ends_ms: int | None = None
    """When a browser token ends at the latest; None for a plain key, whose end may be moved."""

    @property
    def is_token(self) -> bool:
        """Whether it is a browser token."""
        return is_token_id(self.key_id)

    @property
    def family(self) -> str:
        """The key's family: what a key and those it was rotated to use together."""
        return family_of(self.key_id)
