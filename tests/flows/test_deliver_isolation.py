"""A receiver that hangs, or fails for long, costs nobody else a moment."""

from __future__ import annotations

import time

from tests.conftest import OpenBed
from tests.flows.delivering import deliver, hooks_of, running_engine
from tests.support.bed import Bed
from tests.support.hooks import LOOPBACK
from tests.support.receiver import FAULTY, HANG, OK, Received, ReceiverServer, Reply
from tests.support.wait import wait_until

HANGING = 20


def hang_at_slow(request: Received) -> Reply:
    """Hang at every path of slow ones."""
    return HANG if request.path.startswith("/slow") else OK


async def test_endpoints_that_hang_do_not_hold_up_another(
    hooked: Bed, receiver: ReceiverServer
) -> None:
    """With 20 of them waiting for their 15 s to pass, the next endpoint hears of it in a second."""
    await hooked.key("acme")
    hooks = hooks_of(hooked)
    receiver.rule = hang_at_slow
    for number in range(HANGING):
        await hooks.add(receiver.url(f"/slow/{number}"), events=["task.processing"])
    quick = await hooks.add(receiver.url("/quick"), events=["task.completed"])
    await hooks.enqueue(10, event="task.processing")
    async with running_engine(hooked):
        await wait_until(
            lambda: len(receiver.journal) >= 4 * HANGING, describing="all of them to hang"
        )

        await hooks.enqueue()
        begun_s = time.monotonic()
        await wait_until(lambda: receiver.at("/quick"), describing="the quick one to be told")
        took_s = receiver.at("/quick")[0].at_s - begun_s

        await wait_until(
            lambda: hooks.states(quick), describing="its delivery to be recorded", within_s=2
        )
        await receiver.end()
    print(f"told after {took_s * 1000:.0f} ms")  # noqa: T201 - the figure that is promised
    assert took_s < 1


async def test_new_messages_reach_a_receiver_that_has_others_under_way(
    hooked: Bed, receiver: ReceiverServer
) -> None:
    """While one message of an endpoint hangs, its next is not kept waiting."""
    await hooked.key("acme")
    hooks = hooks_of(hooked)
    await hooks.add(receiver.url())
    (stuck,) = await hooks.enqueue()
    receiver.rule = lambda request: HANG if request.message_id == stuck else OK
    async with running_engine(hooked):
        await wait_until(lambda: receiver.journal, describing="the first to hang")

        (other,) = await hooks.enqueue()

        await wait_until(
            lambda: [each for each in receiver.accepted if each.message_id == other],
            describing="the second to arrive",
            within_s=2,
        )
        await receiver.end()


async def test_receivers_that_fail_hold_a_quarter_of_the_places_at_most(
    open_gateway_bed: OpenBed, receiver: ReceiverServer
) -> None:
    """Of 16 places two, where one tenant has ten dead endpoints; one that is well has its own."""
    async with open_gateway_bed(webhook={**LOOPBACK, "concurrency": 16}) as bed:
        await bed.key("acme")
        hooks = hooks_of(bed)
        receiver.rule = lambda _: FAULTY
        for number in range(10):
            await hooks.add(receiver.url(f"/dead/{number}"), events=["task.processing"])
        await hooks.enqueue(event="task.processing")
        await deliver(bed)
        await hooks.add(receiver.url("/well"), events=["task.completed"])
        receiver.rule = lambda request: OK if request.path == "/well" else HANG
        bed.clock.advance_ms(6_000)
        async with running_engine(bed):
            await wait_until(lambda: len(receiver.journal) >= 12, describing="two to hang")

            sent = await hooks.enqueue(20)

            await wait_until(
                lambda: {each.message_id for each in receiver.accepted} == set(sent),
                describing="all the others to arrive",
                within_s=5,
            )
            assert len(receiver.journal) == 10 + 2 + 20
            await receiver.end()
