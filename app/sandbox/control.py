"""The controls of the HTTP form under `/_sandbox/`: for tests on one machine, so without a key."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.sandbox import validation
from app.sandbox.answers import json_response
from app.sandbox.clock import SandboxClock
from app.sandbox.faults import FaultRefused
from app.sandbox.problems import VendorRefusal, unknown_path
from app.sandbox.state import Memory, sandbox_of

LONGEST_ADVANCE_MS: Final = 366 * 86_400_000


def _refused(reason: str) -> VendorRefusal:
    return VendorRefusal(400, reason, kind="sandbox_error")


def _memory(request: Request) -> Memory:
    """What the HTTP form remembers; the stateless form has no controls at all."""
    memory = sandbox_of(request).memory
    if memory is None:
        raise unknown_path(request.method, request.url.path)
    return memory


def _clock(request: Request) -> SandboxClock:
    _memory(request)
    return sandbox_of(request).clock


async def read_journal(request: Request) -> Response:
    """Every request so far; `path`, `method` and `after` (a number) narrow it."""
    query = request.query_params
    after = query.get("after", "0")
    if not after.isdecimal():
        raise _refused("after must be a number")
    found = _memory(request).journal.entries(
        path=query.get("path"), method=query.get("method"), after=int(after)
    )
    return json_response({"entries": [entry.shown() for entry in found]})


async def clear_journal(request: Request) -> Response:
    """Forget the requests; tasks, balance and idempotency keys stay."""
    _memory(request).journal.clear()
    return json_response({"entries": []})


async def read_faults(request: Request) -> Response:
    """The declared faults, with how often each has happened."""
    return json_response({"faults": [fault.shown() for fault in _memory(request).faults.all()]})


async def put_fault(request: Request) -> Response:
    """Declare a fault."""
    faults = _memory(request).faults
    declared = validation.object_in(await request.body())
    try:
        fault = faults.put(request.path_params["name"], declared)
    except FaultRefused as reason:
        raise _refused(str(reason)) from reason
    return json_response(fault.shown())


async def remove_fault(request: Request) -> Response:
    """Take one fault back."""
    name = request.path_params["name"]
    if not _memory(request).faults.remove(name):
        raise VendorRefusal(404, f"No fault {name!r}", kind="sandbox_error")
    return await read_faults(request)


async def clear_faults(request: Request) -> Response:
    """Take all faults back."""
    _memory(request).faults.clear()
    return json_response({"faults": []})


async def read_clock(request: Request) -> Response:
    """The time in the sandbox."""
    return _shown(_clock(request))


async def move_clock(request: Request) -> Response:
    """Put the clock forward by `advance_ms`; `hold` stops it or lets it run on."""
    clock = _clock(request)
    advance_ms, hold = _wanted(validation.object_in(await request.body()))
    if hold is True:
        clock.hold()
    clock.advance(advance_ms)
    if hold is False:
        clock.release()
    return _shown(clock)


async def reset_clock(request: Request) -> Response:
    """Go back to the time outside."""
    clock = _clock(request)
    clock.reset()
    return _shown(clock)


def _wanted(wanted: dict[str, Any]) -> tuple[int, bool | None]:
    advance_ms, hold = wanted.get("advance_ms", 0), wanted.get("hold")
    if not wanted or wanted.keys() - {"advance_ms", "hold"}:
        raise _refused("give advance_ms, hold or both")
    if type(advance_ms) is not int or not 0 <= advance_ms <= LONGEST_ADVANCE_MS:
        raise _refused(f"advance_ms must be a whole number from 0 to {LONGEST_ADVANCE_MS}")
    if hold is not None and not isinstance(hold, bool):
        raise _refused("hold must be true or false")
    return advance_ms, hold


def _shown(clock: SandboxClock) -> Response:
    return json_response(
        {"now_ms": clock.now_ms(), "offset_ms": clock.offset_ms, "held": clock.held}
    )


async def read_callbacks(request: Request) -> Response:
    """Every callback attempt so far."""
    return json_response({"entries": _memory(request).callbacks.attempts()})


async def clear_callbacks(request: Request) -> Response:
    """Forget the attempts, and what still waits to be sent."""
    _memory(request).callbacks.clear()
    return json_response({"entries": []})


ROUTES: Final = (
    Route("/_sandbox/journal", read_journal, methods=["GET"]),
    Route("/_sandbox/journal", clear_journal, methods=["DELETE"]),
    Route("/_sandbox/faults", read_faults, methods=["GET"]),
    Route("/_sandbox/faults", clear_faults, methods=["DELETE"]),
    Route("/_sandbox/faults/{name}", put_fault, methods=["PUT"]),
    Route("/_sandbox/faults/{name}", remove_fault, methods=["DELETE"]),
    Route("/_sandbox/clock", read_clock, methods=["GET"]),
    Route("/_sandbox/clock", move_clock, methods=["POST"]),
    Route("/_sandbox/clock", reset_clock, methods=["DELETE"]),
    Route("/_sandbox/callbacks", read_callbacks, methods=["GET"]),
    Route("/_sandbox/callbacks", clear_callbacks, methods=["DELETE"]),
)
