"""What the page, its token and its server cannot be used for."""

from __future__ import annotations

import json
import re

import httpx2
import pytest

from tests.browser.chromium import Tab
from tests.browser.conftest import Site
from tests.browser.watching import seen_until, submit, tokens_used
from tests.support.redis_server import free_port

pytestmark = pytest.mark.browser

KEPT_IN_THE_BROWSER = """
(async () => JSON.stringify([
  document.documentElement.outerHTML, document.cookie, location.href, history.state,
  {...localStorage}, {...sessionStorage}, await indexedDB.databases(), await caches.keys(),
]))()
"""
RUN_WHAT_STANDS_IN_THE_PAGE = """
(() => {
  const inline = document.createElement("script");
  try { inline.textContent = "window.isRun = true"; } catch { return "refused"; }
  document.body.append(inline);
  return window.isRun ? "run" : "refused";
})()
"""


async def test_neither_key_nor_token_is_kept_in_the_browser(tab: Tab, site: Site) -> None:
    """The key is in nothing that the browser was sent; the token is in no address and no store."""
    await tab.go(site.page.origin + "/")
    await submit(tab, "seconds:0")
    await seen_until(tab, "Completed")

    kept = await tab.run(KEPT_IN_THE_BROWSER)
    cookies = (await tab.call("Network.getCookies"))["cookies"]
    told = await tab.bodies(site.page.origin)

    (token,) = tokens_used(tab)
    assert token.startswith("rgt_live_")
    assert token in told
    assert "rg_live_" not in told
    assert token not in kept + json.dumps(cookies)
    assert not any(token in each["url"] for each in tab.requests())
    assert [(each["name"], each["httpOnly"]) for each in cookies] == [("visitor", True)]


@pytest.mark.parametrize("stranger", ["nobody-knows", "another-tenant-names"])
async def test_a_token_is_no_use_to_a_page_of_another_origin(
    tab: Tab, site: Site, stranger: str
) -> None:
    """The browser lets such a page read nothing, and the gateway does nothing for it."""
    await tab.go(site.page.origin + "/")
    await submit(tab, "seconds:0")
    await seen_until(tab, "Completed")
    (token,), task_id = tokens_used(tab), await tab.text("task-id")
    refused_before, port = len(site.answered(403)), free_port()
    if stranger == "another-tenant-names":
        site.tenant(stranger, f"http://127.0.0.1:{port}")

    with site.application(site.key, port=port) as other:
        await tab.go(other.origin + "/")
        told = await tab.run(
            f"fetch('{site.gateway.url}/v1/tasks/{task_id}',"
            f" {{headers: {{Authorization: 'Bearer {token}'}}}})"
            ".then((answer) => `read ${answer.status}`, (failure) => failure.message)"
        )

    assert told == "Failed to fetch"
    assert len(site.answered(403)) == refused_before + 1
    answer = site.read(task_id, authorization=f"Bearer {token}", origin=other.origin)
    assert (answer.status_code, answer.json()["error"]["reason"]) == (403, "origin_not_allowed")
    assert "access-control-allow-origin" not in answer.headers
    assert site.read(task_id, authorization=f"Bearer {token}").status_code == 403


def test_the_server_mints_for_its_own_page_alone(site: Site) -> None:
    """Whoever calls from another page, or was never shown this one, gets no token."""
    own = {"origin": site.page.origin}
    visitor = {"visitor": httpx2.get(site.page.origin + "/").cookies["visitor"]}

    with httpx2.Client(base_url=site.page.origin, cookies=visitor, trust_env=False) as known:
        minted = known.post("/token", headers=own)
        refused = [
            known.post("/token", headers={"origin": "http://127.0.0.1:9"}),
            known.post("/token"),
            httpx2.post(site.page.origin + "/token", headers=own),
        ]

    assert "rgt_live_" in minted.text
    assert [(each.status_code, "rgt_" in each.text) for each in refused] == [(403, False)] * 3


async def test_nothing_but_the_pages_own_files_is_run(tab: Tab, site: Site) -> None:
    """No script or style stands in the page, and the policy would let none of it take effect."""
    await tab.go(site.page.origin + "/")

    done = await tab.run(RUN_WHAT_STANDS_IN_THE_PAGE)

    answer = httpx2.get(site.page.origin + "/")
    assert done == "refused"
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert re.findall(r"<style|<script(?! type=\"module\" src=)| on\w+=| style=", answer.text) == []
    assert httpx2.get(site.page.origin + "/server.py").status_code == 404
