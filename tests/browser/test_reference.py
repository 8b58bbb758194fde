"""The gateway's own page, /docs, in a real browser."""

from __future__ import annotations

import pytest

from tests.browser.chromium import Tab
from tests.browser.conftest import Site
from tests.support.wait import wait_until

pytestmark = pytest.mark.browser

SHOWN = "document.querySelectorAll('.opblock').length"


async def test_the_reference_is_shown_and_shown_again(tab: Tab, site: Site) -> None:
    """It lists the routes, nobody else is asked for any part of it, and a reload does the same."""

    async def lists_routes() -> bool:
        return bool(await tab.run(SHOWN))

    await tab.go(site.gateway.url + "/docs")
    await wait_until(lists_routes, describing="the routes to be listed", within_s=20)

    await tab.reload()
    await wait_until(lists_routes, describing="the routes to be listed again", within_s=20)

    assert tab.complaints() == []
