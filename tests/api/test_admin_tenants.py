"""Tenants over the admin API: created, shown, changed, switched off, deleted for good."""

from __future__ import annotations

import asyncio
import base64
import re
from typing import Any

import pytest

from app.store.keys import Shard
from tests.api.operating import NO_TENANT_LIMITS, TENANTS, Operator
from tests.support.answers import error_of
from tests.support.bed import character

LIMITS = {
    "creates_per_minute": 60,
    "reads_per_second": 20,
    "tasks_in_flight": 10,
    "credits_per_day": "12.5",
    "credits_per_month": "300",
    "models": ["sora-character", "veo3.1-fast"],
    **dict.fromkeys(("when_full", "when_vendor_down"), "reject"),
    "max_queued": 7,
    "when_in_doubt": "release",
}
PLAIN = {
    "id": "acme",
    "name": "acme",
    "group": "default",
    "disabled": False,
    "limits": NO_TENANT_LIMITS,
    "origins": [],
}
ACME = f"{TENANTS}/acme"
RECORD = Shard.of("acme").tenant("acme")


def is_webhook_secret(text: str) -> bool:
    """Return whether this is a secret of Standard Webhooks with 24 to 64 bytes."""
    prefix, _, encoded = text.partition("_")
    return prefix == "whsec" and 24 <= len(base64.b64decode(encoded, validate=True)) <= 64


async def test_a_tenant_needs_an_id_and_nothing_else(operator: Operator) -> None:
    """All the rest has a default; the webhook secret is answered along with it."""
    made = await operator.done("POST", TENANTS, json={"id": "acme"})

    secret = made.pop("webhook_secret")
    assert made == PLAIN
    assert is_webhook_secret(secret)
    assert await operator.done("GET", ACME) == PLAIN


async def test_a_tenant_is_as_it_was_wished_for(operator: Operator) -> None:
    """Every field is kept, and shown as it was written."""
    wish = {
        "id": "acme",
        "name": "Acme Größe ★",
        "group": "VIP 1",
        "disabled": True,
        "limits": LIMITS,
        "origins": ["http://localhost:3000", "https://app.example.com"],
    }

    made = await operator.done("POST", TENANTS, json=wish)

    assert {name: made[name] for name in wish} == wish
    assert await operator.done("GET", ACME) == wish


@pytest.mark.parametrize("name", ["name", "group", "disabled", "limits", "origins"])
async def test_at_creation_null_is_the_default(operator: Operator, name: str) -> None:
    """As if the field had been left out."""
    made = await operator.tenant(**{name: None})

    assert {**made, "webhook_secret": ""} == {**PLAIN, "webhook_secret": ""}


@pytest.mark.parametrize("name", sorted(NO_TENANT_LIMITS))
async def test_a_limit_that_is_null_is_none(operator: Operator, name: str) -> None:
    """Missing and null mean unlimited alike."""
    made = await operator.tenant(limits={name: None})

    assert made["limits"] == NO_TENANT_LIMITS


@pytest.mark.parametrize(
    ("written", "shown"),
    [("1.50", "1.5"), ("007", "7"), ("0", "0"), ("0.000001", "0.000001"), ("900000000", None)],
)
async def test_credits_are_shown_as_plain_decimals(
    operator: Operator, written: str, shown: str | None
) -> None:
    """Exact to the millionth, without zeros that say nothing."""
    made = await operator.tenant(limits={"credits_per_day": written})

    assert made["limits"]["credits_per_day"] == (shown or written)


async def test_nobody_gets_two_tenants_of_one_name_mixed_up(operator: Operator) -> None:
    """Secrets are drawn anew, and one tenant's change is not another's."""
    first, second = await operator.tenant("acme"), await operator.tenant("hooli")
    await operator.change("acme", group="vip")

    assert first["webhook_secret"] != second["webhook_secret"]
    assert (await operator.done("GET", f"{TENANTS}/hooli"))["group"] == "default"


