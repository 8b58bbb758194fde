"""Waiting for something to become true, instead of sleeping and hoping."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

Found = TypeVar("Found")

GLANCE_S = 0.01


class NeverHappened(AssertionError):
    """What a test waited for did not come."""


async def wait_until(
    condition: Callable[[], Found | Awaitable[Found]], *, describing: str, within_s: float = 10.0
) -> Found:
    """Return the first truthy result of `condition`, looked at every ten milliseconds.

    Raises:
        NeverHappened: it stayed falsy; the message says what was waited for and the last result.
    """
    until_s = time.monotonic() + within_s
    while True:
        found = condition()
        result: Found = await found if isinstance(found, Awaitable) else found
        if result:
            return result
        if time.monotonic() >= until_s:
            raise NeverHappened(f"waited {within_s} s for {describing}; last seen: {result!r}")
        await asyncio.sleep(GLANCE_S)


def wait_in_thread(
    condition: Callable[[], Found], *, describing: str, within_s: float = 10.0
) -> Found:
    """Do as `wait_until` in a test that has no event loop.

    Raises:
        NeverHappened: it stayed falsy.
    """
    until_s = time.monotonic() + within_s
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() >= until_s:
            raise NeverHappened(f"waited {within_s} s for {describing}; last seen: {result!r}")
        time.sleep(GLANCE_S)
