"""A process that dies at any point of a create: nothing is lost, and nothing sent twice."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from tests.chaos.aftermath import gateway_of_later
from tests.support.auditor import Answered
from tests.support.customer import Customer
from tests.support.fleet import Fleet
from tests.support.processes import GatewayProcess
from tests.support.wait import wait_until

pytestmark = pytest.mark.chaos

TRIALS = 5


@dataclass(frozen=True)
class Fate:
    """What becomes of creates whose process died at one point.

    `at_once` is what the first repetition is told, `sends` how often the vendor heard of each
    create in all, `state` where each task ends; `refused` is how many were ended by a refusal.
    """

    at_once: tuple[int, str]
    sends: int
    state: str
    refused: int = 0


IN_FLIGHT = (409, "idempotency_in_flight")
HEARD = ("status", "commit_then_status", "commit_then_close")
"""What the vendor did before the process died that alone had heard of it."""
FATES = {
    "submit.arrived": Fate((200, ""), 1, "completed"),
    "submit.admitted": Fate(IN_FLIGHT, 0, "in_doubt"),
    "submit.sent": Fate(IN_FLIGHT, 1, "in_doubt"),
    "submit.answered": Fate(IN_FLIGHT, 1, "in_doubt"),
    "submit.accepting": Fate(IN_FLIGHT, 1, "in_doubt"),
    "submit.accepted": Fate((200, ""), 1, "completed"),
}


@dataclass
class Wreck:
    """Creates that were cut off, one a name, and the gateway that lived on beside them."""

    fleet: Fleet
    customer: Customer
    survivor: GatewayProcess
    names: list[str] = field(default_factory=lambda: [f"order-{n}" for n in range(TRIALS)])

    async def repeat(self, gateway: GatewayProcess) -> list[Answered]:
        """Send every create again under its own Idempotency-Key; all must be answered."""
        answers = [await self.customer.create(gateway, name, "seconds:0") for name in self.names]
        return [answer for answer in answers if answer is not None]


async def check_recovery(wreck: Wreck, fate: Fate) -> None:
    """Repeat what was cut off, before and after the restart, and hold all of it against `fate`."""
    at_once = await wreck.repeat(wreck.survivor)
    again = await gateway_of_later(wreck.fleet, "victim-0")
    after_restart = await wreck.repeat(again)
    public = {await wreck.customer.status(again, answer.task_id) for answer in after_restart}

    books = await wreck.fleet.books()
    assert {(answer.status, answer.reason) for answer in at_once} == {fate.at_once}
    assert [answer.status for answer in after_restart] == [200] * TRIALS
    ends = {fate.state: TRIALS} | ({"rejected": fate.refused} if fate.refused else {})
    assert books.states() == ends
    assert public == {"completed" if fate.state == "completed" else "pending"}
    assert len(wreck.fleet.vendor.creates()) == fate.sends * TRIALS
    held = 0 if fate.state == "completed" else 100_000 * TRIALS
    assert books.figures("acme")["held"] == held
    assert await wreck.fleet.violations() == []


@pytest.mark.parametrize("point", FATES)
async def test_a_kill_at_any_point_loses_and_doubles_nothing(fleet: Fleet, point: str) -> None:
    """Five processes die in the middle of a create each; the callers repeat themselves."""
    armed = {"REELGATE_TESTING__FAILPOINTS": f"{point}=kill"}
    victims, (survivor,) = await asyncio.gather(
        fleet.start(*(f"victim-{n}" for n in range(TRIALS)), **armed), fleet.start("survivor")
    )
    wreck = Wreck(fleet, await fleet.customer(), survivor)

    cut_off = await asyncio.gather(
        *(
            wreck.customer.create(victim, name, "seconds:0")
            for victim, name in zip(victims, wreck.names, strict=True)
        )
    )
    for victim in victims:
        victim.wait_for_death()

    assert cut_off == [None] * TRIALS
    await check_recovery(wreck, FATES[point])


@pytest.mark.parametrize(
    ("point", "mode", "fate"),
    [
        ("submit.rejected", "status", Fate((200, ""), 2, "completed", refused=TRIALS)),
        ("submit.doubted", "commit_then_close", Fate(IN_FLIGHT, 1, "in_doubt")),
    ],
)
async def test_a_kill_after_the_outcome_was_recorded_changes_nothing_of_it(
    fleet: Fleet, point: str, mode: str, fate: Fate
) -> None:
    """A refused create is repeated as a new one, a doubtful one is what it was."""
    armed = {"REELGATE_TESTING__FAILPOINTS": f"{point}=kill"}
    victims, (survivor,) = await asyncio.gather(
        fleet.start(*(f"victim-{n}" for n in range(TRIALS)), **armed), fleet.start("survivor")
    )
    wreck = Wreck(fleet, await fleet.customer(), survivor)
    fleet.vendor.fault(mode, times=TRIALS, **({"status": 400} if mode == "status" else {}))

    cut_off = await asyncio.gather(
        *(
            wreck.customer.create(victim, name, "seconds:0")
            for victim, name in zip(victims, wreck.names, strict=True)
        )
    )
    for victim in victims:
        victim.wait_for_death()

    assert cut_off == [None] * TRIALS
    await check_recovery(wreck, fate)


@pytest.mark.parametrize("mode", HEARD)
async def test_a_kill_before_a_refusal_or_a_doubt_is_recorded_is_a_doubt(
    fleet: Fleet, mode: str
) -> None:
    """What the dead process alone had heard is not known: kept, and not sent again."""
    armed = {"REELGATE_TESTING__FAILPOINTS": "submit.answered=kill"}
    victims, (survivor,) = await asyncio.gather(
        fleet.start(*(f"victim-{n}" for n in range(TRIALS)), **armed), fleet.start("survivor")
    )
    wreck = Wreck(fleet, await fleet.customer(), survivor)
    fleet.vendor.fault(mode)

    cut_off = await asyncio.gather(
        *(
            wreck.customer.create(victim, name, "seconds:0")
            for victim, name in zip(victims, wreck.names, strict=True)
        )
    )
    for victim in victims:
        victim.wait_for_death()

    fleet.vendor.heal()
    assert cut_off == [None] * TRIALS
    await check_recovery(wreck, Fate(IN_FLIGHT, 1, "in_doubt"))


@pytest.mark.parametrize("mode", ["commit_then_hang", "hang"])
async def test_a_kill_while_the_vendor_hangs_is_a_doubt(fleet: Fleet, mode: str) -> None:
    """Whether or not the vendor acted before it fell silent, nothing is sent a second time."""
    victim, survivor = await fleet.start("victim-0", "survivor")
    wreck = Wreck(fleet, await fleet.customer(), survivor)
    fleet.vendor.fault(mode)
    async with asyncio.TaskGroup() as group:
        for name in wreck.names:
            group.create_task(wreck.customer.create(victim, name, "seconds:0"))
        await wait_until(
            lambda: len(fleet.vendor.creates()) == TRIALS, describing="all to hang at the vendor"
        )

        victim.kill()

    fleet.vendor.heal()
    assert wreck.customer.answers == []
    await check_recovery(wreck, Fate(IN_FLIGHT, 1, "in_doubt"))
