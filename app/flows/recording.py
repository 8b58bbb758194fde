"""What only this process knows is offered to the store until the store has taken it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog

from app.clock import Clock
from app.errors import StoreUnavailable

log = structlog.get_logger(__name__)

RECORD_PATIENCE_MS: Final = 3_600_000
"""How long an outcome is offered to a store that does not answer: longer than any failover lasts.

It ends sooner with the process.
"""

_PAUSE_MS: Final = 250
_LONGEST_PAUSE_MS: Final = 5_000

Outcome = TypeVar("Outcome")


async def until_recorded(
    change: Callable[[], Awaitable[Outcome]],
    clock: Clock,
    *,
    patience_ms: int = RECORD_PATIENCE_MS,
    doing: str = "recording the vendor's answer",
    **known: str,
) -> Outcome:
    """Carry out a change, trying again while the store is away.

    Every change offered here is safe to repeat: it names the state it was decided on. `known` is
    logged at the first failure, since it is then written down nowhere else.

    Raises:
        StoreUnavailable: the store stayed away; the task will be found in doubt.
    """
    until_ms, pause_ms = clock.now_ms() + patience_ms, _PAUSE_MS
    while True:
        try:
            return await change()
        except StoreUnavailable:
            if pause_ms == _PAUSE_MS:
                log.exception("store.failed", doing=doing, **known)
            if clock.now_ms() >= until_ms:
                log.exception("store.failed", doing="giving a record up", **known)
                raise
        await clock.sleep_ms(pause_ms)
        pause_ms = min(2 * pause_ms, _LONGEST_PAUSE_MS)
