"""Deliveries to webhooks: when the next attempt is due, what an answer means, what is sent."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, Literal, Self

from pydantic import BaseModel

from app.domain.instants import Instant
from app.domain.tenant import Refused, parsed

PLANNED_MS: Final = (
    0,
    5_000,
    300_000,
    1_800_000,
    7_200_000,
    18_000_000,
    36_000_000,
    50_400_000,
    72_000_000,
    86_400_000,
)
"""The published schedule: the wait before each of the ten attempts, 75.6 hours in all."""

MAX_ATTEMPTS: Final = len(PLANNED_MS)
JITTER_SHARE: Final = 0.2
"""Waits are lengthened by up to a fifth, so that receivers do not get everything at once again."""

RETRY_AFTER_TIMES: Final = 2
"""A receiver may ask for a wait between the planned one and twice as much."""

DISABLE_AFTER_MS: Final = 120 * 3_600_000
"""An endpoint that failed for so long, without one success in between, is disabled."""

KEPT_MS: Final = 14 * 86_400_000
"""How long messages, and what became of them, can be read and redelivered."""

MAX_REDELIVERIES: Final = 20
"""How often one message may be delivered again to one endpoint."""

MAX_ATTEMPTS_KEPT: Final = 50
MAX_ANSWERS_KEPT: Final = 10
"""Of older attempts a receiver's answer is not kept, nor that of a success."""

MAX_ANSWER_CHARS: Final = 1000
MAX_ANSWER_BYTES: Final = 1024

FIRST_WIDTH: Final = 4
MOST_WIDTH: Final = 32

_GONE: Final = 410
_SUCCESS: Final = range(200, 300)
_STATUSES: Final = range(100, 600)
_MAX_RETRY_AFTER_S: Final = 10**9
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")

Verdict = Literal["delivered", "again", "failed", "gone"]
"""What an attempt comes to; `failed` is the last one's, `gone` the receiver's wish for no more."""

DeliveryState = Literal["pending", "delivered", "failed", "skipped"]
"""`skipped` is what its endpoint, being disabled, was not told."""


@dataclass(frozen=True, slots=True)
class Met:
    """What an attempt met with; `outcome` is a word of the sender's, `why` says it to people."""

    status: int | None
    outcome: str
    took_ms: int = 0
    retry_after: str = ""
    answer: bytes = b""
    why: str = ""

    @property
    def kind(self) -> str:
        """A word of a closed set: the class of the status, or the outcome where there is none."""
        if self.status is None:
            return self.outcome
        return f"{self.status // 100}xx" if self.status in _STATUSES else "malformed"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What an attempt comes to, and when the next one is due; 0 where there is none."""

    verdict: Verdict
    next_ms: int = 0


def judge(met: Met, *, tries_before: int, now_ms: int, jitter: float) -> Judgement:
    """Judge an attempt that ended at `now_ms`; `jitter` in [0, 1).

    2xx alone is success: a redirect is not followed, so it is a failure.
    """
    if met.status in _SUCCESS:
        return Judgement("delivered")
    if met.status == _GONE:
        return Judgement("gone")
    tries = tries_before + 1
    if tries >= MAX_ATTEMPTS:
        return Judgement("failed")
    asked_ms = read_retry_after(met.retry_after, now_ms=now_ms)
    return Judgement("again", now_ms + wait_ms(tries, asked_ms, jitter))


def wait_ms(tries: int, retry_after_ms: int | None, jitter: float) -> int:
    """Return the wait after `tries` attempts of a round; `jitter` in [0, 1)."""
    planned_ms = PLANNED_MS[tries]
    lengthened_ms = planned_ms + int(planned_ms * JITTER_SHARE * jitter)
    if retry_after_ms is None:
        return lengthened_ms
    return max(lengthened_ms, min(retry_after_ms, planned_ms * RETRY_AFTER_TIMES))


def read_retry_after(text: str, *, now_ms: int) -> int | None:
    """Return the wait that a Retry-After header asks for: seconds, or an HTTP date."""
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return min(int(text[:12]), _MAX_RETRY_AFTER_S) * 1000
    try:
        at = parsedate_to_datetime(text)
        at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
        return max(0, int(at.timestamp() * 1000) - now_ms)
    except (ValueError, TypeError, OverflowError, LookupError):
        # What a receiver writes reaches a parser of the library, which foresees less than all.
        return None


def next_width(width: int, *, delivered: bool) -> int:
    """Return how many attempts a receiver may have under way after one more has ended."""
    return min(width * 2, MOST_WIDTH) if delivered else 1


def envelope(event: str, created_ms: int, body: bytes) -> bytes:
    """Return what an endpoint is sent; `body`, the task's answer, goes in byte for byte."""
    at = f"{datetime.fromtimestamp(created_ms // 1000, UTC):%Y-%m-%dT%H:%M:%S}"
    head = f'{{"type":"{event}","timestamp":"{at}.{created_ms % 1000:03d}Z","data":'
    return head.encode("ascii") + body + b"}"


