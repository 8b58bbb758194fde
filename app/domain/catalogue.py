"""The model list: read, checked, laid over by an operator's own, and asked."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    ValidationError,
    model_validator,
)

from app.domain.field_rule import FieldRule, Names
from app.domain.pricing import LONGEST_PRICED_S, Seconds, Tariff, parse_credits
from app.errors import ModelNotFound

UNKNOWN: Final = "unknown"

MODEL_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._:/-]{0,126}[A-Za-z0-9])?")
"""What a model may be called. Lists of allowed models are stored with commas between the names."""

_PRICE_KEYS: Final = ("price", "price_per_second", "price_by", "price_per_second_by")
_NUMBER: Final = re.compile(r"-?[0-9]{1,9}(?:\.[0-9]{1,9})?")
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")


class CatalogueRefused(ValueError):
    """A catalogue breaks the file's own rules; `problems` has one line a mistake."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def _in_quotes(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError(f'write the amount in quotes: "{value}"')  # noqa: TRY004 - for pydantic
    return value


def _an_amount(value: str) -> str:
    parse_credits(value)
    return value


def _an_amount_or_unknown(value: str) -> str:
    return value if value == UNKNOWN else _an_amount(value)


Amount = Annotated[str, BeforeValidator(_in_quotes), AfterValidator(_an_amount)]
AmountOrUnknown = Annotated[str, BeforeValidator(_in_quotes), AfterValidator(_an_amount_or_unknown)]
AmountsByField = dict[str, Annotated[dict[str, Amount], Field(min_length=1)]]


class Model(BaseModel, frozen=True, extra="forbid", strict=True):
    """One model: what it needs, what it costs, and what its answers say before the vendor does."""

    name: Annotated[str, Field(pattern=f"^{MODEL_NAME.pattern}$")]
    aliases: Names = ()
    status: Literal["active", "retired", "unknown"] = UNKNOWN
    status_source: str = ""
    object: str = "video.generation.task"
    type: Literal["video"] = "video"
    billing_rule: Literal["per_call", "per_second", "per_token", "unknown"] = UNKNOWN
    price: AmountOrUnknown = UNKNOWN
    price_per_second: Amount | None = None
    price_by: AmountsByField = {}
    price_per_second_by: AmountsByField = {}
    price_source: str = ""
    longest_s: Annotated[int, Field(ge=1, le=LONGEST_PRICED_S)] | None = None
    units: Literal["credit", "unknown"] = UNKNOWN
    estimated_time_s: Annotated[int, Field(ge=0)] | None = None
    video_duration_s: Annotated[int, Field(ge=0)] | None = None
    callback_url_documented: bool = False
    task_id_fields: Names = ()
    error_format: str = UNKNOWN
    notes: str = ""
    source: Names = ()
    fields: dict[str, FieldRule] = {}

    @property
    def tariff(self) -> Tariff | None:
        """What a create of this model costs, or None where no price is known."""
        is_per_second = bool(self.price_per_second or self.price_per_second_by)
        seconds = self._seconds() if is_per_second else None
        for field, amounts in (self.price_by | self.price_per_second_by).items():
            return Tariff(
                {self._key(field, key): parse_credits(each) for key, each in amounts.items()},
                field,
                seconds,
            )
        flat = self.price_per_second or self.price
        return None if flat == UNKNOWN else Tariff({"": parse_credits(flat)}, "", seconds)

    def _seconds(self) -> Seconds:
        rule = self.fields.get("duration")
        bounds = [number for number in rule.numbers() if number > 0] if rule else []
        longest = self.longest_s or max(bounds, default=None)
        if longest is None or longest > LONGEST_PRICED_S:
            raise ValueError("a price per second needs longest_s, the most seconds of one video")
        return Seconds("duration" if rule else "", min(bounds, default=1), longest)

    def _key(self, field: str, spelled: str) -> str | Decimal:
        """Return a key of a price table as the value of a body it stands for."""
        rule = self.fields.get(field)
        if rule is None:
            raise ValueError(f"the model has no field {field}, so no price can depend on it")
        if rule.type not in ("integer", "number"):
            return spelled
        if _NUMBER.fullmatch(spelled) is None:
            raise ValueError(f"{field} is a number, so {spelled} cannot be a value of it")
        return Decimal(spelled)

    @model_validator(mode="after")
    def _one_price_that_can_be_reckoned(self) -> Self:
        given = [key for key in _PRICE_KEYS if getattr(self, key) not in (UNKNOWN, None, {})]
        if len(given) > 1:
            raise ValueError(f"give one of {' and '.join(given)}")
        if len(self.price_by) > 1 or len(self.price_per_second_by) > 1:
            raise ValueError("a price can depend on one field alone")
        _ = self.tariff
        return self


