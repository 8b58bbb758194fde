"""`reelgate audit …`: what operators did."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from app.cli.console import AsJson, CommandFailed, notes, on_store, print_json, print_table
from app.domain.ids import is_tenant_id
from app.wiring import Store

commands = typer.Typer(help="What operators did: list.", no_args_is_help=True)


@commands.callback()
def _audit() -> None:
    """What operators did."""


@commands.command("list")
def list_acts(
    tenant: Annotated[str | None, typer.Option(help="Only what was done to this tenant.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Most entries shown.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List acts, newest first."""

    if tenant is not None and not is_tenant_id(tenant):
        raise CommandFailed(f"--tenant: no tenant can have the id {tenant[:64]}")

    async def work(store: Store) -> list[dict[str, Any]]:
        found, _ = await store.audit.page(tenant_id=tenant, before=None, limit=limit)
        return found

    found = on_store(work)
    if as_json:
        print_json(found)
        return
    if not found:
        notes.print(
            f"nothing has been done to {tenant} yet" if tenant else "nothing has been done yet"
        )
        return
    rows = [
        [
            act["at"],
            act["actor"],
            act["act"],
            act["tenant"],
            act.get("key", ""),
            json.dumps(act["detail"], ensure_ascii=False),
        ]
        for act in found
    ]
    print_table(["AT", "ACTOR", "ACT", "TENANT", "KEY", "DETAIL"], rows)
