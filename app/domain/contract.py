"""What callers are shown: the vendor's answers under our ids, our money and our words.

Every answer about a task is built here, stored as ready bytes, and sent unchanged afterwards.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from app.domain.catalogue import UNKNOWN, Model
from app.domain.ids import TASK_ID_PREFIX, created_s
from app.domain.pricing import Microcredits
from app.domain.public_text import public_text
from app.domain.schedule import PollView
from app.domain.task import Finished, PublicStatus, Running, Task, Verdict
from app.errors import GatewayError, VendorRefused

_OWN_FIELDS: Final = frozenset(
    {"id", "created", "status", "progress", "task_info", "usage", "results", "result_data", "error"}
)
"""Fields of a vendor's report that this module decides about; all others pass through."""

_TENANT_MONEY: Final = frozenset({"credits_reserved", "credits_used", "user_group"})
"""Figures that are the tenant's own, wherever the vendor puts its own of that name."""

_WORDS: Final = frozenset({"model", "object", "type", "billing_rule"})
"""Fields that the vendor decides about, but which clients rely on being strings."""

_WHOLE: Final = frozenset({"estimated_time", "video_duration"})
"""The same of whole numbers, in seconds."""

_REFUSED_CODES: Final = {
    **dict.fromkeys(VendorRefused.SHOWN_AS.values(), "invalid_parameters"),
    502: "service_error",
}
"""The vendor's task error code for each HTTP status with which a create may be refused."""

_OTHER_IDS: Final = re.compile(TASK_ID_PREFIX + r"[A-Za-z0-9_-]+")
_GROUP_MARK: Final = "<group>"

_DROPPED_FIELDS: Final = frozenset({"request_id", "trace_id", "callback_url"})
"""Fields that name the vendor's own records."""


def task_credits(answer: Mapping[str, Any]) -> int | float:
    """Return what an answer says the task has cost so far; 0 while it is unfinished."""
    used = _mapping(answer.get("usage")).get("credits_used", 0)
    return used if isinstance(used, int | float) else 0


def with_queue_position(body: bytes, position: int) -> bytes:
    """Return a stored answer with the place of its task in the queue, from 1; 0: it is in none."""
    if position == 0:
        return body
    answer: dict[str, Any] = json.loads(body)
    answer["task_info"]["queue_position"] = position
    return encode(answer)


def sending_answer(body: bytes) -> bytes:
    """Return the answer of a task that has left the queue: it can no longer be cancelled here."""
    answer: dict[str, Any] = json.loads(body)
    answer["task_info"]["can_cancel"] = False
    return encode(answer)


def queued_answer(body: bytes) -> bytes:
    """Return the answer of a task that is back in the queue."""
    answer: dict[str, Any] = json.loads(body)
    answer["task_info"]["can_cancel"] = True
    return encode(answer)


def cancelled_answer(body: bytes) -> bytes:
    """Return the answer of a task that was called off before it was sent."""
    return _ended_here(body, "request_cancelled", "The task was cancelled before it was sent.")


def written_off_answer(body: bytes, *, charged: Microcredits) -> bytes:
    """Return the answer of a task of which nobody could learn in time what became of it."""
    return _ended_here(
        body,
        "outcome_unknown",
        "What became of this task at the video service could not be learnt.",
        charged=charged,
    )


def _ended_here(body: bytes, code: str, message: str, *, charged: Microcredits = 0) -> bytes:
    answer: dict[str, Any] = json.loads(body)
    answer["task_info"]["can_cancel"] = False
    answer |= {
        "status": "failed",
        "progress": 0,
        "error": {"code": code, "message": message, "type": "task_error"},
    }
    answer["usage"]["credits_used"] = credits_number(charged)
    return encode(answer)


def poll_view(task: Task, body: bytes) -> PollView:
    """Return what a stored answer tells of how long a running task will take."""
    answer: dict[str, Any] = json.loads(body)
    estimated_s: Any = _mapping(answer.get("task_info")).get("estimated_time")
    return PollView(
        submitted_ms=task.submitted_ms,
        estimated_ms=int(estimated_s) * 1000 if _is_whole(estimated_s) else 0,
        progress=_progress(answer, ceiling=99),
    )


def shows_cancelled(answer: Mapping[str, Any]) -> bool:
    """Say whether an answer shows the task as called off, by us or by the vendor."""
    return bool(_mapping(answer.get("error")).get("code") == "request_cancelled")


def shows_processing(body: bytes) -> bool:
    """Say whether a stored answer shows the task as `processing`."""
    return bool(json.loads(body)["status"] == "processing")


