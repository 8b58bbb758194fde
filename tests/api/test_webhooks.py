"""Endpoints of webhooks: made, read, changed, given another secret, deleted."""

from __future__ import annotations

import base64
import re

import pytest

from tests.api.asking import bearer
from tests.api.subscribing import (
    SECRET,
    UNKNOWN_WEBHOOK,
    URL,
    WEBHOOKS,
    Json,
    Subscriber,
    subscriber,
    without_secret,
)
from tests.conftest import OpenBed
from tests.support.answers import error_of
from tests.support.bed import Bed
from tests.support.contents import everything

EVENTS = ["task.processing", "task.completed", "task.failed"]
DAY_S = 86_400


@pytest.fixture
async def acme(bed: Bed) -> Subscriber:
    """A service of acme."""
    return await subscriber(bed)


def bytes_of(secret: str) -> bytes:
    """Return what a signing secret stands for."""
    return base64.b64decode(secret.removeprefix("whsec_"), validate=True)


async def test_an_endpoint_needs_an_address_and_nothing_else(acme: Subscriber) -> None:
    """It is told everything, and signed for with 32 bytes of its own."""
    made = await acme.webhook()

    secret = made.pop("secret")
    now_s = acme.bed.clock.now_ms() // 1000
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", secret)
    assert len(bytes_of(secret)) == 32
    assert re.fullmatch(r"we_[0-9a-z]{16}", made.pop("id"))
    assert made == {
        "object": "webhook",
        "url": URL,
        "events": EVENTS,
        "description": "",
        "disabled": False,
        "disabled_reason": None,
        "disabled_at": None,
        "created": now_s,
        "failing_since": None,
        "failures": 0,
        "last_delivered_at": None,
        "previous_secret_until": None,
    }


async def test_no_two_endpoints_have_an_id_or_a_secret_in_common(acme: Subscriber) -> None:
    """Whoever learns one knows nothing of another, not even for the same address."""
    made = [await acme.webhook() for _ in range(5)]

    assert len({each["id"] for each in made}) == len({each["secret"] for each in made}) == 5


async def test_every_wish_is_granted(acme: Subscriber) -> None:
    """Events stand once each, in the order of a task's life."""
    made = await acme.webhook(
        "https://example.com/a?token=1,2",
        events=["task.failed", "task.completed", "task.failed"],
        description="Größe 2, nightly",
        disabled=True,
        secret=SECRET,
    )

    now_s = acme.bed.clock.now_ms() // 1000
    assert made["url"] == "https://example.com/a?token=1,2"
    assert made["events"] == ["task.completed", "task.failed"]
    assert made["description"] == "Größe 2, nightly"
    assert (made["disabled"], made["disabled_reason"]) == (True, "requested")
    assert made["disabled_at"] == now_s
    assert made["secret"] == SECRET


async def test_null_is_a_default(acme: Subscriber) -> None:
    """As if the name were not there."""
    made = await acme.webhook(events=None, description=None, disabled=None, secret=None)

    assert (made["events"], made["description"], made["disabled"]) == (EVENTS, "", False)
    assert made["secret"] != SECRET


async def test_scheme_and_host_are_shown_as_they_are_called(acme: Subscriber) -> None:
    """In lower case; path and query stay as they are."""
    made = await acme.webhook("HTTPS://Example.COM/Hook?A=%2F")

    assert made["url"] == "https://example.com/Hook?A=%2F"


async def test_endpoints_are_listed_oldest_first(acme: Subscriber) -> None:
    """As each is shown when it is read, and without secrets."""
    nothing = await acme.listed()
    made = []
    for _ in range(3):
        made.append(await acme.webhook())
        acme.bed.clock.advance_ms(1000)

    found = await acme.listed()

    read = [await acme.done("GET", f"/{each['id']}") for each in made]
    assert nothing == []
    assert found == read == [without_secret(each) for each in made]


async def test_a_change_leaves_alone_what_it_does_not_name(acme: Subscriber) -> None:
    """One name at a time, and each as it is read afterwards."""
    made = await acme.webhook(description="first")
    shown = without_secret(made)

    for change in (
        {"url": "https://example.com/other"},
        {"events": ["task.failed"]},
        {"description": ""},
        {"description": "second", "events": EVENTS},
    ):
        shown |= change
        assert await acme.change(made["id"], **change) == shown
        assert await acme.done("GET", f"/{made['id']}") == shown


