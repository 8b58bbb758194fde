"""What one sandbox is made of."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from starlette.requests import Request

from app.sandbox.callbacks import Callbacks
from app.sandbox.clock import NowMs, SandboxClock
from app.sandbox.faults import Faults
from app.sandbox.journal import Journal
from app.sandbox.options import SandboxOptions
from app.sandbox.register import Register


@dataclass(frozen=True, slots=True)
class Memory:
    """What only the HTTP form has."""

    journal: Journal
    faults: Faults
    register: Register
    callbacks: Callbacks


@dataclass(frozen=True, slots=True)
class Sandbox:
    """One sandbox; it holds things and does nothing. `stopping` lets hanging answers end."""

    options: SandboxOptions
    clock: SandboxClock
    memory: Memory | None
    stopping: asyncio.Event = field(default_factory=asyncio.Event)


def assemble(options: SandboxOptions, now_ms: NowMs) -> Sandbox:
    """Put a sandbox together."""
    clock = SandboxClock(now_ms)
    if options.stateless:
        return Sandbox(options, clock, None)
    memory = Memory(
        journal=Journal(options.journal_path),
        faults=Faults(),
        register=Register(options.balance_credits),
        callbacks=Callbacks(clock),
    )
    return Sandbox(options, clock, memory)


def sandbox_of(request: Request) -> Sandbox:
    """The sandbox that answers this request."""
    sandbox: Sandbox = request.app.state.sandbox
    return sandbox