def kept_answer(answer: str) -> str:
    """Return as much of a receiver's answer as the log keeps, without control characters."""
    kept = _CONTROL.sub(" ", answer[:MAX_ANSWER_CHARS])
    return kept.encode()[:MAX_ANSWER_BYTES].decode("utf-8", "ignore")


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """An attempt as the log keeps it; `number` counts those of its message from the first on."""

    at_ms: int
    number: int
    met: Met

    def line(self) -> str:
        """Return the stored form, which is the public one.

        `record_attempt.lua` empties `answer` later on, and knows it by the two members around it.
        """
        answer = b"" if self.met.status in _SUCCESS else self.met.answer
        members = {
            "number": self.number,
            "at": self.at_ms // 1000,
            "outcome": self.met.outcome,
            "status_code": self.met.status,
            "took_ms": self.met.took_ms,
            "answer": kept_answer(answer.decode("utf-8", "replace")),
            "why": self.met.why,
        }
        return json.dumps(members, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message on its way to one receiver."""

    message_id: str
    event: str
    task_id: str
    created_ms: int
    state: DeliveryState
    tries: int
    delivered_ms: int | None = None
    next_ms: int | None = None
    attempts: Sequence[str] = field(default_factory=tuple)

    def public(self) -> dict[str, Any]:
        """Return the form that its tenant reads; instants are unix seconds.

        `tries` counts those of the present round: a redelivery begins a new one.
        """
        return {
            "id": self.message_id,
            "object": "webhook.delivery",
            "event": self.event,
            "task_id": self.task_id or None,
            "status": self.state,
            "created": self.created_ms // 1000,
            "delivered_at": None if self.delivered_ms is None else self.delivered_ms // 1000,
            "next_attempt_at": None if self.next_ms is None else self.next_ms // 1000,
            "tries": self.tries,
            "attempts": [json.loads(line) for line in self.attempts],
        }


class Redelivery(BaseModel, frozen=True, extra="forbid"):
    """What is to be delivered again: one message, or all that were made since an instant."""

    id: str = ""
    since: Instant | None = None
    until: Instant | None = None
    status: Literal["failed", "skipped", "delivered", "all", ""] = ""
    """Only what has come to this; "" for all that was not delivered, what is still to be tried too.

    Of one message by its id it says nothing.
    """

    @classmethod
    def read(cls, given: Any) -> Self:
        """Check a wish; missing and null mean the default.

        Raises:
            Refused: a name is unknown, a value breaks its rule, or it is not one of the two kinds.
        """
        if isinstance(given, dict):
            given = {name: value for name, value in given.items() if value is not None}
        wish = parsed(cls, given)
        if wish.id and wish.model_fields_set != {"id"}:
            raise Refused("id: one message is named by its id alone", param="id")
        if not wish.id and wish.since is None:
            raise Refused("give `id` for one message, or `since` for all from then on", param="id")
        if wish.until is not None and wish.since is not None and wish.until < wish.since:
            raise Refused("until: it must not lie before `since`", param="until")
        return wish
