"""`reelgate tenant …`: teams and their limits."""

from __future__ import annotations

from typing import Annotated

import typer
from pydantic import ValidationError

from app.cli.console import (
    AsJson,
    CommandFailed,
    LimitsText,
    notes,
    on_store,
    out,
    print_json,
    print_table,
    read_limits,
)
from app.domain.tenant import Limits, Tenant
from app.store.tenants import TenantExists, TenantUnknown
from app.wiring import Store

commands = typer.Typer(help="Teams: add, show, list, limit, disable.", no_args_is_help=True)

TenantId = Annotated[str, typer.Argument(help="Tenant id: a-z 0-9 _ -, at most 63 characters.")]


@commands.command()
def add(
    tenant: TenantId,
    name: Annotated[str | None, typer.Option(help="Name for people; the id where missing.")] = None,
    group: Annotated[str, typer.Option(help="Label for reports, shown to the tenant.")] = "default",
    limits: LimitsText = None,
    as_json: AsJson = False,
) -> None:
    """Add a tenant."""
    try:
        new = Tenant(id=tenant, name=name or tenant, group=group, limits=read_limits(limits))
    except ValidationError as refusal:
        first = refusal.errors(include_url=False)[0]
        raise CommandFailed(f"{first['loc'][0]}: {first['msg']}") from None

    async def work(store: Store) -> None:
        try:
            await store.tenants.add(new, now_ms=store.clock.now_ms())
        except TenantExists:
            raise CommandFailed(
                f"tenant {tenant} exists already; see `reelgate tenant show {tenant}`"
            ) from None

    on_store(work)
    _warn_of_unlimited_spending(new)
    _print(new, as_json)


@commands.command()
def show(tenant: TenantId, as_json: AsJson = False) -> None:
    """Show a tenant."""
    _print(on_store(lambda store: _get(store, tenant)), as_json)


@commands.command("list")
def list_tenants(as_json: AsJson = False) -> None:
    """List all tenants."""
    found = on_store(lambda store: store.tenants.all())
    if as_json:
        print_json([tenant.public() for tenant in found])
        return
    if not found:
        notes.print("no tenants yet; add one with `reelgate tenant add <id>`")
        return
    rows = [
        [t.id, t.name, t.group, "disabled" if t.disabled else "active", _shown(t.limits)]
        for t in found
    ]
    print_table(["ID", "NAME", "GROUP", "STATE", "LIMITS"], rows)


@commands.command()
def limit(
    tenant: TenantId,
    limits: Annotated[
        str, typer.Option("--limits", help="The new limits as JSON; replaces all of them.")
    ],
    as_json: AsJson = False,
) -> None:
    """Replace a tenant's limits; what was used before still counts."""
    wanted = read_limits(limits)

    async def work(store: Store) -> Tenant:
        await _get(store, tenant)
        await store.tenants.set_limits(tenant, wanted)
        return await _get(store, tenant)

    changed = on_store(work)
    _warn_of_unlimited_spending(changed)
    _print(changed, as_json)


@commands.command()
def disable(
    tenant: TenantId,
    enable: Annotated[bool, typer.Option("--enable", help="Switch the tenant on again.")] = False,
    as_json: AsJson = False,
) -> None:
    """Switch a tenant off: its keys create and read nothing from that instant."""

    async def work(store: Store) -> Tenant:
        await _get(store, tenant)
        await store.tenants.set_disabled(tenant, disabled=not enable)
        return await _get(store, tenant)

    _print(on_store(work), as_json)


async def _get(store: Store, tenant_id: str) -> Tenant:
    try:
        return await store.tenants.get(tenant_id)
    except TenantUnknown:
        raise CommandFailed(f"there is no tenant {tenant_id}; see `reelgate tenant list`") from None


def _warn_of_unlimited_spending(tenant: Tenant) -> None:
    if not tenant.limits.spending_is_limited:
        notes.print(
            f"note: {tenant.id} has no credit limit, so its spending is unlimited;"
            " set credits_per_day or credits_per_month with `reelgate tenant limit`"
        )


def _shown(limits: Limits) -> str:
    found = {name: value for name, value in limits.public().items() if value is not None}
    return ", ".join(f"{name}={value}" for name, value in found.items()) or "none"


def _print(tenant: Tenant, as_json: bool) -> None:
    if as_json:
        print_json(tenant.public())
        return
    state = "disabled" if tenant.disabled else "active"
    out.print(f"{tenant.id}  {tenant.name}  group {tenant.group}  {state}")
    out.print(f"limits: {_shown(tenant.limits)}")
