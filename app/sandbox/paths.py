"""The paths that more than one part of the sandbox must know."""

from __future__ import annotations

from typing import Final

CONTROL: Final = "/_sandbox/"
CREATE: Final = "/v1/videos/generations"
TASKS: Final = "/v1/tasks"


def route_of(method: str, path: str) -> str:
    """What a fault calls this request: `create`, `report`, or `other`."""
    if method == "POST" and path == CREATE:
        return "create"
    return "report" if path == TASKS or path.startswith(f"{TASKS}/") else "other"
