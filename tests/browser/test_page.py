"""The example page in a real browser, on another origin than the gateway."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.browser.chromium import Tab
from tests.browser.conftest import Site
from tests.browser.watching import percents_of, seen_until, statuses, submit, tokens_used
from tests.support.broken_line import cutting
from tests.support.redis_server import free_port

pytestmark = pytest.mark.browser


async def test_a_task_is_submitted_and_followed_live(tab: Tab, site: Site, tmp_path: Path) -> None:
    """By keyboard alone: the progress is seen to change, and then the result."""
    await tab.go(site.page.origin + "/")

    for key in ("Tab", "Tab", "Tab", "Enter"):
        await tab.press(key)
    seen = await seen_until(tab, "In the making")
    way = await tab.text("way")
    (tmp_path / "during.png").write_bytes(await tab.picture())
    seen += await seen_until(tab, "Completed")
    (tmp_path / "after.png").write_bytes(await tab.picture())

    percents = percents_of(seen)
    assert percents == sorted(percents)
    assert len(set(percents)) > 3
    assert way == "live"
    assert "chr_" in await tab.text("result")
    assert [each["url"] for each in tab.requests("/events")] != []
    assert tab.complaints() == []


async def test_the_documented_request_is_what_is_sent(tab: Tab, site: Site) -> None:
    """The form as it stands is the vendor's own example, sent once and under a name."""
    await tab.go(site.page.origin + "/")

    await tab.click("submit")
    await tab.until_text("status", "Waiting to begin")

    (sent,) = tab.requests("/v1/videos/generations")
    assert json.loads(sent["postData"]) == {
        "model": "sora-character",
        "video_url": "https://example.com/video.mp4",
        "timestamps": "1,3",
    }
    assert len(sent["headers"]["Idempotency-Key"]) == 32


async def test_a_reload_goes_on_with_the_same_task(tab: Tab, site: Site) -> None:
    """Whoever loads the page anew amid a task sees it go on from where it is, and no second one."""
    await tab.go(site.page.origin + "/")
    await submit(tab, "seconds:3")
    await seen_until(tab, "In the making")
    task_id = await tab.text("task-id")

    await tab.reload()
    seen = await seen_until(tab, "Completed")

    assert await tab.text("task-id") == task_id
    assert 0 not in percents_of(seen)
    assert len(tab.requests("/v1/videos/generations")) == 1
    assert len(tokens_used(tab)) == 2
    assert tab.complaints() == []


async def test_a_failure_is_shown_with_its_reason(tab: Tab, site: Site) -> None:
    """A task that fails says why, and the form can be sent again."""
    await tab.go(site.page.origin + "/")

    await submit(tab, "outcome:failed,code:content_policy_violation,seconds:0")
    await seen_until(tab, "Failed")

    assert "content_policy_violation" in await tab.text("error")
    await submit(tab, "seconds:0")
    await seen_until(tab, "Completed")
    assert await tab.text("error") == ""
    assert tab.complaints() == []


async def test_a_refusal_is_shown_with_its_request_id(tab: Tab, site: Site) -> None:
    """What the gateway refuses is shown in its own words, with what an operator will ask for."""
    await tab.go(site.page.origin + "/")

    await submit(tab, moments="0,9")
    shown = await tab.until_text("error", "req_")

    assert "invalid_request" in shown
    assert "timestamps" in shown
    assert await tab.text("task") == ""


async def test_a_task_that_is_not_ones_own_is_told(tab: Tab, site: Site) -> None:
    """An address that names a task of somebody else shows an error, and no task."""
    task_id = site.create()

    await tab.go(f"{site.page.origin}/#{task_id}")
    shown = await tab.until_text("error", "task_not_found")

    assert "req_" in shown
    assert await tab.text("task") == ""


async def test_a_token_is_renewed_before_it_ends(tab: Tab, site: Site) -> None:
    """A task that outlives its token is followed on with the next one; no token is refused."""
    port = free_port()
    key = site.tenant("renewing", f"http://127.0.0.1:{port}")

    with site.application(key, "--token-seconds", "4", port=port) as page:
        await tab.go(page.origin + "/")
        await submit(tab, "seconds:5")
        await tab.until_text("way", "live")
        seen = await seen_until(tab, "Completed")

    percents = percents_of(seen)
    assert percents == sorted(percents)
    assert len(tokens_used(tab)) >= 2
    assert {each.way for each in seen[:-1]} == {"live"}
    assert set(statuses(tab, "/events")) == {200}
    first, *later = [each["headers"].get("Last-Event-ID") for each in tab.requests("/events")]
    assert first is None
    assert later
    assert None not in later
    assert tab.complaints() == []


async def test_where_streams_are_cut_off_it_asks(tab: Tab, site: Site) -> None:
    """If something in between lets no stream through, the task is asked for, and held answers."""
    await tab.call("Network.setBlockedURLs", urls=["*/v1/*/events"])
    await tab.go(site.page.origin + "/")

    await submit(tab, "seconds:4")
    await tab.until_text("way", "asking")
    await seen_until(tab, "Completed")

    assert "chr_" in await tab.text("result")
    assert any(each["url"].endswith("?wait=30") for each in tab.requests())


async def test_a_place_in_the_queue_is_shown_and_given_up(tab: Tab, site: Site) -> None:
    """A task that has to wait says how many are before it, and can be cancelled by its maker."""
    port, limits = free_port(), '{"tasks_in_flight": 1, "when_full": "queue"}'
    key = site.tenant("queueing", f"http://127.0.0.1:{port}", limits=limits)
    site.create(key, "outcome:never")

    with site.application(key, port=port) as page:
        await tab.go(page.origin + "/")
        await submit(tab)
        await tab.until_text("percent", "number 1 in the queue")
        await tab.click("cancel")
        await seen_until(tab, "Failed")

    assert "request_cancelled" in await tab.text("error")
    assert tab.complaints() == []


async def test_a_line_that_breaks_is_taken_up_again(tab: Tab, site: Site) -> None:
    """The page says that it connects anew, and goes on after the last event that it was told."""
    port = free_port()
    key = site.tenant("breaking", f"http://127.0.0.1:{port}")

    async with cutting(site.gateway.url, after=b"event: task.processing") as line:
        with site.application(key, port=port, gateway=line.url) as page:
            await tab.go(page.origin + "/")
            await submit(tab)
            await tab.until_text("way", "connecting")
            seen = await seen_until(tab, "Completed")

    percents = percents_of(seen)
    assert percents == sorted(percents)
    assert line.cuts == 1
    assert [bool(each["headers"].get("Last-Event-ID")) for each in tab.requests("/events")] == [
        False,
        True,
    ]
