"""What is reserved, and the ledgers that should account for it; and the last reckoning of both."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final, TypeVar, cast, get_args

from redis.asyncio import Redis

from app.domain.ids import Mode, family_of
from app.domain.pricing import Microcredits
from app.domain.story import open_holds
from app.store.keys import ALL_SHARDS, LAST_STOCK, TURN_OF_STOCK, Shard, month_before, windows
from app.store.scripts import store_errors
from app.store.task_records import movements_of

_DAY_MS: Final = 86_400_000
_CHUNK: Final = 500
"""Commands in one round trip: packing them takes some milliseconds, then others have their turn."""
_TRIES: Final = 5
_MODES: Final[tuple[Mode, ...]] = get_args(Mode)
_TURN_S: Final = 60
_KEPT_S: Final = 86_400

_T = TypeVar("_T")
_Holds = tuple[Microcredits, ...]
"""What a ledger leaves on hold after each of its entries, from none."""


@dataclass(frozen=True, slots=True)
class Drift:
    """What a tenant has reserved in a day or month, and what its open tasks' ledgers hold in it.

    For the tenant as a whole, or for one family of its keys.
    """

    tenant_id: str
    mode: Mode
    window: str
    family: str
    reserved: Microcredits
    held: Microcredits

    @property
    def amount(self) -> Microcredits:
        """The difference, which should be 0."""
        return self.reserved - self.held


@dataclass(frozen=True, slots=True)
class Stock:
    """When everything was reckoned last, and how far it was apart in all."""

    at_ms: int
    drift_microcredits: Microcredits


class StockStore:
    """One reckoning for all processes; plain commands, since nothing depends on them."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def last(self) -> Stock | None:
        """Return the last reckoning of any process, or None where there was none for a day."""
        with store_errors():
            kept = await self._redis.get(LAST_STOCK)
        return None if kept is None else Stock(**json.loads(kept))

    async def take_turn(self) -> bool:
        """Return whether this process may reckon now; a turn not given back ends by itself."""
        with store_errors():
            return bool(await self._redis.set(TURN_OF_STOCK, 1, nx=True, ex=_TURN_S))

    async def keep(self, stock: Stock) -> None:
        """Keep a reckoning in place of the last one, and give the turn back."""
        with store_errors():
            await self._redis.set(LAST_STOCK, json.dumps(asdict(stock)), ex=_KEPT_S)
            await self._redis.delete(TURN_OF_STOCK)


@dataclass(frozen=True, slots=True)
class _Place:
    """Whose figures are reckoned."""

    tenant_id: str
    mode: Mode

    @property
    def shard(self) -> Shard:
        return Shard.of(self.tenant_id)

    @property
    def opened(self) -> str:
        return self.shard.listed(self.tenant_id, self.mode, "open")

    def usage(self, window: str) -> str:
        return self.shard.usage(self.tenant_id, self.mode, window)


