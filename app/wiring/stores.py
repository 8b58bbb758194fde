"""The store and what stands on it: opened for the gateway and for every command."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from redis.asyncio import Redis

from app.clock import Clock, HeldClock, StoreClock
from app.domain.targets import TargetPolicy
from app.flows.manage_keys import ManageKeys
from app.flows.manage_tenants import ManageTenants
from app.flows.manage_webhooks import ManageWebhooks, WebhookTerms
from app.settings import PREFIX, Settings, SettingsRefused, check_admin_token
from app.store.account import AccountStore
from app.store.admin_token import FILE_NAME, kept_admin_token
from app.store.api_keys import KeyStore
from app.store.audit import AuditLog
from app.store.connect import connect
from app.store.deliveries import DeliveryStore
from app.store.delivery_queue import DeliveryQueue
from app.store.doubts import DoubtStore
from app.store.embedded import open_embedded
from app.store.epoch import settle_epoch
from app.store.identity import StoreIdentity
from app.store.meter import Meter
from app.store.news import NewsReads
from app.store.notices import callback_secret
from app.store.origins import OriginIndex
from app.store.task_queue import TaskQueue
from app.store.task_reads import TaskReads
from app.store.tasks import TaskStore
from app.store.tenants import TenantStore
from app.store.time import sample_time
from app.store.tokens import TokenStore
from app.store.webhooks import WebhookStore
from app.telemetry import redactor

_DAY_MS = 86_400_000
_CONNECT_SHARE = 0.25
"""Share of a call's deadline that making its connection may take."""


@dataclass(frozen=True, slots=True)
class Store:
    """A connected store that has proven to be the expected one."""

    redis: Redis
    epoch_id: str
    identity: StoreIdentity
    clock: Clock
    tenants: TenantStore
    keys: KeyStore
    tokens: TokenStore
    origins: OriginIndex
    audit: AuditLog
    accounts: AccountStore
    meter: Meter
    tasks: TaskStore
    queue: TaskQueue
    doubts: DoubtStore
    reads: TaskReads
    news: NewsReads
    callback_secret: bytes
    webhooks: WebhookStore
    deliveries: DeliveryStore
    delivery_queue: DeliveryQueue
    webhook_terms: WebhookTerms

    @property
    def manage_tenants(self) -> ManageTenants:
        """What operators do to tenants."""
        return ManageTenants(self.tenants, self.audit, self.clock)

    @property
    def manage_keys(self) -> ManageKeys:
        """What operators do to keys."""
        return ManageKeys(self.tenants, self.keys, self.clock)

    @property
    def manage_webhooks(self) -> ManageWebhooks:
        """What tenants, and operators for them, do to webhook endpoints."""
        return ManageWebhooks(
            self.webhooks, self.deliveries, self.audit, self.clock, self.webhook_terms
        )


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
        identity = StoreIdentity(redis, epoch_id)
        yield Store(
            redis=redis,
            epoch_id=epoch_id,
            identity=identity,
            clock=await _start_clock(redis, settings),
            tenants=TenantStore(redis, epoch_id),
            keys=KeyStore(redis, epoch_id),
            tokens=TokenStore(redis, epoch_id),
            origins=await OriginIndex.opened(redis, epoch_id),
            audit=AuditLog(redis, epoch_id),
            accounts=AccountStore(redis, epoch_id),
            meter=Meter(redis, epoch_id),
            reads=TaskReads(redis, epoch_id),
            news=NewsReads(redis, epoch_id),
            queue=TaskQueue(redis, identity),
            callback_secret=await callback_secret(redis),
            doubts=DoubtStore(redis, epoch_id),
            webhooks=WebhookStore(redis, epoch_id),
            deliveries=DeliveryStore(redis, epoch_id),
            delivery_queue=DeliveryQueue(redis),
            webhook_terms=WebhookTerms(targets_of(settings), settings.webhook.max_endpoints),
            tasks=TaskStore(redis, identity, retention_ms=settings.retention_days * _DAY_MS),
        )


def targets_of(settings: Settings) -> TargetPolicy:
    """Return where notices of tenants may go."""
    webhook = settings.webhook
    return TargetPolicy.parse(webhook.allow_networks, allow_http=webhook.allow_http)


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
