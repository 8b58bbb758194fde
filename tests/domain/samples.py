"""One task of the documented kind, for tests to vary."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from app.domain import catalogue as catalogue_module
from app.domain import contract
from app.domain.catalogue import read_catalogue
from app.domain.task import Task, TaskState

CATALOGUE = read_catalogue(
    tomllib.loads(Path(catalogue_module.__file__).with_suffix(".toml").read_text("utf-8"))
)
MODEL = CATALOGUE.model("sora-character")

TASK_ID = "task-unified-1767917446-0123456789abcdefghijklmno"
VENDOR_ID = "task-unified-1767917445-5lqy8zzv"
GROUP = "studio"
HELD = 250_000
"""A hold that differs from the vendor's figure, microcredits."""

REQUEST = {
    "model": "sora-character",
    "video_url": "https://example.com/video.mp4",
    "timestamps": "1,3",
}

VENDOR_CREATED: dict[str, Any] = {
    "created": 1767917445,
    "id": VENDOR_ID,
    "model": "sora-character",
    "object": "video.generation.task",
    "progress": 0,
    "status": "pending",
    "task_info": {"can_cancel": True, "estimated_time": 160, "video_duration": 9},
    "type": "video",
    "usage": {"billing_rule": "per_call", "credits_reserved": 0.1, "user_group": "vip"},
    "result_data": {
        "character_name": "chr_Axtjik3O#",
        "profile_picture_url": "https://example.com/profile.jpg",
    },
}
"""The vendor's published create answer, with the result it shows too early."""


def pending(held: int = HELD) -> dict[str, Any]:
    """Return the answer to a create before the vendor has answered."""
    return contract.pending_answer(TASK_ID, MODEL, held=held, group=GROUP)


def task(body: dict[str, Any] | None = None, **changes: Any) -> Task:
    """Return a submitted task that shows `body`."""
    known: dict[str, Any] = {
        "id": TASK_ID,
        "tenant_id": "acme",
        "key_id": "key_1",
        "mode": "live",
        "model": "sora-character",
        "state": TaskState.SUBMITTED,
        "version": 3,
        "created_ms": 1767917446000,
        "held_microcredits": HELD,
        "body": contract.encode(pending() if body is None else body),
        "group": GROUP,
        "vendor_id": VENDOR_ID,
    }
    return Task(**known | changes)


def reread(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer as a caller reads it."""
    read: dict[str, Any] = json.loads(contract.encode(answer))
    return read


def doubtful_task() -> Task:
    """Return a task of which nobody knows whether the vendor has it."""
    return task(
        pending(), state=TaskState.IN_DOUBT, vendor_id="", submitted_ms=0, doubt_ms=1767917449000
    )
