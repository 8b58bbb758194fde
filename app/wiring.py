"""The composition root: builds every long-lived object, once."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import httpx2
from redis.asyncio import Redis

from app import failpoints
from app.clock import Clock, HeldClock, StoreClock
from app.detached import DetachedWork
from app.domain.catalogue import Catalogue, CatalogueRefused, read_catalogue
from app.domain.ids import Mode
from app.domain.schedule import PollPace
from app.flows.forget import ForgetTasks
from app.flows.manage_keys import ManageKeys
from app.flows.manage_tenants import ManageTenants
from app.flows.poll import PollTasks, ReadPlaces
from app.flows.recover import RecoverSends
from app.flows.send import SEND_ATTEMPTS, SendTask
from app.flows.submit import SubmitTiming, SubmitVideo
from app.sandbox import SandboxOptions, create_sandbox
from app.settings import PREFIX, Settings, SettingsRefused, check_admin_token
from app.store.account import AccountStore
from app.store.admin_token import FILE_NAME, kept_admin_token
from app.store.api_keys import KeyStore
from app.store.audit import AuditLog
from app.store.connect import connect
from app.store.embedded import open_embedded
from app.store.epoch import settle_epoch
from app.store.meter import Meter
from app.store.schedule import Schedules
from app.store.task_reads import TaskReads
from app.store.tasks import TaskStore
from app.store.tenants import TenantStore
from app.store.time import sample_time
from app.telemetry import Metrics, redactor
from app.upstream.client import CallLimits, VendorClient
from app.upstream.keyring import Keyring
from app.upstream.transport import AiohttpTransport
from app.worker import Engine

_DAY_MS = 86_400_000
_SANDBOX_KEY = "sk-built-in-sandbox"
LAST_SENDS_S = 3.0
"""Share of the drain time kept for sends that outlive the requests which began them, seconds."""

_CONNECT_SHARE = 0.25
"""Share of a call's deadline that making its connection may take."""

_POOL_RESERVE = 64
"""Connections beyond our own bound on calls, so that no call ever waits for the pool."""


@dataclass(frozen=True, slots=True)
class Store:
    """A connected store that has proven to be the expected one."""

    redis: Redis
    epoch_id: str
    clock: Clock
    tenants: TenantStore
    keys: KeyStore
    audit: AuditLog
    accounts: AccountStore
    meter: Meter
    tasks: TaskStore
    reads: TaskReads

    @property
    def manage_tenants(self) -> ManageTenants:
        """What operators do to tenants."""
        return ManageTenants(self.tenants, self.audit, self.clock)

    @property
    def manage_keys(self) -> ManageKeys:
        """What operators do to keys."""
        return ManageKeys(self.tenants, self.keys, self.clock)


@dataclass(frozen=True, slots=True, repr=False)
class Gateway:
    """All that the routes and the engine use; holds things and does nothing."""

    settings: Settings
    store: Store
    clock: Clock
    catalogue: Catalogue
    submit: SubmitVideo
    running: DetachedWork
    engine: Engine
    metrics: Metrics
    admin_token: str | None = None


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncIterator[Store]:
    """Connect to the configured store, or start or join the embedded one.

    Raises:
        SettingsRefused: the address is not one of Redis.
        StoreUnavailable: no server answers.
        StoreForeign: the store is not the one this installation knows.
        EmbeddedStoreUnavailable: no server program can be found.
    """
    async with AsyncExitStack() as stack:
        url = settings.redis_url.get_secret_value()
        if not url:
            embedded = await asyncio.to_thread(open_embedded, settings.data_dir)
            stack.push_async_callback(asyncio.to_thread, embedded.close)
            url = embedded.url
        redis = _connect(url, settings)
        stack.push_async_callback(redis.aclose)
        epoch_id = await settle_epoch(redis, settings.data_dir, settings.store_epoch)
        yield Store(
            redis=redis,
            epoch_id=epoch_id,
            clock=await _start_clock(redis, settings),
            tenants=TenantStore(redis, epoch_id),
            keys=KeyStore(redis, epoch_id),
            audit=AuditLog(redis, epoch_id),
            accounts=AccountStore(redis, epoch_id),
            meter=Meter(redis, epoch_id),
            reads=TaskReads(redis, epoch_id),
            tasks=TaskStore(redis, epoch_id, retention_ms=settings.retention_days * _DAY_MS),
        )