async def test_an_id_is_given_once(operator: Operator) -> None:
    """The second attempt is refused and leaves the first tenant as it was."""
    await operator.tenant(limits=LIMITS)

    error = await operator.refused("POST", TENANTS, json={"id": "acme", "name": "Other"})

    assert (error["code"], error["reason"], error["param"]) == (409, "tenant_exists", "id")
    assert "acme" in error["message"]
    assert await operator.done("GET", ACME) == PLAIN | {"limits": LIMITS}


async def test_of_two_who_want_an_id_at_once_one_gets_it(operator: Operator) -> None:
    """The other is told, and the secret of the tenant is the winner's."""
    wishes = [{"id": "acme", "name": f"number {number}"} for number in range(8)]

    answers = await asyncio.gather(*(operator.ask("POST", TENANTS, json=wish) for wish in wishes))

    won = [answer.json() for answer in answers if answer.status_code == 200]
    assert len(won) == 1
    assert {error_of(each)["reason"] for each in answers if each.status_code != 200} == {
        "tenant_exists"
    }
    assert await operator.done("GET", ACME, params={"secrets": "true"}) == won[0]


async def test_tenants_are_listed_by_id(operator: Operator) -> None:
    """All of them, from every shard, without secrets."""
    assert await operator.done("GET", TENANTS) == {"data": []}
    ids = ["zeta", "acme", "hooli", "0", "a-b", "a_b", "globex", "ab", "x" * 63]
    for tenant_id in ids:
        await operator.tenant(tenant_id)

    listed = await operator.done("GET", TENANTS)

    assert [tenant["id"] for tenant in listed["data"]] == sorted(ids)
    assert PLAIN in listed["data"]
    assert "whsec_" not in str(listed)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("GET", "?secrets=true"),
        ("PATCH", ""),
        ("DELETE", ""),
        ("DELETE", "?force=true"),
        ("POST", "/webhook-secret/rotate"),
        ("GET", "/usage"),
        ("GET", "/keys"),
        ("POST", "/keys"),
    ],
)
@pytest.mark.parametrize("deleted", [False, True], ids=["never was", "deleted"])
async def test_a_tenant_that_is_not_there_is_not_found(
    operator: Operator, method: str, path: str, deleted: bool
) -> None:
    """Neither one that never was, nor one that is no longer."""
    if deleted:
        await operator.tenant()
        await operator.done("DELETE", ACME)
    written = {"json": {"disabled": True}} if method == "PATCH" else {}

    error = await operator.refused(method, ACME + path, **written)

    assert (error["code"], error["reason"], error["param"]) == (404, "tenant_not_found", "tenant")
    assert error["message"] == "there is no tenant acme"


@pytest.mark.parametrize("odd", ["ACME", "a%20b", "a%2Fb", "..", "%00", "%E2%98%85", "x" * 3000])
async def test_an_id_that_no_tenant_can_have_is_not_found_either(
    operator: Operator, odd: str
) -> None:
    """Whatever stands in the path: 404, and the message stays short."""
    error = await operator.refused("GET", f"{TENANTS}/{odd}")

    assert error["code"] == 404
    assert len(error["message"]) < 300


@pytest.mark.parametrize(
    "change",
    [
        {"name": "Acme Größe"},
        {"group": "vip"},
        {"disabled": True},
        {"limits": {"creates_per_minute": 1}},
        {"limits": {"reads_per_second": 0}},
        {"limits": {"tasks_in_flight": 0}},
        {"limits": {"credits_per_day": "0"}},
        {"limits": {"credits_per_month": "0.000001"}},
        {"limits": {"models": []}},
        {"limits": {"models": ["a", "b", "a"]}},
        {"limits": {"max_queued": 1_000_000}},
        {"limits": {"when_full": "reject", "when_vendor_down": "reject"}},
        {"name": "A", "group": "b", "disabled": False, "limits": {"max_queued": 0}},
    ],
    ids=str,
)
async def test_a_change_touches_what_it_names(operator: Operator, change: dict[str, Any]) -> None:
    """Field by field, limits too; the answer is the tenant as it is then."""
    await operator.tenant(limits=LIMITS)

    changed = await operator.done("PATCH", ACME, json=change)

    expected = PLAIN | change | {"limits": LIMITS | change.get("limits", {})}
    assert changed == expected
    assert await operator.done("GET", ACME) == expected
    assert await operator.done("GET", TENANTS) == {"data": [expected]}


