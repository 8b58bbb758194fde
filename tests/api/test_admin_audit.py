"""The audit log: what operators did, once each, and no secret that came of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.domain.instants import rfc3339
from tests.api.operating import AUDIT, NO_TENANT_LIMITS, TENANTS, Operator
from tests.support.tenant_keys import act as act_of_the_gateway

ACME = f"{TENANTS}/acme"
KEYS = f"{ACME}/keys"


async def acts_since(operator: Operator, known: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what was recorded since, oldest first."""
    acts = await operator.acts()
    assert acts[len(acts) - len(known) :] == known
    return acts[: len(acts) - len(known)][::-1]


@pytest.mark.parametrize(
    ("method", "path", "body", "act", "detail"),
    [
        (
            *("POST", TENANTS, {"id": "hooli", "group": "vip"}, "tenant.created"),
            {
                "id": "hooli",
                "name": "hooli",
                "group": "vip",
                "disabled": False,
                "limits": NO_TENANT_LIMITS,
                "origins": [],
            },
        ),
        (
            *("PATCH", ACME, {"disabled": True, "limits": {"credits_per_day": "1.50"}}),
            *("tenant.changed", {"disabled": True, "limits": {"credits_per_day": "1.5"}}),
        ),
        (
            "PATCH",
            ACME,
            {"limits": {"models": None}},
            "tenant.changed",
            {"limits": {"models": None}},
        ),
        ("PATCH", ACME, {"name": "Größe"}, "tenant.changed", {"name": "Größe"}),
        ("GET", f"{ACME}?secrets=true", None, "tenant.secrets_shown", {}),
        (
            "POST",
            f"{ACME}/webhook-secret/rotate",
            None,
            "webhook_secret.rotated",
            {"grace_s": 86400},
        ),
        (
            *("POST", f"{ACME}/webhook-secret/rotate", {"grace_s": 5}, "webhook_secret.rotated"),
            {"grace_s": 5},
        ),
        ("POST", KEYS, None, "key.issued", None),
        (
            *("POST", KEYS, {"name": "n", "limits": {"credits_per_day": "2"}}, "key.issued"),
            {"name": "n", "limits": {"credits_per_day": "2"}},
        ),
        (
            *("POST", KEYS, {"expires_at": "2099-12-01T01:00:00+01:00"}, "key.issued"),
            {"expires_at": "2099-12-01T00:00:00Z"},
        ),
        ("DELETE", f"{KEYS}/{{key}}", None, "key.revoked", {}),
        ("DELETE", ACME, None, "tenant.deleted", {"force": False}),
        ("DELETE", f"{ACME}?force=true", None, "tenant.deleted", {"force": True}),
    ],
)
async def test_an_act_leaves_one_entry(
    operator: Operator,
    method: str,
    path: str,
    body: dict[str, Any] | None,
    act: str,
    detail: dict[str, Any] | None,
) -> None:
    """Who did what to which tenant, when, and in which request; with what was asked for."""
    await operator.tenant()
    key = await operator.key()
    known = await operator.acts()
    operator.bed.clock.advance_ms(5_000)
    written = {} if body is None else {"json": body}

    answer = await operator.ask(method, path.replace("{key}", key["id"]), **written)

    (entry,) = await acts_since(operator, known)
    issued = answer.json()["id"] if act == "key.issued" else key["id"]
    expected = {
        "id": entry["id"],
        "at": rfc3339(operator.bed.clock.now_ms()),
        "at_ms": operator.bed.clock.now_ms(),
        "actor": "admin",
        "act": act,
        "tenant": "hooli" if path == TENANTS else "acme",
        "detail": entry["detail"] if detail is None else detail,
        "request_id": answer.headers["x-request-id"],
    }
    assert answer.status_code == 200
    assert entry == expected | ({"key": issued} if act.startswith("key.") else {})


@pytest.mark.parametrize("grace_s", [0, 60])
async def test_a_rotation_tells_of_both_keys(operator: Operator, grace_s: int) -> None:
    """The successor that was made, and the end of the one before; in one request."""
    await operator.tenant()
    key = await operator.key()
    known = await operator.acts()

    answer = await operator.ask("POST", f"{KEYS}/{key['id']}/rotate", json={"grace_s": grace_s})

    made, ended = await acts_since(operator, known)
    until = {"expires_at": rfc3339(operator.bed.clock.now_ms() + 60_000)}
    assert (made["act"], made["key"]) == ("key.rotated", answer.json()["id"])
    assert made["detail"] == {"from": key["id"], "grace_s": grace_s}
    assert (ended["act"], ended["key"]) == (
        "key.expiry_set" if grace_s else "key.revoked",
        key["id"],
    )
    assert ended["detail"] == (until if grace_s else {})
    assert {act["request_id"] for act in (made, ended)} == {answer.headers["x-request-id"]}


async def test_the_callers_own_request_id_is_kept(operator: Operator) -> None:
    """An entry can be found by the id that the operator's own program knows."""
    await operator.ask(
        "POST", TENANTS, json={"id": "acme"}, headers=[("x-request-id", "roll-out-7")]
    )

    (entry,) = await operator.acts()

    assert entry["request_id"] == "roll-out-7"


