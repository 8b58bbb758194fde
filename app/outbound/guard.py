"""Resolve a target once, judge every answer, and hand back the addresses that may be dialled.

The judgement holds for one send: names change hands within seconds, so nothing is remembered.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from app.domain.targets import Target, TargetPolicy, check_target, why_denied
from app.errors import InvalidRequest

LOOKUPS_AT_ONCE: Final = 512
"""A name server that stays silent holds a thread for as long as the system waits for it."""

_MOST_LOOKUPS: Final = 2048
"""Threads that look names up, however many sends there may be at once."""

MAX_ADDRESSES: Final = 4
"""So many of a name's addresses are tried in turn; all of them are judged."""


LookUp = Callable[[str, int], list[str]]


class Resolver(Protocol):
    """Whoever turns a name into addresses."""

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Return every address of the name, best first.

        Raises:
            OSError: it has none, or nobody could tell.
        """


class AddressRefused(Exception):
    """The target, or an address that its name leads to, must not be called."""


class NotResolved(Exception):
    """The name has no address, or no name server answered."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A target with the addresses that were judged, and nothing else, to dial."""

    target: Target
    addresses: tuple[str, ...]


class SystemResolver:
    """Asks the system, in threads that nobody waits for.

    A name server of a tenant's may stay silent for as long as the system has patience. It holds
    up neither other work, as in a pool that is shared, nor the end of the process. A look-up
    whose send has given up goes on, which is why there should be more `places` than sends.
    """

    def __init__(self, look_up: LookUp | None = None, *, places: int = LOOKUPS_AT_ONCE) -> None:
        self._look_up = look_up or _look_up
        self._places = asyncio.Semaphore(places)

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Return the addresses of `host`, each once, in the order of the system's preference."""
        await self._places.acquire()
        loop = asyncio.get_running_loop()
        found: asyncio.Future[list[str]] = loop.create_future()

        def settle(answer: list[str] | OSError) -> None:
            # The place is taken until the thread is done, also if nobody waits for it any more.
            self._places.release()
            if found.done():
                return
            if isinstance(answer, OSError):
                found.set_exception(answer)
            else:
                found.set_result(answer)

        def work() -> None:
            answer = _answer(self._look_up, host, port)
            # A loop that has ended takes no answer.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(settle, answer)

        try:
            threading.Thread(target=work, name="resolve", daemon=True).start()
        except RuntimeError as failure:
            self._places.release()
            raise OSError("no thread could be started for a look-up") from failure
        return list(dict.fromkeys(await found))


def lookups_for(sends: int) -> int:
    """Return how many names may be looked up at once where so many sends may be under way."""
    return min(2 * sends, _MOST_LOOKUPS)


class Guard:
    """Stands between an address that a tenant gave and the first packet to it."""

    def __init__(self, policy: TargetPolicy, resolver: Resolver) -> None:
        self._policy = policy
        self._resolver = resolver

    async def admit(self, url: str) -> Checked:
        """Judge `url` anew, name and all, under the policy of now.

        Raises:
            AddressRefused: one of the addresses must not be called; even the others are not then,
                for whoever answers so is after something.
            NotResolved: there is no address to judge.
        """
        try:
            target = check_target(url, self._policy, param="url")
        except InvalidRequest as refused:
            raise AddressRefused(refused.message) from refused
        addresses = await self._resolve(target)
        for address in addresses:
            why = why_denied(address, target.port, self._policy, scheme=target.scheme)
            if why is not None:
                raise AddressRefused(f"an address of {target.host} must not be called, {why}")
        return Checked(target, tuple(addresses[:MAX_ADDRESSES]))

    async def _resolve(self, target: Target) -> Sequence[str]:
        if target.is_literal:
            return [target.host]
        try:
            addresses = await self._resolver(target.host, target.port)
        except OSError as failure:
            raise NotResolved(f"{target.host} has no address") from failure
        if not addresses:
            raise NotResolved(f"{target.host} has no address")
        return addresses


def _answer(look_up: LookUp, host: str, port: int) -> list[str] | OSError:
    """Return what a look-up comes to; it always comes to something."""
    try:
        return look_up(host, port)
    except OSError as failure:
        return failure
    except Exception as failure:  # noqa: BLE001 - a thread's boundary: somebody waits for an answer
        wrong = OSError(f"the look-up failed: {type(failure).__name__}")
        wrong.__cause__ = failure
        return wrong


def _look_up(host: str, port: int) -> list[str]:
    # As bytes: given text, Python would map international letters onto others.
    found = socket.getaddrinfo(host.encode("ascii"), port, type=socket.SOCK_STREAM)
    return [str(address[0]) for _, _, _, _, address in found]
