"""Named points at which a test may make a real process die, fail or hang.

A point is armed by `REELGATE_TESTING__FAILPOINTS`, for example `submit.sent=kill`; unarmed, passing
one costs a dictionary look-up. `doctor` reports armed points as an error.
"""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Final

POINTS: Final = frozenset(
    {
        "submit.arrived",
        "submit.admitted",
        "submit.queued",
        "dispatch.taken",
        "submit.sent",
        "submit.answered",
        "submit.accepting",
        "submit.accepted",
        "submit.rejected",
        "submit.requeued",
        "submit.doubted",
        "doubt.noted",
        "poll.claimed",
        "poll.sent",
        "poll.reported",
        "poll.advanced",
        "deliver.claimed",
        "deliver.taken",
        "deliver.signed",
        "deliver.sent",
        "deliver.recorded",
    }
)
"""Every point there is, in the order a task passes them."""

ACTIONS: Final = frozenset({"kill", "raise", "hang"})

_armed: dict[str, str] = {}


class FailpointHit(RuntimeError):
    """Raised at a point armed with `raise`."""


def parse(text: str) -> dict[str, str]:
    """Read `point=action,point=action`.

    Raises:
        ValueError: a point or an action does not exist.
    """
    armed: dict[str, str] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        point, _, action = item.partition("=")
        if point not in POINTS or action not in ACTIONS:
            raise ValueError(
                f"{item!r} is not <point>=<action>; points: {', '.join(sorted(POINTS))};"
                f" actions: {', '.join(sorted(ACTIONS))}"
            )
        armed[point] = action
    return armed


def arm(points: dict[str, str]) -> None:
    """Replace the set of armed points."""
    _armed.clear()
    _armed.update(points)


async def reach(point: str) -> None:
    """Pass `point`: nothing happens unless it is armed."""
    action = _armed.get(point)
    if action is None:
        return
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if action == "raise":
        raise FailpointHit(point)
    await asyncio.Event().wait()
