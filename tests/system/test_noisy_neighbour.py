"""One team far over its limits, forty-nine within theirs: who keeps within them notices nothing."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from tests.support.customer import Customer
from tests.support.fleet import Fleet
from tests.support.processes import GatewayProcess
from tests.support.scale import scaled

NORMAL = 49
SECONDS = scaled(600, least=4)
BEAT_S = 1.0
"""Between two requests of a team that keeps within its limits."""

NOISY = {"creates_per_minute": 60, "reads_per_second": 1}
TIMES_OVER = 100
LOOSE_S = 1.0
"""Below this a busy machine explains a slow answer as well as a neighbour does."""


@dataclass
class Served:
    """What teams were answered: how often, how often well, and how long each took in seconds."""

    good: int = 0
    took_s: list[float] = field(default_factory=list)

    def p99_s(self) -> float:
        """Return the time that 99 of 100 answers did not take."""
        return sorted(self.took_s)[int(len(self.took_s) * 0.99)]


async def keep_to_the_beat(
    customer: Customer, gateway: GatewayProcess, served: Served, *, beats: int, phase_s: float
) -> None:
    """Create one task, and read it once a beat."""
    began_s = time.monotonic() + phase_s
    task_id = ""
    for beat in range(beats):
        await asyncio.sleep(max(0.0, began_s + beat * BEAT_S - time.monotonic()))
        asked_s = time.monotonic()
        if task_id:
            status = (await customer.read(gateway, task_id)).status_code
        else:
            answer = await customer.create(gateway, "", "outcome:never")
            assert answer is not None
            status, task_id = answer.status, answer.task_id
        served.took_s.append(time.monotonic() - asked_s)
        served.good += status == 200


async def serve_all(
    customers: list[Customer], gateways: list[GatewayProcess], *, beats: int
) -> Served:
    """Let all teams do so side by side, spread evenly over a beat and the gateways."""
    served = Served()
    await asyncio.gather(
        *(
            keep_to_the_beat(
                each,
                gateways[number % len(gateways)],
                served,
                beats=beats,
                phase_s=number * BEAT_S / len(customers),
            )
            for number, each in enumerate(customers)
        )
    )
    return served


async def make_noise(
    customer: Customer, gateways: list[GatewayProcess], stop: asyncio.Event
) -> int:
    """Create and read at a hundred times the limits until stopped; returns the refused creates."""
    began_s, number = time.monotonic(), 0
    async with asyncio.TaskGroup() as group:
        while not stop.is_set():
            number += 1
            gateway = gateways[number % len(gateways)]
            group.create_task(
                customer.create(gateway) if number % 2 else customer.read_many(gateway, count=1)
            )
            await asyncio.sleep(max(0.0, began_s + number / (2 * TIMES_OVER) - time.monotonic()))
    return sum(answer.status == 429 for answer in customer.answers)


async def test_a_team_a_hundred_times_over_its_limits_disturbs_nobody(fleet: Fleet) -> None:
    """Of the others' requests none fails, and they wait little longer than in a quiet hour."""
    gateways = await fleet.start("a", "b")
    customers = [await fleet.customer(f"team-{n}") for n in range(NORMAL)]
    noisy = await fleet.customer("noisy", **NOISY)
    quiet = await serve_all(customers, gateways, beats=max(2, SECONDS // 2))

    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        noise = group.create_task(make_noise(noisy, gateways, stop))
        loud = await serve_all(customers, gateways, beats=SECONDS)
        stop.set()

    passed = noisy.counted()[200, ""]
    assert noise.result() > SECONDS * TIMES_OVER / 4
    assert passed <= 60 + SECONDS + 5
    assert loud.good >= 0.999 * len(loud.took_s)
    assert loud.p99_s() <= max(1.5 * quiet.p99_s(), LOOSE_S)
    assert await fleet.violations() == []
