"""`reelgate tenant …`: teams and their limits."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Any

import typer

from app.cli.console import (
    OPERATOR,
    AsJson,
    CommandFailed,
    GraceSeconds,
    LimitsText,
    notes,
    on_store,
    out,
    print_json,
    print_table,
    read_json_option,
    refusals_named,
)
from app.domain.account import DaySpan, usage_answer
from app.domain.api_key import Grace
from app.domain.ids import Mode
from app.domain.pricing import format_credits
from app.domain.tenant import Limits, Tenant, TenantChange
from app.wiring import Store

commands = typer.Typer(
    help="Teams: add, show, list, limit, origins, set, disable, delete, rotate-secret, usage.",
    no_args_is_help=True,
)

TenantId = Annotated[str, typer.Argument(help="Tenant id: a-z 0-9 _ -, at most 63 characters.")]


@commands.command()
def add(
    tenant: TenantId,
    name: Annotated[str | None, typer.Option(help="Name for people; the id where missing.")] = None,
    group: Annotated[str, typer.Option(help="Label for reports, shown to the tenant.")] = "default",
    limits: LimitsText = None,
    origins: Annotated[
        list[str] | None,
        typer.Option("--origin", help="Origin of web pages that may call; give it once for each."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Add a tenant. With --json its webhook secret is printed along with it."""
    with refusals_named():
        given = read_json_option("--limits", limits)
        named = {"id": tenant, "name": name, "group": group}
        new = Tenant.read({**named, "limits": given, "origins": origins or []})

    async def work(store: Store) -> str:
        return await store.manage_tenants.create(new, OPERATOR)

    secret = on_store(work)
    _warn_of_unlimited_spending(new)
    _print(new, as_json, webhook_secret=secret)


