"""Many deliveries by several engines at once: each message once, and fast enough."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import AsyncExitStack

from tests.conftest import OpenBed
from tests.flows.delivering import hooks_of, running_engine
from tests.support.bed import Bed
from tests.support.hooks import LOOPBACK
from tests.support.receiver import ReceiverServer
from tests.support.scale import scaled
from tests.support.wait import wait_until

ENDPOINTS = 20
ENGINES = 4
MESSAGES = scaled(200, share=0.2)


async def test_without_faults_every_message_arrives_exactly_once(
    open_gateway_bed: OpenBed, receiver: ReceiverServer
) -> None:
    """Four engines share twenty endpoints, and new messages come while they work."""
    async with AsyncExitStack() as stack:
        beds: list[Bed] = [
            await stack.enter_async_context(open_gateway_bed(webhook=LOOPBACK))
            for _ in range(ENGINES)
        ]
        await beds[0].key("acme")
        hooks = hooks_of(beds[0])
        targets = [await hooks.add(receiver.url(f"/{n}")) for n in range(ENDPOINTS)]
        expected = ENDPOINTS * MESSAGES
        begun_s = time.monotonic()
        engines = [await stack.enter_async_context(running_engine(bed)) for bed in beds]
        for _ in range(10):
            await hooks.enqueue(MESSAGES // 10)
            await asyncio.sleep(0)

        await wait_until(
            lambda: len(receiver.accepted) >= expected,
            describing="all of them to arrive",
            within_s=50,
        )
        took_s = time.monotonic() - begun_s

        async def is_recorded() -> bool:
            states = [await hooks.states(target) for target in targets]
            return states == [{"delivered": MESSAGES}] * ENDPOINTS

        await wait_until(is_recorded, describing="all of them to be recorded")
        assert len(engines) == ENGINES
    print(f"{expected / took_s:.0f} deliveries a second")  # noqa: T201 - a figure worth seeing
    counts = Counter((each.path, each.message_id) for each in receiver.journal)
    assert set(counts.values()) == {1}
    assert len(counts) == expected
