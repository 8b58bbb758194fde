"""Reads by the second: taken from Redis in small shares, and used up in this process."""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Final

from redis.asyncio import Redis

from app.domain.rates import PolicyName, Rates, Standing
from app.domain.tenant import Caller
from app.errors import GatewayError
from app.store.keys import (
    Shard,
    caller_keys,
)
from app.store.refusals import refusal
from app.store.scripts import Script

SHARE_LIFE_MS: Final = 1_000
"""How long a share may be used: what is left of it then is lost, never carried on."""

_KNOWN_SHARES: Final = 20_000
"""Callers whose share a process keeps; about 10 MB when full."""

_UNLIMITED: Final = -1


@dataclass(slots=True)
class _Share:
    """Reads this process may still answer for one caller without asking; -1: any number.

    `given` is how many there were. Where none was, `free_ms` is when there will be one; so long,
    but for a second at the most, a caller that hammers is refused without asking.
    """

    count: int
    fetched_ms: int
    until_ms: int
    rates: Rates
    given: int = 0
    free_ms: int = 0

    def serves(self, now_ms: int) -> bool:
        """Return whether it answers now, with a read or with a refusal.

        A clock that was set back must not make it last.
        """
        return (self.count != 0 or self.free_ms > 0) and self.fetched_ms <= now_ms < self.until_ms

    def take(self) -> bool:
        """Use one read, if there is one."""
        if self.count > 0:
            self.count -= 1
            return True
        return self.count == _UNLIMITED


@dataclass(frozen=True, slots=True)
class ReadPermit:
    """How a caller stands after a read; `wait_ms` is None where it may be answered."""

    rates: Rates
    wait_ms: int | None


class Meter:
    """Counts the reads of tenants and keys against `reads_per_second`.

    Over all processes no more pass than the limits say, at any moment: what is lent does not come
    back to the bucket while it may still be used. Up to one share a process goes unused.
    """

    def __init__(self, redis: Redis, epoch_id: str) -> None:
        self._epoch_id, self._process = epoch_id, secrets.token_hex(4)
        self._meter = Script(redis, "meter")
        self._shares: OrderedDict[Caller, _Share] = OrderedDict()
        self._fetching: dict[Caller, asyncio.Future[_Share]] = {}

    async def take_read(self, caller: Caller, *, now_ms: int) -> ReadPermit:
        """Count one read of a caller, where it has one left.

        Raises:
            InvalidKey, TenantDisabled: the caller may not read.
            StoreUnavailable, StoreForeign: nothing can be counted.
        """
        share = self._shares.get(caller)
        while share is None or not share.serves(now_ms):
            share = await self._fetched(caller, now_ms)
        return self._permit(share, now_ms)

    async def _fetched(self, caller: Caller, now_ms: int) -> _Share:
        """Return a new share; readers at once wait for one fetch and have its failure in common.

        Each fetching its own would throw the others' away, and wait in turn for a store that hangs.
        """
        under_way = self._fetching.get(caller)
        if under_way is not None:
            await asyncio.wait([under_way])
            if not under_way.cancelled():
                return under_way.result()
        own: asyncio.Future[_Share] = asyncio.get_running_loop().create_future()
        self._fetching[caller] = own
        try:
            own.set_result(await self._fetch(caller, now_ms))
        except GatewayError as failure:
            own.set_exception(failure)
        finally:
            if self._fetching.get(caller) is own:
                del self._fetching[caller]
            own.cancel()  # changes nothing, unless this reader was cancelled on the way
        share = own.result()
        self._keep(caller, share)
        return share

    def _permit(self, share: _Share, now_ms: int) -> ReadPermit:
        if share.take():
            return ReadPermit(self._standing(share), wait_ms=None)
        return ReadPermit(share.rates, wait_ms=share.free_ms - now_ms)

    async def peek(self, caller: Caller, counted: PolicyName, *, now_ms: int) -> Rates:
        """Return how a caller stands, taking nothing.

        Raises:
            InvalidKey, TenantDisabled, StoreUnavailable, StoreForeign: as `take_read`.
        """
        _, rates, _ = await self._ask(caller, now_ms, 0)
        return replace(rates, counted=counted)

    async def _fetch(self, caller: Caller, now_ms: int) -> _Share:
        count, rates, wait_ms = await self._ask(caller, now_ms, self._wanted(caller, now_ms))
        if count != 0:
            return _Share(count, now_ms, now_ms + SHARE_LIFE_MS, rates, given=count)
        until_ms = now_ms + min(wait_ms, SHARE_LIFE_MS)
        return _Share(0, now_ms, until_ms, rates, free_ms=now_ms + wait_ms)

    def _wanted(self, caller: Caller, now_ms: int) -> int:
        """Return how many reads to ask for: one, and twice as many each time they are used up.

        So a caller that reads now and then leaves none unused, which would be lost to others.
        """
        before = self._shares.get(caller)
        used_up = before is not None and before.given > 0 and before.count == 0
        if before is None or not used_up or not before.fetched_ms <= now_ms < before.until_ms:
            return 1
        return 2 * before.given

    def _keep(self, caller: Caller, share: _Share) -> None:
        self._shares[caller] = share
        self._shares.move_to_end(caller)
        if len(self._shares) > _KNOWN_SHARES:
            self._shares.popitem(last=False)

    async def _ask(self, caller: Caller, now_ms: int, wanted: int) -> tuple[int, Rates, int]:
        shard = Shard.of(caller.tenant_id)
        place = caller.tenant_id, caller.mode
        outcome, *rest = await self._meter(
            **caller_keys(caller.tenant_id, caller.key_id),
            reads=shard.reads(*place),
            key_reads=shard.reads(*place, caller.family),
            rate=shard.rate(*place),
            key_rate=shard.rate(*place, caller.family),
            now_ms=now_ms,
            epoch_id=self._epoch_id,
            wanted=wanted,
            lease_id=f"{self._process}:{caller.key_id}",
            life_ms=SHARE_LIFE_MS,
        )
        if outcome == b"refused":
            raise refusal(rest[0])
        count, creates, reads, wait_ms = rest
        return count, Rates("reads", standing_of(creates), standing_of(reads)), wait_ms

    @staticmethod
    def _standing(share: _Share) -> Rates:
        """Return the standing with what is left of the share added: this process will serve it."""
        reads = share.rates.reads
        if reads is None or share.count == _UNLIMITED:
            return share.rates
        return replace(share.rates, reads=replace(reads, left=reads.left + share.count))


def standing_of(told: list[int]) -> Standing | None:
    """Read what `bucket.lua` tells of a policy; a negative quota stands for no limit."""
    quota, left, grows_in_ms = told
    return None if quota < 0 else Standing(quota, left, grows_in_ms)


def rates_of_create(creates: list[int], reads_quota: int) -> Rates:
    """Read what `admit.lua` tells: the creates policy, and the quota of reads alone."""
    reads = None if reads_quota < 0 else Standing(reads_quota, reads_quota, 0)
    return Rates("creates", standing_of(creates), reads)