async def test_an_endpoint_is_disabled_and_enabled(acme: Subscriber) -> None:
    """By whom and since when is told while it lasts, and repeating changes nothing."""
    made = without_secret(await acme.webhook())
    then_s = acme.bed.clock.now_ms() // 1000
    off = {"disabled": True, "disabled_reason": "requested", "disabled_at": then_s}

    disabled = await acme.change(made["id"], disabled=True)
    acme.bed.clock.advance_ms(5000)
    again = await acme.change(made["id"], disabled=True)
    enabled = await acme.change(made["id"], disabled=False)

    assert disabled == again == made | off
    assert enabled == await acme.change(made["id"], disabled=False) == made


async def test_a_deleted_endpoint_is_gone(acme: Subscriber) -> None:
    """From every answer, for good; the others stay."""
    gone, stays = await acme.webhook(), await acme.webhook()

    deleted = await acme.done("DELETE", f"/{gone['id']}")

    assert deleted == {"id": gone["id"], "deleted": True}
    assert await acme.listed() == [without_secret(stays)]
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/rotate"), ("GET", "/deliveries")):
        refused = await acme.refused(method, f"/{gone['id']}{path}")
        assert (refused["code"], refused["reason"]) == (404, "webhook_not_found")


async def test_a_secret_is_replaced_with_an_overlap(acme: Subscriber) -> None:
    """A day unless something else is said; until when is told while it lasts."""
    made = await acme.webhook()
    now_s = acme.bed.clock.now_ms() // 1000

    plain = await acme.done("POST", f"/{made['id']}/rotate")
    hour = await acme.done("POST", f"/{made['id']}/rotate", json={"grace_s": 3600})

    shown = without_secret(made)
    assert without_secret(plain) == shown | {"previous_secret_until": now_s + DAY_S}
    assert without_secret(hour) == shown | {"previous_secret_until": now_s + 3600}
    assert len({made["secret"], plain["secret"], hour["secret"]}) == 3
    assert await acme.done("GET", f"/{made['id']}") == without_secret(hour)
    acme.bed.clock.advance_ms(3_600_000)
    assert await acme.done("GET", f"/{made['id']}") == shown


async def test_a_secret_is_replaced_at_once(acme: Subscriber) -> None:
    """With a grace of nought the old one signs nothing more."""
    made = await acme.webhook()

    rotated = await acme.done("POST", f"/{made['id']}/rotate", json={"grace_s": 0})

    assert without_secret(rotated) == without_secret(made)
    assert rotated["secret"] != made["secret"]


async def test_secrets_are_told_once_and_kept_by_no_cache(
    acme: Subscriber, capfd: pytest.CaptureFixture[str]
) -> None:
    """When they are made; whatever is asked afterwards has none, and neither has the log."""
    added = await acme.ask("POST", json={"url": URL, "secret": SECRET})
    webhook_id = added.json()["id"]
    rotated = await acme.ask("POST", f"/{webhook_id}/rotate", json={})
    secrets = (added.json()["secret"], rotated.json()["secret"])

    later = [
        await acme.ask("GET"),
        await acme.ask("GET", f"/{webhook_id}"),
        await acme.ask("PATCH", f"/{webhook_id}", json={"description": "x"}),
        await acme.ask("POST", f"/{webhook_id}/redeliver", json={"since": 0}),
        await acme.ask("GET", f"/{webhook_id}/deliveries"),
        await acme.ask("POST", json={"url": URL, "secret": SECRET, "events": []}),
        await acme.ask("DELETE", f"/{webhook_id}"),
    ]

    assert [each.headers["cache-control"] for each in (added, rotated)] == ["no-store"] * 2
    for answer in later:
        told = answer.text + repr(answer.headers)
        assert "whsec_" not in told.replace("it must be whsec_ and", "")
        assert not any(secret.removeprefix("whsec_") in told for secret in secrets)
    logged = "".join(capfd.readouterr())
    assert "access.answered" in logged
    assert not any(secret.removeprefix("whsec_") in logged for secret in secrets)


