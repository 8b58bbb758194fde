"""What is done after every disaster: some time passes, callers ask again, the books are read."""

from __future__ import annotations

from app.clock import StoreClock
from tests.support.customer import Customer
from tests.support.fleet import Fleet
from tests.support.processes import GatewayProcess
from tests.support.wait import wait_until

LATER_MS = 300_000
"""Past the 30 s of an idempotency lease, and past the time in which a send may still report."""


async def gateway_of_later(
    fleet: Fleet, name: str = "later", *, times: int = 1, **environment: str
) -> GatewayProcess:
    """Start a gateway whose clock is five minutes on, and wait until it has looked at everything.

    Or so many times five minutes, for what was created through another gateway of later.

    Its clock stands still, so what is created through it is followed by others only.
    """
    at_ms = StoreClock().now_ms() + times * LATER_MS
    (later,) = await fleet.start(
        name,
        REELGATE_TESTING__HOLD_CLOCK_MS=str(at_ms),
        # A budget grows with the clock, so that this one's would never be filled again.
        REELGATE_POLL__PER_SECOND="0",
        **environment,
    )

    async def nothing_is_open() -> bool:
        return not {"sending", "submitted"} & (await fleet.books()).states().keys()

    await wait_until(nothing_is_open, describing="every task to be judged", within_s=20)
    return later


def unsettled(customer: Customer) -> list[str]:
    """Return the requests that were sent, and answered with 200 not once."""
    return [name for name in customer.sent if name not in customer.acknowledged]


async def ask_again(customers: list[Customer], gateway: GatewayProcess) -> None:
    """Send whatever has no answer yet once more; by now everybody must get one."""
    for customer in customers:
        for name in unsettled(customer):
            answer = await customer.create(gateway, name, "seconds:0")
            assert answer is not None
            assert answer.status == 200, answer


async def statuses(customers: list[Customer], gateway: GatewayProcess) -> set[str]:
    """Return the public statuses of all tasks that were ever acknowledged."""
    return {
        await customer.status(gateway, task_id)
        for customer in customers
        for task_id in customer.acknowledged.values()
    }
