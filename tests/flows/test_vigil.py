"""Callers of open streams are looked at whenever something about them may have changed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.domain.tenant import Caller
from app.flows.listeners import EVERY_TASK, Stream
from app.flows.vigil import CHECKS_AT_ONCE
from app.store.news import NewsReads
from tests.support.bed import Bed
from tests.support.wait import wait_until


async def test_callers_are_checked_many_at_once_and_the_first_first(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many are doubted, the one that was doubted first does not wait for the others."""
    caller = await bed.gateway.store.keys.find_caller(await bed.key(), "live")
    assert caller is not None
    count, follow = 3 * CHECKS_AT_ONCE, bed.gateway.follow
    callers = [caller.model_copy(update={"subject": str(number)}) for number in range(count)]
    for each in callers:
        follow.audience.add_stream(Stream(each, EVERY_TASK, take, nothing, "req_1"))
    began, running, most = list[Caller](), 0, 0

    async def check(self: NewsReads, caller: Caller, *, now_ms: int) -> int | None:
        nonlocal running, most
        began.append(caller)
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.005)
        running -= 1
        return None

    monkeypatch.setattr(NewsReads, "check", check)
    for each in callers:
        follow.vigil.doubt(each)
    await wait_until(lambda: len(began) == count and not running, describing="all to be checked")

    for stream in list(follow.audience.every_stream()):
        follow.audience.remove_stream(stream)
    assert began == callers
    assert most == CHECKS_AT_ONCE
    assert most >= 20, "else a thousand callers take more than their second"


async def take(message: dict[str, Any]) -> None:
    """Take what is written."""


def nothing() -> None:
    """Hang up on nobody."""
