"""Every error there is: provoked, and answered in the one envelope."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from app.errors import GatewayError, UnknownPath, VendorRefused, closed_list
from tests.api.provoking import WAYS, Scene
from tests.conftest import OpenBed
from tests.support.answers import error_of
from tests.support.bed import Bed
from tests.support.redis_server import RedisServer

EACH_ERROR = pytest.mark.parametrize("error", closed_list(), ids=lambda error: error.reason)


@dataclass(frozen=True, slots=True)
class Provoked:
    """An error that was really got, and how many tasks the vendor has made by then."""

    answer: httpx2.Response
    tasks_made: int


@pytest.fixture(scope="module")
def known() -> dict[str, Provoked]:
    """Each error is provoked once, and looked at by several tests."""
    return {}


@pytest.fixture
async def provoked(
    error: type[GatewayError],
    known: dict[str, Provoked],
    open_gateway_bed: OpenBed,
    redis_server: RedisServer,
) -> Provoked:
    """Get an error for real, from a gateway of its own."""
    way = WAYS[error.reason]
    if error.reason not in known:
        async with open_gateway_bed(**way.settings) as bed:
            answer = await way.act(Scene(bed, redis_server))
            made = [entry for entry in bed.vendor.creates() if entry["created_task_id"]]
            known[error.reason] = Provoked(answer, len(made))
    return known[error.reason]


def test_there_is_a_way_to_every_error() -> None:
    """An error that no request leads to would be answered by nobody and tested by nobody."""
    assert {error.reason for error in closed_list()} == WAYS.keys()


@EACH_ERROR
def test_an_error_is_answered_as_it_is_listed(
    error: type[GatewayError], provoked: Provoked
) -> None:
    """Status, type and reason are those of the class; the suggestion is ours or there is none."""
    shown = error_of(provoked.answer)

    assert provoked.answer.status_code == error.status
    assert shown["reason"] == error.reason
    assert shown.get("fallback_suggestion") == error.suggestion
    assert provoked.answer.headers["cache-control"] == "no-store"


@EACH_ERROR
def test_retry_after_says_when_asking_again_can_help(
    error: type[GatewayError], provoked: Provoked
) -> None:
    """The header is there exactly where waiting helps, in whole seconds, at least one."""
    seconds = provoked.answer.headers.get("retry-after")

    assert (seconds is not None) == (error.default_retry_after_s is not None)
    assert seconds is None or int(seconds) >= 1


@EACH_ERROR
def test_an_error_creates_nothing(error: type[GatewayError], provoked: Provoked) -> None:
    """The vendor has made the tasks that came before, and none for the call that was refused."""
    assert provoked.tasks_made == WAYS[error.reason].tasks_made


@EACH_ERROR
def test_an_error_tells_nothing_of_the_inside(
    error: type[GatewayError], provoked: Provoked
) -> None:
    """No address, no library, no place in the program, and no key that was not asked for."""
    text = provoked.answer.text.lower()
    for asked_for in provoked.answer.request.url.path.split("/")[1:]:
        text = text.replace(asked_for, "")

    words = ("traceback", "redis", "httpx", "aiohttp", "failpoint", "127.0.0.1", ".py", "evolink")
    assert [word for word in words if word in text] == []
    assert re.search(r"\b(sk-|rg_live_|vk_|key_[0-9a-z]{12})", text) is None


async def test_a_defect_is_logged_under_the_id_that_the_answer_names(
    open_gateway_bed: OpenBed, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever reports a 500 with its request id leads us to the traceback."""
    async with open_gateway_bed(testing={"failpoints": "submit.arrived=raise"}) as bed:
        answer = await bed.create(await bed.key())

    lines = capsys.readouterr().out.splitlines()
    failed = [json.loads(line) for line in lines if "request.failed" in line]
    assert [event["request_id"] for event in failed] == [error_of(answer)["request_id"]]
    assert "FailpointHit" in failed[0]["exception"]


@pytest.mark.parametrize("status", [400, 404, 413, 415])
async def test_a_refusal_by_the_vendor_keeps_its_status(bed: Bed, status: int) -> None:
    """What the vendor says about the request itself is passed on, in our envelope."""
    bed.vendor.fault("status", status=status, message="The clip is too dark")

    answer = await bed.create(await bed.key())

    assert answer.status_code == status
    assert error_of(answer)["reason"] == VendorRefused.reason
    assert error_of(answer)["message"] == "The clip is too dark"


async def test_a_field_that_the_vendor_objects_to_is_named(bed: Bed) -> None:
    """The vendor's `param` is passed on."""
    key = await bed.key()
    answer = await bed.create(key, {"model": "sora-character", "video_url": video("colour:red")})

    assert answer.status_code == 400
    assert error_of(answer)["reason"] == VendorRefused.reason
    assert error_of(answer)["param"] == "video_url"


async def test_the_status_422_is_never_answered(bed: Bed) -> None:
    """Clients of the vendor know 400 for what is wrong with a request, so a 422 becomes one."""
    bed.vendor.fault("status", status=422, message="The clip is too dark")

    answer = await bed.create(await bed.key())

    assert answer.status_code == 400
    assert error_of(answer)["message"] == "The clip is too dark"


@pytest.mark.parametrize("status", [401, 402, 403, 429])
async def test_trouble_with_the_gateways_own_key_is_not_the_callers(bed: Bed, status: int) -> None:
    """The four statuses that accuse the caller's key or balance are ours to bear: 503."""
    bed.vendor.fault("status", status=status)

    answer = await bed.create(await bed.key())

    assert answer.status_code == 503
    assert error_of(answer)["reason"] == "no_vendor_capacity"
    assert "fallback_suggestion" not in error_of(answer)


@pytest.mark.parametrize(("asked", "said"), [(7, "7"), (86_400, "300"), ("soon", "30")])
async def test_the_vendors_own_wait_is_passed_on(bed: Bed, asked: Any, said: str) -> None:
    """Its seconds are taken over up to five minutes; anything else is half a minute."""
    bed.vendor.fault("status", status=429, retry_after=asked)

    answer = await bed.create(await bed.key())

    assert answer.headers["retry-after"] == said


async def test_waiting_is_never_zero(bed: Bed) -> None:
    """A client told to come back in no time at all would hammer."""
    bed.vendor.fault("status", status=429, retry_after=0)

    answer = await bed.create(await bed.key())

    assert int(answer.headers["retry-after"]) >= 1


async def test_the_wait_for_the_next_create_is_exact(bed: Bed) -> None:
    """With two creates a minute the third one waits half a minute, and then passes."""
    key = await bed.key(creates_per_minute=2)
    await bed.created(key)
    await bed.created(key)

    refused = await bed.create(key)
    bed.clock.advance_ms(int(refused.headers["retry-after"]) * 1000)

    assert refused.headers["retry-after"] == "30"
    await bed.created(key)


async def test_no_route_of_the_framework_answers_in_its_own_words(bed: Bed) -> None:
    """Files that do not exist are refused like paths that do not."""
    answer = await bed.http.get("/docs/static/no-such-file.js")

    assert error_of(answer)["reason"] == UnknownPath.reason


def video(scenario: str) -> str:
    """Return the address of a video for which the sandbox reads a scenario."""
    return f"https://example.com/video.mp4?sandbox={scenario}"
