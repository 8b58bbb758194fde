"""The model list: read, checked and asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, Field

from app.domain.pricing import Microcredits, parse_credits
from app.errors import ModelNotFound


class FieldRule(BaseModel, frozen=True, extra="forbid"):
    """What one request field must be."""

    required: bool = False
    format: Literal["media_url", "time_points"]
    extensions: tuple[str, ...] = ()
    max_span_s: str = "0"
    source: str


class Model(BaseModel, frozen=True, extra="forbid"):
    """One model: what it needs, what it costs, and what its answers say before the vendor does."""

    name: str
    status: Literal["active", "retired", "unknown"]
    status_source: str
    object: str
    type: Literal["video"]
    billing_rule: Literal["per_call", "per_second", "per_token"]
    price: str
    units: Literal["credit", "unknown"]
    price_source: str
    estimated_time_s: int = Field(ge=0)
    video_duration_s: int = Field(ge=0)
    times_source: str
    callback_url_documented: bool
    source: str
    fields: dict[str, FieldRule] = Field(default_factory=dict)

    @property
    def price_microcredits(self) -> Microcredits | None:
        """Price of one call, or None where none is known."""
        return None if self.price == "unknown" else parse_credits(self.price)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All models by name."""

    models: Mapping[str, Model]

    def model(self, name: str) -> Model:
        """Return the model called `name`.

        Raises:
            ModelNotFound: the catalogue does not hold it.
        """
        found = self.models.get(name)
        if found is None:
            raise ModelNotFound
        return found


def read_catalogue(document: Mapping[str, Any]) -> Catalogue:
    """Check a parsed catalogue file.

    Raises:
        pydantic.ValidationError: an entry breaks the file's own rules.
        ValueError: a price is neither a decimal number nor "unknown".
    """
    models = {
        name: Model.model_validate({"name": name, **entry})
        for name, entry in document["models"].items()
    }
    for model in models.values():
        _ = model.price_microcredits
    return Catalogue(models)