@dataclass(frozen=True, slots=True)
class News:
    """What a changed answer is told as: `event` to those who follow, `notice` to webhooks.

    Either is "" where there is nothing to tell.
    """

    event: str
    notice: str


_NO_NEWS: Final = News("", "")


def news_of(before: bytes, after: bytes) -> News:
    """Return what is to be told when an answer takes the place of another.

    Every change is told to those who follow the task; webhooks are told when it begins to be
    processed, and when it ends.
    """
    if before == after:
        return _NO_NEWS
    status = json.loads(after)["status"]
    event = f"task.{status}"
    is_new = status != "pending" and status != json.loads(before)["status"]
    return News(event, event if is_new else "")


def encode(answer: Mapping[str, Any]) -> bytes:
    """Write an answer as the bytes that are stored and sent."""
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def credits_number(amount: Microcredits) -> int | float:
    """Write an amount as a JSON number; exact to the microcredit below 9 billion credits."""
    whole, rest = divmod(amount, 1_000_000)
    return whole if rest == 0 else amount / 1_000_000


def pending_answer(
    task_id: str, model: Model, *, held: Microcredits, group: str, queued: bool = False
) -> dict[str, Any]:
    """Return the answer to a create the vendor has not answered yet; all that is known.

    A queued one can be cancelled: it has not left.
    """
    return {
        "created": created_s(task_id),
        "id": task_id,
        "model": model.name,
        "object": model.object,
        "progress": 0,
        "status": "pending",
        "task_info": {
            "can_cancel": queued,
            **_known(estimated_time=model.estimated_time_s, video_duration=model.video_duration_s),
        },
        "type": model.type,
        "usage": {
            **_known(billing_rule=model.billing_rule),
            "credits_reserved": credits_number(held),
            "user_group": group,
        },
    }


def _known(**members: int | str | None) -> dict[str, int | str]:
    """Return the members that the catalogue knows a value for."""
    return {name: value for name, value in members.items() if value not in (None, UNKNOWN)}


def pending_around_group(
    task_id: str, model: Model, *, held: Microcredits, queued: bool = False
) -> tuple[bytes, bytes]:
    """Return a pending answer in two halves, for the store to put the tenant's group between them.

    The group is known to the store alone when a create is admitted, and its letters need no
    escaping (see `TENANT_GROUP`).
    """
    whole = encode(pending_answer(task_id, model, held=held, group=_GROUP_MARK, queued=queued))
    head, tail = whole.split(_GROUP_MARK.encode("ascii"))
    return head, tail


def created_answer(
    pending: Mapping[str, Any], report: Mapping[str, Any], *, vendor_id: str, held: Microcredits
) -> dict[str, Any]:
    """Return the answer to an accepted create: the vendor's, with our id, money and promises.

    A task that has just been accepted is `pending` or `processing`, whatever else the vendor says
    of it; its end is told by the first status read.
    """
    word = str(report.get("status", "")).lower()
    status: PublicStatus = "processing" if word == "processing" else "pending"
    shown = _passed_through(report, task_id=str(pending["id"]), vendor_id=vendor_id)
    own = _partly_shown(report, vendor_id, str(pending["id"]))
    return {
        **pending,
        **shown,
        "progress": _progress(report, ceiling=99),
        "status": status,
        "task_info": _task_info(pending.get("task_info"), own["task_info"]),
        "usage": {
            **_mapping(pending.get("usage")),
            **_vendor_usage(own["usage"]),
            "credits_reserved": credits_number(held),
            "user_group": _mapping(pending.get("usage")).get("user_group"),
        },
    }


def task_answer(
    task: Task, report: Mapping[str, Any], verdict: Verdict, *, charged: Microcredits
) -> dict[str, Any]:
    """Return the answer to a status read, from what was stored and what the vendor reported now.

    `results` and `result_data` appear only when completed, `error` only when failed.
    """
    before: dict[str, Any] = json.loads(task.body)
    shown = _passed_through(report, task_id=task.id, vendor_id=task.vendor_id)
    own = _partly_shown(report, task.vendor_id, task.id)
    answer = {
        **{
            name: value
            for name, value in before.items()
            if name not in ("results", "result_data", "error")
        },
        **shown,
        "task_info": _task_info(before.get("task_info"), own["task_info"]),
    }
    usage = {**_mapping(before.get("usage")), **_vendor_usage(own["usage"])}
    match verdict:
        case Running(processing=processing):
            answer["status"] = "processing" if processing else "pending"
            answer["progress"] = max(_progress(before, ceiling=99), _progress(report, ceiling=99))
        case Finished(succeeded=True):
            answer |= {"status": "completed", "progress": 100}
            answer |= {
                name: _renamed(report[name], task.vendor_id, task.id, links_too=False)
                for name in ("results", "result_data")
                if report.get(name) is not None
            }
            usage["credits_used"] = credits_number(charged)
        case Finished():
            answer |= {
                "status": "failed",
                "progress": _progress(report, ceiling=100),
                "error": _task_error(report, task),
            }
            usage["credits_used"] = 0
    answer["usage"] = usage
    return answer


