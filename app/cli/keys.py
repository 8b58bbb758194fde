"""`reelgate key …`: the API keys of a tenant."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from app.cli.console import (
    OPERATOR,
    AsJson,
    GraceSeconds,
    LimitsText,
    notes,
    on_store,
    print_json,
    print_table,
    read_json_option,
    refusals_named,
)
from app.domain.api_key import Grace, KeyWish
from app.flows.manage_keys import IssuedKey
from app.wiring import Store

commands = typer.Typer(help="API keys: issue, list, rotate, revoke.", no_args_is_help=True)

OfTenant = Annotated[str, typer.Argument(help="Tenant the key belongs to.")]
KeyId = Annotated[str, typer.Argument(help="Id of the key, such as key_…")]


class KeyMode(StrEnum):
    """Where a key's tasks go: to the vendor, or to the built-in sandbox."""

    LIVE = "live"
    TEST = "test"


@commands.command()
def issue(
    tenant: OfTenant,
    name: Annotated[str, typer.Option(help="Name for people.")] = "",
    mode: Annotated[
        KeyMode, typer.Option(help="live, or test: the built-in sandbox, no credits.")
    ] = KeyMode.LIVE,
    expires_at: Annotated[
        str | None, typer.Option(help="When the key ends, as 2026-12-01T00:00:00Z.")
    ] = None,
    limits: LimitsText = None,
    as_json: AsJson = False,
) -> None:
    """Issue a key. The secret is printed this once and stored nowhere."""
    given: dict[str, Any] = {"name": name, "mode": mode.value, "expires_at": expires_at}
    given["limits"] = read_json_option("--limits", limits)

    async def work(store: Store) -> IssuedKey:
        with refusals_named():
            wish = KeyWish.read(given, now_ms=store.clock.now_ms())
        return await store.manage_keys.issue(tenant, wish, OPERATOR)

    _print(on_store(work), as_json)


@commands.command("list")
def list_keys(tenant: OfTenant, as_json: AsJson = False) -> None:
    """List a tenant's keys, oldest first."""

    async def work(store: Store) -> list[dict[str, Any]]:
        now_ms = store.clock.now_ms()
        return [key.public(now_ms=now_ms) for key in await store.manage_keys.of_tenant(tenant)]

    found = on_store(work)
    if as_json:
        print_json(found)
        return
    if not found:
        notes.print(f"no keys yet; issue one with `reelgate key issue {tenant}`")
        return
    columns = ("id", "name", "mode", "state", "created_at", "expires_at")
    rows = [[key[column] or "never" for column in columns] for key in found]
    print_table(["ID", "NAME", "MODE", "STATE", "CREATED", "EXPIRES"], rows)


@commands.command()
def rotate(
    tenant: OfTenant, key_id: KeyId, grace_s: GraceSeconds = 86_400, as_json: AsJson = False
) -> None:
    """Issue the key that takes another's place; the old one goes on for the time of grace."""
    with refusals_named():
        grace = Grace.read({"grace_s": grace_s})

    async def work(store: Store) -> IssuedKey:
        return await store.manage_keys.rotate(tenant, key_id, grace, OPERATOR)

    issued = on_store(work)
    _print(issued, as_json)
    if not as_json:
        ending = f"works for {grace_s} more seconds" if grace_s else "has ended"
        notes.print(f"the old key {key_id} {ending}")


@commands.command()
def revoke(tenant: OfTenant, key_id: KeyId, as_json: AsJson = False) -> None:
    """End a key: from that instant it creates and reads nothing, on every process."""

    async def work(store: Store) -> dict[str, Any]:
        revoked = await store.manage_keys.revoke(tenant, key_id, OPERATOR)
        return revoked.public(now_ms=store.clock.now_ms())

    shown = on_store(work)
    if as_json:
        print_json(shown)
    else:
        notes.print(f"key {key_id} of {tenant} is revoked")


def _print(issued: IssuedKey, as_json: bool) -> None:
    key = issued.key
    if as_json:
        shown = key.public(now_ms=key.created_ms)
        print_json({"id": shown.pop("id"), "key": issued.secret, **shown})
        return
    print(issued.secret)
    notes.print(
        f"key {key.id} of {key.tenant_id} ({key.mode}); keep the line above, it is not shown again"
    )
