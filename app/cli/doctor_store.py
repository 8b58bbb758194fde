"""The store as `reelgate doctor` sees it: reachable, the right one, able to keep the promises.

Nothing is written: an empty store is left empty.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Awaitable, Mapping
from concurrent.futures import Future
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final, cast

from redis.asyncio import Redis, RedisCluster
from redis.exceptions import RedisError, ResponseError

from app.cli.findings import Notes, isolated
from app.clock import StoreClock
from app.domain.balance import Comparison
from app.domain.instants import rfc3339
from app.domain.pricing import format_credits
from app.errors import StoreForeign
from app.settings import Settings, SettingsRefused
from app.store.balance import BalanceStore
from app.store.connect import connect, redacted
from app.store.delivery_queue import DeliveryQueue
from app.store.drift import DriftReads
from app.store.embedded import EmbeddedStore, EmbeddedStoreUnavailable, open_embedded
from app.store.epoch import known_epoch, read_epoch
from app.store.followed import FollowedTasks
from app.store.time import sample_time
from app.upstream.keyring import VendorKey

LATE_S: Final = 120
"""An engine looks twice a second, so what has been due for so long is sent by nobody, seconds."""

LARGEST_SKEW_MS: Final = 1000
OLDEST: Final = {"Redis": (7, 0), "Valkey": (7, 2)}


async def check_store(chosen: Settings, note: Notes) -> None:
    """Examine the configured store; an embedded one is joined, or started for the moment."""
    async with AsyncExitStack() as stack:
        url, where = chosen.redis_url.get_secret_value(), ""
        if not url:
            try:
                embedded = await asyncio.wrap_future(_opened(chosen.data_dir))
            except EmbeddedStoreUnavailable as failure:
                note("store-unreachable", str(failure))
                return
            stack.push_async_callback(asyncio.to_thread, embedded.close)
            url, where = embedded.url, f"the embedded store in {chosen.data_dir}"
            where += "" if embedded.joined else " (not running; started for this check only)"
        try:
            redis = connect(url, call_timeout_s=chosen.redis_timeout_s)
        except ValueError as refusal:
            note("settings-refused", str(refusal))
            return
        stack.push_async_callback(redis.aclose)
        await _check_server(redis, chosen, where or redacted(url), note)


def _opened(data_dir: Path) -> Future[EmbeddedStore]:
    """Open the store in a thread that ends with the process: opening has no bound short enough."""
    opened: Future[EmbeddedStore] = Future()

    def work() -> None:
        try:
            opened.set_result(open_embedded(data_dir))
        except Exception as failure:  # noqa: BLE001 - it is raised again where it is awaited
            opened.set_exception(failure)

    opened.set_running_or_notify_cancel()
    threading.Thread(target=work, name="doctor-store", daemon=True).start()
    return opened


async def _check_server(redis: Redis, chosen: Settings, where: str, note: Notes) -> None:
    try:
        await cast(Awaitable[Any], redis.ping())
    except (RedisError, OSError) as failure:
        note("store-unreachable", f"{where}: {failure}")
        return
    note("store-ok", f"{where} answers")
    await isolated("store identity", note, _check_identity(redis, chosen, note))
    await isolated("drift", note, _check_books(redis, note))
    await isolated("vendor keys", note, _check_vendor_keys(redis, chosen, note))
    await isolated("deliveries", note, _check_deliveries(redis, note))
    # Each primary of a cluster has a configuration of its own.
    nodes = redis.get_primaries() if isinstance(redis, RedisCluster) else [None]
    for node in nodes:
        target: dict[str, Any] = {} if node is None else {"target_nodes": node}
        name = "the server" if node is None else str(node.name)
        await isolated("store server", note, _check_node(redis, target, name, note))
    await isolated("clock", note, _check_clock(redis, note))


async def _check_identity(redis: Redis, chosen: Settings, note: Notes) -> None:
    known = known_epoch(chosen.data_dir, chosen.store_epoch)
    try:
        found = await read_epoch(redis)
    except StoreForeign as refusal:
        note("store-foreign", refusal.message)
        return
    match (known, found):
        case (None, None):
            note("store-new", "the store is empty; the first start sets it up")
        case (None, _):
            note("store-not-pinned", "the store is in use, but nothing here says it is ours")
        case (_, None):
            note("store-foreign", f"the store is empty, but epoch {known} is known here")
        case _ if known != found:
            note("store-foreign", f"the store carries epoch {found}, expected {known}")
        case _:
            note("store-known", f"the store carries the expected epoch {found}")


async def _check_books(redis: Redis, note: Notes) -> None:
    """Reckon what is reserved, and repeat what the last look at the vendor's balance told."""
    clock = StoreClock()
    await sample_time(clock, redis)
    found = await DriftReads(redis).everywhere(now_ms=clock.now_ms())
    for each in found:
        by_key = f" by {each.family}" if each.family else ""
        note(
            "drift-found",
            f"{each.tenant_id} ({each.mode}) has {format_credits(each.reserved)} credits reserved"
            f" in {each.window}{by_key}, its open tasks hold {format_credits(each.held)}",
        )
    if not found:
        note("drift-none", "what is reserved is what open tasks hold")
    look = await BalanceStore(redis).last()
    if look is not None and look.comparison is not None:
        judge_balance(look.comparison, note)


