"""What tenants write about webhooks is held to its rules: the place is named, and the rule."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.subscribing import REACHABLE, SECRET, UNKNOWN_WEBHOOK, URL, Json, subscriber
from tests.conftest import OpenBed
from tests.support.bed import Bed
from tests.support.contents import everything

CLOSED_LIST = "'task.processing', 'task.completed' or 'task.failed'"
SIGNING = "24 to 64 bytes"

BAD_FIELDS: list[tuple[str, Any, str]] = [
    *(("url", bad, "string") for bad in (5, True, [], {}, 1.5)),
    *(("url", bad, "visible ASCII") for bad in ("", "a b", "https://bücher.example/", "x\n")),
    ("url", "https://example.com/" + "a" * 2029, "2048"),
    ("url", "example.com/hook", "absolute https URL"),
    ("url", "ftp://example.com/", "https"),
    ("url", "http://example.com/", "http is allowed only where the operator says so"),
    ("url", "https://example.com:8443/", "443"),
    ("url", "https://user:word@example.com/", "user name"),
    ("url", "https://example.com/#top", "fragment"),
    ("url", "https://127.0.0.1/", "must not be called"),
    ("url", "https://169.254.169.254/latest/meta-data", "must not be called"),
    ("url", "https://[::1]/", "must not be called"),
    ("url", "https://[::ffff:10.0.0.1]/", "must not be called"),
    ("url", "https://2130706433/", "neither a name nor an address"),
    ("url", "https://localhost/", "public internet"),
    ("url", "https://hooks.internal/", "public internet"),
    ("events", [], "task.processing, task.completed, task.failed"),
    *(("events", bad, "list") for bad in ("task.completed", 5, {})),
    *(
        ("events[0]", [bad], CLOSED_LIST)
        for bad in ("task.pending", "webhook.test", "Task.failed", "*", "", 5, [])
    ),
    ("events[1]", ["task.failed", "task.cancelled"], CLOSED_LIST),
    ("events[1]", ["task.failed", None], CLOSED_LIST),
    *(("description", bad, "string") for bad in (5, True, [])),
    *(("description", bad, "200 characters") for bad in ("x" * 201, "a\nb", "\x00", "\x7f")),
    *(("disabled", bad, "boolean") for bad in ("true", 1, 0, [])),
    ("Url", URL, "known are"),
    ("id", UNKNOWN_WEBHOOK, "known are"),
    ("disabled_reason", "gone", "known are"),
]
"""Wherever an endpoint is written: place, value, and a word of the rule."""

BAD_WISHES: list[tuple[str, Any, str]] = [
    ("url", None, "required"),
    *(("secret", bad, "string") for bad in (5, True, [])),
    *(
        ("secret", bad, SIGNING)
        for bad in (
            "",
            "whsec_",
            "secret",
            SECRET.removeprefix("whsec_"),
            "whsec_" + "A" * 28,
            "whsec_" + "A" * 88 + "AA==",
            "whsec_" + "A" * 31 + "!",
            "whsec_" + "A" * 31 + "_",
            "whsec_" + "A" * 33,
            "WHSEC_" + "A" * 32,
            "whsec_" + "A" * 32 + "\n",
            "whsec_" + "é" * 32,
        )
    ),
]
BAD_CHANGES: list[tuple[str, Any, str]] = [
    *((name, None, "not be null") for name in ("url", "events", "description", "disabled")),
    ("secret", SECRET, "known are"),
]
BAD_GRACES: list[tuple[str, Any, str]] = [
    *(("grace_s", bad, "integer") for bad in ("60", 1.5, True, [])),
    ("grace_s", -1, "greater than or equal to 0"),
    ("grace_s", 604_801, "less than or equal to 604800"),
    ("grace", 60, "known are grace_s"),
    ("secret", SECRET, "known are grace_s"),
]
BAD_TESTS: list[tuple[str, Any, str]] = [
    *(("event", bad, "'webhook.test'") for bad in ("task.pending", "", 5, [], True)),
    ("data", {}, "known are event"),
]
BAD_REDELIVERIES: list[tuple[Json, str, str]] = [
    ({}, "id", "`since`"),
    ({"id": None, "since": None}, "id", "`since`"),
    ({"until": 5}, "id", "`since`"),
    ({"status": "failed"}, "id", "`since`"),
    ({"id": 5}, "id", "string"),
    ({"id": "msg_1", "since": 5}, "id", "alone"),
    ({"id": "msg_1", "status": "all"}, "id", "alone"),
    *(({"since": bad}, "since", "unix seconds") for bad in ("", "soon", -1, 1.5, True, [], 10**13)),
    ({"since": "2026-01-09"}, "since", "time zone"),
    ({"since": "2026-01-09T00:00:00"}, "since", "time zone"),
    ({"since": "2026-02-30T00:00:00Z"}, "since", "unix seconds"),
    ({"since": 5, "until": "later"}, "until", "unix seconds"),
    ({"since": 5, "until": 4}, "until", "not lie before"),
    *(({"since": 5, "status": bad}, "status", "skipped") for bad in ("pending", "Failed", 5, [])),
    ({"since": 5, "limit": 10}, "limit", "known are id, since, status, until"),
]

BAD_QUERIES: list[tuple[str, str, str]] = [
    ("status=open", "status", "pending, delivered, failed, skipped"),
    ("status=Failed", "status", "pending, delivered, failed, skipped"),
    ("event=task.pending", "event", "task.processing, task.completed, task.failed"),
    ("event=failed", "event", "webhook.test"),
    ("task_id=job-1", "task_id", "task-unified-"),
    ("task_id=task-unified-1767917446-x", "task_id", "the id of a task"),
    *((f"page={bad}", "page", "1 to 1000000") for bad in ("0", "-1", "x", "1.5", "1000001")),
    *((f"page_size={bad}", "page_size", "1 to 100") for bad in ("0", "101", "many")),
    ("page=1&page=2", "page", "more than once"),
    ("status=failed&status=failed", "status", "more than once"),
]
BAD_BODIES = [
    ("application/json", b"[]", "malformed_json"),
    ("application/json", b'"url"', "malformed_json"),
    ("application/json", b'{"url": "x"', "malformed_json"),
    ("application/json", b'{"url": "x", "url": "y"}', "malformed_json"),
    ("text/plain", b"{}", "unsupported_media_type"),
    ("application/json", b"{}" + b" " * 17_000_000, "request_too_large"),
]


def whole(name: str, value: Any) -> Json:
    """Return a body whose one bad member is `name`, which may be an item: `events[1]`."""
    return {name.partition("[")[0]: value}


# A gateway for each row would take half a minute: each table has one.


async def test_an_endpoint_that_breaks_a_rule_is_not_made(bed: Bed) -> None:
    """400 with the place and the rule; nothing is written, and a secret is not repeated."""
    acme = await subscriber(bed)

    for name, bad, rule in BAD_FIELDS + BAD_WISHES:
        refused = await acme.refused("POST", json={"url": URL} | whole(name, bad))

        assert (refused["code"], refused["reason"]) == (400, "invalid_request"), (name, bad)
        assert refused["param"] == name, (name, bad)
        assert rule in refused["message"], (name, bad)
        if name == "secret" and isinstance(bad, str) and len(bad) > 10:
            assert bad not in refused["message"]
    assert await acme.listed() == []


async def test_a_change_that_breaks_a_rule_changes_nothing(bed: Bed) -> None:
    """Not even what else it names."""
    acme = await subscriber(bed)
    made = await acme.webhook()
    before = await everything(bed.gateway.store.redis)

    for name, bad, rule in BAD_FIELDS + BAD_CHANGES:
        wish = {"description": "new"} | whole(name, bad)
        refused = await acme.refused("PATCH", f"/{made['id']}", json=wish)

        assert (refused["code"], refused["param"]) == (400, name), (name, bad)
        assert rule in refused["message"], (name, bad)
    assert await everything(bed.gateway.store.redis) == before


@pytest.mark.parametrize(("path", "rows"), [("rotate", BAD_GRACES), ("test", BAD_TESTS)])
async def test_an_act_that_breaks_a_rule_is_not_done(
    bed: Bed, path: str, rows: list[tuple[str, Any, str]]
) -> None:
    """No secret is replaced, and no message is made."""
    acme = await subscriber(bed)
    made = await acme.webhook()
    before = await everything(bed.gateway.store.redis)

    for name, bad, rule in rows:
        refused = await acme.refused("POST", f"/{made['id']}/{path}", json={name: bad})

        assert (refused["code"], refused["param"]) == (400, name), (name, bad)
        assert rule in refused["message"], (name, bad)
    assert await everything(bed.gateway.store.redis) == before


async def test_a_redelivery_is_of_one_or_of_a_time(bed: Bed) -> None:
    """What is neither, or both, is refused."""
    acme = await subscriber(bed)
    made = await acme.webhook()

    for wish, param, rule in BAD_REDELIVERIES:
        refused = await acme.refused("POST", f"/{made['id']}/redeliver", json=wish)

        assert (refused["code"], refused["param"]) == (400, param), wish
        assert rule in refused["message"], wish


async def test_a_query_that_breaks_a_rule_is_refused(bed: Bed) -> None:
    """400 with the name of the parameter and what it may be."""
    acme = await subscriber(bed)
    made = await acme.webhook()

    for query, param, rule in BAD_QUERIES:
        refused = await acme.refused("GET", f"/{made['id']}/deliveries?{query}")

        assert (refused["code"], refused["param"]) == (400, param), query
        assert rule in refused["message"], query


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", ""),
        ("PATCH", f"/{UNKNOWN_WEBHOOK}"),
        ("POST", f"/{UNKNOWN_WEBHOOK}/rotate"),
        ("POST", f"/{UNKNOWN_WEBHOOK}/test"),
        ("POST", f"/{UNKNOWN_WEBHOOK}/redeliver"),
    ],
)
async def test_a_body_is_one_strict_object(bed: Bed, method: str, path: str) -> None:
    """As everywhere."""
    acme = await subscriber(bed)

    for kind, content, reason in BAD_BODIES:
        refused = await acme.refused(
            method, path, content=content, headers=[("content-type", kind)]
        )

        assert refused["reason"] == reason, content[:20]


async def test_a_change_of_nothing_is_refused(bed: Bed) -> None:
    """It says what can be changed."""
    acme = await subscriber(bed)
    made = await acme.webhook()

    refused = await acme.refused("PATCH", f"/{made['id']}", json={})

    assert (refused["code"], refused["param"]) == (400, "body")
    assert "url, events, description, disabled" in refused["message"]


async def test_a_secret_of_ones_own_is_of_24_to_64_bytes(bed: Bed) -> None:
    """Both ends are within."""
    acme = await subscriber(bed)

    for secret in ("whsec_" + "A" * 32, "whsec_" + "A" * 86 + "==", "whsec_" + "+/" * 16):
        assert (await acme.webhook(secret=secret))["secret"] == secret


async def test_the_operator_may_allow_more(open_gateway_bed: OpenBed) -> None:
    """Networks of its own on any port, and http; for new addresses and changed ones."""
    async with open_gateway_bed(**REACHABLE) as bed:
        acme = await subscriber(bed)
        other = await acme.webhook()

        for url in (
            "http://127.0.0.1:9000/hook",
            "https://127.8.8.8:8443/",
            "http://example.com/hook",
            "https://hooks.internal:8443/",
        ):
            assert (await acme.webhook(url))["url"] == url
            assert (await acme.change(other["id"], url=url))["url"] == url
