"""What a request field may be, as the catalogue writes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, Field, Strict, model_validator

ValueType = Literal["string", "integer", "number", "boolean", "array", "object"]

_ANYWHERE: Final = frozenset({"type", "required", "enforced", "default", "note"})
_LIMITS_OF_NUMBERS: Final = frozenset({"enum", "min", "max", "any_of"})
_LIMITS: Final[dict[str, frozenset[str]]] = {
    "string": frozenset(
        {"enum", "format", "extensions", "max_span_s", "max_length", "cut_at", "max_tokens"}
    ),
    "integer": _LIMITS_OF_NUMBERS,
    "number": _LIMITS_OF_NUMBERS,
    "boolean": frozenset(),
    "array": frozenset({"items", "min_items", "max_items"}),
    "object": frozenset({"properties"}),
}
"""The keys that mean something for each type."""

_OF_FORMAT: Final = {"media_url": "extensions", "time_points": "max_span_s"}
"""The key that each of these formats needs, and that no other may have."""

# TOML has lists where frozen models have tuples.
Names = Annotated[tuple[str, ...], Strict(strict=False)]
Count = Annotated[int, Field(ge=0)]


class Choice(BaseModel, frozen=True, extra="forbid", strict=True):
    """Which values are permitted: those listed, or those within limits; both ends count."""

    enum: Annotated[tuple[str | int, ...], Strict(strict=False)] = ()
    min: int | None = None
    max: int | None = None

    @model_validator(mode="after")
    def _some_value_is_left(self) -> Self:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min must not be greater than max")
        return self

    def numbers(self) -> Iterator[int]:
        """Yield every number that bounds what is permitted."""
        yield from (value for value in self.enum if isinstance(value, int))
        yield from (limit for limit in (self.min, self.max) if limit is not None)


class ValueRule(Choice):
    """What a value must be. `default`, `cut_at`, `max_tokens` and `note` only tell the reader."""

    type: ValueType
    required: bool = False
    any_of: Annotated[tuple[Choice, ...], Strict(strict=False)] = ()
    format: Literal["uri", "media_url", "time_points"] | None = None
    extensions: Names = ()
    max_span_s: Annotated[str, Field(pattern=r"^[0-9]{1,9}(\.[0-9]{1,9})?$")] | None = None
    max_length: Count | None = None
    cut_at: Count | None = None
    max_tokens: Count | None = None
    min_items: Count | None = None
    max_items: Count | None = None
    items: ValueRule | None = None
    properties: dict[str, ValueRule] = {}
    default: Any = None
    note: str = ""

    @model_validator(mode="after")
    def _limits_fit_the_type(self) -> Self:
        strange = sorted(self.model_fields_set - _ANYWHERE - _LIMITS[self.type])
        if strange:
            raise ValueError(f"{', '.join(strange)}: not for a value of type {self.type}")
        kind = str if self.type == "string" else int
        if not all(isinstance(value, kind) for value in self.enum):
            raise ValueError(f"enum holds a value that is not of the type {self.type}")
        for format_name, key in _OF_FORMAT.items():
            if (self.format == format_name) is not bool(getattr(self, key)):
                raise ValueError(f"{key} and the format {format_name} belong together")
        return self

    def numbers(self) -> Iterator[int]:
        """Yield every number that bounds what is permitted, alternatives included."""
        yield from super().numbers()
        for choice in self.any_of:
            yield from choice.numbers()


class FieldRule(ValueRule):
    """The rule of one field of the body. One that is not enforced is documentation alone."""

    enforced: bool
