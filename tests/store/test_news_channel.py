"""The subscription: by every form of address, never silently deaf, and back by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from redis.asyncio import Redis

from app.store.connect import connect
from app.store.keys import NEWS_CHANNEL
from app.store.news_channel import Ear, NewsChannel
from tests.support.redis_server import FORMS, RedisServer, Relay, relayed
from tests.support.wait import wait_until

NOTICED_WITHIN_S = 6.0
"""The promise is two seconds; a busy machine may take longer."""


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """One plain server for the whole file."""
    with RedisServer(tcp=True) as running:
        yield running


@pytest.fixture(scope="module")
def node() -> Iterator[RedisServer]:
    """A cluster of one node for the whole file."""
    with RedisServer(cluster=True) as running:
        yield running


@dataclass
class Listener:
    """Somebody who notes what is said, and when nothing could be heard."""

    channel: NewsChannel
    words: list[str] = field(default_factory=list)
    losses: int = 0
    returns: int = 0

    def note_loss(self) -> None:
        """Note that nothing is heard."""
        self.losses += 1

    def note_return(self) -> None:
        """Note that something is heard again."""
        self.returns += 1

    async def hears(self) -> None:
        """Wait until it listens."""
        await wait_until(lambda: self.channel.is_open, describing="the subscription")


@asynccontextmanager
async def listening(client: Redis) -> AsyncIterator[Listener]:
    """Listen for the time of the block."""
    listener = Listener(NewsChannel(client))
    ear = Ear(listener.words.append, listener.note_loss, listener.note_return)
    task = asyncio.get_running_loop().create_task(listener.channel.listen(ear))
    try:
        await listener.hears()
        yield listener
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert not listener.channel.is_open


@pytest.fixture(params=FORMS)
async def reached(
    request: pytest.FixtureRequest, server: RedisServer, node: RedisServer
) -> AsyncIterator[tuple[Redis, RedisServer, Relay]]:
    """A client by each form of address, whose every command goes through a relay."""
    target = node if request.param == "redis+cluster" else server
    async with relayed(request.param, target) as (url, relay):
        client = connect(url, connect_timeout_s=1, call_timeout_s=2)
        try:
            yield client, target, relay
        finally:
            await client.aclose()


def say(server: RedisServer, word: str) -> None:
    """Publish a word, on a connection of its own."""
    server.call("PUBLISH", NEWS_CHANNEL, word)


async def test_every_word_is_heard_in_order(reached: tuple[Redis, RedisServer, Relay]) -> None:
    """By every form of address; whoever begins is told that it hears from now on."""
    client, server, _ = reached
    async with listening(client) as listener:
        for number in range(20):
            say(server, f"acme live {number}")

        await wait_until(lambda: len(listener.words) == 20, describing="all words")

    assert listener.words == [f"acme live {number}" for number in range(20)]
    assert (listener.returns, listener.losses) == (1, 0)


async def test_a_killed_connection_is_told_and_another_made(
    reached: tuple[Redis, RedisServer, Relay],
) -> None:
    """It is never mended in silence: what was said meanwhile must be looked for."""
    client, server, _ = reached
    async with listening(client) as listener:
        server.call("CLIENT", "KILL", "TYPE", "pubsub")
        await wait_until(lambda: listener.losses, describing="the loss to be told")

        await wait_until(lambda: listener.returns == 2, describing="another subscription")
        say(server, "after")
        await wait_until(lambda: listener.words, describing="a word")

    assert listener.words == ["after"]


async def test_a_connection_that_fell_silent_is_given_up(
    reached: tuple[Redis, RedisServer, Relay],
) -> None:
    """It is open, as far as the kernel knows: an unanswered PING tells that it is dead."""
    client, server, relay = reached
    async with listening(client) as listener:
        silent_s = time.monotonic()
        relay.fall_silent()
        say(server, "lost")
        await wait_until(lambda: listener.losses, describing="the silence to be noticed")
        noticed_s = time.monotonic() - silent_s
        assert not listener.channel.is_open

        await relay.speak_again()
        await listener.hears()
        say(server, "heard")
        await wait_until(lambda: listener.words, describing="a word")

    assert noticed_s < NOTICED_WITHIN_S
    assert listener.words == ["heard"]


async def test_a_quiet_channel_stays_open(server: RedisServer) -> None:
    """For as long as its PINGs are answered, of which it sends two a second."""
    client = connect(server.url)
    async with listening(client) as listener:
        server.call("CONFIG", "RESETSTAT")

        await wait_until(lambda: b"cmdstat_ping:calls=3" in stats(server), describing="3 PINGs")

        assert (listener.losses, listener.channel.is_open) == (0, True)
        assert b"cmdstat_subscribe" not in stats(server)
    await client.aclose()


def stats(server: RedisServer) -> bytes:
    """Return how often the server was asked for what."""
    return server.call("INFO", "commandstats")


async def test_a_server_that_is_away_at_first_is_waited_for(server: RedisServer) -> None:
    """One loss is told, however many attempts fail."""
    client = connect(server.url)
    server.kill()
    listener = Listener(NewsChannel(client))
    ear = Ear(listener.words.append, listener.note_loss, listener.note_return)
    task = asyncio.get_running_loop().create_task(listener.channel.listen(ear))
    await wait_until(lambda: listener.losses, describing="the loss to be told")
    server.restart()

    await listener.hears()

    assert (listener.losses, listener.returns) == (1, 1)
    task.cancel()
    await asyncio.wait([task])
    await client.aclose()
