"""How webhook endpoints and what they were told are printed."""

from __future__ import annotations

from typing import Any, Final

from app.cli.console import notes, print_json
from app.domain.instants import rfc3339
from app.domain.webhook import Webhook
from app.flows.manage_webhooks import ManageWebhooks

Json = dict[str, Any]

_STATES: Final = {"requested": "off", "gone": "off: it answered 410", "failing": "off: it failed"}
_MOMENTS: Final = (
    *("created", "disabled_at", "failing_since", "last_delivered_at", "previous_secret_until"),
)


def shown_webhook(webhook: Webhook, webhooks: ManageWebhooks) -> Json:
    """Return what operators are shown of an endpoint: what its tenant is, and whose it is."""
    shown = webhook.public(now_ms=webhooks.clock.now_ms())
    return {"id": shown.pop("id"), "tenant": webhook.tenant_id, "mode": webhook.mode, **shown}


def print_secret(webhook: Json, as_json: bool) -> None:
    """Print the new secret of an endpoint, alone on standard output or with all the rest."""
    if as_json:
        print_json(webhook)
        return
    print(webhook["secret"])
    named = f"webhook {webhook['id']} of {webhook['tenant']} ({webhook['mode']})"
    notes.print(f"{named}; the line above signs its messages")
    if webhook["previous_secret_until"] is not None:
        notes.print(f"the old secret signs along until {_at(webhook['previous_secret_until'])}")


def print_webhook(webhook: Json, as_json: bool) -> None:
    """Print an endpoint, a line for each thing that is to be said of it."""
    if as_json:
        print_json(webhook)
        return
    for name, value in webhook.items():
        if name != "object" and value not in (None, ""):
            print(f"{name}: {_in_text(_at(value) if name in _MOMENTS else value)}")


def _in_text(value: Any) -> str:
    match value:
        case list():
            return " ".join(value)
        case bool():
            return "yes" if value else "no"
        case _:
            return str(value)


def webhook_row(webhook: Json) -> list[str]:
    """Return the line of an endpoint in a table."""
    return [
        webhook["id"],
        webhook["mode"],
        _STATES.get(webhook["disabled_reason"], "on"),
        str(webhook["failures"]),
        _at(webhook["last_delivered_at"]) or "never",
        " ".join(webhook["events"]),
        webhook["url"],
        webhook["description"],
    ]


def delivery_row(delivery: Json) -> list[str]:
    """Return the line of a message in a table."""
    return [
        _at(delivery["created"]),
        delivery["status"],
        delivery["event"],
        str(delivery["tries"]),
        last_attempt(delivery),
        _at(delivery["next_attempt_at"]),
        delivery["id"],
    ]


def last_attempt(delivery: Json) -> str:
    """Return what the last attempt met with: a status, or what stood in the way of one."""
    if not delivery["attempts"]:
        return "none yet"
    last: Json = delivery["attempts"][-1]
    return str(last["status_code"] or last["outcome"])


def _at(at_s: int | None) -> str:
    return "" if at_s is None else rfc3339(at_s * 1000)
