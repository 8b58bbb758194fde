"""The command line as an operator meets it: each command a process, each failure one clear line."""

from __future__ import annotations

import json
import re

import pytest

from app.domain.ids import is_task_id
from tests.api.operating import NO_TENANT_LIMITS
from tests.support.bed import Bed, character
from tests.system.conftest import Run

LIMITS = {"creates_per_minute": 60, "credits_per_month": "500", "models": ["sora-character"]}


def is_webhook_secret(text: str) -> bool:
    """Return whether this looks like a secret of Standard Webhooks."""
    return re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", text) is not None


def test_tenants_are_kept_as_an_operator_wants_them(reelgate: Run) -> None:
    """Add, show, limit, disable, enable: JSON for machines, a line for people."""
    added = reelgate("tenant", "add", "acme", "--name", "Acme Corp", "--group", "vip", "--json")
    limited = reelgate("tenant", "limit", "acme", "--limits", json.dumps(LIMITS), "--json")
    shown = reelgate("tenant", "show", "acme")
    disabled = reelgate("tenant", "disable", "acme", "--json")
    enabled = reelgate("tenant", "disable", "acme", "--enable")

    plain = {"id": "acme", "name": "Acme Corp", "group": "vip", "disabled": False, "origins": []}
    new = added.json()
    assert is_webhook_secret(new.pop("webhook_secret"))
    assert new == {**plain, "limits": NO_TENANT_LIMITS}
    assert limited.json() == {**plain, "limits": NO_TENANT_LIMITS | LIMITS}
    assert shown.out.splitlines()[0] == "acme  Acme Corp  group vip  active"
    assert "credits_per_month=500" in shown.out
    assert disabled.json() == limited.json() | {"disabled": True}
    assert enabled.out == shown.out


def test_limits_are_changed_one_by_one(reelgate: Run) -> None:
    """What is not named stays, null lifts, and nothing at all changes nothing."""
    reelgate("tenant", "add", "acme", "--limits", json.dumps(LIMITS))

    changed = [
        reelgate("tenant", "limit", "acme", "--limits", limits, "--json").json()["limits"]
        for limits in ('{"tasks_in_flight": 5}', '{"models": null}', "{}")
    ]

    assert changed == [
        NO_TENANT_LIMITS | LIMITS | {"tasks_in_flight": 5},
        NO_TENANT_LIMITS | LIMITS | {"tasks_in_flight": 5, "models": None},
        NO_TENANT_LIMITS | LIMITS | {"tasks_in_flight": 5, "models": None},
    ]


def test_unlimited_spending_is_pointed_out(reelgate: Run) -> None:
    """A tenant without a credit limit is a note on standard error, beside the clean JSON."""
    added = reelgate("tenant", "add", "acme", "--json")
    limited = reelgate("tenant", "limit", "acme", "--limits", '{"credits_per_day": "1.5"}')
    freed = reelgate("tenant", "limit", "acme", "--limits", '{"credits_per_day": null}')

    assert added.json()["id"] == "acme"
    assert "spending is unlimited" in added.err
    assert (limited.code, limited.err) == (0, "")
    assert "spending is unlimited" in freed.err


def test_a_list_has_a_line_a_tenant(reelgate: Run) -> None:
    """Piped into another program, every tenant is one line, however long its limits."""
    nobody = reelgate("tenant", "list")
    for name in ("beta", "acme"):
        reelgate("tenant", "add", name, "--name", name.title(), "--limits", json.dumps(LIMITS))

    listed = reelgate("tenant", "list")
    as_json = reelgate("tenant", "list", "--json")

    assert (nobody.code, nobody.out) == (0, "")
    assert "reelgate tenant add" in nobody.err
    heading, *rows = listed.out.splitlines()
    assert heading.split() == ["ID", "NAME", "GROUP", "STATE", "LIMITS"]
    assert [row.split()[:4] for row in rows] == [
        ["acme", "Acme", "default", "active"],
        ["beta", "Beta", "default", "active"],
    ]
    assert [tenant["id"] for tenant in as_json.json()] == ["acme", "beta"]


