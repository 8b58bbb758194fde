"""Pages that listen: no longer than their tenant names their origin."""

from __future__ import annotations

import pytest

from app.errors import StoreUnavailable
from app.store.origins import OriginIndex
from tests.api.browsing import APP, allow, token
from tests.api.test_live_tenant import change
from tests.support.bed import Bed
from tests.support.events import Listening
from tests.support.wait import wait_until

PATH = "/v1/events"
OTHER = "https://other.example"


@pytest.mark.parametrize("is_bound", [True, False])
async def test_a_page_whose_origin_is_taken_away_hears_nothing_more(
    bed: Bed, is_bound: bool
) -> None:
    """It is told why; pages of the others, of the gateway's own host, and servers listen on."""
    key = await bed.key()
    await allow(bed, "acme", APP, OTHER)
    secret = await token(bed, key, origin=APP) if is_bound else key
    async with (
        Listening(bed.app, PATH, secret, origin=APP) as page,
        Listening(bed.app, PATH, key, origin=OTHER) as other,
        Listening(bed.app, PATH, key, origin="http://gateway") as own,
        Listening(bed.app, PATH, key) as server,
    ):
        for each in (page, other, own, server):
            await each.hears_where_it_is()
        await allow(bed, "acme", OTHER)
        await page.ended()
        await change(bed, key)
        for each in (other, own, server):
            await each.heard()
            assert [event.name for event in each.events] == ["task.completed"]

    (told,) = page.events
    assert (told.name, told.data["error"]["reason"]) == ("closed", "origin_not_allowed")


async def test_a_page_that_was_let_in_by_what_was_known_a_second_ago_does_not_stay(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the process knew may have been old; it is looked at anew once the stream has begun."""
    key = await bed.key()
    await allow(bed, "acme", APP)
    async with Listening(bed.app, PATH, key, origin=APP):
        pass

    async def keep_what_is_known(self: OriginIndex, *, now_ms: int) -> None:
        """Be less than a second old."""

    monkeypatch.setattr(OriginIndex, "refresh", keep_what_is_known)
    await allow(bed, "acme", OTHER)
    async with Listening(bed.app, PATH, key, origin=APP) as stream:
        await stream.ended()

    assert stream.events[-1].data["error"]["reason"] == "origin_not_allowed"


async def test_a_store_that_stalls_keeps_no_page_listening(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the origins could not be read they are read again a second later."""
    key = await bed.key()
    await allow(bed, "acme", APP)
    async with Listening(bed.app, PATH, key, origin=APP) as page:
        vigil, learn, tries = bed.gateway.follow.vigil, OriginIndex.learn, list[int]()
        await wait_until(lambda: not vigil._is_checking, describing="the first look")

        async def fail_once(self: OriginIndex) -> None:
            tries.append(1)
            if len(tries) == 1:
                raise StoreUnavailable
            await learn(self)

        monkeypatch.setattr(OriginIndex, "learn", fail_once)
        await allow(bed, "acme", OTHER)
        await page.ended()

    assert page.events[-1].data["error"]["reason"] == "origin_not_allowed"
    assert len(tries) == 2
