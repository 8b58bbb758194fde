"""What reached the sandbox, written down before anything is done about it.

A test compares this with what the gateway believes. So nothing is ever forgotten to make room:
when the journal is full, requests are refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from starlette.types import Scope

from app.sandbox import validation
from app.sandbox.paths import route_of

MOST_ENTRIES: Final = 200_000
MOST_SOURCE_BYTES: Final = 256 * 1024 * 1024


class JournalFull(Exception):
    """No further request can be written down; nothing was done."""


def key_fingerprint(key: str) -> str:
    """How a key is shown: enough to tell keys apart, too little to use one."""
    return f"{hashlib.sha256(key.encode()).hexdigest()[:12]}:{key[-4:]}"


@dataclass(slots=True)
class Entry:
    """One request. The last four fields are filled in while it is served.

    `answer_status` stays empty for an answer that was never finished. `created_task_id` is set
    whenever a task was created, also when the client was never told.
    """

    seq: int
    at_ms: int
    method: str
    path: str
    query: str
    key: str | None
    idempotency_key: str | None
    headers: str
    body: Any
    body_bytes: int
    body_complete: bool
    concurrent: int
    fault: str | None = None
    created_task_id: str | None = None
    idempotency_replayed: bool = False
    answer_status: int | None = None

    def shown(self) -> dict[str, Any]:
        """The entry as JSON."""
        names = (name for name in self.__slots__ if name != "headers")
        shown = {name: getattr(self, name) for name in names}
        lines = (line.partition(": ") for line in self.headers.split("\n") if line)
        return shown | {"headers": [[name, value] for name, _, value in lines]}


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request as it came in; `body` is what arrived of it."""

    scope: Scope
    body: bytes
    complete: bool

    def header(self, name: bytes) -> str | None:
        """The first header of that lower-case name."""
        values = (value for key, value in self.scope["headers"] if key == name)
        found = next(values, None)
        return None if found is None else str(found, "latin-1")

    @property
    def route(self) -> str:
        """What a fault calls this request."""
        return route_of(self.scope["method"], self.scope["path"])

    @property
    def key(self) -> str | None:
        """The vendor key it was sent with, whether or not there is one like that."""
        authorization = self.header(b"authorization")
        return None if authorization is None else authorization.removeprefix("Bearer ").strip()


class Journal:
    """The requests of one sandbox, oldest first."""

    def __init__(self, path: Path | None, *, most_entries: int = MOST_ENTRIES) -> None:
        self._path = path
        self._most_entries = most_entries
        self._entries: list[Entry] = []
        self._source_bytes = 0
        self._written = 0

    def open(self, arrival: Arrival, *, at_ms: int, concurrent: int) -> Entry:
        """Write a request down.

        Raises:
            JournalFull: there is no room left, by count or by size.
        """
        headers = _kept(arrival.scope)
        source_bytes = len(headers) + len(arrival.body)
        if len(self._entries) >= self._most_entries:
            raise JournalFull(f"the sandbox journal holds {self._most_entries} requests")
        if self._source_bytes + source_bytes > MOST_SOURCE_BYTES:
            raise JournalFull(f"the sandbox journal holds {MOST_SOURCE_BYTES} bytes of requests")
        self._source_bytes += source_bytes
        self._written += 1
        entry = Entry(
            seq=self._written,
            at_ms=at_ms,
            method=arrival.scope["method"],
            path=arrival.scope["path"],
            query=arrival.scope["query_string"].decode("latin-1"),
            key=None if arrival.key is None else key_fingerprint(arrival.key),
            idempotency_key=arrival.header(b"idempotency-key"),
            headers=headers,
            body=_json_or_nothing(arrival.body) if arrival.complete else None,
            body_bytes=len(arrival.body),
            body_complete=arrival.complete,
            concurrent=concurrent,
        )
        self._entries.append(entry)
        self.keep(entry)
        return entry

    def keep(self, entry: Entry) -> None:
        """Append the entry to the file; the last line of a `seq` is the one that counts."""
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(entry.shown()) + "\n")

    def entries(
        self, *, path: str | None = None, method: str | None = None, after: int = 0
    ) -> Iterator[Entry]:
        """The entries of that path and method, written after number `after`."""
        for entry in self._entries:
            if path in (None, entry.path) and method in (None, entry.method) and entry.seq > after:
                yield entry

    def clear(self) -> None:
        """Forget all entries, on request only; numbers go on, and the file is left alone."""
        self._entries.clear()
        self._source_bytes = 0


def _kept(scope: Scope) -> str:
    lines = (
        f"{name.decode('latin-1')}: {value.decode('latin-1')}"
        for name, value in scope["headers"]
        if name != b"authorization"
    )
    return "\n".join(lines)


def _json_or_nothing(body: bytes) -> Any:
    """The body's JSON; nothing where it is not JSON, which the answer to it will say."""
    try:
        return validation.parsed(body) if body else None
    except ValueError:
        return None
