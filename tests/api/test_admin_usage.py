"""What a tenant has used, for operators: by day, model and key, in credits as decimal strings."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from app.domain.ids import family_of
from tests.api.asking import bearer
from tests.api.operating import TENANTS, Operator
from tests.support.bed import character

USAGE = f"{TENANTS}/acme/usage"
NOTHING = {
    "tasks": 0,
    "completed": 0,
    "failed": 0,
    "credits_used": "0",
    "credits_reserved": "0",
}
DAY_MS = 86_400_000


def today(operator: Operator) -> str:
    """Return the day of the held clock."""
    return f"{datetime.fromtimestamp(operator.bed.clock.now_ms() / 1000, UTC):%Y-%m-%d}"


def figures(**changed: Any) -> dict[str, Any]:
    """Return figures that are nought but for some."""
    return NOTHING | changed


async def test_a_tenant_that_did_nothing_used_nothing(operator: Operator) -> None:
    """No days, a total of noughts, and the 30 days that were looked at."""
    await operator.tenant()
    operator.bed.clock.advance_ms(29 * DAY_MS)
    last = today(operator)
    operator.bed.clock.advance_ms(-29 * DAY_MS)
    first = today(operator)
    operator.bed.clock.advance_ms(29 * DAY_MS)

    used = await operator.done("GET", USAGE)

    assert used == {"data": [], "total": NOTHING, "from": first, "to": last}


async def test_use_is_told_by_model_and_key(operator: Operator) -> None:
    """Completed, failed and open tasks; a key and its successors are one."""
    bed = operator.bed
    await operator.tenant()
    web, batch = await operator.key(name="web"), await operator.key(name="batch")
    await bed.created(web["key"], character("seconds:1"))
    await bed.created(batch["key"], character("outcome:failed,seconds:1"))
    newer = await operator.rotate(web)
    await bed.created(newer["key"], character("seconds:600"))
    await bed.pass_time(3)

    used = await operator.done("GET", USAGE)

    everything = figures(tasks=3, completed=1, failed=1, credits_used="0.1", credits_reserved="0.1")
    (day,) = used["data"]
    assert day == {
        "date": today(operator),
        **everything,
        "models": {"sora-character": everything},
        "keys": {
            web["id"]: figures(tasks=2, completed=1, credits_used="0.1", credits_reserved="0.1"),
            batch["id"]: figures(tasks=1, failed=1),
        },
    }
    assert used["total"] == everything


async def test_the_parts_add_up(operator: Operator) -> None:
    """Keys and models to their day, days to the total, and all of it to what tenants are told."""
    bed = operator.bed
    await operator.tenant()
    keys = [await operator.key(name=f"number {number}") for number in range(3)]
    for day in range(3):
        for number, key in enumerate(keys):
            for _ in range(number + day):
                await bed.created(key["key"], character("seconds:1"))
        await bed.pass_time(3)
        bed.clock.advance_ms(DAY_MS)

    used = await operator.done("GET", USAGE)
    own = await bed.http.get("/v1/usage", headers=[bearer(keys[0]["key"])])

    for part in ("keys", "models"):
        for day in used["data"]:
            assert _sum(day[part].values()) == _sum([day]), (part, day["date"])
    assert _sum(used["data"]) == _sum([used["total"]])
    assert used["total"] == figures(tasks=18, completed=18, credits_used="1.8")
    assert own.json()["total"]["credits_used"] == 1.8
    assert [day["date"] for day in own.json()["data"]] == [day["date"] for day in used["data"]]
    assert set(used["data"][-1]["keys"]) == {family_of(key["id"]) for key in keys}


def _sum(parts: Any) -> Counter[str]:
    total: Counter[str] = Counter()
    for part in parts:
        for name in NOTHING:
            value = Decimal(part[name])
            total[name] += int(value * 1_000_000)
    return total


async def test_only_the_days_asked_for_are_counted(operator: Operator) -> None:
    """Both ends included; a span without activity is empty."""
    bed = operator.bed
    await operator.tenant()
    key, days = (await operator.key())["key"], []
    for _ in range(3):
        days.append(today(operator))
        await bed.created(key)
        bed.clock.advance_ms(DAY_MS)

    async def asked(first: str, last: str) -> list[str]:
        used = await operator.done("GET", USAGE, params={"from": first, "to": last})
        assert (used["from"], used["to"]) == (first, last)
        assert used["total"]["tasks"] == len(used["data"])
        return [day["date"] for day in used["data"]]

    assert await asked(days[0], days[2]) == days
    assert await asked(days[1], days[1]) == [days[1]]
    assert await asked(days[0], days[1]) == days[:2]
    assert await asked("2020-01-01", "2020-12-31") == []


async def test_test_keys_are_counted_apart(operator: Operator) -> None:
    """Their tasks cost nothing and are not among the live ones."""
    bed = operator.bed
    await operator.tenant()
    live, test = await operator.key(), await operator.key(mode="test")
    await bed.created(live["key"])
    for _ in range(2):
        await bed.created(test["key"])

    counted = {
        mode: (await operator.done("GET", USAGE, params={"mode": mode}))["total"]
        for mode in ("live", "test")
    }

    assert counted["live"] == figures(tasks=1, credits_reserved="0.1")
    assert counted["test"] == figures(tasks=2)
    assert (await operator.done("GET", USAGE))["total"] == counted["live"]


async def test_a_span_has_an_end(operator: Operator) -> None:
    """400 days at most, and it does not run backwards."""
    await operator.tenant()

    longest = await operator.ask("GET", USAGE, params={"from": "2025-01-01", "to": "2026-02-04"})
    longer = await operator.refused("GET", USAGE, params={"from": "2025-01-01", "to": "2026-02-05"})
    backwards = await operator.refused(
        "GET", USAGE, params={"from": "2026-01-02", "to": "2026-01-01"}
    )

    assert longest.status_code == 200
    assert (longer["param"], backwards["param"]) == ("from", "from")
    assert "400 days" in longer["message"]
