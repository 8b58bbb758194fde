"""Whether a task at the vendor is the one that a doubtful send may have made; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from app.domain.catalogue import Catalogue
from app.domain.task import Task

_MADE_AT: Final = re.compile(r"task-unified-(\d{10})-", re.ASCII)

CLOCKS_APART_S: Final = 30
"""How far the vendor's clock and ours may differ."""


def is_evidence(
    task: Task, catalogue: Catalogue, vendor_id: str, report: Mapping[str, Any], *, within_ms: int
) -> bool:
    """Return whether the vendor's report can be of this task: its model, made in its time.

    The vendor's id carries the second of its making, `created` says it again. Neither may lie
    before the admission, nor more than `within_ms`, the time a send may take, after the doubt
    began; what was sent again may have been made at any time since. The id under which the task
    was followed needs no more evidence.
    """
    if vendor_id == task.vendor_id:
        return True
    made = _MADE_AT.match(vendor_id)
    if made is None or not _is_same_model(task.model, catalogue, report.get("model")):
        return False
    first_s = task.created_ms // 1000 - CLOCKS_APART_S
    last_s = (task.doubt_ms + within_ms) // 1000 + CLOCKS_APART_S
    moments = [int(made[1]), report.get("created", int(made[1]))]
    return all(
        isinstance(each, int) and first_s <= each and (each <= last_s or task.resends > 0)
        for each in moments
    )


def _is_same_model(model: str, catalogue: Catalogue, told: object) -> bool:
    """The vendor may tell an alias, or a name of its own around the model's; never another's."""
    if not isinstance(told, str):
        return False
    named = catalogue.name_of(told)
    if named == model or named in catalogue.models:
        return named == model
    names = (model, *catalogue.known(model).aliases)
    return any(told.startswith(f"{name}-") or told.endswith(f"-{name}") for name in names)
