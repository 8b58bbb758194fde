"""What the tests of the page do in it, and what they look at."""

from __future__ import annotations

import re
from typing import NamedTuple

from tests.browser.chromium import Tab
from tests.support.wait import wait_until

VIDEO = "https://example.com/video.mp4"
FAR_AHEAD_S = 20


async def submit(tab: Tab, scenario: str = "", moments: str = "1,3") -> None:
    """Fill in the form and send it; the sandbox behaves as the scenario says."""
    await tab.write("video", VIDEO + (f"?sandbox={scenario}" if scenario else ""))
    await tab.write("moments", moments)
    await tab.click("submit")


class Seen(NamedTuple):
    """What the page showed of a task at one moment."""

    status: str
    percent: str
    way: str


async def seen_until(tab: Tab, wanted: str) -> list[Seen]:
    """Return what the page showed of the task, each state once, until it says `wanted`."""
    seen: list[Seen] = []

    async def shows_it() -> bool:
        now = Seen(*await tab.texts("status", "percent", "way"))
        if seen[-1:] != [now]:
            seen.append(now)
        return now.status == wanted

    await wait_until(shows_it, describing=f"the page to say {wanted}", within_s=FAR_AHEAD_S)
    return seen


def percents_of(seen: list[Seen]) -> list[int]:
    """Return the progress that was shown."""
    shown = (each.percent for each in seen)
    return [int(each.removesuffix(" %")) for each in shown if re.fullmatch(r"\d+ %", each)]


def statuses(tab: Tab, ending: str) -> list[int]:
    """Return the statuses of the answers from addresses that end so, whether or not they may be
    read, in the order of the requests; those of preflights are not among them.
    """
    by_id = {
        told["requestId"]: told["statusCode"]
        for told in tab.told("Network.responseReceivedExtraInfo")
    }
    asked = [
        told["requestId"]
        for told in tab.told("Network.requestWillBeSent")
        if told["request"]["url"].partition("?")[0].endswith(ending)
        and told["request"]["method"] != "OPTIONS"
    ]
    return [by_id[number] for number in asked if number in by_id]


def tokens_used(tab: Tab) -> list[str]:
    """Return the tokens that the page sent to the gateway, each once."""
    sent = [each["headers"].get("Authorization", "") for each in tab.requests()]
    return list(dict.fromkeys(each.removeprefix("Bearer ") for each in sent if each))