def refused_answer(task: Task, refusal: GatewayError) -> dict[str, Any]:
    """Return the status answer of a task that was refused after its create had got a 200."""
    answer: dict[str, Any] = json.loads(task.body)
    return {
        **answer,
        "status": "failed",
        "progress": 0,
        "usage": {**_mapping(answer.get("usage")), "credits_used": 0},
        "error": {
            "code": _REFUSED_CODES.get(refusal.http_status, "service_unavailable"),
            "message": refusal.message,
            "type": "task_error",
        },
    }


def _task_error(report: Mapping[str, Any], task: Task) -> dict[str, Any]:
    """Return the `error` of a failed task: a string code, a message, and type `task_error`."""
    given = _mapping(report.get("error"))
    if str(report.get("status", "")).lower() in ("cancelled", "canceled"):
        code, fallback = "request_cancelled", "The task was cancelled."
    else:
        code, fallback = public_text(given.get("code"), "unknown_error"), "The task failed."
    message = given.get("message")
    return {"code": code, "message": public_text(message, fallback), "type": "task_error"}


def _passed_through(report: Mapping[str, Any], *, task_id: str, vendor_id: str) -> dict[str, Any]:
    """Return the vendor's fields that we do not decide about, with its task id replaced by ours."""
    kept = {
        name: value
        for name, value in report.items()
        if name not in _OWN_FIELDS
        and name not in _TENANT_MONEY
        and value is not None
        and (name not in _WORDS or isinstance(value, str))
    }
    shown: dict[str, Any] = _renamed(kept, vendor_id, task_id)
    return shown


def _partly_shown(report: Mapping[str, Any], vendor_id: str, task_id: str) -> dict[str, Any]:
    """Return the two objects that are the vendor's in part and ours in part, under our id."""
    return {
        name: _renamed(_mapping(report.get(name)), vendor_id, task_id)
        for name in ("task_info", "usage")
    }


def _renamed(value: Any, vendor_id: str, task_id: str, *, links_too: bool = True) -> Any:
    """Return `value` with the vendor's task id replaced by ours in every string.

    Not in the links of a result, with `links_too` off: a link that was rewritten leads nowhere.
    """
    match value:
        case str():
            is_link = value.startswith(("https://", "http://"))
            if is_link and not links_too:
                return value
            renamed = value.replace(vendor_id, task_id) if vendor_id else value
            return renamed if is_link else _OTHER_IDS.sub(_unless(task_id), renamed)
        case list():
            return [_renamed(item, vendor_id, task_id, links_too=links_too) for item in value]
        case dict():
            return {
                _renamed(name, vendor_id, task_id): _renamed(
                    item, vendor_id, task_id, links_too=links_too
                )
                for name, item in value.items()
                if name not in _DROPPED_FIELDS
            }
        case _:
            return value


def _unless(task_id: str) -> Callable[[re.Match[str]], str]:
    """Return what to put in an id's place: nothing, unless it is the task's own.

    The vendor's ids of earlier tasks mean nothing here, and are nobody's business (contract C3).
    """
    return lambda found: found[0] if found[0] == task_id else ""


def _task_info(before: Any, given: Any) -> dict[str, Any]:
    """Return `task_info`: nothing that has left for the vendor can be cancelled here."""
    shown = {
        name: value
        for name, value in _mapping(given).items()
        if value is not None and (name not in _WHOLE or _is_whole(value))
    }
    return {**_mapping(before), **shown, "can_cancel": False}


def _vendor_usage(given: Any) -> dict[str, Any]:
    """Return the vendor's `usage` without the figures that are the tenant's own."""
    return {
        name: value
        for name, value in _mapping(given).items()
        if value is not None
        and name not in _TENANT_MONEY
        and (name not in _WORDS or isinstance(value, str))
    }


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _progress(report: Mapping[str, Any], *, ceiling: int) -> int:
    figure = report.get("progress")
    if isinstance(figure, bool) or not isinstance(figure, int | float):
        return 0
    # NaN is neither above nor below anything; comparisons, unlike conversions, take any integer.
    return int(figure) if 0 < figure < ceiling else (ceiling if figure >= ceiling else 0)


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
