"""What all commands share: how they open the store, print, and fail."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.console import Console

from app import settings, telemetry
from app.domain import strict_json
from app.domain.audit import Actor
from app.domain.tenant import Refused

if TYPE_CHECKING:
    from app.wiring import Store

Result = TypeVar("Result")

out = Console(highlight=False, soft_wrap=True)
notes = Console(stderr=True, highlight=False, soft_wrap=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
LimitsText = Annotated[
    str | None,
    typer.Option(
        "--limits",
        help='Limits as JSON, such as \'{"creates_per_minute": 60, "credits_per_month": "500"}\'.',
    ),
]
GraceSeconds = Annotated[
    int, typer.Option("--grace-s", help="How long the old one goes on, seconds; 0: ends at once.")
]

OPERATOR = Actor("cli")
"""Who acts, for the audit log."""


class CommandFailed(Exception):
    """The command cannot do what it was asked; the message says why and what to do."""


def complain(first: str, *more: str) -> None:
    """Print an error and its further lines on standard error."""
    print(f"error: {first}", file=sys.stderr)
    for line in more:
        print(f"  {line}", file=sys.stderr)


def print_json(value: Any) -> None:
    """Print a value as indented JSON."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(columns: list[str], rows: list[list[str]]) -> None:
    """Print rows under their column names, one line a row: it can be grepped and cut."""
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    for row in (columns, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


def on_store(work: Callable[[Store], Awaitable[Result]]) -> Result:
    """Run `work` on the configured store; an embedded one is joined, or started for the moment."""
    # Not at the top: commands that need no store, a health probe above all, start without it.
    from app.wiring import open_store

    chosen = settings.load()
    telemetry.configure_logging("warning", chosen.log.format)

    async def run() -> Result:
        async with open_store(chosen) as store:
            return await work(store)

    return asyncio.run(run())


def read_json_option(option: str, text: str | None) -> Any:
    """Return the JSON object of an option, None where it is not given.

    Raises:
        CommandFailed: it is not a strict JSON object.
    """
    from app.errors import MalformedJson

    if text is None:
        return None
    try:
        return strict_json.plain(strict_json.parse_object(text.encode("utf-8")))
    except (MalformedJson, UnicodeEncodeError) as failure:
        told = str(failure).replace("the body", "it")
        raise CommandFailed(f"{option}: {told}") from failure


@contextmanager
def refusals_named() -> Iterator[None]:
    """Tell what breaks a rule of the domain as the command's own failure.

    Raises:
        CommandFailed: with the place and the rule.
    """
    try:
        yield
    except Refused as refusal:
        raise CommandFailed(str(refusal)) from refusal


def explain(failure: Exception) -> bool:
    """Print a failure that is meant for people; return False for a defect."""
    from app.errors import (
        GatewayError,
        InvalidRequest,
        KeyEnded,
        KeyNotFound,
        TasksOpen,
        TenantExists,
        TenantNotFound,
    )
    from app.store.embedded import EmbeddedStoreUnavailable

    match failure:
        case settings.SettingsRefused():
            complain("the settings cannot be used:", *failure.problems)
        case CommandFailed() | EmbeddedStoreUnavailable():
            complain(str(failure))
        case TenantNotFound():
            complain(f"{failure.message}; see `reelgate tenant list`")
        case KeyNotFound():
            complain(f"{failure.message}; see `reelgate key list {failure.tenant_id}`")
        case InvalidRequest() | TenantExists() | TasksOpen() | KeyEnded():
            complain(failure.message)
        case GatewayError():
            complain(f"{failure.message} ({failure.reason})", "`reelgate doctor` says more")
        case UnicodeEncodeError(encoding="utf-8"):
            # Bytes of an argument that are not UTF-8 come as halves of surrogate pairs.
            complain("an argument or a setting is not UTF-8: write it in UTF-8")
        case _:
            return False
    return True