async def _check_vendor_keys(redis: Redis, chosen: Settings, note: Notes) -> None:
    """Note tasks that nobody can follow: the key that made them is not configured here."""
    try:
        known = {VendorKey.of(secret).id for secret in chosen.vendor.read_keys()}
    except SettingsRefused:
        return  # the check of the vendor says so
    for key_id, count in sorted((await FollowedTasks(redis).by_vendor_key()).items()):
        if key_id not in known:
            tasks = "one open task was" if count == 1 else f"{count} open tasks were"
            note("vendor-key-missing", f"{tasks} sent with {key_id}, which is not configured here")


async def _check_deliveries(redis: Redis, note: Notes) -> None:
    """Note messages to webhooks that should have been sent long ago."""
    clock = StoreClock()
    await sample_time(clock, redis)
    count, oldest_ms = await DeliveryQueue(redis).backlog(now_ms=clock.now_ms())
    late_s = (clock.now_ms() - oldest_ms) // 1000
    if count and late_s > LATE_S:
        messages = "a message is" if count == 1 else f"{count} messages are"
        note("deliveries-late", f"{messages} due to webhooks, the oldest for {late_s} s")


def judge_balance(comparison: Comparison, note: Notes) -> None:
    """Note how far the vendor's count and ours were apart in the day that was compared last."""
    since, until = (rfc3339(at_ms) for at_ms in (comparison.since_ms, comparison.until_ms))
    note(
        "balance-differs" if comparison.is_notable else "balance-compared",
        f"from {since} to {until} the vendor counted"
        f" {format_credits(comparison.vendor_microcredits)} credits, we settled"
        f" {format_credits(comparison.settled_microcredits)}",
    )


async def _check_node(redis: Redis, target: dict[str, Any], name: str, note: Notes) -> None:
    """Read a server's facts, as far as it lets us, and judge them."""
    facts: dict[str, Any] = {}
    fsync: str | None = None
    try:
        facts = await redis.info(**target)
        found = await redis.config_get("appendfsync", **target)
        fsync = found.get("appendfsync")
    except ResponseError:
        note("store-config-hidden", f"{name} does not show its configuration")
    judge_version(facts, name, note)
    judge_durability(facts, fsync, name, note)


def judge_version(facts: Mapping[str, Any], name: str, note: Notes) -> None:
    """Note a server that lacks what our scripts use; `facts` is what INFO shows."""
    product = "Valkey" if "valkey_version" in facts else "Redis"
    version = str(facts.get(f"{product.lower()}_version", ""))
    numbers = tuple(int(number) for number in re.findall(r"[0-9]+", version)[:2])
    if numbers and numbers < OLDEST[product]:
        note("store-too-old", f"{name} is {product} {version}")


def judge_durability(facts: Mapping[str, Any], fsync: str | None, name: str, note: Notes) -> None:
    """Note what weakens the promise that nothing acknowledged is forgotten.

    `facts` is what INFO shows, `fsync` the setting appendfsync; both may be unknown.
    """
    if facts.get("role") == "slave":
        note("store-read-only", f"{name} is a replica: it takes no writes")
    policy = facts.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        note(
            "store-evicts",
            f"{name} may throw away tasks, keys and limits to save memory ({policy})",
        )
    lost = None
    if facts.get("aof_enabled") == 0:
        lost = "everything since its last snapshot (appendonly is not yes)"
    elif fsync not in (None, "always"):
        lost = f"its last second or more (appendfsync is {fsync})"
    if lost is not None:
        note(
            "store-not-persistent",
            f"a crash of {name} loses {lost}: acknowledged tasks may be forgotten, vendor"
            " credits spent unaccounted",
        )
    elif fsync == "always":
        note("store-durable", f"{name} syncs each write before it answers")


async def _check_clock(redis: Redis, note: Notes) -> None:
    judge_clock(await sample_time(StoreClock(), redis), note)


def judge_clock(ahead_ms: float, note: Notes) -> None:
    """Note how far the store's clock is ahead of this host's."""
    if abs(ahead_ms) <= LARGEST_SKEW_MS:
        note("clock-ok", "this host and the store agree on the time")
        return
    side = "ahead of" if ahead_ms > 0 else "behind"
    note("clock-skewed", f"the store's clock is {abs(ahead_ms) / 1000:.1f} s {side} this host's")
