"""What a tenant is told of its models, its credits and its use."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from app.domain.catalogue import Catalogue, Model
from app.domain.contract import credits_number
from app.domain.listing import single_values
from app.domain.pricing import MAX_CREDITS, PER_CREDIT, Microcredits
from app.domain.tenant import Limits
from app.errors import InvalidRequest

DEFAULT_DAYS: Final = 30
MAX_DAYS: Final = 400
"""As long as the figures are kept."""

Figures = Mapping[str, int]
"""Figures of a day or month by name; see `store/keys.py`."""


def models_answer(catalogue: Catalogue, *limits: Limits) -> dict[str, Any]:
    """Return the models that all of `limits` permit, in the form of a model list."""
    shown = [
        _model(model)
        for model in catalogue.models.values()
        if all(each.permits(model.name) for each in limits)
    ]
    return {"object": "list", "data": shown}


def _model(model: Model) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": model.name,
        "object": "model",
        "type": model.type,
        "status": model.status,
        "billing_rule": model.billing_rule,
        **_price(model),
        "callback_url_documented": model.callback_url_documented,
        "aliases": list(model.aliases),
    }
    if model.status_source:
        shown["status_source"] = model.status_source
    return shown


def _price(model: Model) -> dict[str, Any]:
    """Return the price in credits, under the name of its form; "unknown" where none is known."""
    for name in ("price_per_second", "price_by", "price_per_second_by"):
        if found := getattr(model, name):
            return {name: found}
    return {"price": model.price}


@dataclass(frozen=True, slots=True)
class Balance:
    """Credits of one limited window; `limit` None: unlimited."""

    limit: Microcredits | None
    settled: Microcredits
    held: Microcredits

    def shown(self) -> dict[str, Any]:
        """Return the vendor's members; what is unlimited shows the largest amount there is."""
        left = MAX_CREDITS * PER_CREDIT
        if self.limit is not None:
            left = self.limit - self.settled - self.held
        return {
            "remaining_credits": credits_number(left),
            "unlimited_credits": self.limit is None,
            "used_credits": credits_number(self.settled),
        }


def credits_answer(*, token: Balance, user: Balance) -> dict[str, Any]:
    """Return the answer to a credit query, in the vendor's form."""
    return {
        "data": {"token": token.shown(), "user": user.shown()},
        "message": "",
        "success": True,
    }


def balance(limits: Limits, *, day: Figures, month: Figures, suffix: str = "") -> Balance:
    """Return the balance of the month where it is limited, else of the day, else of no limit.

    `suffix` picks the figures: "" those of the tenant, `:<family>` those of a key.
    """
    limit, window = limits.credits_per_month, month
    if limit is None and limits.credits_per_day is not None:
        limit, window = limits.credits_per_day, day
    return Balance(limit, window.get(f"settled{suffix}", 0), window.get(f"held{suffix}", 0))


@dataclass(frozen=True, slots=True)
class DaySpan:
    """Days of UTC, both ends included."""

    first: date
    last: date

    def days(self) -> list[date]:
        """Return every day, first to last."""
        count = (self.last - self.first).days + 1
        return [self.first + timedelta(days=number) for number in range(count)]

    def windows(self) -> list[str]:
        """Return the names of the days' figures."""
        return [f"{day:%Y%m%d}" for day in self.days()]

    @classmethod
    def read(cls, given: Iterable[tuple[str, str]], *, today: date) -> DaySpan:
        """Read the query of a usage call: `from` and `to`, by default the last 30 days.

        Raises:
            InvalidRequest: a date cannot be read, or the span is empty or too long.
        """
        found = single_values(given, ("from", "to"))
        last = _date(found, "to") or today
        first = _date(found, "from") or last - timedelta(days=DEFAULT_DAYS - 1)
        if first > last:
            raise InvalidRequest("Invalid from parameter: it lies after `to`", param="from")
        if (last - first).days >= MAX_DAYS:
            raise InvalidRequest(
                f"Invalid from parameter: at most {MAX_DAYS} days are shown at once", param="from"
            )
        return cls(first, last)


def _date(found: Mapping[str, str], name: str) -> date | None:
    text = found.get(name)
    if text is None:
        return None
    try:
        # The library reads weeks and other forms too.
        day = date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        day = None
    # A margin at both ends, so that no sum of days leaves the calendar.
    if day is None or not 1970 <= day.year <= 9998:  # noqa: PLR2004
        raise InvalidRequest(
            f"Invalid {name} parameter: write a day of UTC such as 2026-11-22", param=name
        )
    return day


def usage_answer(
    span: DaySpan,
    figures: Iterable[Figures],
    *,
    amount: Callable[[Microcredits], Any],
    with_keys: bool,
) -> dict[str, Any]:
    """Return the days of a span that have figures, and their total; `amount` writes credits."""
    days: list[dict[str, Any]] = []
    total: dict[str, int] = dict.fromkeys(_COUNTED, 0)
    for day, found in zip(span.days(), figures, strict=True):
        if not any(found.get(name) for name in _COUNTED):
            continue
        shown = {"date": f"{day:%Y-%m-%d}", **_shown(found, "", amount)}
        shown["models"] = _parts(found, "@", amount)
        if with_keys:
            shown["keys"] = _parts(found, ":", amount)
        days.append(shown)
        for name in total:
            total[name] += found.get(name, 0)
    return {
        "data": days,
        "total": _shown(total, "", amount),
        "from": f"{span.first:%Y-%m-%d}",
        "to": f"{span.last:%Y-%m-%d}",
    }


_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_PART: Final = re.compile(r"\w+([:@])(.+)")
_COUNTED: Final = ("tasks", "completed", "failed", "settled", "held")


def _shown(figures: Figures, suffix: str, amount: Callable[[Microcredits], Any]) -> dict[str, Any]:
    return {
        "tasks": figures.get(f"tasks{suffix}", 0),
        "completed": figures.get(f"completed{suffix}", 0),
        "failed": figures.get(f"failed{suffix}", 0),
        "credits_used": amount(figures.get(f"settled{suffix}", 0)),
        "credits_reserved": amount(figures.get(f"held{suffix}", 0)),
    }


def _parts(
    figures: Figures, mark: str, amount: Callable[[Microcredits], Any]
) -> dict[str, dict[str, Any]]:
    """Return the figures of each model (`@`) or key (`:`) that has any."""
    marked = (_PART.fullmatch(name) for name in figures)
    names = sorted({found[2] for found in marked if found and found[1] == mark})
    shown = {name: _shown(figures, f"{mark}{name}", amount) for name in names}
    return {name: each for name, each in shown.items() if any(map(_counts, each.values()))}


def _counts(value: Any) -> bool:
    return value not in (0, "0")
