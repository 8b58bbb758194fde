"""`reelgate webhook …`: the webhook endpoints of a tenant, and what they were told."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TypeVar, get_args

import typer

from app.cli.console import (
    OPERATOR,
    AsJson,
    CommandFailed,
    GraceSeconds,
    notes,
    on_store,
    print_json,
    print_table,
    refusals_named,
)
from app.cli.keys import KeyMode
from app.cli.webhook_text import (
    Json,
    delivery_row,
    last_attempt,
    print_secret,
    print_webhook,
    shown_webhook,
    webhook_row,
)
from app.domain.delivery import Redelivery
from app.domain.delivery_log import LOGGED_EVENTS, DeliveryQuery
from app.domain.ids import Mode
from app.domain.tenant import Caller
from app.domain.webhook import (
    EVENTS,
    Rotation,
    WebhookChange,
    WebhookTest,
    WebhookWish,
)
from app.errors import DeliveryNotFound, TooManyWebhooks, WebhookDisabled, WebhookNotFound
from app.flows.manage_webhooks import ManageWebhooks
from app.wiring import Store

commands = typer.Typer(
    help="Webhook endpoints: add, list, show, update, remove, rotate, test, redeliver, deliveries.",
    no_args_is_help=True,
)

Result = TypeVar("Result")

OfTenant = Annotated[str, typer.Argument(help="Tenant the endpoint belongs to.")]
WebhookId = Annotated[str, typer.Argument(help="Id of the endpoint, such as we_…")]
Events = Annotated[
    list[str] | None,
    typer.Option("--event", help=f"What it is told: {', '.join(EVENTS)}; once for each."),
]


@commands.command()
def add(  # noqa: PLR0913, PLR0917 - each is an option
    tenant: OfTenant,
    url: Annotated[str, typer.Argument(help="Where messages go, such as https://example.com/h.")],
    event: Events = None,
    description: Annotated[str, typer.Option(help="Words for people.")] = "",
    disabled: Annotated[bool, typer.Option("--disabled", help="Send nothing yet.")] = False,
    secret_file: Annotated[
        Path | None,
        typer.Option(help="File with a signing secret of one's own; -: standard input."),
    ] = None,
    mode: Annotated[
        KeyMode, typer.Option(help="Whose tasks it is told of: those of live or of test keys.")
    ] = KeyMode.LIVE,
    as_json: AsJson = False,
) -> None:
    """Add an endpoint. Its signing secret alone is printed on standard output."""
    secret = None if secret_file is None else _read_secret(secret_file)
    given = {"url": url, "events": event, "description": description, "disabled": disabled}
    with refusals_named():
        wish = WebhookWish.read({**given, "secret": secret})

    async def work(store: Store) -> Json:
        whose = _caller(tenant, mode.value)
        with _in_words(tenant):
            webhook, secret = await store.manage_webhooks.add(wish, whose, OPERATOR)
        return {**shown_webhook(webhook, store.manage_webhooks), "secret": secret}

    print_secret(on_store(work), as_json)


@commands.command("list")
def list_webhooks(tenant: OfTenant, as_json: AsJson = False) -> None:
    """List the endpoints of a tenant, those of each mode oldest first."""

    async def work(store: Store) -> list[Json]:
        manage = store.manage_webhooks
        found = [await manage.all(_caller(tenant, mode), OPERATOR) for mode in get_args(Mode)]
        return [shown_webhook(webhook, manage) for of_mode in found for webhook in of_mode]

    found = on_store(work)
    if as_json:
        print_json(found)
        return
    if not found:
        notes.print(f"no webhooks yet; add one with `reelgate webhook add {tenant} <url>`")
        return
    columns = ["ID", "MODE", "STATE", "FAILURES", "LAST DELIVERED", "EVENTS", "URL", "DESCRIPTION"]
    print_table(columns, [webhook_row(webhook) for webhook in found])


@commands.command()
def show(
    tenant: OfTenant,
    webhook_id: WebhookId,
    secrets: Annotated[
        bool, typer.Option("--secrets", help="Show the signing secret; the audit log tells of it.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show an endpoint."""

    async def work(webhooks: ManageWebhooks, whose: Caller) -> Json:
        shown = shown_webhook(await webhooks.get(webhook_id, whose, OPERATOR), webhooks)
        if secrets:
            shown["secret"] = await webhooks.show_secret(webhook_id, whose, OPERATOR)
        return shown

    print_webhook(_on_webhook(tenant, webhook_id, work), as_json)


