"""All who wait in this process, found by tenant, task and caller; and how many they may be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeVar

from app.domain.ids import Mode
from app.domain.tenant import Caller
from app.errors import TooManyStreams
from app.flows.listeners import Group, Stream, Wait

MOST_PER_TOKEN: Final = 20
"""Streams and waits of one browser token: far more than its page needs, few beside its tenant's."""

_TOKEN_IS_FULL: Final = (
    f"This token has {MOST_PER_TOKEN} open streams and waiting reads, as many as it may: close one"
)

Name = TypeVar("Name")
Member = TypeVar("Member")


class Audience:
    """Streams and waits of this process, within the limits of the process and of each tenant.

    A browser token has a limit of its own: who holds one cannot take the room of its whole tenant.
    """

    def __init__(self, *, most: int, most_per_tenant: int) -> None:
        self._most, self._most_per_tenant = most, most_per_tenant
        self.groups: dict[tuple[str, Mode], Group] = {}
        self.by_caller: dict[Caller, set[Stream]] = {}
        self._of_tokens: dict[str, int] = {}
        self.streams = self.waits = 0

    def every_stream(self) -> Iterator[Stream]:
        """Yield all streams, also where some end meanwhile."""
        for group in list(self.groups.values()):
            yield from group.every_stream()

    def every_wait(self) -> Iterator[Wait]:
        """Yield all waits, also where some end meanwhile."""
        for group in list(self.groups.values()):
            yield from group.every_wait()

    def group_of(self, stream: Stream) -> Group:
        """Return the group that a stream which has been added stands in."""
        return self.groups[stream.caller.tenant_id, stream.caller.mode]

    def of_tenant(self, tenant_id: str) -> Iterator[Group]:
        """Yield the groups of a tenant's modes, where somebody waits in them."""
        modes: tuple[Mode, ...] = ("live", "test")
        for mode in modes:
            if (tenant_id, mode) in self.groups:
                yield self.groups[tenant_id, mode]

    def add_stream(self, stream: Stream) -> None:
        """Take in a stream.

        Raises:
            TooManyStreams: there is no room for it.
        """
        group = self._room_for(stream.caller)
        group.streams.setdefault(stream.task_id, set()).add(stream)
        group.writing += 1
        group.size += 1
        self.by_caller.setdefault(stream.caller, set()).add(stream)
        self.streams += 1

    def add_wait(self, wait: Wait) -> None:
        """Take in a wait.

        Raises:
            TooManyStreams: there is no room for it.
        """
        group = self._room_for(wait.caller)
        group.waits.setdefault(wait.task_id, set()).add(wait)
        group.size += 1
        self.waits += 1

    def _room_for(self, caller: Caller) -> Group:
        place = caller.tenant_id, caller.mode
        group = self.groups.get(place)
        if self.streams + self.waits >= self._most:
            raise TooManyStreams("This process has as many open streams as it may: try again")
        if self._of_tokens.get(caller.key_id, 0) >= MOST_PER_TOKEN:
            raise TooManyStreams(_TOKEN_IS_FULL)
        if group is None:
            group = self.groups[place] = Group(*place)
        elif group.size >= self._most_per_tenant:
            raise TooManyStreams
        if caller.is_token:
            self._of_tokens[caller.key_id] = self._of_tokens.get(caller.key_id, 0) + 1
        return group

    def remove_stream(self, stream: Stream) -> None:
        """Let go of a stream."""
        group = self.group_of(stream)
        if stream.is_busy:
            group.writing -= 1
            stream.is_busy = False
        _discard(group.streams, stream.task_id, stream)
        _discard(self.by_caller, stream.caller, stream)
        self.streams -= 1
        self._let_go(group, stream.caller)

    def remove_wait(self, wait: Wait) -> None:
        """Let go of a wait."""
        group = self.groups[wait.caller.tenant_id, wait.caller.mode]
        _discard(group.waits, wait.task_id, wait)
        self.waits -= 1
        self._let_go(group, wait.caller)

    def _let_go(self, group: Group, caller: Caller) -> None:
        group.size -= 1
        if caller.is_token:
            self._of_tokens[caller.key_id] -= 1
            if not self._of_tokens[caller.key_id]:
                del self._of_tokens[caller.key_id]
        if not group.streams:
            # Nobody is told of what is news now; the next stream begins where the news stand then.
            group.place = None
            if not group.waits:
                del self.groups[group.tenant_id, group.mode]


def _discard(found: dict[Name, set[Member]], name: Name, member: Member) -> None:
    found[name].discard(member)
    if not found[name]:
        del found[name]
