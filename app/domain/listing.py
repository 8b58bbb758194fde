"""The list of a tenant's tasks: what may be asked of it, and what it shows of each task."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from app.domain.contract import task_credits
from app.domain.ids import is_task_id
from app.errors import InvalidRequest

ListName = Literal["all", "open", "completed", "failed", "cancelled"]
"""The lists of a tenant's tasks; a cancelled one is on `failed` as well."""

_STATUSES: Final[dict[str, ListName]] = {
    "processing": "open",
    "completed": "completed",
    "failed": "failed",
    "cancelled": "cancelled",
}
"""The words of the filter; `processing` includes `pending`, `failed` includes `cancelled`."""

_TYPES: Final = ("image", "video", "audio", "text")
_NAMES: Final = ("status", "type", "model", "page", "page_size")

DEFAULT_PAGE_SIZE: Final = 20
MAX_PAGE_SIZE: Final = 100
MAX_PAGE: Final = 1_000_000

MAX_BATCH: Final = 50
"""Most ids in one batch call; the vendor's own limit."""


@dataclass(frozen=True, slots=True)
class ListQuery:
    """A page of a list. `nothing_matches`: no task here can have what the filter asks for."""

    status: ListName = "all"
    model: str = ""
    page: int = 1
    page_size: int = DEFAULT_PAGE_SIZE
    nothing_matches: bool = False

    @property
    def places(self) -> tuple[int, int]:
        """The first and the last place of the page, from 0."""
        first = (self.page - 1) * self.page_size
        return first, first + self.page_size - 1

    @classmethod
    def read(cls, given: Iterable[tuple[str, str]]) -> ListQuery:
        """Read the query of a list; names that it does not know are ignored, as is an empty value.

        Raises:
            InvalidRequest: a value breaks its rule, or a name is given twice.
        """
        found = single_values(given, _NAMES)
        status, kind = found.get("status"), found.get("type")
        if status is not None and status not in _STATUSES:
            raise bad_value("status", f"it must be one of {', '.join(_STATUSES)}")
        if kind is not None and kind not in _TYPES:
            raise bad_value("type", f"it must be one of {', '.join(_TYPES)}")
        return cls(
            status="all" if status is None else _STATUSES[status],
            model=found.get("model", ""),
            page=whole_number(found, "page", 1, MAX_PAGE),
            page_size=whole_number(found, "page_size", DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE),
            nothing_matches=kind not in (None, "video"),
        )


def single_values(given: Iterable[tuple[str, str]], names: Iterable[str]) -> dict[str, str]:
    """Return the non-empty values of the query parameters in `names`.

    Raises:
        InvalidRequest: one is given twice.
    """
    found: dict[str, str] = {}
    for name, value in given:
        if name in names and value:
            if name in found:
                raise bad_value(name, "it is given more than once")
            found[name] = value
    return found


def whole_number(found: Mapping[str, str], name: str, default: int, most: int) -> int:
    """Return a query parameter from 1 to `most`, or the default where it is missing.

    Raises:
        InvalidRequest: it is no such number.
    """
    text = found.get(name)
    if text is None:
        return default
    # At most seven digits: a longer figure is out of range whatever it says.
    if not (text.isascii() and text.isdigit() and len(text) <= 7 and 1 <= int(text) <= most):  # noqa: PLR2004
        raise bad_value(name, f"it must be a whole number from 1 to {most}")
    return int(text)


def bad_value(name: str, rule: str) -> InvalidRequest:
    """Return the error for a query parameter that breaks its rule."""
    return InvalidRequest(f"Invalid {name} parameter: {rule}", param=name)


def batch_ids(body: Mapping[str, Any]) -> list[str]:
    """Return the ids of a batch call that can be task ids, once each and in the order given.

    Raises:
        InvalidRequest: `task_ids` is missing, no array of strings, or too long.
    """
    given = body.get("task_ids")
    if not isinstance(given, list):
        raise InvalidRequest(
            "task_ids is required: an array of task ids, at most 50", param="task_ids"
        )
    if len(given) > MAX_BATCH:
        raise InvalidRequest(
            f"Invalid task_ids parameter: it has {len(given)} ids, at most {MAX_BATCH} are read"
            " at once: ask in several calls",
            param="task_ids",
        )
    for place, task_id in enumerate(given):
        if not isinstance(task_id, str):
            where = f"task_ids[{place}]"
            raise InvalidRequest(f"Invalid {where} parameter: it must be a string", param=where)
    return [task_id for task_id in dict.fromkeys(given) if is_task_id(task_id)]


def list_item(body: bytes) -> dict[str, Any]:
    """Return what a list shows of a task, from its stored answer; no links to results."""
    task: dict[str, Any] = json.loads(body)
    return {
        "id": task["id"],
        "status": task["status"],
        "model": task["model"],
        "type": task["type"],
        "progress": task["progress"],
        "created_at": task["created"],
        "has_results": bool(task.get("results")) or bool(task.get("result_data")),
        "has_error": "error" in task,
        "credits_used": task_credits(task),
    }
