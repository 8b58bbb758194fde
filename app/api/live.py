"""Server-sent events: one task's, or all of a caller's. ASGI routes, for thousands may be open.

While nothing happens a stream is one coroutine that waits for its client to go; what there is to
write is written by whoever has it (`flows/tell.py`).
"""

from __future__ import annotations

from contextlib import aclosing
from itertools import islice
from typing import Final

from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from app.api.callers import reader
from app.api.cors import require_origin
from app.api.tasks import require_task_id
from app.domain.news import (
    MAX_SNAPSHOT,
    Place,
    closing_bytes,
    event_bytes,
    event_of,
    is_last_event,
    opening_bytes,
)
from app.domain.tenant import Caller
from app.errors import GatewayError, InvalidKey, TenantDisabled
from app.flows.listeners import EVERY_TASK, Stream
from app.flows.tell import come_again_bytes
from app.wiring import Gateway

_HEAD: Final = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    # Else a proxy in front may keep the events until it has a page of them.
    (b"x-accel-buffering", b"no"),
]


class FollowTask:
    """The events of one task: what it shows now, every change, and the end after its last one."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until the task has ended or the client has gone.

        Raises:
            InvalidKey, TenantDisabled, RateLimited: the caller may not read.
            InvalidTaskId, TaskNotFound: it has no such task.
            TooManyStreams: as many are open as may.
        """
        scope["reelgate.route"] = "/v1/tasks/{task_id}/events"
        gateway: Gateway = scope["app"].state.gateway
        caller = await reader(scope, gateway, tokens_for="read")
        task_id: str = scope["path_params"]["task_id"]
        require_task_id(task_id)
        stream = _stream(scope, send, caller, task_id)
        stream.origin = _named_origin(scope, caller, gateway)
        with gateway.follow.listening(stream):
            await _begin_with_task(stream, scope, gateway)
            await _until_gone(receive)


class FollowTenant:
    """The events of all tasks that a caller sees, from now on or from where it was cut off."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until the client has gone.

        Raises:
            InvalidKey, TenantDisabled, RateLimited: the caller may not read.
            TooManyStreams: as many are open as may.
        """
        scope["reelgate.route"] = "/v1/events"
        gateway: Gateway = scope["app"].state.gateway
        caller = await reader(scope, gateway, tokens_for="read")
        stream = _stream(scope, send, caller, EVERY_TASK)
        stream.origin = _named_origin(scope, caller, gateway)
        with gateway.follow.listening(stream):
            await _begin_with_tenant(stream, scope, gateway)
            await _until_gone(receive)


def _stream(scope: Scope, send: Send, caller: Caller, task_id: str) -> Stream:
    abort = scope.get("reelgate.abort") or _nothing
    return Stream(caller, task_id, send, abort, scope["reelgate.request_id"])


def _named_origin(scope: Scope, caller: Caller, gateway: Gateway) -> str:
    """Return the origin of a page that may listen because its tenant names it, else ""."""
    require_origin(scope, caller, gateway.store.origins)
    origin = scope.get("reelgate.origin") or ""
    return origin if gateway.store.origins.allows(caller.tenant_id, origin) else ""


def _nothing() -> None:
    """Hang up where the server offers no way to."""


async def _begin_with_task(stream: Stream, scope: Scope, gateway: Gateway) -> None:
    _, last = _last_event(scope)
    found = await gateway.store.news.follow_task(
        stream.task_id, last, caller=stream.caller, now_ms=gateway.clock.now_ms()
    )
    following = found.following
    gateway.follow.place(stream, following)
    await _open(stream, scope)
    if last is not None and following.resumes:
        stream.place, stream.is_final = last, found.finished
        await stream.send(opening_bytes(None))
    else:
        stream.place = following.place
        event = event_of(found.body)
        present = event_bytes(event, found.body, following.place)
        await stream.send(opening_bytes(None) + present)
        if is_last_event(event):
            stream.end()
    gateway.follow.begin(stream)


async def _begin_with_tenant(stream: Stream, scope: Scope, gateway: Gateway) -> None:
    given, last = _last_event(scope)
    following = await gateway.store.news.follow_tenant(
        last, caller=stream.caller, now_ms=gateway.clock.now_ms()
    )
    gateway.follow.place(stream, following)
    await _open(stream, scope)
    if not given:
        stream.place = following.place
        await stream.send(opening_bytes(following.place))
    elif last is not None and following.resumes:
        stream.place = last
        await stream.send(opening_bytes(None))
    else:
        await stream.send(opening_bytes(None))
        await _show_instead(stream, last, gateway)
    gateway.follow.begin(stream)


async def _show_instead(stream: Stream, last: Place | None, gateway: Gateway) -> None:
    """Send what tasks show now, in place of what is gone of the news; what fails ends the stream.

    The last event alone moves the client's place: one that is cut off before begins anew.
    """
    # A place that is still to come was never given out, and says nothing of what was seen.
    since_ms = 0 if last is None or last.at_ms > gateway.clock.now_ms() else last.at_ms
    try:
        await _snapshot(stream, since_ms, gateway)
    except (InvalidKey, TenantDisabled) as refusal:
        stream.end(closing_bytes(refusal, stream.request_id))
    except GatewayError:
        stream.end(come_again_bytes())


async def _snapshot(stream: Stream, since_ms: int, gateway: Gateway) -> None:
    now_ms = gateway.clock.now_ms()
    place, room, held_back = None, MAX_SNAPSHOT, b""
    pages = gateway.store.news.snapshot(since_ms, caller=stream.caller, now_ms=now_ms)
    async with aclosing(pages):
        async for page in pages:
            if place is None:
                place = stream.place = page.place
            shown = dict(islice(page.bodies.items(), room))
            room -= len(shown)
            stream.has_shown(list(shown), page.place)
            *before, held_back = [held_back, *shown.values()]
            if any(before):
                told = [event_bytes(event_of(each), each, None) for each in before if each]
                await stream.send(b"".join(told))
            if stream.is_ended:
                return
            if not room:
                break
    if held_back:
        await stream.send(event_bytes(event_of(held_back), held_back, place))
    else:
        await stream.send(opening_bytes(place))


async def _open(stream: Stream, scope: Scope) -> None:
    """Begin the answer; what goes wrong from now on can only be told by an event."""
    scope["reelgate.is_stream"] = True
    await stream.start(_HEAD)


def _last_event(scope: Scope) -> tuple[bool, Place | None]:
    """Return whether the client names an event that it has, and the place of that, if any."""
    for name, value in scope["headers"]:
        if name == b"last-event-id" and value:
            return True, Place.read(value.decode("latin-1"))
    return False, None


async def _until_gone(receive: Receive) -> None:
    """Wait until the client has hung up, or the answer has been ended."""
    while (await receive())["type"] != "http.disconnect":
        pass


routes = [
    Route("/v1/tasks/{task_id}/events", FollowTask(), methods=["GET"]),
    Route("/v1/events", FollowTenant(), methods=["GET"]),
]
for _route in routes:
    # The head of an answer without end says nothing.
    (_route.methods or set()).discard("HEAD")
