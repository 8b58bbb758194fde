"""Waiting for what a gateway does by itself, and reading what it answered."""

from __future__ import annotations

import httpx2

from tests.support.bed import Bed
from tests.support.vendor import Vendor
from tests.support.wait import wait_until


async def reaches(vendor: Vendor, *, creates: int = 1) -> None:
    """Wait until so many creates have reached the vendor."""
    await wait_until(
        lambda: len(vendor.creates()) >= creates, describing=f"{creates} creates at the vendor"
    )


async def comes_to(bed: Bed, task_id: str, state: str) -> None:
    """Wait until a task is in a state."""

    async def is_there() -> bool:
        return (await bed.stored(task_id))["state"] == state

    await wait_until(is_there, describing=f"the task to be {state}")


async def sends_end(bed: Bed) -> None:
    """Wait until nothing is under way to the vendor any more."""
    await wait_until(lambda: not len(bed.gateway.running), describing="the sends to end")


def task_in(answer: httpx2.Response) -> str:
    """Return the task id of an answer that must be a 200."""
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def reason_of(answer: httpx2.Response) -> str:
    """Return the reason in an answer that must be an error."""
    return str(answer.json()["error"]["reason"])
