"""docs/api.md is true: its examples are run, its tables are held against the program."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import httpx2
import pytest

from app.clock import HeldClock
from app.sandbox import scenario
from tests.api.guide import GUIDE, Example, Pause, assert_as_told, examples, http_call, told_routes
from tests.conftest import OpenBed
from tests.support.answers import PAGES
from tests.support.bed import Bed
from tests.support.calendar import DAY_MS

LIMITS = {
    "creates_per_minute": 2,
    "reads_per_second": 20,
    "credits_per_month": "10",
    "models": ["sora-character", "veo3.1-fast-beta"],
}
"""What the guide says of the team behind `$TEAM_KEY`."""


@dataclass
class Reader:
    """Somebody who follows the guide from its first line to its last."""

    bed: Bed
    variables: dict[str, str] = field(default_factory=dict)

    async def follow(self, example: Example) -> httpx2.Response:
        """Do what the example says and return the last answer."""
        answer: httpx2.Response | None = None
        for command in example.commands:
            if isinstance(command, Pause):
                await self.bed.pass_time(command.seconds)
                continue
            call = http_call(command, self.variables)
            answer = await self.bed.http.request(
                call.method, call.url, headers=call.headers, content=call.content
            )
            if call.method == "POST" and answer.status_code == 200:
                # The answer to a batch is not a task, and has no id.
                self.variables["TASK"] = answer.json().get("id", self.variables.get("TASK"))
        assert answer is not None
        return answer


@pytest.fixture
async def reader(open_gateway_bed: OpenBed, clock: HeldClock) -> AsyncIterator[Reader]:
    """A reader with a key of each mode and two with limits, at a gateway with default intervals.

    It is noon, so that what is read of a day stands on one day.
    """
    clock.advance_ms(DAY_MS - clock.now_ms() % DAY_MS + DAY_MS // 2)
    intervals = {"first_delay_s": 15, "min_interval_s": 5, "max_interval_s": 30}
    async with open_gateway_bed(poll=intervals) as bed:
        keys = {"KEY": await bed.key("acme")}
        keys["TEST_KEY"] = await bed.another_key("acme", mode="test")
        keys["TEAM_KEY"] = await bed.key("hooli", **LIMITS)
        keys["QUEUE_KEY"] = await bed.key("globex", tasks_in_flight=1, when_full="queue")
        yield Reader(bed, {"GATEWAY": "http://gateway", **keys})


async def test_every_example_is_answered_as_the_guide_says(reader: Reader) -> None:
    """Status, the headers that are shown, and the whole body, one example after the other."""
    for example in examples():
        answer = await reader.follow(example)

        assert_as_told(answer, example)


async def test_the_guide_names_every_route(bed: Bed) -> None:
    """Nothing is served that callers are not told of, and nothing is promised that is not there.

    What is for operators alone is told elsewhere.
    """
    described = bed.app.openapi()["paths"].items()
    served = {
        (path, method.upper())
        for path, item in described
        for method in item
        if not path.startswith("/admin/")
    }

    assert told_routes(GUIDE) == served | {
        (page, "GET") for page in PAGES if page != "/docs/static"
    }


def test_the_guide_names_the_words_of_the_sandbox() -> None:
    """Those that a test key can use: callbacks and costs are of no account there."""
    section = GUIDE.read_text("utf-8").partition("## Test keys and the sandbox")[2]
    told = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)

    assert set(told) == scenario._WORDS.keys() - {"callback", "credits"}
    assert ", ".join(f"`{word}`" for word in scenario.OUTCOMES) in section


def test_a_form_is_what_curl_sends_unless_told_otherwise() -> None:
    """So that an example which forgets its content type fails here as it would for a reader."""
    [example] = [each for each in examples() if "0,3" in str(each.commands)]
    call = example.commands[0]
    assert not isinstance(call, Pause)

    variables = {"GATEWAY": "http://gateway", "KEY": "rg_live_x", "TASK": ""}
    sent = http_call(call, variables)
    forgetful = http_call(type(call)((*call.words[:1], "-d", "{}")), variables)

    assert ("content-type", "application/json") in sent.headers
    assert ("content-type", "application/x-www-form-urlencoded") in forgetful.headers
