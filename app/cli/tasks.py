"""`reelgate task …`: one task, as operators see it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from app.cli.console import AsJson, CommandFailed, on_store, out, print_json
from app.domain.pricing import Microcredits, format_credits
from app.wiring import Store

commands = typer.Typer(help="Tasks: show.", no_args_is_help=True)

_SHOWN: Final = (
    "tenant",
    "key",
    "mode",
    "group",
    "model",
    "state",
    "version",
    "vendor_id",
    "vendor_key",
    "reads",
)
_MOMENTS: Final = ("created_ms", "submitted_ms", "finished_ms")


@commands.command()
def show(
    task_id: Annotated[str, typer.Argument(help="Id of the task.")], as_json: AsJson = False
) -> None:
    """Show a task: its state, its money, its answer."""

    async def work(store: Store) -> tuple[dict[str, str], list[tuple[int, str, Microcredits]]]:
        fields = await store.tasks.find(task_id)
        if fields is None:
            raise CommandFailed(f"there is no task {task_id}, or its record has expired")
        return fields, await store.tasks.ledger(fields["tenant"], task_id)

    fields, ledger = on_store(work)
    if as_json:
        print_json(_document(fields, ledger))
        return
    _print(fields, ledger)


def _document(
    fields: dict[str, str], ledger: list[tuple[int, str, Microcredits]]
) -> dict[str, Any]:
    return {
        "id": fields["id"],
        **{name: fields.get(name) for name in _SHOWN},
        "version": int(fields["version"]),
        "reads": int(fields["reads"]),
        **{name: int(fields[name]) if name in fields else None for name in _MOMENTS},
        "held_credits": format_credits(int(fields["held"])),
        "charged_credits": format_credits(int(fields.get("charged", "0"))),
        "ledger": [
            {"at_ms": at_ms, "kind": kind, "credits": format_credits(amount)}
            for at_ms, kind, amount in ledger
        ],
        "answer": json.loads(fields["body"]),
    }


def _print(fields: dict[str, str], ledger: list[tuple[int, str, Microcredits]]) -> None:
    out.print(fields["id"])
    for name in _SHOWN:
        out.print(f"  {name:<14}{fields.get(name) or '-'}")
    for name in _MOMENTS:
        moment = _moment(int(fields[name])) if name in fields else "-"
        out.print(f"  {name.removesuffix('_ms'):<14}{moment}")
    out.print("  ledger")
    for at_ms, kind, amount in ledger:
        out.print(f"    {_moment(at_ms)}  {kind:<8}{format_credits(amount)}")
    out.print("  answer")
    out.print(json.dumps(json.loads(fields["body"]), indent=2, ensure_ascii=False), markup=False)


def _moment(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}.{at_ms % 1000:03d}Z"
