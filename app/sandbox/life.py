"""How a task stands at a given moment: a pure function of its ticket and the time."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from app.sandbox.task_ids import Ticket

CREDITS_PER_USD: Final = 68
CREDITS_PER_CNY: Final = 10
USER_GROUP: Final = "vip"
FINAL_STATUSES: Final = frozenset({"completed", "failed", "cancelled"})
DEFAULT_FAILURE: Final = "service_error"

# A fifth of the run is spent waiting; the rest shows progress.
_PENDING_PERCENT: Final = 20
_MOST_WHILE_RUNNING: Final = 99
_PROGRESS_AFTER_REGRESS: Final = 50

_MESSAGES: Final = {
    "content_policy_violation": "Content policy violation.",
    "invalid_parameters": "A parameter is out of range.",
    "image_processing_error": "The input could not be fetched or read.",
    "image_dimension_mismatch": "The pixel size does not match the ratio.",
    "request_cancelled": "The request was cancelled.",
    "generation_failed_no_content": "The model returned no content.",
    "service_error": "Internal service error.",
    "generation_timeout": "The task took too long.",
    "resource_exhausted": "Upstream capacity is exhausted.",
    "quota_exceeded": "A rate or quota limit was exceeded.",
    "service_unavailable": "The service is temporarily unavailable.",
    "resource_not_found": "The resource is invalid or expired.",
}


@dataclass(frozen=True, slots=True)
class Moment:
    """A task's status and progress in percent at one moment."""

    status: str
    progress: int

    @property
    def is_final(self) -> bool:
        """Whether the vendor says that the task is over."""
        return self.status in FINAL_STATUSES


def moment(ticket: Ticket, now_ms: int) -> Moment | None:
    """The status at `now_ms`; nothing once the vendor has lost the task."""
    scenario = ticket.scenario
    elapsed_ms = max(0, now_ms - ticket.created_ms)
    if scenario.lost_ms is not None and elapsed_ms >= scenario.lost_ms:
        return None
    if scenario.outcome == "never" or elapsed_ms < scenario.run_ms:
        return _running(ticket, elapsed_ms)
    if scenario.regress_ms is not None and elapsed_ms >= scenario.run_ms + scenario.regress_ms:
        return Moment("processing", _PROGRESS_AFTER_REGRESS)
    return Moment(scenario.outcome, 100 if scenario.outcome == "completed" else 0)


def _running(ticket: Ticket, elapsed_ms: int) -> Moment:
    percent = 100 * elapsed_ms // max(1, ticket.scenario.run_ms)
    waiting = percent < _PENDING_PERCENT
    status = ticket.scenario.status_word or ("pending" if waiting else "processing")
    return Moment(status, 0 if waiting else min(percent, _MOST_WHILE_RUNNING))


def created_answer(ticket: Ticket, task_id: str) -> dict[str, Any]:
    """The answer to the creation, with the members the model's page lists."""
    model = ticket.model
    task_info: dict[str, Any] = {"can_cancel": True, "estimated_time": model.estimated_s}
    if model.duration_s is not None:
        task_info["video_duration"] = model.duration_s
    answer = {
        "created": ticket.created_s,
        "id": task_id,
        "model": model.shown_name,
        "object": "video.generation.task",
        "progress": 0,
        "status": "pending",
        "task_info": task_info,
        "type": "video",
        "usage": _reservation(ticket),
    }
    return {name: value for name, value in answer.items() if name not in model.leaves_out}


def report(ticket: Ticket, task_id: str, now_ms: int) -> dict[str, Any] | None:
    """The answer to a query at `now_ms`; nothing once the vendor has lost the task."""
    now = moment(ticket, now_ms)
    if now is None:
        return None
    answer: dict[str, Any] = {
        "created": ticket.created_s,
        "id": task_id,
        "model": ticket.model.shown_name,
        "object": "video.generation.task",
        "progress": now.progress,
        "status": now.status,
        "task_info": {"can_cancel": not now.is_final},
        "type": "video",
    }
    if not now.is_final:
        return answer | {"usage": _reservation(ticket)}
    if now.status == "completed":
        answer |= _result(ticket, task_id) | {"duration": ticket.scenario.run_ms // 1000}
    if now.status == "failed":
        answer["error"] = _failure(ticket)
    if now.status == "completed" or ticket.scenario.credits is not None:
        answer["usage"] = _bill(final_credits(ticket))
    return answer


def list_item(ticket: Ticket, task_id: str, now_ms: int) -> dict[str, Any] | None:
    """The line of the task list; nothing once the vendor has lost the task."""
    now = moment(ticket, now_ms)
    if now is None:
        return None
    return {
        "id": task_id,
        "status": now.status,
        "model": ticket.model.shown_name,
        "type": "video",
        "progress": now.progress,
        "created_at": ticket.created_s,
        "has_results": now.status == "completed",
        "has_error": now.status == "failed",
        "credits_used": as_number(final_credits(ticket) if now.is_final else Decimal(0)),
    }


def final_credits(ticket: Ticket) -> Decimal:
    """What the task costs once it is over: only a completed one, unless the scenario says so."""
    if ticket.scenario.credits is not None:
        return Decimal(ticket.scenario.credits)
    return ticket.model.credits if ticket.scenario.outcome == "completed" else Decimal(0)


def as_number(amount: Decimal) -> int | float:
    """A JSON number as the vendor writes it: whole where it is whole."""
    return int(amount) if amount == amount.to_integral_value() else float(amount)


def _reservation(ticket: Ticket) -> dict[str, Any]:
    return {
        "billing_rule": ticket.model.billing_rule,
        "credits_reserved": as_number(ticket.model.credits),
        "user_group": USER_GROUP,
    }


def _bill(amount: Decimal) -> dict[str, Any]:
    return {
        "credits_used": as_number(amount),
        "cost": {
            "credits": as_number(amount),
            "usd": as_number(round(amount / CREDITS_PER_USD, 3)),
            "cny": as_number(amount / CREDITS_PER_CNY),
        },
    }


def _failure(ticket: Ticket) -> dict[str, str]:
    code = ticket.scenario.code or DEFAULT_FAILURE
    message = ticket.scenario.message or _MESSAGES.get(code, "The task failed.")
    return {"code": code, "message": message, "type": "task_error"}


def _result(ticket: Ticket, task_id: str) -> dict[str, Any]:
    mark = hashlib.sha256(task_id.encode()).hexdigest()
    folder = f"https://media.example.com/{mark[:16]}"
    match ticket.model.result:
        case "character":
            picture = f"{folder}/profile.jpg"
            named = {"character_name": f"chr_{mark[16:24]}#", "profile_picture_url": picture}
            return {"results": [picture], "result_data": named}
        case "element":
            return {"results": [], "result_data": {"element_id": f"element_{mark[16:24]}"}}
        case "video":
            video = f"{folder}/video.mp4"
            return {"results": [video], "result_data": [{"url": video}]}