@pytest.mark.parametrize("most", [1, 3])
async def test_there_are_as_many_endpoints_as_the_operator_allows(
    open_gateway_bed: OpenBed, most: int
) -> None:
    """Disabled ones count; each tenant and mode has its own, and one that is deleted makes room."""
    async with open_gateway_bed(webhook={"max_endpoints": most}) as bed:
        acme = await subscriber(bed)
        made = [await acme.webhook(disabled=True) for _ in range(most)]
        refused = await acme.refused("POST", json={"url": URL})
        others = [
            await (await subscriber(bed, "acme", mode="test")).webhook(),
            await (await subscriber(bed, "globex")).webhook(),
        ]
        await acme.done("DELETE", f"/{made[0]['id']}")
        last = await acme.webhook()

        assert (refused["code"], refused["reason"]) == (409, "too_many_webhooks")
        assert str(most) in refused["message"]
        assert len(others) == 2
        left = {each["id"] for each in (*made[1:], last)}
        assert {each["id"] for each in await acme.listed()} == left


async def test_calls_count_as_reads(bed: Bed) -> None:
    """All of them, whatever they do, against `reads_per_second`; the answer says what is left."""
    key = await bed.key("acme", reads_per_second=3)
    acme = Subscriber(bed, key)

    made = await acme.ask("POST", json={"url": URL})
    path = f"/{made.json()['id']}"
    changed = await acme.ask("PATCH", path, json={"disabled": True})
    read = await acme.ask("GET", path)
    late = await acme.refused("GET")

    assert [each.headers["ratelimit"] for each in (made, changed, read)] == [
        f'"reads";r={left};t=1' for left in (2, 1, 0)
    ]
    assert (late["code"], late["reason"]) == (429, "rate_limited")


async def test_a_refused_call_changes_nothing(acme: Subscriber) -> None:
    """Not a byte in the store."""
    await acme.webhook()
    await acme.refused("GET", f"/{UNKNOWN_WEBHOOK}")
    before = await everything(acme.bed.gateway.store.redis)

    await acme.refused("POST", json={"url": "http://127.0.0.1/"})
    await acme.refused("PATCH", f"/{UNKNOWN_WEBHOOK}", json={"disabled": True})
    await acme.refused("DELETE", f"/{UNKNOWN_WEBHOOK}")
    await acme.refused("POST", f"/{UNKNOWN_WEBHOOK}/rotate")
    await acme.refused("POST", f"/{UNKNOWN_WEBHOOK}/redeliver", json={"since": 0})
    await acme.refused("POST", f"/{UNKNOWN_WEBHOOK}/test")

    assert await everything(acme.bed.gateway.store.redis) == before


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_key_is_needed(bed: Bed, method: str) -> None:
    """And one that has ended is none, also on the process that has just served it."""
    acme = await subscriber(bed)
    await acme.webhook()
    for key in await bed.gateway.store.keys.of_tenant("acme"):
        await bed.revoke("acme", key.id)
    wish: Json = {"json": {"url": URL}} if method == "POST" else {}

    missing = await bed.http.request(method, WEBHOOKS, **wish)
    ended = await acme.refused(method, **wish)

    assert error_of(missing)["reason"] == ended["reason"] == "invalid_key"


async def test_a_disabled_tenant_does_nothing_to_its_endpoints(acme: Subscriber) -> None:
    """Until it is enabled; they are as they were then."""
    made = await acme.webhook()
    await acme.bed.switch("acme", disabled=True)

    refused = [
        await acme.refused("GET"),
        await acme.refused("POST", json={"url": URL}),
        await acme.refused("DELETE", f"/{made['id']}"),
    ]

    assert {each["reason"] for each in refused} == {"tenant_disabled"}
    await acme.bed.switch("acme", disabled=False)
    acme.bed.clock.advance_ms(2000)
    assert await acme.listed() == [without_secret(made)]


async def test_a_browser_token_has_nothing_to_do_with_endpoints(acme: Subscriber) -> None:
    """Whatever its scopes: their messages are for servers."""
    made = await acme.webhook()
    minted = await acme.bed.http.post("/v1/tokens", json={}, headers=[bearer(acme.key)])
    page = Subscriber(acme.bed, minted.json()["token"])

    refused = [
        await page.refused("GET"),
        await page.refused("POST", json={"url": URL}),
        await page.refused("GET", f"/{made['id']}"),
        await page.refused("PATCH", f"/{made['id']}", json={"disabled": True}),
        await page.refused("DELETE", f"/{made['id']}"),
        await page.refused("POST", f"/{made['id']}/rotate"),
        await page.refused("POST", f"/{made['id']}/test"),
        await page.refused("POST", f"/{made['id']}/redeliver", json={"since": 0}),
        await page.refused("GET", f"/{made['id']}/deliveries"),
    ]

    assert {(each["code"], each["reason"]) for each in refused} == {(403, "token_scope")}
    assert await acme.listed() == [without_secret(made)]