@pytest.mark.parametrize("name", sorted(NO_TENANT_LIMITS))
async def test_a_limit_is_lifted_by_null(operator: Operator, name: str) -> None:
    """That one alone; what is missing stays."""
    await operator.tenant(limits=LIMITS)

    changed = await operator.change(limits={name: None})

    assert changed["limits"] == LIMITS | {name: NO_TENANT_LIMITS[name]}


async def test_two_changes_at_once_both_land(operator: Operator) -> None:
    """Nobody writes back what another has changed meanwhile."""
    await operator.tenant(limits=LIMITS)
    changes: list[dict[str, Any]] = [
        {"name": "Acme Corp"},
        {"group": "vip"},
        {"disabled": True},
        *({"limits": {name: 5}} for name in ("creates_per_minute", "reads_per_second")),
        *({"limits": {name: None}} for name in ("tasks_in_flight", "models", "credits_per_day")),
    ]

    await asyncio.gather(*(operator.change(**change) for change in changes))

    lifted = dict.fromkeys(("tasks_in_flight", "models", "credits_per_day"))
    assert await operator.done("GET", ACME) == PLAIN | {
        "name": "Acme Corp",
        "group": "vip",
        "disabled": True,
        "limits": LIMITS | {"creates_per_minute": 5, "reads_per_second": 5} | lifted,
    }


async def test_a_tenant_is_switched_off_and_on_at_once(operator: Operator) -> None:
    """Its keys create and read nothing meanwhile, and are the same ones afterwards."""
    bed = operator.bed
    await operator.tenant()
    key = (await operator.key())["key"]
    task_id = await bed.created(key)

    await operator.change(disabled=True)
    off = [await bed.create(key), await bed.read(key, task_id)]
    await operator.change(disabled=False)
    on = [await bed.create(key), await bed.read(key, task_id)]

    assert [error_of(answer)["reason"] for answer in off] == ["tenant_disabled"] * 2
    assert [answer.status_code for answer in on] == [200, 200]
    assert len(bed.vendor.creates()) == 2


async def test_the_group_is_what_the_tenant_is_shown(operator: Operator) -> None:
    """From the change on, in the answers to its own creates."""
    await operator.tenant()
    key = (await operator.key())["key"]
    before = (await operator.bed.create(key)).json()["usage"]["user_group"]

    await operator.change(group="vip")

    after = (await operator.bed.create(key)).json()["usage"]["user_group"]
    assert (before, after) == ("default", "vip")


async def test_a_tenant_without_open_tasks_is_deleted_for_good(operator: Operator) -> None:
    """Its keys open nothing from that instant, on every route; its id is never given again."""
    bed = operator.bed
    await operator.tenant()
    live, test = (await operator.key())["key"], (await operator.key(mode="test"))["key"]
    task_id = await bed.created(live, character("seconds:1"))
    await bed.pass_time(2)

    gone = await operator.done("DELETE", ACME)

    answers = [await bed.create(key) for key in (live, test)]
    answers += [await bed.read(live, task_id)]
    answers += [
        await bed.http.get(path, headers={"authorization": f"Bearer {live}"})
        for path in ("/v1/tasks", "/v1/credits", "/v1/models", "/v1/usage")
    ]
    again = await operator.refused("POST", TENANTS, json={"id": "acme"})
    assert gone == {"id": "acme", "deleted": True}
    assert [error_of(answer)["reason"] for answer in answers] == ["invalid_key"] * 7
    assert (again["code"], again["reason"]) == (409, "tenant_exists")
    assert await operator.done("GET", TENANTS) == {"data": []}
    assert len(bed.vendor.creates()) == 1