async def test_what_failed_or_only_looked_leaves_no_entry(operator: Operator) -> None:
    """Refusals of every kind, and reads."""
    bed = operator.bed
    await operator.tenant()
    key = await operator.key()
    await bed.created(key["key"])
    await operator.done("DELETE", f"{KEYS}/{key['id']}")
    known = await operator.acts()

    refused = [
        await operator.ask("POST", TENANTS, json={"id": "acme"}),
        await operator.ask("POST", TENANTS, json={"id": "A"}),
        await operator.ask("PATCH", ACME, json={}),
        await operator.ask("PATCH", f"{TENANTS}/nobody", json={"disabled": True}),
        await operator.ask("DELETE", ACME),
        await operator.ask("DELETE", f"{TENANTS}/nobody"),
        await operator.ask("GET", f"{TENANTS}/nobody?secrets=true"),
        await operator.ask("POST", f"{TENANTS}/nobody/keys"),
        await operator.ask("POST", f"{TENANTS}/nobody/webhook-secret/rotate"),
        await operator.ask("POST", KEYS, json={"mode": "both"}),
        await operator.ask("POST", f"{KEYS}/{key['id']}/rotate"),
        await operator.ask("POST", f"{KEYS}/key_1/rotate"),
        await operator.ask("DELETE", f"{KEYS}/key_1"),
        await Operator(bed, "wrong").ask("POST", TENANTS, json={"id": "other"}),
    ]
    for path in (TENANTS, ACME, KEYS, f"{ACME}/usage", AUDIT):
        await operator.done("GET", path)

    assert [answer.status_code for answer in refused if answer.status_code < 400] == []
    assert await operator.acts() == known


async def test_no_secret_stands_in_an_entry(operator: Operator) -> None:
    """Neither keys nor webhook secrets, of whatever act."""
    made = await operator.tenant()
    key = await operator.key()
    secrets = [made["webhook_secret"], key["key"], (await operator.rotate(key))["key"]]
    rotated = await operator.done("POST", f"{ACME}/webhook-secret/rotate")
    await operator.done("GET", f"{ACME}?secrets=true")

    said = str(await operator.acts())

    assert [secret for secret in (*secrets, rotated["webhook_secret"]) if secret in said] == []
    assert "whsec_" not in said
    assert "rg_live_" not in said


async def test_the_log_is_read_page_by_page(operator: Operator) -> None:
    """Newest first, over all shards; no entry is shown twice or left out, also by later acts."""
    ids = [f"tenant-{number}" for number in range(23)]
    for tenant_id in ids:
        await operator.tenant(tenant_id)

    seen, before = [], None
    while True:
        query = {"limit": 5} | ({"before": before} if before else {})
        page = await operator.done("GET", AUDIT, params=query)
        seen += page["data"]
        await operator.tenant(f"later-{len(seen)}")
        if page["next"] is None:
            break
        assert len(page["data"]) == 5
        before = page["next"]

    moments = [int(entry["id"].partition("-")[0]) for entry in seen]
    assert sorted(entry["tenant"] for entry in seen) == sorted(ids)
    assert moments == sorted(moments, reverse=True)


@pytest.mark.parametrize("limit", [1, 2, 3, 4])
async def test_the_last_page_says_that_it_is(operator: Operator, limit: int) -> None:
    """Also where it is full to the last entry."""
    for tenant_id in ("a", "b", "c"):
        await operator.tenant(tenant_id)

    page = await operator.done("GET", AUDIT, params={"limit": limit})

    assert len(page["data"]) == min(limit, 3)
    assert (page["next"] is None) == (limit >= 3)
    if page["next"]:
        rest = await operator.done("GET", AUDIT, params={"before": page["next"]})
        assert len(rest["data"]) == 3 - limit


async def test_a_hundred_entries_are_shown_where_nothing_is_said(operator: Operator) -> None:
    """And up to a thousand where they are asked for."""
    audit, now_ms = operator.bed.gateway.store.audit, operator.bed.clock.now_ms()
    for number in range(130):
        await audit.record(act_of_the_gateway(f"tenant-{number % 20}", at_ms=now_ms))

    first = await operator.done("GET", AUDIT)
    everything = await operator.done("GET", AUDIT, params={"limit": 1000})

    assert (len(first["data"]), len(everything["data"])) == (100, 130)
    assert everything["data"][:100] == first["data"]
    assert {entry["actor"] for entry in first["data"]} == {"gateway"}
    assert "request_id" not in first["data"][0]


async def test_the_acts_on_one_tenant_can_be_picked_out(operator: Operator) -> None:
    """Also beside a neighbour in the same shard, page by page, and after its deletion."""
    for tenant_id in ("acme", "hooli"):
        await operator.tenant(tenant_id)
    for _ in range(3):
        await operator.key("acme")
        await operator.key("hooli")
    await operator.done("DELETE", ACME)

    first = await operator.done("GET", AUDIT, params={"tenant": "acme", "limit": 3})
    rest = await operator.done(
        "GET", AUDIT, params={"tenant": "acme", "limit": 3, "before": first["next"]}
    )

    acts = [(entry["tenant"], entry["act"]) for entry in first["data"] + rest["data"]]
    assert acts == [
        ("acme", "tenant.deleted"),
        *([("acme", "key.issued")] * 3),
        ("acme", "tenant.created"),
    ]
    assert rest["next"] is None
    assert await operator.acts(tenant="nobody") == []


@pytest.mark.parametrize("before", ["0-0-0", "0-0-15", "1-0-3", "999999999999999-0-0"])
async def test_any_place_in_time_can_be_asked_for(operator: Operator, before: str) -> None:
    """Before the first entry there is nothing, before a far one everything."""
    await operator.tenant()

    page = await operator.done("GET", AUDIT, params={"before": before})

    assert len(page["data"]) == (1 if before.startswith("9") else 0)
    assert page["next"] is None


async def test_acts_at_once_are_all_recorded(operator: Operator) -> None:
    """Each with its own request."""
    await operator.tenant()

    answers = await asyncio.gather(*(operator.ask("POST", KEYS) for _ in range(20)))

    entries = [entry for entry in await operator.acts() if entry["act"] == "key.issued"]
    assert {(e["key"], e["request_id"]) for e in entries} == {
        (answer.json()["id"], answer.headers["x-request-id"]) for answer in answers
    }
