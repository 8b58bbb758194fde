"""Pages that follow tasks as they happen: by a token, from an allowed origin, to its end."""

from __future__ import annotations

from contextlib import AsyncExitStack

from app.flows.audience import MOST_PER_TOKEN
from tests.api.asking import bearer, get
from tests.api.browsing import APP, allow, minted, token
from tests.conftest import OpenBed
from tests.support.answers import error_of
from tests.support.bed import Bed, character
from tests.support.events import Listening
from tests.support.wait import wait_until

FOR_PAGES = {"access-control-allow-origin": APP, "vary": "Origin"}


async def test_a_page_follows_its_task(bed: Bed) -> None:
    """The head of the stream lets the browser hand it on, and each event comes as it happens."""
    key = await bed.key()
    await allow(bed, "acme", APP)
    secret = await token(bed, key, origin=APP)
    created = await bed.create(secret, character("seconds:2"), origin=APP)
    path = f"/v1/tasks/{created.json()['id']}/events"

    async with Listening(bed.app, path, secret, origin=APP) as stream:
        (first,) = await stream.heard()
        await bed.pass_time(30)
        await stream.ended()

    assert first.name == "task.pending"
    assert stream.events[-1].name == "task.completed"
    assert {name: stream.headers[name] for name in FOR_PAGES} == FOR_PAGES
    assert "x-request-id" in stream.headers["access-control-expose-headers"].lower()


async def test_a_stream_is_refused_to_a_page_of_another_origin(bed: Bed) -> None:
    """Before it begins, and unreadably."""
    key = await bed.key()
    await allow(bed, "acme", APP)
    secret = await token(bed, key, origin=APP)

    async with Listening(bed.app, "/v1/events", secret, origin="https://evil.example") as stream:
        await stream.ended()

    assert (stream.status, stream.headers["vary"]) == (403, "Origin")
    assert "access-control-allow-origin" not in stream.headers


async def test_a_token_hears_of_the_tasks_of_its_subject_alone(bed: Bed) -> None:
    """Of all that happens to its tenant; a key hears everything."""
    key = await bed.key()
    ada, ben = [await token(bed, key, subject=name) for name in ("ada", "ben")]

    async with (
        Listening(bed.app, "/v1/events", ada) as of_ada,
        Listening(bed.app, "/v1/events", key) as of_all,
    ):
        mine, *others = [
            await bed.created(each, character("seconds:1")) for each in (ada, ben, key)
        ]
        await bed.pass_time(30)
        await of_all.heard(3)
        await of_ada.heard(1)

    assert {event.told for event in of_ada.events} == {(mine, "completed")}
    assert {event.told[0] for event in of_all.events} == {mine, *others}


async def test_what_a_token_missed_is_told_it_of_its_own_tasks_alone(bed: Bed) -> None:
    """Resumed from its last event, or from one that is not known any more."""
    key = await bed.key()
    ada, ben = [await token(bed, key, subject=name) for name in ("ada", "ben")]
    async with Listening(bed.app, "/v1/events", ada) as first:
        mine = await bed.created(ada, character("seconds:1"))
        await bed.created(ben, character("seconds:1"))
        await bed.pass_time(30)
        await first.heard(1)
    last_id, heard = first.text.last_id, []

    for place in (f"{int(last_id.partition('-')[0]) - 1}-0", "1-1"):
        async with Listening(bed.app, "/v1/events", ada, last_event_id=place) as again:
            await again.heard(1)
        heard.append({event.told for event in again.events})

    assert heard == [{(mine, "completed")}] * 2


async def test_a_stream_ends_with_the_token_and_with_the_key_of_the_token(
    open_gateway_bed: OpenBed,
) -> None:
    """At its time, or when an operator ends the key; the page asks its server for another."""
    async with open_gateway_bed(live={"heartbeat_s": 1}) as bed:
        key = await bed.key("acme")
        short, long = [await minted(bed, key, ttl_s=ttl_s, subject="ada") for ttl_s in (10, 900)]
        task_id = await bed.created(long["token"], character("outcome:never"))
        path = f"/v1/tasks/{task_id}/events"

        async with (
            Listening(bed.app, path, short["token"]) as of_short,
            Listening(bed.app, "/v1/events", long["token"]) as of_long,
        ):
            await bed.pass_time(10.1)
            await of_short.ended()
            assert not of_long.is_over
            await bed.revoke("acme", long["id"].partition("~")[0])
            await of_long.ended()

        answer = await bed.http.get(path, headers=[bearer(long["token"])])

    assert [stream.events[-1].name for stream in (of_short, of_long)] == ["closed", "closed"]
    assert answer.status_code == 401


async def test_a_token_takes_only_so_much_of_its_tenants_room(bed: Bed) -> None:
    """Streams and waiting reads alike; its tenant's keys and other tokens are not held up by it."""
    key = await bed.key()
    secret, other = [await token(bed, key, subject="ada") for _ in range(2)]
    task_id = await bed.created(secret)
    waiting_read = f"/v1/tasks/{task_id}?wait=60"
    for _ in range(2):
        async with AsyncExitStack() as open_ones:
            await open_ones.enter_async_context(
                Listening(bed.app, waiting_read, secret, put_off=True)
            )
            for _ in range(MOST_PER_TOKEN - 1):
                stream = Listening(bed.app, "/v1/events", secret)
                assert (await open_ones.enter_async_context(stream)).status == 200
            await wait_until(lambda: bed.gateway.follow.audience.waits, describing="the wait")

            for path in ("/v1/events", f"/v1/tasks/{task_id}/events", waiting_read):
                refused = await get(bed, secret, path)
                assert error_of(refused)["reason"] == "too_many_streams"
                assert "This token" in error_of(refused)["message"]
            assert (await bed.read(secret, task_id)).status_code == 200
            for each in (key, other):
                async with Listening(bed.app, "/v1/events", each) as stream:
                    assert stream.status == 200

    assert not bed.gateway.follow.audience.groups