def test_a_key_is_shown_once(reelgate: Run) -> None:
    """Issuing prints the secret alone on standard output; no list shows it again."""
    reelgate("tenant", "add", "acme")
    issued = reelgate("key", "issue", "acme", "--json").json()
    plain = reelgate("key", "issue", "acme", "--mode", "test", "--name", "trial")
    listed = reelgate("key", "list", "acme", "--json")

    trial = plain.out.removesuffix("\n")
    assert issued["key"].startswith("rg_live_")
    assert issued["tenant"] == "acme"
    assert trial.startswith("rg_test_")
    assert "\n" not in trial
    assert trial not in plain.err
    assert [(key["name"], key["mode"], key["state"]) for key in listed.json()] == [
        ("live", "live", "active"),
        ("trial", "test", "active"),
    ]
    for said in (listed, reelgate("key", "list", "acme"), reelgate("tenant", "show", "acme")):
        assert issued["key"] not in said.out
        assert trial not in said.out


def test_a_revoked_key_is_listed_as_such(reelgate: Run) -> None:
    """Revoking names the key; the list keeps it, with its end."""
    reelgate("tenant", "add", "acme")
    issued = reelgate("key", "issue", "acme", "--json").json()

    revoked = reelgate("key", "revoke", "acme", issued["id"])

    assert revoked.err == f"key {issued['id']} of acme is revoked\n"
    (row,) = reelgate("key", "list", "acme").out.splitlines()[1:]
    assert row.split()[:4] == [issued["id"], "live", "live", "revoked"]


async def test_a_task_is_shown_with_its_money(bed: Bed, reelgate: Run) -> None:
    """State, hold, charge and every movement of the ledger, for machines and for people."""
    task_id = await bed.created(await bed.key(), character("seconds:1"))
    await bed.pass_time(2)

    shown = reelgate("task", "show", task_id, "--json").json()
    text = reelgate("task", "show", task_id).out

    assert is_task_id(shown["id"])
    assert (shown["id"], shown["tenant"], shown["state"]) == (task_id, "acme", "completed")
    assert (shown["held_credits"], shown["charged_credits"]) == ("0", "0.1")
    assert [(entry["kind"], entry["credits"]) for entry in shown["ledger"]] == [
        ("hold", "0.1"),
        ("settle", "0.1"),
    ]
    assert shown["answer"]["status"] == "completed"
    assert abs(shown["finished_ms"] - bed.clock.now_ms()) < 60_000
    assert text.splitlines()[0] == task_id
    assert "settle  0.1" in text


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["tenant", "show", "nobody"], "there is no tenant nobody"),
        (["tenant", "limit", "nobody", "--limits", "{}"], "there is no tenant nobody"),
        (["tenant", "disable", "nobody"], "there is no tenant nobody"),
        (["key", "issue", "nobody", "--json"], "there is no tenant nobody"),
        (["key", "list", "nobody"], "there is no tenant nobody"),
        (["key", "revoke", "nobody", "key_1"], "there is no tenant nobody"),
        (["task", "show", "task-unified-1-x"], "there is no task task-unified-1-x"),
        (["tenant", "add", "new", "--limits", "{"], "--limits: it is not valid JSON"),
        (["tenant", "add", "new", "--limits", "[]"], "must be a JSON object"),
        (["tenant", "add", "new", "--limits", '{"credits": 1}'], "limits.credits"),
        (["tenant", "add", "new", "--limits", '{"credits_per_day": 1.5}'], "decimal string"),
        (["tenant", "limit", "new", "--limits", '{"tasks_in_flight": -1}'], "tasks_in_flight"),
        (["key", "issue", "new", "--limits", '{"models": "all"}'], "limits.models"),
        (["tenant", "add", "Not An Id"], "id: "),
        (["tenant", "add", "new", "--origin", "https://*.example"], "origins[0]: "),
        (["tenant", "origins", "nobody"], "there is no tenant nobody"),
        (["tenant", "origins", "nobody", "https://a.example"], "there is no tenant nobody"),
        (["tenant", "origins", "new", "https://a.example", "--none"], "either origins or --none"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_failed_command_says_why_in_one_line(reelgate: Run, words: list[str], told: str) -> None:
    """Exit code 1, nothing on standard output, one line on standard error."""
    said = reelgate(*words)

    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    assert told in said.err
    assert "the body" not in said.err


def test_a_tenant_cannot_be_added_twice(reelgate: Run) -> None:
    """The second attempt fails, names the way to look at the first, and leaves it as it was."""
    reelgate("tenant", "add", "acme", "--limits", json.dumps(LIMITS))

    again = reelgate("tenant", "add", "acme", "--name", "Other", "--json")

    assert (again.code, again.out) == (1, "")
    assert "tenant acme exists already" in again.err
    (kept,) = reelgate("tenant", "list", "--json").json()
    assert (kept["name"], kept["limits"]) == ("acme", NO_TENANT_LIMITS | LIMITS)