def _connect(url: str, settings: Settings) -> Redis:
    try:
        return connect(
            url,
            connect_timeout_s=settings.redis_timeout_s * _CONNECT_SHARE,
            call_timeout_s=settings.redis_timeout_s,
        )
    except ValueError as refusal:
        raise SettingsRefused([str(refusal)]) from refusal


async def _start_clock(redis: Redis, settings: Settings) -> Clock:
    """Return a clock that shows the store's time; `worker.keep_time` keeps it so."""
    if settings.testing.hold_clock_ms is not None:
        return HeldClock(settings.testing.hold_clock_ms)
    clock = StoreClock()
    await sample_time(clock, redis)
    return clock


@asynccontextmanager
async def open_gateway(
    settings: Settings, metrics: Metrics, clock: Clock | None = None
) -> AsyncIterator[Gateway]:
    """Build a gateway on the configured store; `clock` replaces the store's, for tests.

    No call leaves for the vendor here. On leaving, sends under way are waited for.

    Raises:
        SettingsRefused: the vendor keys or the catalogue file cannot be read.
        StoreUnavailable, StoreForeign, EmbeddedStoreUnavailable: see `open_store`.
    """
    vendor_keys, catalogue = settings.vendor.read_keys(), load_catalogue(settings)
    redactor.learn([*vendor_keys, settings.redis_url.get_secret_value()])
    failpoints.arm(failpoints.parse(settings.testing.failpoints))
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(settings))
        vendors: dict[Mode, VendorClient] = {
            "live": _live_vendor(settings, vendor_keys),
            "test": _sandbox_vendor(settings, clock or store.clock),
        }
        for vendor in vendors.values():
            stack.push_async_callback(vendor.aclose)
        running = DetachedWork(limit=settings.vendor.max_in_flight)
        stack.push_async_callback(running.drain, min(LAST_SENDS_S, settings.drain_s))
        store = replace(store, clock=clock or store.clock)
        gateway = _assemble(settings, store, catalogue, vendors, running, metrics)
        yield replace(gateway, admin_token=admin_token_of(settings))


def admin_token_of(settings: Settings) -> str | None:
    """Return the admin API's token; None turns it off, as without one beside a shared store.

    Raises:
        SettingsRefused: the file of an embedded store's token cannot be read or written.
    """
    token = settings.admin_token.get_secret_value()
    if not token and not settings.redis_url.get_secret_value():
        try:
            token = kept_admin_token(settings.data_dir)
            check_admin_token(token)
        except (OSError, ValueError) as failure:
            raise SettingsRefused(
                [f"{PREFIX}ADMIN_TOKEN: the token in {settings.data_dir / FILE_NAME}: {failure!s}"]
            ) from failure
    redactor.learn_more([token])
    return token or None


def _assemble(
    settings: Settings,
    store: Store,
    catalogue: Catalogue,
    vendors: dict[Mode, VendorClient],
    running: DetachedWork,
    metrics: Metrics,
) -> Gateway:
    clock = store.clock
    pace = PollPace(
        first_delay_ms=int(settings.poll.first_delay_s * 1000),
        min_interval_ms=int(settings.poll.min_interval_s * 1000),
        max_interval_ms=int(settings.poll.max_interval_s * 1000),
    )
    schedules = Schedules(store.redis)
    timing = SubmitTiming(
        answer_ms=int(settings.create_answer_s * 1000),
        send_ms=int(settings.vendor.submit_timeout_s * 1000) * SEND_ATTEMPTS,
    )
    send = SendTask(store.tasks, vendors, clock, pace, metrics)
    poll = PollTasks(
        tasks=store.tasks,
        schedules=schedules,
        vendors=vendors,
        catalogue=catalogue,
        clock=clock,
        pace=pace,
        lease_ms=int(settings.poll.lease_s * 1000),
        places=ReadPlaces(settings.poll.concurrency),
        metrics=metrics,
    )
    recover = RecoverSends(store.tasks, schedules, clock, metrics)
    forget = ForgetTasks(store.tasks, schedules, clock)
    return Gateway(
        settings=settings,
        store=store,
        clock=clock,
        catalogue=catalogue,
        submit=SubmitVideo(
            catalogue, store.tasks, store.reads, send, running, clock, timing, metrics
        ),
        running=running,
        engine=Engine(
            schedules, {"polls": poll, "sends": recover, "retires": forget}, clock, metrics
        ),
        metrics=metrics,
    )