class DriftReads:
    """Plain reads, a few hundred at a time; nothing here is locked or changed."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def everywhere(self, *, now_ms: int) -> list[Drift]:
        """Return every figure by which a create may be refused that is not what is held.

        Never a false one: where tasks move while they are read, only what no order of their steps
        can explain is a drift; a smaller one shows at a quieter moment.

        Raises:
            StoreUnavailable: something could not be read.
        """
        try:
            async with asyncio.TaskGroup() as group:
                works = [group.create_task(self._in(shard, now_ms)) for shard in ALL_SHARDS]
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from failures
        return [drift for work in works for drift in work.result()]

    async def _in(self, shard: Shard, now_ms: int) -> list[Drift]:
        return [
            drift
            for place in await self._to_reckon(shard, now_ms)
            for drift in await self._of(place, now_ms)
        ]

    async def _to_reckon(self, shard: Shard, now_ms: int) -> list[_Place]:
        """Return whose tasks of a shard are open, or who has something reserved."""
        with store_errors():
            members: set[bytes] = await cast(Any, self._redis.smembers(shard.tenants))
        places = [_Place(each.decode(), mode) for each in sorted(members) for mode in _MODES]
        names = sorted(_windows(now_ms))
        found: dict[_Place, None] = {}
        async for place, count in self._asked(places, lambda pipe, each: pipe.zcard(each.opened)):
            if count:
                found[place] = None
        asked = [(place, name) for place in places for name in names]
        async for (place, _), figures in self._asked(
            asked, lambda pipe, each: pipe.hgetall(each[0].usage(each[1]))
        ):
            if any(_reserved(figures).values()):
                found[place] = None
        return list(found)

    async def _asked(
        self, things: list[_T], ask: Callable[[Any, _T], object]
    ) -> AsyncIterator[tuple[_T, Any]]:
        """Ask the same about many things; everything else has its turn between the round trips."""
        for start in range(0, len(things), _CHUNK):
            chunk = things[start : start + _CHUNK]
            with store_errors():
                async with self._redis.pipeline(transaction=False) as pipe:
                    for thing in chunk:
                        ask(pipe, thing)
                    answers: list[Any] = await pipe.execute()
            for pair in zip(chunk, answers, strict=True):
                yield pair

    async def _of(self, place: _Place, now_ms: int) -> list[Drift]:
        """Reckon one tenant: its figures and open tasks at one moment, the ledgers around it.

        A ledger only grows, so one that is the same before and after was so at that moment.
        """
        families: dict[str, str] = {}
        opened, _ = await self._moment(place, set())
        before, found = await self._holds(place, opened, families), list[Drift]()
        for _ in range(_TRIES):
            names = _windows(now_ms, opened.values())
            opened, reserved = await self._moment(place, names)
            after = await self._holds(place, opened, families)
            # A day may have begun since the figures were named.
            if _windows(now_ms, opened.values()) <= names:
                possible = await _possible(opened, families, before, after)
                found = list(_apart(place, reserved, possible))
                if not found or all(before.get(each) == holds for each, holds in after.items()):
                    break
            before = after
        return found

    async def _moment(
        self, place: _Place, names: set[str]
    ) -> tuple[dict[str, int], dict[tuple[str, str], Microcredits]]:
        """Return open tasks with their admission, and what is reserved, as they are together."""
        with store_errors():
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.zrange(place.opened, 0, -1, withscores=True)
                for name in sorted(names):
                    pipe.hgetall(place.usage(name))
                listed, *figures = await pipe.execute()
        return {task_id.decode(): int(at_ms) for task_id, at_ms in listed}, {
            (name, family): amount
            for name, each in zip(sorted(names), figures, strict=True)
            for family, amount in _reserved(each).items()
        }

    async def _holds(
        self, place: _Place, opened: dict[str, int], families: dict[str, str]
    ) -> dict[str, _Holds]:
        """Return what the ledger of each task holds; adds to `families` whose key made it."""
        shard = place.shard
        async for task_id, key_id in self._asked(
            [each for each in opened if each not in families],
            lambda pipe, each: pipe.hget(shard.task(each), "key"),
        ):
            families[task_id] = family_of((key_id or b"").decode())
        return {
            task_id: _holds_in(lines)
            async for task_id, lines in self._asked(
                list(opened), lambda pipe, each: pipe.lrange(shard.ledger(each), 0, -1)
            )
        }


def _windows(now_ms: int, instants_ms: Iterable[int] = ()) -> set[str]:
    """Return the days and months of some instants, and the present and last ones."""
    days = {at_ms // _DAY_MS for at_ms in (now_ms, now_ms - _DAY_MS, *instants_ms)}
    return {name for day in days for name in windows(day * _DAY_MS)} | {month_before(now_ms)}


def _reserved(figures: dict[bytes, bytes]) -> dict[str, Microcredits]:
    """Return what figures have on hold: for the tenant under "", for each family of keys."""
    return {
        name[len(b"held:") :].decode(): int(amount)
        for name, amount in figures.items()
        if name == b"held" or name.startswith(b"held:")
    }


def _holds_in(lines: list[bytes]) -> _Holds:
    entries = movements_of(lines)
    return tuple(open_holds(entries[:count]) for count in range(len(entries) + 1))


async def _possible(
    opened: dict[str, int],
    families: dict[str, str],
    before: dict[str, _Holds],
    after: dict[str, _Holds],
) -> dict[tuple[str, str], tuple[Microcredits, Microcredits]]:
    """Return the least and the most that each figure may hold by what was read around a moment."""
    least: dict[tuple[str, str], int] = defaultdict(int)
    most: dict[tuple[str, str], int] = defaultdict(int)
    names = {day: windows(day * _DAY_MS) for day in {at_ms // _DAY_MS for at_ms in opened.values()}}
    for number, (task_id, at_ms) in enumerate(opened.items()):
        # One that has only begun has its hold by then.
        known = before.get(task_id, (0, 0))
        held = after[task_id][len(known) - 1 :] or after[task_id][-1:]
        for name in names[at_ms // _DAY_MS]:
            for family in {"", families[task_id]}:
                least[name, family] += min(held)
                most[name, family] += max(held)
        if number % _CHUNK == 0:
            await asyncio.sleep(0)
    return {figure: (amount, most[figure]) for figure, amount in least.items()}


def _apart(
    place: _Place,
    reserved: dict[tuple[str, str], Microcredits],
    possible: dict[tuple[str, str], tuple[Microcredits, Microcredits]],
) -> Iterator[Drift]:
    """Compare every figure with what it may be."""
    for name, family in sorted(reserved.keys() | possible.keys()):
        amount = reserved.get((name, family), 0)
        least, most = possible.get((name, family), (0, 0))
        held = min(max(amount, least), most)
        if amount != held:
            yield Drift(place.tenant_id, place.mode, name, family, amount, held)
