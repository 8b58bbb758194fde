"""`reelgate task …`: one task, as operators see it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from app import settings
from app.cli.console import (
    OPERATOR,
    AsJson,
    CommandFailed,
    notes,
    on_store,
    out,
    print_json,
    print_table,
    refusals_named,
)
from app.domain.pricing import Microcredits, format_credits
from app.domain.resolution import CallingOff, Resolution, Verb
from app.errors import (
    CannotCancel,
    NotResolvable,
    NoVendorKey,
    TaskNotFound,
    VendorUnreachable,
)
from app.flows.cancel import CallOff, CancelAnyTask
from app.flows.explain import ExplainTask, ListDoubts
from app.telemetry import Metrics
from app.wiring import Store
from app.wiring.operators import open_resolving

commands = typer.Typer(help="Tasks: show, explain, cancel, doubt.", no_args_is_help=True)
doubt = typer.Typer(
    help="Tasks of which nobody knows whether the vendor has them: list, resolve.",
    no_args_is_help=True,
)
commands.add_typer(doubt, name="doubt")

TaskId = Annotated[str, typer.Argument(help="Id of the task.")]

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
def show(task_id: TaskId, as_json: AsJson = False) -> None:
    """Show a task: its state, its money, its answer."""

    async def work(store: Store) -> tuple[dict[str, str], list[tuple[int, str, Microcredits]]]:
        fields = await store.tasks.find(task_id)
        if fields is None:
            raise _no_task(task_id)
        return fields, await store.tasks.ledger(fields["tenant"], task_id)

    fields, ledger = on_store(work)
    if as_json:
        print_json(_document(fields, ledger))
        return
    _print(fields, ledger)


@commands.command()
def explain(task_id: TaskId, as_json: AsJson = False) -> None:
    """Explain a task: every step of it, and every credit, on one screen."""

    async def work(store: Store) -> dict[str, Any]:
        try:
            return await ExplainTask(store.tasks)(task_id)
        except TaskNotFound:
            raise _no_task(task_id) from None

    found = on_store(work)
    if as_json:
        print_json(found)
    else:
        _print_story(found)


@commands.command()
def cancel(
    task_id: TaskId,
    reason: Annotated[str, typer.Option(help="Why it is cancelled; for the audit log.")],
    as_json: AsJson = False,
) -> None:
    """Cancel a task that is queued; one that was sent cannot be called back; audited."""
    with refusals_named():
        wanted = CallingOff.read({"reason": reason})

    async def work(store: Store) -> dict[str, Any]:
        cancel_it = CancelAnyTask(CallOff(store.tasks, store.clock, Metrics()))
        try:
            await cancel_it(task_id, wanted, OPERATOR)
        except TaskNotFound:
            raise _no_task(task_id) from None
        except CannotCancel as refusal:
            raise CommandFailed(f"{refusal.message}; see `reelgate task explain`") from refusal
        return await ExplainTask(store.tasks)(task_id)

    found = on_store(work)
    if as_json:
        print_json(found)
    else:
        notes.print(f"task {task_id} is cancelled; its hold is released")


@doubt.command("list")
def list_doubts(as_json: AsJson = False) -> None:
    """List tasks in doubt, oldest doubt first."""

    async def work(store: Store) -> list[dict[str, Any]]:
        return await ListDoubts(store.tasks, store.doubts, store.clock)()

    found = on_store(work)
    if as_json:
        print_json(found)
        return
    if not found:
        notes.print("no task is in doubt")
        return
    columns = ("id", "tenant", "model", "since", "credits_held", "resends")
    rows = [[str(task[column]) for column in columns] for task in found]
    print_table(["ID", "TENANT", "MODEL", "SINCE", "HELD", "RESENDS"], rows)


@doubt.command()
def resolve(  # noqa: PLR0913, PLR0917 - each is an option
    task_id: TaskId,
    how: Annotated[
        Verb, typer.Option("--as", help="What was found out; corrected: of one that has ended.")
    ],
    reason: Annotated[str, typer.Option(help="Why that is to be believed; for the audit log.")],
    vendor_id: Annotated[
        str | None, typer.Option(help="With accepted: the vendor's id of the task.")
    ] = None,
    unseen: Annotated[
        bool, typer.Option("--unseen", help="With accepted: do not ask the vendor about the id.")
    ] = False,
    credits: Annotated[
        str | None, typer.Option(help="With corrected: what the task has cost, such as 0.1.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """End a doubt by hand, put right what is followed, or correct what a task has cost; audited."""
    given = {"as": how, "reason": reason, "vendor_id": vendor_id, "credits": credits}
    with refusals_named():
        wanted = Resolution.read(given | ({"unseen": True} if unseen else {}))
    found = on_store(lambda store: _resolve(store, task_id, wanted))
    if as_json:
        print_json(found)
    else:
        _print_story(found)


async def _resolve(store: Store, task_id: str, wanted: Resolution) -> dict[str, Any]:
    """Carry out a resolution; an id that no vendor can be asked about is taken, and told so."""
    chosen = settings.load()
    is_blind = wanted.how == "accepted" and not (wanted.unseen or chosen.vendor.read_keys())
    if is_blind:
        wanted = wanted.model_copy(update={"unseen": True})
    async with open_resolving(chosen, store) as resolve_doubt:
        try:
            await resolve_doubt(task_id, wanted, OPERATOR)
        except TaskNotFound:
            raise _no_task(task_id) from None
        except (NotResolvable, NoVendorKey, VendorUnreachable) as refusal:
            raise CommandFailed(f"{refusal.message}; see `reelgate task explain`") from refusal
    if is_blind:
        notes.print("no vendor key is set here: the vendor was not asked about that id")
    return await ExplainTask(store.tasks)(task_id)


def _no_task(task_id: str) -> CommandFailed:
    return CommandFailed(f"there is no task {task_id[:64]}, or its record has expired")


def _print_story(found: dict[str, Any]) -> None:
    names = ("tenant", "key", "mode", "model", "state", "vendor_id", "vendor_key", "reads")
    out.print(found["id"])
    for name in names:
        out.print(f"  {name:<14}{found[name] if found[name] is not None else '-'}", markup=False)
    balanced = "" if found["balanced"] else "  NOT BALANCED: the record says otherwise"
    held, charged = found["credits_held"], found["credits_charged"]
    out.print(f"  {'credits':<14}{held} held, {charged} charged{balanced}")
    out.print("  steps")
    for step in found["steps"]:
        line = f"    {_moment(step['at_ms'])}  {step['step']:<12}{step['detail']}"
        out.print(line.rstrip(), markup=False)
    out.print("  ledger                              credits    on hold      spent")
    for entry in found["ledger"]:
        figures = f"{entry['credits']:>10} {entry['on_hold']:>10} {entry['spent']:>10}"
        out.print(f"    {_moment(entry['at_ms'])}  {entry['kind']:<10}{figures}")


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