@cache
def built_in_catalogue() -> Catalogue:
    """Return the catalogue that ships with the gateway; read once, for it never changes."""
    return read_catalogue(_shipped_models())


def load_catalogue(settings: Settings) -> Catalogue:
    """Return the shipped catalogue with the operator's file, if there is one, laid over it.

    Raises:
        SettingsRefused: the file cannot be read or breaks the catalogue's rules.
    """
    path, allow_unknown = settings.catalogue_file, settings.allow_unknown_models
    if path is None and not allow_unknown:
        return built_in_catalogue()
    own = {} if path is None else _read_own_models(path)
    try:
        return read_catalogue(_shipped_models(), own, allow_unknown=allow_unknown)
    except CatalogueRefused as refusal:
        raise SettingsRefused(
            [f"{PREFIX}CATALOGUE_FILE: {path}: {problem}" for problem in refusal.problems]
        ) from refusal


def _shipped_models() -> dict[str, Any]:
    text = resources.files("app.domain").joinpath("catalogue.toml").read_text("utf-8")
    return tomllib.loads(text)


def _read_own_models(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as failure:
        raise SettingsRefused(
            [f"{PREFIX}CATALOGUE_FILE: {path} cannot be read ({failure!s})"]
        ) from failure


def _call_limits(settings: Settings) -> CallLimits:
    return CallLimits(
        submit_timeout_s=settings.vendor.submit_timeout_s,
        report_timeout_s=settings.vendor.report_timeout_s,
        max_answer_bytes=settings.vendor.max_answer_bytes,
    )


def _live_vendor(settings: Settings, keys: tuple[str, ...]) -> VendorClient:
    """Connect nothing yet: the first call opens the first connection."""
    vendor = settings.vendor
    # Reading the trust store takes long; both pools share it, and plain http needs none.
    tls = vendor.base_url.startswith("https") and httpx2.create_ssl_context(trust_env=False)

    def pool(calls: int, total_s: float, keepalive_s: float) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            base_url=vendor.base_url,
            transport=AiohttpTransport(
                verify=tls, max_connections=calls + _POOL_RESERVE, keepalive_s=keepalive_s
            ),
            timeout=httpx2.Timeout(total_s, connect=vendor.connect_timeout_s),
            trust_env=False,
            follow_redirects=False,
        )

    return VendorClient(
        # The longer a connection idles, the likelier it closes just as a create goes out.
        submits=pool(vendor.max_in_flight, vendor.submit_timeout_s, keepalive_s=2),
        reports=pool(settings.poll.concurrency, vendor.report_timeout_s, keepalive_s=15),
        keys=Keyring(keys),
        limits=_call_limits(settings),
    )


def _sandbox_vendor(settings: Settings, clock: Clock) -> VendorClient:
    """The vendor of test keys: the stateless imitation, in this process."""
    sandbox = create_sandbox(
        SandboxOptions(keys=(_SANDBOX_KEY,), stateless=True), now_ms=clock.now_ms
    )

    def pool() -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            base_url="http://sandbox.invalid",
            transport=httpx2.ASGITransport(app=sandbox),
            trust_env=False,
        )

    return VendorClient(
        submits=pool(), reports=pool(), keys=Keyring([_SANDBOX_KEY]), limits=_call_limits(settings)
    )
