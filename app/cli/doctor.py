"""`reelgate doctor`: look at all the gateway needs, and say what is wrong and what to do."""

from __future__ import annotations

import asyncio
import http.client
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Final

import typer

from app import settings

# The checks load the whole program; a health probe, which runs every few seconds, needs none of it.
if TYPE_CHECKING:
    from app.cli.findings import Finding

CHECK_TIMEOUT_S: Final = 10.0
PROBE_TIMEOUT_S: Final = 2.0
_WILDCARDS: Final = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}  # noqa: S104 - not bound
_STYLES: Final = {"ok": "green", "warning": "yellow", "error": "bold red"}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
    probe: Annotated[
        bool,
        typer.Option("--probe", help="Only ask the gateway of these settings whether it lives."),
    ] = False,
) -> None:
    """Check settings, store and vendor; the exit code is 1 if there is an error."""
    if probe:
        raise typer.Exit(_probe())
    found = examine()
    from app.cli.console import print_json
    from app.cli.findings import Level, worst_of

    worst = worst_of(found)
    if as_json:
        print_json({"findings": [each.shown() for each in found], "worst": worst})
    else:
        _print(found)
    raise typer.Exit(1 if worst is Level.ERROR else 0)


def examine() -> list[Finding]:
    """Run every check and return what was found, cleaned of all that looks like a key."""
    from app.cli.findings import Notes, check_settings, check_versions
    from app.telemetry import configure_logging, redactor

    note = Notes()
    check_versions(note)
    chosen = check_settings(note)
    if chosen is not None:
        configure_logging("error", chosen.log.format)
        note.findings += asyncio.run(_look_around(chosen))
    return [replace(each, message=redactor.clean(each.message)) for each in note.findings]


async def _look_around(chosen: settings.Settings) -> list[Finding]:
    """Check store and vendor at the same time; return the store's findings first."""
    from app.cli.doctor_store import check_store
    from app.cli.doctor_vendor import check_vendor
    from app.cli.findings import Notes, isolated

    store, vendor = Notes(), Notes()
    async with asyncio.TaskGroup() as group:
        for what, check, note in (("store", check_store, store), ("vendor", check_vendor, vendor)):
            work = check(chosen, note)
            group.create_task(isolated(what, note, work, within_s=CHECK_TIMEOUT_S))
    return store.findings + vendor.findings


def _print(found: list[Finding]) -> None:
    from rich.text import Text

    from app.cli.console import out
    from app.cli.findings import Level

    width = max(len(each.id) for each in found)
    for each in found:
        level, hint = each.kind
        line = Text(f"{level:<9}", _STYLES[level]).append(f"{each.id:<{width}}  ", "none")
        out.print(line.append(each.message, "none"))
        if hint:
            out.print(Text(f"{'':{9 + width}}  {hint}", "dim"))
    counts = {level: sum(each.kind.level is level for each in found) for level in Level}
    out.print(f"errors: {counts[Level.ERROR]}, warnings: {counts[Level.WARNING]}")


def _probe() -> int:
    """Ask the gateway of these settings for /healthz, print one line, return the exit code."""
    try:
        chosen = settings.load()
    except settings.SettingsRefused as refused:
        print(f"not healthy: {'; '.join(refused.problems)}")
        return 1
    host = _WILDCARDS.get(chosen.host, chosen.host)
    address = f"http://{f'[{host}]' if ':' in host else host}:{chosen.port}/healthz"
    connection = http.client.HTTPConnection(host, chosen.port, timeout=PROBE_TIMEOUT_S)
    try:
        connection.request("GET", "/healthz")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as failure:
        print(f"not healthy: {address} gave no answer ({type(failure).__name__})")
        return 1
    finally:
        connection.close()
    if status != http.client.OK:
        print(f"not healthy: {address} answered {status}")
        return 1
    print(f"healthy: {address}")
    return 0
