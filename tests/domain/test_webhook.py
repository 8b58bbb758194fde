"""Webhook endpoints: what a tenant may write, and what is kept and shown of it."""

from __future__ import annotations

import base64
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.ids import mint_webhook_secret
from app.domain.tenant import Refused
from app.domain.webhook import (
    EVENTS,
    NEW_SECRET_BYTES,
    Webhook,
    WebhookChange,
    WebhookWish,
    mint_webhook_id,
    signing_key,
)

NOW_MS = 1_790_000_000_123
URL = "https://example.com/hook?a=%20b"


def made(**wish: Any) -> Webhook:
    """Return a new endpoint."""
    return Webhook.made(
        WebhookWish.read({"url": URL, **wish}),
        "we_0123456789abcdef",
        tenant_id="acme",
        mode="live",
        now_ms=NOW_MS,
    )


def test_a_wish_is_for_every_event_unless_it_says_which() -> None:
    """Null means the default like everywhere; each event counts once, in the order of a life."""
    assert WebhookWish.read({"url": URL, "events": None}).events == list(EVENTS)
    given_twice = ["task.failed", "task.processing", "task.failed"]
    assert WebhookWish.read({"url": URL, "events": given_twice}).events == [
        "task.processing",
        "task.failed",
    ]


@pytest.mark.parametrize(
    ("wish", "place"),
    [
        ({}, "url"),
        ({"url": ""}, "url"),
        ({"url": 5}, "url"),
        ({"url": "https://example.com/\n"}, "url"),
        ({"url": "https://example.com/ü"}, "url"),
        ({"url": "https://example.com/" + "a" * 2029}, "url"),
        ({"url": URL, "events": []}, "events"),
        ({"url": URL, "events": "task.failed"}, "events"),
        ({"url": URL, "events": ["task.pending"]}, "events[0]"),
        ({"url": URL, "events": ["webhook.test"]}, "events[0]"),
        ({"url": URL, "description": "a\nb"}, "description"),
        ({"url": URL, "description": "a" * 201}, "description"),
        ({"url": URL, "disabled": "no"}, "disabled"),
        ({"url": URL, "id": "we_0123456789abcdef"}, "id"),
        ("https://example.com/hook", "body"),
    ],
)
def test_what_breaks_a_rule_is_refused_by_its_place(wish: Any, place: str) -> None:
    """The same rules hold for a change of an endpoint."""
    with pytest.raises(Refused) as refused:
        WebhookWish.read(wish)

    assert refused.value.param == place
    if isinstance(wish, dict) and len(wish) > 1:
        with pytest.raises(Refused):
            WebhookChange.read(wish)


def test_a_change_names_what_it_changes() -> None:
    """What is not named stays, and nothing at all is no change."""
    change = WebhookChange.read({"description": "", "disabled": False})

    assert change.fields() == {"description": ""}
    assert change.switch == "on"
    assert WebhookChange.read({"events": ["task.failed"]}).switch == ""
    assert WebhookChange.read({"disabled": True}).switch == "off"
    with pytest.raises(Refused):
        WebhookChange.read({})


@given(
    events=st.lists(st.sampled_from(EVENTS), min_size=1),
    description=st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=200),
    disabled=st.booleans(),
)
def test_the_stored_form_is_read_back_as_it_was(
    events: list[str], description: str, disabled: bool
) -> None:
    """Also an endpoint that was never enabled."""
    webhook = made(events=events, description=description, disabled=disabled)

    fields = webhook.fields("whsec_x")

    assert Webhook.of_fields(fields) == webhook
    assert all("\n" not in value for value in fields.values())


def test_no_form_that_is_shown_holds_the_secret() -> None:
    """It is answered once, by whoever made it."""
    secret = mint_webhook_secret(bytes(32))

    webhook = Webhook.of_fields(made().fields(secret))

    assert secret not in repr(webhook)
    assert secret not in str(webhook.public(now_ms=NOW_MS))


def test_instants_are_shown_in_unix_seconds() -> None:
    """As everywhere in the vendor's contract; what has not happened is null."""
    shown = made(disabled=True).public(now_ms=NOW_MS)

    assert shown["created"] == shown["disabled_at"] == 1_790_000_000
    assert (shown["disabled"], shown["disabled_reason"]) == (True, "requested")
    assert shown["failing_since"] is None


def test_ids_are_of_sixteen_characters() -> None:
    """No two of many are alike."""
    draw = random.Random(7)

    found = {mint_webhook_id(draw.choice) for _ in range(1000)}

    assert len(found) == 1000
    assert {len(webhook_id) for webhook_id in found} == {19}


@given(st.binary(max_size=64))
def test_a_secret_is_of_24_bytes_or_more(key: bytes) -> None:
    """A shorter one is none, however well it is written."""
    secret = mint_webhook_secret(key)

    if len(key) < 24:
        with pytest.raises(ValueError, match="at least 24 bytes"):
            signing_key(secret)
    else:
        assert signing_key(secret) == key


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        "whsec",
        base64.b64encode(bytes(32)).decode(),
        "whsec_" + "!" * 64,
        "whsec_" + "ü" * 64,
        "WHSEC_" + base64.b64encode(bytes(32)).decode(),
    ],
)
def test_what_is_no_secret_is_none(secret: str) -> None:
    """And the message does not repeat it."""
    with pytest.raises(ValueError, match="a webhook secret is") as refused:
        signing_key(secret)

    assert secret == "" or secret not in str(refused.value) or secret in "whsec_"


def test_new_secrets_are_long_enough() -> None:
    """Standard Webhooks asks for 24 to 64 bytes."""
    assert 24 <= NEW_SECRET_BYTES <= 64
