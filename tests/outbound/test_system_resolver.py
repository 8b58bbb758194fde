"""Looking names up: every address once, and no name server holds anything up."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from app.outbound.guard import SystemResolver, lookups_for
from tests.support.wait import wait_until

# Its look-ups last a minute; the process has one under way when it ends.
IN_A_HURRY = """
import asyncio, threading
from app.outbound.guard import SystemResolver

async def main():
    resolver = SystemResolver(lambda host, port: threading.Event().wait(60))
    try:
        async with asyncio.timeout(0.1):
            await resolver("slow.example.com", 443)
    except TimeoutError:
        print("gave up")

asyncio.run(main())
"""


PLACES = 20
MORE_THAN_THERE_IS = 2**46


@pytest.fixture
def no_thread_can_start() -> Iterator[None]:
    """Ask for stacks that no machine has room for, which is refused like a thread too many."""
    threading.stack_size(MORE_THAN_THERE_IS)
    yield
    threading.stack_size(0)


async def test_every_address_of_a_name_is_found_once():
    """As the system knows it, whatever their number."""
    found = await SystemResolver()("localhost", 443)

    assert found
    assert set(found) <= {"127.0.0.1", "::1"}
    assert len(found) == len(set(found))


async def test_an_unknown_name_is_an_error_of_the_system():
    """Nothing is made up."""
    with pytest.raises(OSError, match=r".+"):
        await SystemResolver()("nowhere.invalid", 443)


async def test_slow_names_do_not_hold_up_quick_ones():
    """Nor each other: they are looked up side by side."""
    go_on = threading.Event()

    def look_up(host: str, port: int) -> list[str]:
        if host.startswith("slow"):
            go_on.wait(10)
        return ["192.0.2.1", "192.0.2.1", "192.0.2.2"]

    resolver = SystemResolver(look_up, places=PLACES)
    async with asyncio.TaskGroup() as group:
        slow = [group.create_task(resolver(f"slow{n}.example.com", 443)) for n in range(PLACES - 1)]
        quick = await resolver("quick.example.com", 443)
        assert not any(each.done() for each in slow)
        go_on.set()

    assert quick == ["192.0.2.1", "192.0.2.2"]
    assert all(each.result() == quick for each in slow)


async def test_threads_are_bounded_even_when_nobody_waits_any_more():
    """A send that gave up does not make room for one more thread."""
    go_on = threading.Event()
    begun = []

    def look_up(host: str, port: int) -> list[str]:
        begun.append(host)
        go_on.wait(10)
        return []

    resolver = SystemResolver(look_up, places=PLACES)
    for _ in range(2):
        sends = [asyncio.wait_for(resolver("a.example.com", 443), 0.3) for _ in range(PLACES - 5)]
        given_up = await asyncio.gather(*sends, return_exceptions=True)
        assert {type(each) for each in given_up} == {TimeoutError}
    most = len(begun)
    go_on.set()
    await wait_until(
        lambda: "resolve" not in {each.name for each in threading.enumerate()},
        describing="all look-ups to end",
    )

    assert most == PLACES
    assert await resolver("b.example.com", 443) == []


def test_there_are_more_look_ups_than_sends():
    """A send that gave up leaves its look-up behind; their number has an end all the same."""
    assert [lookups_for(sends) for sends in (8, 256, 5_000)] == [16, 512, 2048]


async def test_a_thread_that_cannot_start_keeps_no_place(no_thread_can_start: None):
    """It is an error of the system like any other, as often as it comes."""
    resolver = SystemResolver(lambda host, port: ["192.0.2.1"], places=1)

    for _ in range(2):
        with pytest.raises(OSError, match="no thread"):
            await asyncio.wait_for(resolver("a.example.com", 443), 5)
    threading.stack_size(0)

    assert await asyncio.wait_for(resolver("a.example.com", 443), 5) == ["192.0.2.1"]


async def test_a_look_up_that_goes_wrong_in_any_way_is_an_answer():
    """Nobody waits for ever, and its place comes back."""

    def look_up(host: str, port: int) -> list[str]:
        raise MemoryError if host.startswith("big") else UnicodeError(host)

    resolver = SystemResolver(look_up, places=1)

    for host in ("big.example.com", "odd.example.com"):
        with pytest.raises(OSError, match="look-up failed"):
            await asyncio.wait_for(resolver(host, 443), 5)


def test_a_look_up_does_not_hold_up_the_end_of_the_process():
    """A name server that stays silent must not break the promise of a quick stop."""
    begun_s = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-c", IN_A_HURRY], capture_output=True, text=True, timeout=30, check=True
    )

    assert ended.stdout == "gave up\n"
    assert time.monotonic() - begun_s < 20
