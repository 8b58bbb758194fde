"""What the HTTP form remembers of the tasks it created: the list, the bill, the replays."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from app.sandbox import life
from app.sandbox.problems import VendorRefusal
from app.sandbox.task_ids import Ticket

MOST_TASKS: Final = 200_000


class RegisterFull(Exception):
    """No further task can be remembered; nothing was created."""


@dataclass(frozen=True, slots=True)
class _Given:
    fingerprint: str
    answer: dict[str, Any]


class Register:
    """All tasks that were created, in order, and the account that pays for them."""

    def __init__(self, balance_credits: str, *, most_tasks: int = MOST_TASKS) -> None:
        self._most_tasks = most_tasks
        self._tickets: dict[str, Ticket] = {}
        self._unsettled: dict[str, Ticket] = {}
        self._balance = Decimal(balance_credits)
        self._used = Decimal(0)
        self._given: dict[tuple[str, str], _Given] = {}

    def replay(self, key: str, idempotency_key: str, body: Any) -> dict[str, Any] | None:
        """The answer given before under this idempotency key; nothing when it is new.

        Raises:
            VendorRefusal: it was used for another body.
        """
        given = self._given.get((key, idempotency_key))
        if given is None:
            return None
        if given.fingerprint != _fingerprint(body):
            raise VendorRefusal(
                409,
                "The idempotency key was used with another body",
                kind="invalid_request_error",
                code="idempotency_conflict",
            )
        return given.answer

    def remember(self, key: str, idempotency_key: str, body: Any, answer: dict[str, Any]) -> None:
        """Keep an answer for `replay`; kept as long as the sandbox runs."""
        self._given[key, idempotency_key] = _Given(_fingerprint(body), answer)

    def add(self, task_id: str, ticket: Ticket) -> None:
        """Take a new task in.

        Raises:
            RegisterFull: there is no room left.
        """
        if len(self._tickets) >= self._most_tasks:
            raise RegisterFull(f"the sandbox holds {self._most_tasks} tasks")
        self._tickets[task_id] = ticket
        self._unsettled[task_id] = ticket

    def newest_first(self) -> Iterator[tuple[str, Ticket]]:
        """Every task with its ticket."""
        return reversed(self._tickets.items())

    def account(self, now_ms: int) -> Mapping[str, Decimal]:
        """Credits used and left, with the cost of every task that is over by now."""
        over = [
            task_id
            for task_id, ticket in self._unsettled.items()
            if ticket.end_ms is not None and ticket.end_ms <= now_ms
        ]
        for task_id in over:
            self._used += life.final_credits(self._unsettled.pop(task_id))
        return {"used": self._used, "remaining": self._balance - self._used}


def _fingerprint(body: Any) -> str:
    return json.dumps(body, sort_keys=True)