@pytest.mark.parametrize("mode", ["live", "test"])
async def test_open_tasks_stand_in_the_way_of_a_deletion(operator: Operator, mode: str) -> None:
    """409 with their number; nothing is changed, and once they have ended it passes."""
    bed = operator.bed
    await operator.tenant()
    key = (await operator.key(mode=mode))["key"]
    for _ in range(2):
        await bed.created(key, character("seconds:1"))

    refused = await operator.refused("DELETE", ACME)
    refused_again = await operator.refused("DELETE", f"{ACME}?force=false")
    still = await bed.create(key, character("seconds:1"))
    await bed.pass_time(5)

    for error in (refused, refused_again):
        assert (error["code"], error["reason"]) == (409, "tasks_open")
        assert re.search(r"\b2 unfinished tasks", error["message"])
        assert "force" in error["message"]
    assert still.status_code == 200
    assert (await operator.done("DELETE", ACME))["deleted"] is True


async def test_a_forced_deletion_settles_what_is_open(operator: Operator) -> None:
    """The tasks go on to their end and are charged; nobody reads them any more."""
    bed = operator.bed
    await operator.tenant()
    key = (await operator.key())["key"]
    task_id = await bed.created(key, character("seconds:1"))

    await operator.done("DELETE", f"{ACME}?force=true")
    read = await bed.read(key, task_id)
    await bed.pass_time(5)

    record, figures = await bed.stored(task_id), await bed.usage()
    assert error_of(read)["reason"] == "invalid_key"
    assert (record["state"], record["charged"], record["held"]) == ("completed", "100000", "0")
    assert (figures["held"], figures["settled"]) == (0, 100_000)


async def test_a_deletion_is_not_repeated(operator: Operator) -> None:
    """The second one finds nothing."""
    await operator.tenant()
    await operator.done("DELETE", ACME)

    error = await operator.refused("DELETE", ACME)

    assert error["reason"] == "tenant_not_found"


@pytest.mark.parametrize("words", ["true", "1"])
async def test_the_webhook_secret_is_shown_when_asked_for(operator: Operator, words: str) -> None:
    """And only then."""
    made = await operator.tenant()

    plain = await operator.done("GET", ACME)
    without = await operator.done("GET", ACME, params={"secrets": "false"})
    shown = await operator.done("GET", ACME, params={"secrets": words})

    assert plain == without == PLAIN
    assert shown == made


async def test_a_rotated_webhook_secret_replaces_the_one_before(operator: Operator) -> None:
    """The new one is answered, shown from then on, and the old one is kept to sign along."""
    made = await operator.tenant()

    rotated = await operator.done("POST", f"{ACME}/webhook-secret/rotate", json={"grace_s": 60})

    shown = await operator.done("GET", ACME, params={"secrets": "true"})
    record = await operator.bed.gateway.store.redis.hgetall(RECORD)
    assert rotated == {"id": "acme", "webhook_secret": rotated["webhook_secret"]}
    assert is_webhook_secret(rotated["webhook_secret"])
    assert rotated["webhook_secret"] != made["webhook_secret"]
    assert shown["webhook_secret"] == rotated["webhook_secret"]
    assert record[b"webhook_secret_before"].decode() == made["webhook_secret"]
    assert int(record[b"webhook_before_ms"]) == operator.bed.clock.now_ms() + 60_000


@pytest.mark.parametrize("written", [{}, {"json": {}}, {"json": {"grace_s": None}}])
async def test_the_old_webhook_secret_goes_on_for_a_day(
    operator: Operator, written: dict[str, Any]
) -> None:
    """Where no other time is asked for; the body may be left out altogether."""
    await operator.tenant()

    await operator.done("POST", f"{ACME}/webhook-secret/rotate", **written)

    record = await operator.bed.gateway.store.redis.hgetall(RECORD)
    assert int(record[b"webhook_before_ms"]) == operator.bed.clock.now_ms() + 86_400_000
