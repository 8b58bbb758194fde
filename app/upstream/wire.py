"""What the vendor's answers mean; pure, and the one place that tells whether money is at stake.

A create has four outcomes. Only a complete, well-formed answer from a short list says that nothing
was created; only a failure from a short list says that nothing was sent; all else is ambiguous.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

DEFINITE_REFUSALS: Final = frozenset({400, 401, 402, 403, 404, 409, 413, 415, 422, 429})
"""Statuses that, with a well-formed error body, mean that nothing was created."""

_VENDOR_TASK_ID: Final = re.compile(r"task-unified-[A-Za-z0-9_-]{1,187}")
_UNKNOWN: Final = "status 404"
_MAX_RETRY_AFTER_S: Final = 300
_MAX_DEPTH: Final = 64


@dataclass(frozen=True, slots=True)
class Answer:
    """One complete HTTP answer of the vendor; `body` is whole and within the byte cap."""

    status: int
    content_type: str
    body: bytes = field(repr=False)
    retry_after: str = ""


@dataclass(frozen=True, slots=True)
class Started:
    """The vendor has created the task."""

    vendor_id: str
    report: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Refused:
    """The vendor has created nothing, and said why."""

    status: int
    message: object = field(repr=False)
    param: object = field(repr=False)
    retry_after_s: int | None


@dataclass(frozen=True, slots=True)
class NotSent:
    """Surely not a byte of the request reached the vendor."""

    reason: str


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """The vendor may or may not have created the task."""

    reason: str


SubmitOutcome = Started | Refused | NotSent | Ambiguous


@dataclass(frozen=True, slots=True)
class Reported:
    """The vendor's present view of a task; `report["status"]` is a string."""

    report: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A status read that told nothing about the task; it is asked again later."""

    reason: str

    @property
    def says_unknown(self) -> bool:
        """Return whether the vendor said that it has no such task."""
        return self.reason == _UNKNOWN


ReportOutcome = Reported | Unreadable


@dataclass(frozen=True, slots=True)
class Balance:
    """What a vendor key has used up in all, as the vendor spells the figure."""

    used: object


class NotStrict(ValueError):
    """The body is not a strict JSON object."""


def read_object(body: bytes) -> dict[str, Any]:
    """Parse a vendor body.

    Raises:
        NotStrict: not UTF-8, not JSON, NaN or infinite numbers, too deep, or not an object.
    """
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_refuse, parse_float=_finite)
        # A lone surrogate parses, but could not be stored or sent on.
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as failure:
        raise NotStrict(str(failure)[:200]) from failure
    if not isinstance(value, dict):
        raise NotStrict("not an object")
    if _is_deeper_than(value, _MAX_DEPTH):
        raise NotStrict(f"nested deeper than {_MAX_DEPTH} levels")
    return value


def _is_deeper_than(value: Any, levels: int) -> bool:
    """Say whether a JSON value has more than `levels` levels; level by level, without recursion."""
    level = [value]
    for _ in range(levels):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError("a number out of range")
    return value


def is_vendor_id(text: str) -> bool:
    """Return whether a text has the shape of the vendor's task ids."""
    return _VENDOR_TASK_ID.fullmatch(text) is not None


def classify_create(answer: Answer) -> Started | Refused | Ambiguous:
    """Say what a complete answer to a create means."""
    if answer.status != 200 and answer.status not in DEFINITE_REFUSALS:
        return Ambiguous(f"status {answer.status}")
    if not answer.content_type.lower().startswith("application/json"):
        return Ambiguous(f"status {answer.status} without JSON")
    try:
        body = read_object(answer.body)
    except NotStrict as failure:
        return Ambiguous(f"status {answer.status} with malformed JSON: {failure}")
    if answer.status == 200:
        return _started(body)
    error = body.get("error")
    if not isinstance(error, dict) or not isinstance(error.get("message"), str):
        return Ambiguous(f"status {answer.status} without an error object")
    return Refused(
        answer.status, error["message"], error.get("param"), _seconds(answer.retry_after)
    )


def _started(body: dict[str, Any]) -> Started | Ambiguous:
    vendor_id = body.get("id")
    if not isinstance(vendor_id, str) or not is_vendor_id(vendor_id):
        return Ambiguous("status 200 without a usable task id")
    return Started(vendor_id, body)


def classify_report(answer: Answer, vendor_id: str) -> ReportOutcome:
    """Say what a complete answer to a status read means; only a report of that very task counts."""
    if answer.status != 200:
        return Unreadable(f"status {answer.status}")
    try:
        report = read_object(answer.body)
    except NotStrict as failure:
        return Unreadable(f"malformed JSON: {failure}")
    if report.get("id") != vendor_id:
        return Unreadable("a report of another task")
    if not _has_status(report):
        return Unreadable("a report without status")
    return Reported(report)


def classify_reports(answer: Answer, wanted: Collection[str]) -> dict[str, Reported] | Unreadable:
    """Say what an answer to a batch read means: the reports in it, by the vendor's id.

    What is missing, spoilt, not wanted or told twice is left out, and harms none of the others;
    an answer that tells of none is as good as no answer.
    """
    if answer.status != 200:
        return Unreadable(f"status {answer.status}")
    try:
        told = read_object(answer.body).get("data")
    except NotStrict as failure:
        return Unreadable(f"malformed JSON: {failure}")
    if not isinstance(told, list):
        return Unreadable("a batch without a list")
    reports = [each for each in told if isinstance(each, dict)]
    times = Counter(each["id"] for each in reports if isinstance(each.get("id"), str))
    found = {
        each["id"]: Reported(each)
        for each in reports
        if each.get("id") in wanted and times[each["id"]] == 1 and _has_status(each)
    }
    return found or Unreadable("a batch that tells of none of its tasks")


def _has_status(report: dict[str, Any]) -> bool:
    return isinstance(report.get("status"), str)


def classify_credits(answer: Answer) -> Balance | Unreadable:
    """Say what a complete answer to a look at a key's credits means."""
    if answer.status != 200:
        return Unreadable(f"status {answer.status}")
    try:
        account = read_object(answer.body).get("data")
    except NotStrict as failure:
        return Unreadable(f"malformed JSON: {failure}")
    of_key = account.get("token") if isinstance(account, dict) else None
    used = of_key.get("used_credits") if isinstance(of_key, dict) else None
    if used is None:
        return Unreadable("an account without used credits")
    return Balance(used)


def _seconds(retry_after: str) -> int | None:
    """Read `Retry-After` in seconds, capped; dates and nonsense are ignored."""
    if not (retry_after.isascii() and retry_after.isdigit()):
        return None
    # Nine digits are beyond the cap already, and int() refuses thousands of them.
    return min(int(retry_after[:9]), _MAX_RETRY_AFTER_S)
