"""The subscription that wakes whoever waits for news; what it says is never taken for a fact.

It has a connection of its own. What is lost with a connection is lost for good, so one that broke
is never mended in silence: its owner is told, and looks for itself until there is another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import structlog
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection

from app.errors import StoreUnavailable
from app.store.connect import own_connection
from app.store.keys import NEWS_CHANNEL
from app.store.scripts import store_errors

log = structlog.get_logger(__name__)

PING_EVERY_S: Final = 0.5
PONG_WITHIN_S: Final = 0.75
"""A connection that is silent for longer after a PING is dead, whatever the kernel says."""

FIRST_PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 1.0
"""Between two attempts to connect: twice as long each time."""


@dataclass(frozen=True, slots=True)
class Ear:
    """Who is told: of each word, of the loss of the connection, and of a new one."""

    heed: Callable[[str], None]
    cut_off: Callable[[], None]
    heard_again: Callable[[], None]


class NewsChannel:
    """Keeps one subscription alive; `is_open` says whether nothing is missed at present."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self.is_open = False

    async def listen(self, ear: Ear) -> None:
        """Listen until cancelled, however often the connection is lost."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                with store_errors():
                    connection = await own_connection(self._redis)
                    try:
                        await self._subscribe(connection, ear)
                        pause_s = FIRST_PAUSE_S
                        await self._stay(connection, ear)
                    finally:
                        self.is_open = False
                        await connection.disconnect(nowait=True)
            except StoreUnavailable as trouble:
                if pause_s == FIRST_PAUSE_S:
                    log.warning("news.cut_off", why=repr(trouble.__cause__))
                    ear.cut_off()
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _subscribe(self, connection: AbstractConnection, ear: Ear) -> None:
        await connection.send_command("SUBSCRIBE", NEWS_CHANNEL)
        await connection.read_response()
        self.is_open = True
        log.info("news.heard")
        ear.heard_again()

    @staticmethod
    async def _stay(connection: AbstractConnection, ear: Ear) -> None:
        """Hand on every word until the connection breaks or falls silent.

        Raises:
            TimeoutError, RedisError, OSError: it did.
        """
        while True:
            said = await connection.read_response(timeout=PING_EVERY_S)
            if said is None:
                await connection.send_command("PING", check_health=False)
                said = await connection.read_response(timeout=PONG_WITHIN_S)
            if said is None:
                raise TimeoutError(f"no reply to a PING within {PONG_WITHIN_S} s")
            _hand_on(said, ear)


def _hand_on(said: Any, ear: Ear) -> None:
    kind, *_, text = said
    if kind == b"message":
        ear.heed(text.decode("utf-8", "replace"))
