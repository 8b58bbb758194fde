"""How errors are provoked: a gateway, the store under it, and a function that gets the error."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx2

from app.errors import GatewayError
from tests.support.bed import Bed
from tests.support.redis_server import RedisServer


@dataclass(frozen=True, slots=True)
class Scene:
    """A gateway, and the store under it."""

    bed: Bed
    server: RedisServer


Act = Callable[[Scene], Awaitable[httpx2.Response]]


@dataclass(frozen=True, slots=True)
class Way:
    """How to get an error: settings, what to do, and how many tasks the vendor makes on the way."""

    act: Act
    settings: dict[str, Any]
    tasks_made: int


WAYS: dict[str, Way] = {}
"""By reason."""


def leads_to(
    error: type[GatewayError], *, tasks_made: int = 0, **settings: Any
) -> Callable[[Act], Act]:
    """Enter a function as the way to `error`."""

    def enter(act: Act) -> Act:
        WAYS[error.reason] = Way(act, settings, tasks_made)
        return act

    return enter