@commands.command()
def update(  # noqa: PLR0913, PLR0917 - each is an option
    tenant: OfTenant,
    webhook_id: WebhookId,
    url: Annotated[str | None, typer.Option(help="Where messages go from now on.")] = None,
    event: Events = None,
    description: Annotated[str | None, typer.Option(help="Words for people.")] = None,
    disable: Annotated[
        bool | None, typer.Option("--disable/--enable", help="Send nothing more, or do again.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Change an endpoint; what is not named stays as it is."""
    given = {"url": url, "events": event, "description": description, "disabled": disable}
    wanted = {name: value for name, value in given.items() if value is not None}
    if not wanted:
        raise CommandFailed(
            "nothing to change: give --url, --event, --description, --disable or --enable"
        )
    with refusals_named():
        change = WebhookChange.read(wanted)

    async def work(webhooks: ManageWebhooks, whose: Caller) -> Json:
        return shown_webhook(await webhooks.change(webhook_id, change, whose, OPERATOR), webhooks)

    print_webhook(_on_webhook(tenant, webhook_id, work), as_json)


@commands.command()
def remove(tenant: OfTenant, webhook_id: WebhookId, as_json: AsJson = False) -> None:
    """Remove an endpoint, with its log and what was still to be sent to it."""

    async def work(webhooks: ManageWebhooks, whose: Caller) -> None:
        await webhooks.delete(webhook_id, whose, OPERATOR)

    _on_webhook(tenant, webhook_id, work)
    if as_json:
        print_json({"id": webhook_id, "deleted": True})
    else:
        notes.print(f"webhook {webhook_id} of {tenant} is removed")


@commands.command()
def rotate(
    tenant: OfTenant,
    webhook_id: WebhookId,
    grace_s: GraceSeconds = 86_400,
    as_json: AsJson = False,
) -> None:
    """Give an endpoint a new signing secret; the old one signs along for the time of grace."""
    with refusals_named():
        rotation = Rotation.read({"grace_s": grace_s})

    async def work(webhooks: ManageWebhooks, whose: Caller) -> Json:
        webhook, secret = await webhooks.rotate(webhook_id, rotation, whose, OPERATOR)
        return {**shown_webhook(webhook, webhooks), "secret": secret}

    print_secret(_on_webhook(tenant, webhook_id, work), as_json)


@commands.command("test")
def send_test(
    tenant: OfTenant,
    webhook_id: WebhookId,
    event: Annotated[
        str | None, typer.Option(help=f"What it looks like: {', '.join(LOGGED_EVENTS)}.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Send an endpoint a test, and wait up to five seconds for what comes of it."""
    with refusals_named():
        wish = WebhookTest.read({"event": event})

    async def work(webhooks: ManageWebhooks, whose: Caller) -> Json:
        return (await webhooks.test(webhook_id, wish, whose, OPERATOR)).public()

    found = _on_webhook(tenant, webhook_id, work)
    if as_json:
        print_json(found)
    else:
        print(f"{found['id']}  {found['status']}  {last_attempt(found)}")
    if not found["attempts"]:
        notes.print("nothing has tried to deliver it yet: is `reelgate serve` running?")


@commands.command()
def redeliver(  # noqa: PLR0913, PLR0917 - each is an option
    tenant: OfTenant,
    webhook_id: WebhookId,
    message: Annotated[str | None, typer.Option("--id", help="One message: msg_…")] = None,
    since: Annotated[
        str | None, typer.Option(help="All made since then: 2026-12-01T00:00:00Z, or seconds.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="And until then.")] = None,
    status: Annotated[
        str | None,
        typer.Option(help="Only failed, skipped or delivered ones, or all; else undelivered."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Let one message, or those of a time, be delivered again."""
    instants = {"since": _instant(since), "until": _instant(until)}
    with refusals_named():
        wish = Redelivery.read({"id": message, **instants, "status": status})

    async def work(webhooks: ManageWebhooks, whose: Caller) -> int:
        return await webhooks.redeliver(webhook_id, wish, whose, OPERATOR)

    count = _on_webhook(tenant, webhook_id, work)
    if as_json:
        print_json({"redelivered": count})
    else:
        notes.print(f"{count} message{'' if count == 1 else 's'} will be delivered again")


@commands.command()
def deliveries(  # noqa: PLR0913, PLR0917 - each is an option
    tenant: OfTenant,
    webhook_id: WebhookId,
    status: Annotated[
        str, typer.Option(help="Only pending, delivered, failed or skipped ones.")
    ] = "",
    event: Annotated[str, typer.Option(help="Only of this event.")] = "",
    task: Annotated[str, typer.Option(help="Only about this task.")] = "",
    page: Annotated[int, typer.Option(help="Which page, from 1.")] = 1,
    page_size: Annotated[int, typer.Option(help="Messages of a page, up to 100.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List what an endpoint was told, newest first; with --json every attempt."""
    query = DeliveryQuery.read(
        [
            *(("status", status), ("event", event), ("task_id", task)),
            *(("page", str(page)), ("page_size", str(page_size))),
        ]
    )

    async def work(webhooks: ManageWebhooks, whose: Caller) -> Json:
        found, total = await webhooks.log(webhook_id, query, whose, OPERATOR)
        shown = {"total": total, "page": query.page, "page_size": query.page_size}
        return {"data": [each.public() for each in found], **shown}

    found = _on_webhook(tenant, webhook_id, work)
    if as_json:
        print_json(found)
        return
    if not found["data"]:
        notes.print("no such messages" if found["total"] else "no messages")
        return
    columns = ["CREATED", "STATUS", "EVENT", "TRIES", "LAST ATTEMPT", "NEXT", "ID"]
    print_table(columns, [delivery_row(each) for each in found["data"]])


def _on_webhook(
    tenant: str, webhook_id: str, work: Callable[[ManageWebhooks, Caller], Awaitable[Result]]
) -> Result:
    """Run `work` for the mode of an endpoint; what it meets with is told in words of commands."""

    async def run(store: Store) -> Result:
        mode = await store.webhooks.mode_of(tenant, webhook_id)
        with _in_words(tenant, webhook_id[:64]):
            return await work(store.manage_webhooks, _caller(tenant, mode or "live"))

    return on_store(run)


@contextmanager
def _in_words(tenant: str, webhook_id: str = "") -> Iterator[None]:
    try:
        yield
    except WebhookNotFound as failure:
        raise CommandFailed(
            f"tenant {tenant} has no webhook {webhook_id}; see `reelgate webhook list {tenant}`"
        ) from failure
    except WebhookDisabled as failure:
        raise CommandFailed(
            f"webhook {webhook_id} is disabled; enable it with"
            f" `reelgate webhook update {tenant} {webhook_id} --enable`"
        ) from failure
    except DeliveryNotFound as failure:
        raise CommandFailed(
            f"webhook {webhook_id} has no such message, or not any more; see"
            f" `reelgate webhook deliveries {tenant} {webhook_id}`"
        ) from failure
    except TooManyWebhooks as failure:
        raise CommandFailed(failure.message) from failure


def _caller(tenant: str, mode: Mode) -> Caller:
    return Caller(tenant_id=tenant, key_id="", mode=mode)


def _read_secret(path: Path) -> str:
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as failure:
        raise CommandFailed(f"--secret-file: {path} cannot be read ({failure!s})") from failure
    return text.strip()


def _instant(text: str | None) -> str | int | None:
    """Return what is written as a number as one."""
    is_number = text is not None and text.isascii() and text.isdigit() and len(text) <= 19  # noqa: PLR2004
    return int(text) if text is not None and is_number else text
