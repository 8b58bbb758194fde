"""The composition root: builds every long-lived object, once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

from app import failpoints
from app.clock import Clock
from app.detached import DetachedWork
from app.domain.catalogue import Catalogue
from app.domain.doubt import DoubtTerms
from app.domain.ids import Mode
from app.domain.schedule import PollPace
from app.flows.cancel import CallOff, CancelTask
from app.flows.compare_balance import CompareBalance
from app.flows.dispatch import DispatchTasks
from app.flows.doubt import WorkOffDoubts
from app.flows.follow import FollowNews
from app.flows.forget import ForgetTasks
from app.flows.heed import HeedNotice
from app.flows.look import LookAtVendor
from app.flows.mint_token import MintToken
from app.flows.poll import PollTasks, ReadPlaces
from app.flows.recover import RecoverSends
from app.flows.resolve import ResolveDoubt
from app.flows.send import SEND_ATTEMPTS, CallbackAddresses, SendTask
from app.flows.submit import RECOVERY_MARGIN_MS, SubmitTiming, SubmitVideo
from app.flows.take_stock import CountDoubts, TakeStock
from app.flows.vendor_health import VendorHealth
from app.settings import Settings
from app.store.balance import BalanceStore
from app.store.drift import DriftReads, StockStore
from app.store.notices import NoticeStore
from app.store.poll_budget import PollBudget
from app.store.schedule import ScheduleName, Schedules
from app.telemetry import Metrics, redactor
from app.upstream.client import VendorClient
from app.wiring.live import following
from app.wiring.models import built_in_catalogue as built_in_catalogue
from app.wiring.models import load_catalogue as load_catalogue
from app.wiring.operators import resolving
from app.wiring.stores import Store as Store
from app.wiring.stores import admin_token_of as admin_token_of
from app.wiring.stores import open_store as open_store
from app.wiring.vendors import live_vendor, sandbox_vendor
from app.wiring.webhooks import Delivering, counting, delivering, drain, open_delivering
from app.worker import Chore, Engine, Flow

LAST_SENDS_S = 3.0
"""Share of the drain time kept for sends that outlive the requests which began them, seconds."""

STOCK_EVERY_S = 60.0
DOUBTS_EVERY_S = 15.0
"""So that an alarm can go off a minute after a doubt began, with the time that watching takes."""

DELIVERIES_EVERY_S = 15.0
BALANCE_EVERY_S = 600.0
"""How often it is looked whether a day has passed since the last comparison, seconds."""


@dataclass(frozen=True, slots=True, repr=False)
class Gateway:
    """All that the routes and the engine use; holds things and does nothing."""

    settings: Settings
    store: Store
    clock: Clock
    catalogue: Catalogue
    submit: SubmitVideo
    cancel: CancelTask
    resolve: ResolveDoubt
    heed: HeedNotice
    follow: FollowNews
    mint: MintToken
    running: DetachedWork
    delivering: DetachedWork
    engine: Engine
    metrics: Metrics
    admin_token: str | None = None


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
            "live": live_vendor(settings, vendor_keys),
            "test": sandbox_vendor(settings, clock or store.clock),
        }
        for vendor in vendors.values():
            stack.push_async_callback(vendor.aclose)
        health: dict[Mode, VendorHealth] = {"live": VendorHealth(), "test": VendorHealth()}
        running = DetachedWork(limit=settings.vendor.max_in_flight)
        outgoing = open_delivering(settings)
        stack.push_async_callback(outgoing.sender.aclose)
        grace_s = min(LAST_SENDS_S, settings.drain_s)
        stack.push_async_callback(drain, running, outgoing.running, grace_s=grace_s)
        store = replace(store, clock=clock or store.clock)
        parts = _Parts(settings, store, catalogue, vendors, health, running, outgoing, metrics)
        gateway = _assemble(parts)
        await stack.enter_async_context(gateway.follow.running())
        yield replace(gateway, admin_token=admin_token_of(settings))


@dataclass(frozen=True, slots=True)
class _Parts:
    """What flows are built from."""

    settings: Settings
    store: Store
    catalogue: Catalogue
    vendors: dict[Mode, VendorClient]
    health: dict[Mode, VendorHealth]
    running: DetachedWork
    outgoing: Delivering
    metrics: Metrics

    @property
    def pace(self) -> PollPace:
        """The bounds of status reads, in milliseconds."""
        poll = self.settings.poll
        return PollPace(
            first_delay_ms=int(poll.first_delay_s * 1000),
            min_interval_ms=int(poll.min_interval_s * 1000),
            max_interval_ms=int(poll.max_interval_s * 1000),
            deadline_ms=int(poll.deadline_s * 1000),
            watch_interval_ms=int(poll.watch_interval_s * 1000),
            give_up_ms=int(poll.give_up_s * 1000),
        )

    @property
    def timing(self) -> SubmitTiming:
        """The deadlines of a create."""
        return SubmitTiming(
            answer_ms=int(self.settings.create_answer_s * 1000),
            send_ms=int(self.settings.vendor.submit_timeout_s * 1000) * SEND_ATTEMPTS,
        )

    @property
    def send(self) -> SendTask:
        """The one way to the vendor."""
        settings, store = self.settings, self.store
        addresses = CallbackAddresses(
            settings.public_url, settings.vendor.callbacks, store.callback_secret
        )
        return SendTask(
            tasks=store.tasks,
            queue=store.queue,
            doubts=store.doubts,
            vendors=self.vendors,
            health=self.health,
            clock=store.clock,
            pace=self.pace,
            callbacks=addresses,
            metrics=self.metrics,
        )

    @property
    def look(self) -> LookAtVendor:
        """The one way to find out whether the vendor has a task."""
        store = self.store
        return LookAtVendor(
            tasks=store.tasks,
            doubts=store.doubts,
            send=self.send,
            vendors=self.vendors,
            catalogue=self.catalogue,
            budget=PollBudget(store.redis, self.settings.poll.per_second),
            clock=store.clock,
            send_ms=self.timing.send_ms,
            metrics=self.metrics,
        )


def _assemble(parts: _Parts) -> Gateway:
    store, clock, metrics = parts.store, parts.store.clock, parts.metrics
    schedules = Schedules(store.redis, store.identity)
    return Gateway(
        settings=parts.settings,
        store=store,
        clock=clock,
        catalogue=parts.catalogue,
        submit=SubmitVideo(
            catalogue=parts.catalogue,
            targets=parts.store.webhook_terms.targets,
            tasks=store.tasks,
            reads=store.reads,
            send=parts.send,
            running=parts.running,
            clock=clock,
            timing=parts.timing,
            metrics=metrics,
        ),
        cancel=CancelTask(CallOff(store.tasks, clock, metrics), store.reads, clock),
        resolve=resolving(parts.settings, store, parts.vendors, parts.catalogue, metrics),
        heed=HeedNotice(
            tasks=store.tasks,
            notices=NoticeStore(store.redis),
            look=parts.look,
            clock=clock,
            secret=store.callback_secret,
            metrics=metrics,
        ),
        follow=following(parts.settings.live, store, metrics),
        mint=MintToken(parts.catalogue, store.accounts, store.tokens, clock),
        running=parts.running,
        delivering=parts.outgoing.running,
        engine=Engine(schedules, _flows(parts, schedules), clock, metrics, _chores(parts)),
        metrics=metrics,
    )


def _flows(parts: _Parts, schedules: Schedules) -> dict[ScheduleName, Flow]:
    """Return the flow that works through each schedule."""
    store, clock, metrics = parts.store, parts.store.clock, parts.metrics
    return {
        "polls": _polling(parts, schedules),
        "sends": RecoverSends(store.tasks, schedules, clock, metrics),
        "retires": ForgetTasks(store.tasks, schedules, clock),
        "deliveries": delivering(parts.settings, store, parts.outgoing, metrics),
        "dispatch": DispatchTasks(
            tasks=store.tasks,
            queue=store.queue,
            schedules=schedules,
            send=parts.send,
            call_off=CallOff(store.tasks, clock, metrics),
            vendors=parts.vendors,
            catalogue=parts.catalogue,
            running=parts.running,
            clock=clock,
            recover_after_ms=parts.timing.send_ms + RECOVERY_MARGIN_MS,
        ),
        "doubts": WorkOffDoubts(
            tasks=store.tasks,
            doubts=store.doubts,
            tenants=store.tenants,
            schedules=schedules,
            send=parts.send,
            look=parts.look,
            vendors=parts.vendors,
            catalogue=parts.catalogue,
            running=parts.running,
            clock=clock,
            terms=DoubtTerms(
                trust_idempotency=parts.settings.vendor.trust_idempotency,
                deadline_ms=int(parts.settings.doubt_deadline_s * 1000),
            ),
            metrics=metrics,
        ),
    }


def _chores(parts: _Parts) -> tuple[Chore, ...]:
    """Return what an engine does once in a while."""
    store, clock, metrics = parts.store, parts.store.clock, parts.metrics
    drifts, stocks = DriftReads(store.redis), StockStore(store.redis)
    balances = BalanceStore(store.redis)
    return (
        Chore("stock", STOCK_EVERY_S, TakeStock(stocks, drifts, clock, metrics)),
        Chore("doubts", DOUBTS_EVERY_S, CountDoubts(store.tasks, store.doubts, clock, metrics)),
        Chore("deliveries", DELIVERIES_EVERY_S, counting(store, metrics)),
        Chore(
            "balance",
            BALANCE_EVERY_S,
            CompareBalance(balances, parts.vendors["live"], clock, metrics),
        ),
    )


def _polling(parts: _Parts, schedules: Schedules) -> PollTasks:
    poll = parts.settings.poll
    return PollTasks(
        tasks=parts.store.tasks,
        tenants=parts.store.tenants,
        schedules=schedules,
        vendors=parts.vendors,
        catalogue=parts.catalogue,
        clock=parts.store.clock,
        pace=parts.pace,
        lease_ms=int(poll.lease_s * 1000),
        places=ReadPlaces(poll.concurrency),
        budget=PollBudget(parts.store.redis, poll.per_second),
        in_batches=poll.batch,
        metrics=parts.metrics,
    )
