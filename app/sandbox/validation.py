"""The vendor's check of a creation, as far as it is documented.

`sora-character` is checked field by field. For other models only the name is looked at: their
pages differ too much for an imitation to be right about all of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, NoReturn
from urllib.parse import SplitResult, urlsplit

from app.sandbox import catalogue
from app.sandbox.catalogue import Model
from app.sandbox.problems import VendorRefusal, invalid
from app.sandbox.scenario import Scenario, scenario_of

LONGEST_CALLBACK_URL: Final = 2048
LONGEST_SPAN_S: Final = 2
VIDEO_FORMATS: Final = (".mp4", ".mov", ".webm")
MOST_IN_BATCH: Final = 50

_SECONDS: Final = re.compile(r" *[0-9]{1,9}(?:\.[0-9]{1,9})? *")


@dataclass(frozen=True, slots=True)
class Order:
    """A creation that the vendor accepts."""

    model: Model
    scenario: Scenario
    callback_url: str | None


def parsed(body: bytes) -> Any:
    """The JSON of a body, by the letter of the standard.

    Raises:
        ValueError: it is not JSON; numbers that are none, such as NaN, included.
    """
    try:
        return json.loads(body, parse_constant=_no_number)
    except RecursionError as reason:
        raise ValueError("nested too deeply") from reason


def object_in(body: bytes) -> dict[str, Any]:
    """The JSON object of a body.

    Raises:
        VendorRefusal: the body is something else.
    """
    try:
        value = parsed(body)
    except ValueError as reason:
        raise VendorRefusal(400) from reason
    if not isinstance(value, dict):
        raise VendorRefusal(400)
    return value


def order_in(body: Mapping[str, Any], *, default_seconds: float) -> Order:
    """Check a creation's body.

    Raises:
        VendorRefusal: it is not acceptable; names the field.
    """
    name = body.get("model")
    if not isinstance(name, str):
        raise invalid("model")
    model = catalogue.find(name)
    if model is None:
        raise VendorRefusal(404, "Specified model not found", "model")
    if model.result == "character":
        _check_character(body)
    callback_url = body.get("callback_url")
    if callback_url is not None:
        _check_callback(callback_url)
    return Order(model, scenario_of(body, default_seconds=default_seconds), callback_url)


def task_ids_in(body: Mapping[str, Any]) -> list[str]:
    """The ids of a batch query.

    Raises:
        VendorRefusal: they are missing, too many, or not text.
    """
    ids = body.get("task_ids")
    if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
        raise invalid("task_ids")
    if not 0 < len(ids) <= MOST_IN_BATCH:
        raise invalid("task_ids")
    return ids


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


def _check_character(body: Mapping[str, Any]) -> None:
    url = _split(body.get("video_url"), "video_url")
    last = url.path.rpartition("/")[2]
    if "." in last and not last.lower().endswith(VIDEO_FORMATS):
        raise invalid("video_url")
    timestamps = body.get("timestamps")
    if timestamps is not None:
        _check_timestamps(timestamps)


def _check_timestamps(text: Any) -> None:
    if not isinstance(text, str):
        raise invalid("timestamps")
    points = text.split(",")
    if not all(_SECONDS.fullmatch(point) for point in points):
        raise invalid("timestamps")
    seconds = [Decimal(point.strip()) for point in points]
    if max(seconds) - min(seconds) > LONGEST_SPAN_S:
        raise invalid("timestamps")


def _check_callback(url: Any) -> None:
    """Accept http and loopback, which the vendor forbids: everything here runs on one machine."""
    _split(url, "callback_url")
    if len(url) > LONGEST_CALLBACK_URL:
        raise invalid("callback_url")


def _split(url: Any, param: str) -> SplitResult:
    if not isinstance(url, str) or not url.isprintable() or " " in url:
        raise invalid(param)
    try:
        parts = urlsplit(url)
        known = parts.hostname and parts.port != 0
    except ValueError as reason:
        raise invalid(param) from reason
    if parts.scheme not in ("http", "https") or not known:
        raise invalid(param)
    return parts
