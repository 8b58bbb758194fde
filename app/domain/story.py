"""A task's whole history for operators: its steps, and every credit of it; pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from app.domain.instants import rfc3339
from app.domain.pricing import Microcredits, format_credits

Movement = tuple[int, str, Microcredits]
"""Instant, kind and amount of one entry of the ledger."""

Step = tuple[int, str, str]
"""Instant, word and detail of one step."""

_ON_HOLD: Final = {"hold": 1, "adjust": 1, "settle": -1, "release": -1, "correction": 0}
_SPENT: Final = {"settle": 1, "correction": 1}


def told(
    record: Mapping[str, str], steps: Iterable[Step], movements: Iterable[Movement]
) -> dict[str, Any]:
    """Return everything that is known of a task, from its record, its steps and its ledger.

    `balanced` says whether the ledger agrees with what the record says is held and charged.
    """
    held, charged = _amount(record, "held"), _amount(record, "charged")
    ledger, sums = _ledger(movements)
    return {
        "id": record["id"],
        "tenant": record["tenant"],
        "key": record["key"],
        "mode": record["mode"],
        "model": record["model"],
        "state": record["state"],
        "created_at": _moment(record, "created_ms"),
        "submitted_at": _moment(record, "submitted_ms"),
        "finished_at": _moment(record, "finished_ms"),
        "vendor_id": record.get("vendor_id") or None,
        "vendor_key": record.get("vendor_key") or None,
        "reads": int(record.get("reads", "0")),
        "credits_held": format_credits(held),
        "credits_charged": format_credits(charged),
        "balanced": sums == (held, charged),
        "steps": [
            {"at": rfc3339(at_ms), "at_ms": at_ms, "step": word, "detail": detail}
            for at_ms, word, detail in steps
        ],
        "ledger": ledger,
        "answer": json.loads(record["body"]),
    }


def _ledger(
    movements: Iterable[Movement],
) -> tuple[list[dict[str, Any]], tuple[Microcredits, Microcredits] | None]:
    """Return the entries with their sums, and the sums; None where an entry is not understood."""
    shown: list[dict[str, Any]] = []
    on_hold = spent = 0
    is_understood = True
    for at_ms, kind, amount in movements:
        is_understood = is_understood and kind in _ON_HOLD
        on_hold += _ON_HOLD.get(kind, 0) * amount
        spent += _SPENT.get(kind, 0) * amount
        shown.append(
            {
                "at": rfc3339(at_ms),
                "at_ms": at_ms,
                "kind": kind,
                "credits": format_credits(amount),
                "on_hold": format_credits(on_hold),
                "spent": format_credits(spent),
            }
        )
    return shown, (on_hold, spent) if is_understood else None


def open_holds(movements: Iterable[Movement]) -> Microcredits:
    """Return what a ledger leaves on hold."""
    return sum(_ON_HOLD[kind] * amount for _, kind, amount in movements)


def _amount(record: Mapping[str, str], name: str) -> Microcredits:
    return int(record.get(name, "0"))


def _moment(record: Mapping[str, str], name: str) -> str | None:
    at_ms = int(record.get(name, "0"))
    return rfc3339(at_ms) if at_ms else None