@commands.command()
def show(
    tenant: TenantId,
    secrets: Annotated[
        bool, typer.Option("--secrets", help="Show the webhook secret; the audit log tells of it.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show a tenant."""

    async def work(store: Store) -> tuple[Tenant, str | None]:
        found = await store.tenants.get(tenant)
        if not secrets:
            return found, None
        return found, await store.manage_tenants.show_secret(tenant, OPERATOR)

    found, secret = on_store(work)
    if secrets:
        _print(found, as_json, webhook_secret=secret)
        if not as_json:
            out.print(f"webhook secret: {secret or 'none'}")
    else:
        _print(found, as_json)


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
    rows = [[t.id, t.name, t.group, t.state, _shown(t.limits)] for t in found]
    print_table(["ID", "NAME", "GROUP", "STATE", "LIMITS"], rows)


@commands.command()
def limit(
    tenant: TenantId,
    limits: Annotated[
        str,
        typer.Option(
            "--limits", help="Limits to change as JSON; null lifts one, others stay as they are."
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Change limits of a tenant; what was used before still counts."""
    changed = _change(tenant, {"limits": read_json_option("--limits", limits)})
    _warn_of_unlimited_spending(changed)
    _print(changed, as_json)


@commands.command("origins")
def set_origins(
    tenant: TenantId,
    origins: Annotated[
        list[str] | None,
        typer.Argument(help="All there are to be, such as https://app.example.com; none: show."),
    ] = None,
    none: Annotated[bool, typer.Option("--none", help="Let no web page call any more.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show or replace the origins of the web pages that may call for a tenant."""
    if none and origins:
        raise CommandFailed("give either origins or --none")
    if none or origins:
        changed = _change(tenant, {"origins": origins or []})
    else:
        changed = on_store(lambda store: store.tenants.get(tenant))
    if as_json:
        _print(changed, as_json)
    else:
        print("\n".join(changed.origins) or "none")


@commands.command("set")
def set_label(
    tenant: TenantId,
    name: Annotated[str | None, typer.Option(help="Name for people.")] = None,
    group: Annotated[str | None, typer.Option(help="Label for reports.")] = None,
    as_json: AsJson = False,
) -> None:
    """Change the name or the group of a tenant."""
    given = {"name": name, "group": group}
    wanted = {field: value for field, value in given.items() if value is not None}
    if not wanted:
        raise CommandFailed("nothing to change: give --name or --group")
    _print(_change(tenant, wanted), as_json)


@commands.command()
def disable(
    tenant: TenantId,
    enable: Annotated[bool, typer.Option("--enable", help="Switch the tenant on again.")] = False,
    as_json: AsJson = False,
) -> None:
    """Switch a tenant off: its keys create and read nothing from that instant."""
    _print(_change(tenant, {"disabled": not enable}), as_json)


@commands.command()
def delete(
    tenant: TenantId,
    force: Annotated[
        bool, typer.Option("--force", help="Also with unfinished tasks, which are still settled.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Delete a tenant for good: its keys end, its id is never used again."""

    async def work(store: Store) -> None:
        await store.manage_tenants.delete(tenant, force=force, by=OPERATOR)

    on_store(work)
    if as_json:
        print_json({"id": tenant, "deleted": True})
    else:
        notes.print(f"tenant {tenant} is deleted; its id stays taken")


@commands.command("rotate-secret")
def rotate_secret(
    tenant: TenantId, grace_s: GraceSeconds = 86_400, as_json: AsJson = False
) -> None:
    """Give a tenant a new webhook secret; the old one signs along for the time of grace."""
    with refusals_named():
        grace = Grace.read({"grace_s": grace_s})

    async def work(store: Store) -> str:
        return await store.manage_tenants.rotate_secret(tenant, grace, OPERATOR)

    secret = on_store(work)
    if as_json:
        print_json({"id": tenant, "webhook_secret": secret})
    else:
        print(secret)


@commands.command()
def usage(
    tenant: TenantId,
    first: Annotated[str, typer.Option("--from", help="First day of UTC, as 2026-11-22.")] = "",
    last: Annotated[str, typer.Option("--to", help="Last day of UTC; today where missing.")] = "",
    test: Annotated[
        bool, typer.Option("--test", help="Of the test keys, not the live ones.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what a tenant has used, by day; with --json by model and key too."""
    mode: Mode = "test" if test else "live"

    async def work(store: Store) -> dict[str, Any]:
        span = DaySpan.read([("from", first), ("to", last)], today=_today(store))
        figures = await store.accounts.of_tenant(tenant, mode, span.windows())
        return usage_answer(span, figures, amount=format_credits, with_keys=True)

    found = on_store(work)
    if as_json:
        print_json(found)
        return
    columns = ("tasks", "completed", "failed", "credits_used", "credits_reserved")
    rows = [[day["date"], *(str(day[name]) for name in columns)] for day in found["data"]]
    rows.append(["total", *(str(found["total"][name]) for name in columns)])
    print_table(["DAY", "TASKS", "COMPLETED", "FAILED", "CREDITS USED", "RESERVED"], rows)


def _today(store: Store) -> date:
    return datetime.fromtimestamp(store.clock.now_ms() / 1000, UTC).date()


def _change(tenant: str, given: dict[str, Any]) -> Tenant:
    with refusals_named():
        change = TenantChange.read(given)

    async def work(store: Store) -> Tenant:
        return await store.manage_tenants.change(tenant, change, OPERATOR)

    return on_store(work)


def _warn_of_unlimited_spending(tenant: Tenant) -> None:
    if not tenant.limits.spending_is_limited:
        notes.print(
            f"note: {tenant.id} has no credit limit, so its spending is unlimited;"
            " set credits_per_day or credits_per_month with `reelgate tenant limit`"
        )


def _shown(limits: Limits) -> str:
    found = limits.model_dump(mode="json", exclude_none=True)
    return ", ".join(f"{name}={value}" for name, value in found.items()) or "none"


def _print(tenant: Tenant, as_json: bool, **more: str | None) -> None:
    if as_json:
        print_json({**tenant.public(), **more})
        return
    out.print(f"{tenant.id}  {tenant.name}  group {tenant.group}  {tenant.state}")
    out.print(f"limits: {_shown(tenant.limits)}")
    if tenant.origins:
        out.print(f"origins: {', '.join(tenant.origins)}")
