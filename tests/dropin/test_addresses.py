"""Programs and the addresses they are given: with `/v1` or without, and the paths they try."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import urljoin

import httpx2
import pytest

from tests.conftest import OpenBed
from tests.dropin.callers import (
    Caller,
    Reply,
    poll_as_an_image,
    poll_only_where_it_was_created,
    poll_the_task,
    poll_where_it_was_created,
)
from tests.support.bed import CHARACTER, Bed, character
from tests.support.dictated_vendor import DictatedVendor

Poll = Callable[[Caller, str], Awaitable[Reply]]
POLLS: list[Poll] = [
    poll_the_task,
    poll_where_it_was_created,
    poll_only_where_it_was_created,
    poll_as_an_image,
]


@pytest.mark.parametrize("address", ["http://gateway", "http://gateway/", "http://gateway/v1"])
async def test_a_program_that_adds_v1_where_it_is_missing(bed: Bed, address: str) -> None:
    """Whichever its user wrote, there is one `/v1` in the path."""
    caller = Caller(bed.http, await bed.key(), address)

    created = await caller.create(CHARACTER)

    assert created.ok
    assert (await caller.task(created.json["id"])).ok


@pytest.mark.parametrize(
    ("address", "create", "read"),
    [
        ("http://gateway", "/v1/videos/generations", "/v1/tasks/"),
        ("http://gateway/v1", "/videos/generations", "/tasks/"),
    ],
)
async def test_a_program_that_puts_address_and_path_together(
    bed: Bed, address: str, create: str, read: str
) -> None:
    """As plain strings; its user has to write the address that its paths are made for."""
    headers = {"authorization": f"Bearer {await bed.key()}"}

    created = await bed.http.post(address + create, json=CHARACTER, headers=headers)
    found = await bed.http.get(address + read + created.json()["id"], headers=headers)

    assert (created.status_code, found.status_code) == (200, 200)


@pytest.mark.parametrize("path", ["videos/generations", "/v1/videos/generations"])
async def test_a_program_that_resolves_paths_like_links(bed: Bed, path: str) -> None:
    """Relative to an address with a slash at the end, or from the root."""
    headers = {"authorization": f"Bearer {await bed.key()}"}

    created = await bed.http.post(
        urljoin("http://gateway/v1/", path), json=CHARACTER, headers=headers
    )

    assert created.status_code == 200


async def test_a_doubled_v1_is_told_by_the_words_programs_look_for(bed: Bed) -> None:
    """Address and path both with `/v1`: the path in the answer shows the mistake."""
    headers = {"authorization": f"Bearer {await bed.key()}"}

    answer = await bed.http.post(
        "http://gateway/v1/v1/videos/generations", json=CHARACTER, headers=headers
    )

    assert answer.status_code == 404
    assert answer.json()["error"]["message"] == "Invalid URL (POST /v1/v1/videos/generations)"


@pytest.mark.parametrize("poll", POLLS, ids=lambda poll: poll.__name__)
async def test_every_way_of_polling_leads_to_the_end(bed: Bed, caller: Caller, poll: Poll) -> None:
    """The create path is a second way to read; where there is none, the fallback is taken."""
    task_id = (await caller.create(character("seconds:3"))).json["id"]
    seen = []

    for _ in range(4):
        reply = await poll(caller, task_id)
        assert reply.ok
        assert reply.json["id"] == task_id
        seen.append(reply.json["status"])
        await bed.pass_time(3)

    assert seen[0] == "pending"
    assert seen[-1] == "completed"


@pytest.mark.parametrize("poll", POLLS, ids=lambda poll: poll.__name__)
async def test_a_lost_task_is_not_taken_for_a_missing_path(caller: Caller, poll: Poll) -> None:
    """The 404 of a task says so in other words: nobody may fall back on it for ever."""
    lost = "task-unified-1767917446-5lqy8zzv"

    reply = await poll(caller, lost)

    assert reply.status == 404
    assert reply.json["error"]["message"] == "Task not found or expired"


@pytest.mark.parametrize("family", ["images", "audios", "music"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_what_there_is_not_is_an_invalid_url(
    caller: Caller, family: str, method: str
) -> None:
    """Method and path stand in the text, as programs expect that search it for the two words."""
    path = f"/{family}/generations" + ("/task-unified-1-a" if method == "GET" else "")

    reply = await caller.call(method, path, CHARACTER if method == "POST" else None)

    assert reply.status == 404
    assert reply.json["error"]["message"] == f"Invalid URL ({method} /v1{path})"


@pytest.mark.parametrize("path", ["/models", "/credits"])
async def test_a_key_is_tried_out_before_it_is_used(caller: Caller, path: str) -> None:
    """Two calls serve as probes: a good key gets 200, a bad one 401, and nothing is created."""
    bad = Caller(caller.http, "sk-wrong")

    good_reply, bad_reply = await caller.call("GET", path), await bad.call("GET", path)

    assert good_reply.ok
    assert bad_reply.status == 401
    assert bad_reply.json["error"]["type"] == "authentication_error"


async def test_a_program_that_asks_for_its_models_finds_the_one_it_uses(caller: Caller) -> None:
    """It looks for its model's name among the ids."""
    reply = await caller.call("GET", "/models")

    assert CHARACTER["model"] in [model["id"] for model in reply.json["data"]]


async def test_a_program_that_shows_the_balance_finds_it(caller: Caller) -> None:
    """`success` is no lie, and what is left are numbers."""
    reply = await caller.call("GET", "/credits")

    assert reply.json["success"] is True
    for holder in ("token", "user"):
        assert isinstance(reply.json["data"][holder]["remaining_credits"], int | float)
        assert isinstance(reply.json["data"][holder]["used_credits"], int | float)


@pytest.mark.parametrize("ending", ["", "/", "/v1", "/v1/"])
async def test_another_seller_of_the_contract_can_be_the_vendor(
    open_gateway_bed: OpenBed, dictated: DictatedVendor, ending: str
) -> None:
    """The same paths and id prefix at another address, which its operator may write either way."""
    async with open_gateway_bed(vendor={"base_url": dictated.url + ending}) as bed:
        key = await bed.key()
        task_id = await bed.created(key)
        await bed.pass_time(2)
        read: httpx2.Response = await bed.read(key, task_id)

    assert read.status_code == 200
    assert [heard.path for heard in dictated.creates] == ["/v1/videos/generations"]
    assert len(dictated.reads) == 1
