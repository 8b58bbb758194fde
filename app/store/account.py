"""What a tenant may use and has used: limits and figures, read together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from redis.asyncio import Redis

from app.domain.ids import Mode
from app.domain.tenant import Caller, Limits, TenantLimits
from app.store.keys import (
    Shard,
    caller_keys,
)
from app.store.refusals import refusal
from app.store.scripts import Script, store_errors
from app.store.tenants import no_tenant

Figures = Mapping[str, int]
"""The figures of one window by the names that `keys.Shard.usage` lists."""


@dataclass(frozen=True, slots=True)
class Account:
    """A caller's limits, its tenant's limits, and the figures of the windows asked for."""

    of_tenant: Limits
    of_key: Limits
    windows: list[Figures]


class AccountStore:
    """Reads that change nothing."""

    def __init__(self, redis: Redis, epoch_id: str) -> None:
        self._redis, self._epoch_id = redis, epoch_id
        self._read_account = Script(redis, "read_account")

    async def of_caller(self, caller: Caller, windows: Iterable[str], *, now_ms: int) -> Account:
        """Return the limits of a caller, and figures by window (`20261122` or `202611`).

        Raises:
            InvalidKey, TenantDisabled: the caller may not read.
            StoreForeign: the store was emptied or exchanged.
        """
        shard = Shard.of(caller.tenant_id)
        outcome, *rest = await self._read_account(
            **caller_keys(caller.tenant_id, caller.key_id),
            windows=[shard.usage(caller.tenant_id, caller.mode, name) for name in windows],
            now_ms=now_ms,
            epoch_id=self._epoch_id,
        )
        if outcome == b"refused":
            raise refusal(rest[0])
        of_tenant, of_key, *figures = (_pairs(flat) for flat in rest)
        return Account(
            TenantLimits.of_fields(of_tenant),
            Limits.of_fields(of_key),
            [_figures(each) for each in figures],
        )

    async def of_tenant(self, tenant_id: str, mode: Mode, windows: Iterable[str]) -> list[Figures]:
        """Return the figures of a tenant's mode, for operators; empty ones where there is nothing.

        Raises:
            TenantNotFound: there is none of that id, or no longer.
        """
        shard = Shard.of(tenant_id)
        with store_errors():
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.hexists(shard.tenant(tenant_id), "id")
                for name in windows:
                    pipe.hgetall(shard.usage(tenant_id, mode, name))
                exists, *found = await pipe.execute()
        if not exists:
            raise no_tenant(tenant_id)
        return [_figures({k.decode(): v.decode() for k, v in each.items()}) for each in found]


def _pairs(flat: list[bytes]) -> dict[str, str]:
    words = [word.decode() for word in flat]
    return dict(zip(words[::2], words[1::2], strict=True))


def _figures(fields: Mapping[str, str]) -> Figures:
    return {name: int(value) for name, value in fields.items()}
