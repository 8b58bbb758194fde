"""`reelgate sandbox`: the imitation of the vendor, over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.sandbox import SandboxOptions
from app.sandbox.server import serve


def sandbox(
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 9100,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    seconds: Annotated[
        float, typer.Option(help="How long a task takes unless its request says so.")
    ] = 6.0,
    journal: Annotated[
        Path | None, typer.Option(help="File the journal is also appended to.")
    ] = None,
) -> None:
    """Run the sandbox: point REELGATE_VENDOR__BASE_URL at it, with any key that begins sk-."""
    options = SandboxOptions(default_seconds=seconds, journal_path=journal)
    serve(options, host, port, announce=_announce)


def _announce(address: str) -> None:
    print(f"sandbox vendor on {address}", flush=True)
    print(f"  REELGATE_VENDOR__BASE_URL={address} REELGATE_VENDOR__KEYS=sk-anything reelgate serve")
    print(f"  journal: {address}/_sandbox/journal", flush=True)
