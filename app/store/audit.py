"""The record of what operators did: appended by the scripts that do it, read here."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable
from typing import Any, Final, cast

from redis.asyncio import Redis

from app.domain.audit import Act
from app.errors import StoreForeign
from app.store.keys import ALL_SHARDS, Shard
from app.store.scripts import Script, store_errors

_FIGURE: Final = re.compile(r"[0-9]{1,20}", re.ASCII)


class AuditLog:
    """Acts of all shards, newest first."""

    def __init__(self, redis: Redis, epoch_id: str) -> None:
        self._redis, self._epoch_id = redis, epoch_id
        self._record_act = Script(redis, "record_act")

    async def record(self, act: Act) -> None:
        """Record an act that changed nothing; every other is recorded by its own script.

        Raises:
            StoreForeign: the store was emptied or exchanged.
        """
        shard = Shard.of(act.tenant_id)
        outcome = await self._record_act(
            epoch=shard.epoch, audit=shard.audit, epoch_id=self._epoch_id, entry=act.entry()
        )
        if outcome == b"store_foreign":
            raise StoreForeign

    async def page(
        self, *, tenant_id: str | None, before: str | None, limit: int
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Return up to `limit` acts, newest first, and where the next page begins.

        `before` is what an earlier page gave; ids are of the form `<ms>-<n>-<shard>`, so acts of
        several shards have one order. With a tenant, only what was done to it.

        Raises:
            ValueError: `before` is not what an earlier page gave.
        """
        shards = ALL_SHARDS if tenant_id is None else (Shard.of(tenant_id),)
        edge = None if before is None else _place(before)
        pages = await asyncio.gather(
            *(self._newest(shard, edge, limit, tenant_id) for shard in shards)
        )
        found = sorted((act for page in pages for act in page), key=_order, reverse=True)
        shown = found[:limit]
        return shown, str(shown[-1]["id"]) if len(found) > limit else None

    async def _newest(
        self, shard: Shard, edge: tuple[int, int, int] | None, limit: int, tenant_id: str | None
    ) -> list[dict[str, Any]]:
        """Return up to `limit` + 1 acts of one shard that come before `edge`."""
        found: list[dict[str, Any]] = []
        if edge is not None and edge[:2] == (0, 0):
            return []  # nothing comes before the first id there can be
        last: str | None = "+" if edge is None else _last_before(edge, shard)
        while last is not None and len(found) <= limit:
            with store_errors():
                entries: list[tuple[bytes, dict[bytes, bytes]]] = await cast(
                    Awaitable[Any], self._redis.xrevrange(shard.audit, last, "-", count=limit + 1)
                )
            for entry_id, fields in entries:
                act: dict[str, Any] = json.loads(fields[b"entry"])
                if tenant_id is None or act["tenant"] == tenant_id:
                    found.append({"id": f"{entry_id.decode()}-{shard.number}", **act})
            last = f"({entries[-1][0].decode()}" if len(entries) > limit else None
        return found


def _place(text: str) -> tuple[int, int, int]:
    """Read the id of an entry.

    Raises:
        ValueError: no entry can have it.
    """
    parts = text.split("-")
    if len(parts) != 3 or not all(_FIGURE.fullmatch(part) for part in parts):  # noqa: PLR2004
        raise ValueError(f"{text[:64]!r} is not the id of an entry")
    at_ms, number, shard = map(int, parts)
    if max(at_ms, number) >= 2**64:
        raise ValueError(f"{text[:64]!r} is not the id of an entry")
    return at_ms, number, shard


def _order(act: dict[str, Any]) -> tuple[int, int, int]:
    return _place(act["id"])


def _last_before(edge: tuple[int, int, int], shard: Shard) -> str:
    """Return the last stream id of a shard that comes before `edge` in the order of all shards."""
    at_ms, number, of_shard = edge
    return f"{'' if shard.number < of_shard else '('}{at_ms}-{number}"
