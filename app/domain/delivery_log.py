"""The log of deliveries: what may be asked of it, and what a test has in it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal, Self, cast, get_args

from app.domain.delivery import Delivery, DeliveryState
from app.domain.ids import is_task_id
from app.domain.listing import (
    DEFAULT_PAGE_SIZE,
    MAX_PAGE,
    MAX_PAGE_SIZE,
    bad_value,
    single_values,
    whole_number,
)
from app.domain.webhook import EVENTS, TEST_EVENT, TestedName

LOGGED_EVENTS: Final = (*EVENTS, TEST_EVENT)
MAX_LOOKED_THROUGH: Final = 10_000
"""Newest messages of a receiver among which those of one status or event are looked for."""

_ANY_TASK: Final = "task-unified-1767917446-0123456789abcdefghijklmno"


@dataclass(frozen=True, slots=True)
class DeliveryQuery:
    """A page of a receiver's log; "" lets everything through."""

    status: DeliveryState | Literal[""] = ""
    event: str = ""
    task_id: str = ""
    page: int = 1
    page_size: int = DEFAULT_PAGE_SIZE

    @property
    def places(self) -> tuple[int, int]:
        """The first and the last place of the page, from 0."""
        first = (self.page - 1) * self.page_size
        return first, first + self.page_size - 1

    def meets(self, delivery: Delivery) -> bool:
        """Return whether a delivery is one of those that are asked for."""
        return (
            self.status in ("", delivery.state)
            and self.event in ("", delivery.event)
            and self.task_id in ("", delivery.task_id)
        )

    @classmethod
    def read(cls, given: Iterable[tuple[str, str]]) -> Self:
        """Read the query of a log; names that it does not know are ignored, as is an empty value.

        Raises:
            InvalidRequest: a value breaks its rule, or a name is given twice.
        """
        found = single_values(given, ("status", "event", "task_id", "page", "page_size"))
        for name, words in (("status", get_args(DeliveryState)), ("event", LOGGED_EVENTS)):
            if name in found and found[name] not in words:
                raise bad_value(name, f"it must be one of {', '.join(words)}")
        if not is_task_id(found.get("task_id", _ANY_TASK)):
            raise bad_value("task_id", "it must be the id of a task, such as " + _ANY_TASK)
        return cls(
            status=cast(DeliveryState, found.get("status", "")),
            event=found.get("event", ""),
            task_id=found.get("task_id", ""),
            page=whole_number(found, "page", 1, MAX_PAGE),
            page_size=whole_number(found, "page_size", DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE),
        )


def message_ids_of(task_id: str) -> list[str]:
    """Return the ids of all messages there can be about a task."""
    return [f"msg_{task_id[-25:]}_{event.partition('.')[2]}" for event in EVENTS]


def sample_body(event: TestedName, webhook_id: str, *, now_s: int) -> bytes:
    """Return what a test tells as `data`: its endpoint, or a task that there is not."""
    if event == TEST_EVENT:
        return _encoded({"webhook_id": webhook_id})
    task: dict[str, Any] = {
        "created": now_s,
        "id": f"task-unified-{now_s:010d}-{'0' * 25}",
        "model": "sora-character",
        "object": "video.generation.task",
        "progress": 0,
        "status": event.partition(".")[2],
        "task_info": {"can_cancel": False, "estimated_time": 150, "video_duration": 8},
        "type": "video",
        "usage": {"billing_rule": "per_call", "credits_reserved": 0.1, "user_group": "default"},
    }
    end = _ENDS.get(event, {})
    return _encoded({**task, **end, "usage": {**task["usage"], **end.get("usage", {})}})


_ENDS: Final[dict[str, dict[str, Any]]] = {
    "task.completed": {
        "progress": 100,
        "usage": {"credits_used": 0.1},
        "results": ["https://example.com/profile.jpg"],
        "result_data": {
            "character_name": "chr_example#",
            "profile_picture_url": "https://example.com/profile.jpg",
        },
    },
    "task.failed": {
        "usage": {"credits_used": 0},
        "error": {
            "code": "service_error",
            "message": "This task is an example.",
            "type": "task_error",
        },
    },
}
"""What a task has beside the rest once it is over."""


def _encoded(content: dict[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