# Without a repr: whatever prints what holds a catalogue would print all models with it.
@dataclass(frozen=True, slots=True, repr=False)
class Catalogue:
    """All models by name. `allow_unknown`: a name it does not hold is a model without rules."""

    models: Mapping[str, Model]
    allow_unknown: bool = False

    def model(self, name: str) -> Model:
        """Return the model called `name`, or of which that is an alias.

        Raises:
            ModelNotFound: the catalogue does not hold it.
        """
        found = self.models.get(name)
        if found is not None:
            return found
        for model in self.models.values():
            if name in model.aliases:
                return model
        if self.allow_unknown and MODEL_NAME.fullmatch(name):
            return Model(name=name)
        raise ModelNotFound

    def known(self, name: str) -> Model:
        """Return a model by its own name, for a task that was admitted under it: without rules if
        the catalogue no longer holds it.
        """
        return self.models.get(name) or Model.model_construct(name=name)

    def name_of(self, name: str) -> str:
        """Return the catalogue's own name of a model, or `name` where it does not hold it."""
        try:
            return self.model(name).name
        except ModelNotFound:
            return name


def read_catalogue(
    document: Mapping[str, Any],
    own: Mapping[str, Any] | None = None,
    *,
    allow_unknown: bool = False,
) -> Catalogue:
    """Check a parsed catalogue file, with another laid over it.

    A table of `own` is merged with the one of the same name, value by value; a price replaces all
    keys about the price.

    Raises:
        CatalogueRefused: an entry breaks the file's rules.
    """
    problems: list[str] = []
    entries = dict(_entries(document, problems))
    for name, entry in _entries(own or {}, problems):
        entries[name] = _laid_over(entries.get(name, {}), entry)
    models: dict[str, Model] = {}
    for name, entry in entries.items():
        try:
            models[name] = Model.model_validate({"name": name, **entry})
        except ValidationError as refusal:
            problems += _told(name, refusal)
    problems += _ambiguous(models)
    if problems:
        raise CatalogueRefused(problems)
    return Catalogue(models, allow_unknown)


def _entries(document: Mapping[str, Any], problems: list[str]) -> Iterator[tuple[str, Any]]:
    problems += [f"{key}: only tables of models belong here" for key in document if key != "models"]
    models = document.get("models", {})
    if not isinstance(models, dict):
        problems.append('models: write a table for each model, such as [models."a-model"]')
        return
    for name, entry in models.items():
        if not isinstance(entry, dict) or "name" in entry:
            problems.append(f"{_place([name])}: write a table, without a name of its own")
        else:
            yield name, entry


def _laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Merge a model's table with an operator's."""
    if any(key in above for key in _PRICE_KEYS):
        below = {key: value for key, value in below.items() if key not in _PRICE_KEYS}
    return _merged(below, above)


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        match merged.get(key), value:
            case dict() as old, dict():
                merged[key] = _merged(old, value)
            case _:
                merged[key] = value
    return merged


def _told(name: str, refusal: ValidationError) -> Iterator[str]:
    for problem in refusal.errors(include_url=False, include_input=False):
        place = _place([name, *map(str, problem["loc"])])
        yield f"{place}: {problem['msg'].removeprefix('Value error, ')}"


def _place(path: list[str]) -> str:
    """Write a place in the file as its own keys are written."""
    return ".".join(
        key if _BARE_KEY.fullmatch(key) else json.dumps(key) for key in ("models", *path)
    )


def _ambiguous(models: Mapping[str, Model]) -> Iterator[str]:
    """Name the aliases that stand for more than one model."""
    owners: dict[str, str] = {}
    for model in models.values():
        for alias in model.aliases:
            other = alias if alias in models else owners.setdefault(alias, model.name)
            if other != model.name:
                yield f"{_place([other])}: {alias} is an alias of {model.name}: use that table"
