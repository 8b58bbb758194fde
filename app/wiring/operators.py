"""What operators do that needs the vendor: built for the gateway and for commands."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from app.domain.catalogue import Catalogue
from app.domain.ids import Mode
from app.flows.resolve import ResolveDoubt
from app.flows.send import SEND_ATTEMPTS
from app.flows.vouch import VouchForId
from app.settings import Settings
from app.store.poll_budget import PollBudget
from app.telemetry import Metrics, redactor
from app.upstream.client import VendorClient
from app.wiring.models import load_catalogue
from app.wiring.stores import Store
from app.wiring.vendors import live_vendor, sandbox_vendor


def resolving(
    settings: Settings,
    store: Store,
    vendors: dict[Mode, VendorClient],
    catalogue: Catalogue,
    metrics: Metrics,
) -> ResolveDoubt:
    """Return the one way in which operators put tasks right."""
    vouch = VouchForId(
        vendors=vendors,
        catalogue=catalogue,
        budget=PollBudget(store.redis, settings.poll.per_second),
        clock=store.clock,
        send_ms=int(settings.vendor.submit_timeout_s * 1000) * SEND_ATTEMPTS,
        metrics=metrics,
    )
    return ResolveDoubt(
        tasks=store.tasks,
        doubts=store.doubts,
        tenants=store.tenants,
        vouch=vouch,
        clock=store.clock,
        metrics=metrics,
    )


@asynccontextmanager
async def open_resolving(settings: Settings, store: Store) -> AsyncIterator[ResolveDoubt]:
    """Build it for a command; what it counts is seen nowhere.

    Raises:
        SettingsRefused: the vendor keys or the catalogue file cannot be read.
    """
    keys, catalogue = settings.vendor.read_keys(), load_catalogue(settings)
    redactor.learn_more(keys)
    async with AsyncExitStack() as stack:
        vendors: dict[Mode, VendorClient] = {
            "live": live_vendor(settings, keys),
            "test": sandbox_vendor(settings, store.clock),
        }
        for vendor in vendors.values():
            stack.push_async_callback(vendor.aclose)
        yield resolving(settings, store, vendors, catalogue, Metrics())
