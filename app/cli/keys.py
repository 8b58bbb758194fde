"""`reelgate key …`: the API keys of a tenant."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer

from app.cli.console import (
    AsJson,
    CommandFailed,
    LimitsText,
    notes,
    on_store,
    print_json,
    print_table,
    read_limits,
)
from app.domain.ids import Mode, mint_api_key, mint_key_id
from app.store.tenants import ApiKey, KeyUnknown, TenantUnknown
from app.wiring import Store

commands = typer.Typer(help="API keys: issue, list, revoke.", no_args_is_help=True)


class KeyMode(StrEnum):
    """Where a key's tasks go: to the vendor, or to the built-in sandbox."""

    LIVE = "live"
    TEST = "test"


@commands.command()
def issue(
    tenant: Annotated[str, typer.Argument(help="Tenant the key belongs to.")],
    name: Annotated[str, typer.Option(help="Name for people.")] = "",
    mode: Annotated[
        KeyMode, typer.Option(help="live, or test: the built-in sandbox, no credits.")
    ] = KeyMode.LIVE,
    limits: LimitsText = None,
    as_json: AsJson = False,
) -> None:
    """Issue a key. The secret is printed this once and stored nowhere."""
    wanted = read_limits(limits)
    live_or_test: Mode = "test" if mode is KeyMode.TEST else "live"
    secret = mint_api_key(live_or_test, secrets.choice)

    async def work(store: Store) -> ApiKey:
        now_ms = store.clock.now_ms()
        key = ApiKey(
            id=mint_key_id(secrets.choice),
            tenant_id=tenant,
            name=name or live_or_test,
            mode=live_or_test,
            state="active",
            created_ms=now_ms,
            expires_ms=None,
            limits=wanted,
        )
        try:
            await store.tenants.issue_key(key, secret=secret, now_ms=now_ms)
        except TenantUnknown:
            raise _no_tenant(tenant) from None
        return key

    key = on_store(work)
    if as_json:
        print_json(
            {"id": key.id, "key": secret, "tenant": tenant, "mode": key.mode, "name": key.name}
        )
        return
    print(secret)
    notes.print(
        f"key {key.id} of {tenant} ({key.mode}); keep the line above, it is not shown again"
    )


@commands.command("list")
def list_keys(
    tenant: Annotated[str, typer.Argument(help="Tenant whose keys are listed.")],
    as_json: AsJson = False,
) -> None:
    """List a tenant's keys, oldest first."""

    async def work(store: Store) -> list[ApiKey]:
        try:
            return await store.tenants.keys(tenant)
        except TenantUnknown:
            raise _no_tenant(tenant) from None

    found = on_store(work)
    if as_json:
        print_json([key.public() for key in found])
        return
    if not found:
        notes.print(f"no keys yet; issue one with `reelgate key issue {tenant}`")
        return
    rows = [[key.id, key.name, key.mode, key.state, _moment(key.created_ms)] for key in found]
    print_table(["ID", "NAME", "MODE", "STATE", "CREATED"], rows)


@commands.command()
def revoke(
    tenant: Annotated[str, typer.Argument(help="Tenant the key belongs to.")],
    key_id: Annotated[str, typer.Argument(help="Id of the key, such as key_…")],
    as_json: AsJson = False,
) -> None:
    """End a key: from that instant it creates and reads nothing, on every process."""

    async def work(store: Store) -> None:
        try:
            await store.tenants.revoke_key(tenant, key_id)
        except KeyUnknown:
            raise CommandFailed(
                f"tenant {tenant} has no key {key_id}; see `reelgate key list {tenant}`"
            ) from None

    on_store(work)
    if as_json:
        print_json({"id": key_id, "tenant": tenant, "state": "revoked"})
    else:
        notes.print(f"key {key_id} of {tenant} is revoked")


def _no_tenant(tenant: str) -> CommandFailed:
    return CommandFailed(f"there is no tenant {tenant}; see `reelgate tenant list`")


def _moment(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}Z"
