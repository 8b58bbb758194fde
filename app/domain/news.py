"""News of tasks: one entry of a tenant's stream, its place there, and how it is sent as an event.

The form of events is that of server-sent events (HTML Living Standard, section 9.2).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

from app.errors import GatewayError

RETRY_MS: Final = 2_000
"""How long a client waits before it connects again, unless it is told otherwise."""

HEARTBEAT: Final = b":\n\n"
"""A comment: every client ignores it, and whatever stands between sees that the stream lives."""

MAX_SNAPSHOT: Final = 1_000
"""Most tasks that are shown to a client which has missed more than the stream still holds."""

_PLACE: Final = re.compile(r"(0|[1-9][0-9]{0,14})-(0|[1-9][0-9]{0,9})")
_LAST_EVENTS: Final = frozenset({"task.completed", "task.failed"})
_LINES: Final = re.compile(rb"\r\n|\r|\n")


class Place(NamedTuple):
    """Where an entry stands in its stream; later entries have greater places."""

    at_ms: int
    number: int

    @classmethod
    def read(cls, text: str) -> Place | None:
        """Read the id of an event, or None where it cannot be one of ours."""
        found = _PLACE.fullmatch(text)
        return cls(int(found[1]), int(found[2])) if found else None

    def __str__(self) -> str:
        """Return the id of the event."""
        return f"{self.at_ms}-{self.number}"


@dataclass(frozen=True)
class NewsEntry:
    """One change of what a task shows. `subject` is whose browser token made it, "" for a key."""

    place: Place
    task_id: str
    event: str
    subject: str
    body: bytes

    @property
    def is_last(self) -> bool:
        """Whether nothing more will be told of the task."""
        return is_last_event(self.event)

    @cached_property
    def as_event(self) -> bytes:
        """The entry as clients are sent it: the same bytes for thousands of them."""
        return event_bytes(self.event, self.body, self.place)


def is_last_event(event: str) -> bool:
    """Return whether a task's stream ends with such an event."""
    return event in _LAST_EVENTS


def event_of(body: bytes) -> str:
    """Return the event that tells of a task's answer."""
    return f"task.{json.loads(body)['status']}"


def event_bytes(event: str, body: bytes, place: Place | None) -> bytes:
    """Return an event; one without a place leaves the client's last place as it was."""
    data = b"\ndata: ".join(_LINES.split(body))
    line = b"" if place is None else _id_line(place)
    return b"event: %s\n%sdata: %s\n\n" % (event.encode("ascii"), line, data)


def opening_bytes(place: Place | None) -> bytes:
    """Return what every stream begins with; a place is where a client that saw nothing goes on."""
    line = b"" if place is None else _id_line(place)
    return b"retry: %d\n%s\n" % (RETRY_MS, line)


def place_bytes(place: Place) -> bytes:
    """Return what moves a client's place, and is no event."""
    return _id_line(place) + b"\n"


def _id_line(place: Place) -> bytes:
    return b"id: %s\n" % str(place).encode("ascii")


def retry_bytes(after_ms: int) -> bytes:
    """Return the order to connect again after so long."""
    return b"retry: %d\n\n" % after_ms


def closing_bytes(why: GatewayError, request_id: str) -> bytes:
    """Return the event that tells a caller why its stream ends; connecting again will not help."""
    body = json.dumps(why.envelope(request_id), separators=(",", ":")).encode("ascii")
    return event_bytes("closed", body, None)
