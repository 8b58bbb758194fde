"""What operators do on the command line: in words, in JSON, and in the audit log."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from app.cli import COMMANDS
from tests.api.operating import NO_LIMITS, NO_TENANT_LIMITS
from tests.support.bed import Bed, character
from tests.system.conftest import Run

GROUPS = {
    "tenant": [
        *("add", "show", "list", "limit", "origins", "set", "disable", "delete"),
        *("rotate-secret", "usage"),
    ],
    "key": ["issue", "list", "rotate", "revoke"],
    "webhook": [
        *("add", "list", "show", "update", "remove", "rotate", "test", "redeliver", "deliveries")
    ],
    "audit": ["list"],
    "task": ["show", "explain", "cancel", "doubt"],
    "task doubt": ["list", "resolve"],
}
"""Every command of every group."""

WEBHOOK_SECRET = r"whsec_[A-Za-z0-9+/]{43}="
NOTHING = {
    "tasks": 0,
    "completed": 0,
    "failed": 0,
    "credits_used": "0",
    "credits_reserved": "0",
}


def day_of(bed: Bed) -> str:
    """Return the day of UTC at which a gateway stands."""
    return f"{datetime.fromtimestamp(bed.clock.now_ms() / 1000, UTC):%Y-%m-%d}"


def test_name_and_group_are_set(reelgate: Run) -> None:
    """Either or both; the rest stays as it is."""
    reelgate("tenant", "add", "acme", "--limits", '{"max_queued": 3}')

    named = reelgate("tenant", "set", "acme", "--name", "Acme Größe", "--json").json()
    grouped = reelgate("tenant", "set", "acme", "--group", "vip")
    shown = reelgate("tenant", "show", "acme", "--json").json()

    assert named == {
        "id": "acme",
        "name": "Acme Größe",
        "group": "default",
        "disabled": False,
        "limits": NO_TENANT_LIMITS | {"max_queued": 3},
        "origins": [],
    }
    assert grouped.out.splitlines()[0] == "acme  Acme Größe  group vip  active"
    assert shown == named | {"group": "vip"}


def test_origins_are_named_at_creation_replaced_and_taken_away(reelgate: Run) -> None:
    """One on each line for people; in the form that browsers send, and in the audit log."""
    added = reelgate("tenant", "add", "acme", "--origin", "https://App.Example.com:443", "--json")
    shown = [reelgate("tenant", "origins", "acme").out]
    for words in (["http://localhost:3000", "https://b.example"], ["--none"]):
        changed = reelgate("tenant", "origins", "acme", *words, "--json").json()
        shown.append(reelgate("tenant", "origins", "acme").out)
        assert reelgate("tenant", "show", "acme", "--json").json() == changed
    refused = reelgate("tenant", "origins", "acme", "https://b.example/")
    acts = reelgate("audit", "list", "--tenant", "acme", "--json").json()

    assert added.json()["origins"] == ["https://app.example.com"]
    assert shown == [
        "https://app.example.com\n",
        "http://localhost:3000\nhttps://b.example\n",
        "none\n",
    ]
    assert "before the path" in refused.err
    changes = [act["detail"] for act in acts if act["act"] == "tenant.changed"]
    assert changes == [
        {"origins": []},
        {"origins": ["http://localhost:3000", "https://b.example"]},
    ]


def test_the_webhook_secret_is_shown_only_when_asked_for(reelgate: Run) -> None:
    """As it was at the creation, in JSON and as text; neither list nor show has it otherwise."""
    secret = reelgate("tenant", "add", "acme", "--json").json()["webhook_secret"]

    plain = reelgate("tenant", "show", "acme")
    plain_json = reelgate("tenant", "show", "acme", "--json")
    listed = reelgate("tenant", "list", "--json")
    shown = reelgate("tenant", "show", "acme", "--secrets")
    shown_json = reelgate("tenant", "show", "acme", "--secrets", "--json")

    assert shown_json.json() == plain_json.json() | {"webhook_secret": secret}
    assert shown.out == plain.out + f"webhook secret: {secret}\n"
    assert "whsec_" not in plain.out + plain.err + plain_json.out + listed.out


def test_a_tenant_is_added_without_its_secret_where_nobody_reads_json(reelgate: Run) -> None:
    """A terminal's scroll-back is no place for it; `--json` and `show --secrets` are."""
    added = reelgate("tenant", "add", "acme")

    assert added.code == 0
    assert "whsec_" not in added.out + added.err


def test_the_webhook_secret_is_rotated(reelgate: Run) -> None:
    """The new one alone on standard output, or as JSON."""
    first = reelgate("tenant", "add", "acme", "--json").json()["webhook_secret"]

    second = reelgate("tenant", "rotate-secret", "acme").out.removesuffix("\n")
    third = reelgate("tenant", "rotate-secret", "acme", "--grace-s", "60", "--json").json()

    shown = reelgate("tenant", "show", "acme", "--secrets", "--json").json()
    assert re.fullmatch(WEBHOOK_SECRET, second)
    assert third == {"id": "acme", "webhook_secret": shown["webhook_secret"]}
    assert len({first, second, third["webhook_secret"]}) == 3


def test_a_tenant_is_deleted_for_good(reelgate: Run) -> None:
    """It is in no list, and its id stays taken."""
    for tenant_id in ("acme", "hooli"):
        reelgate("tenant", "add", tenant_id)

    deleted = reelgate("tenant", "delete", "acme")
    deleted_json = reelgate("tenant", "delete", "hooli", "--json")
    again = reelgate("tenant", "add", "acme")
    missing = reelgate("tenant", "delete", "acme")

    assert (deleted.code, deleted.out) == (0, "")
    assert deleted.err == "tenant acme is deleted; its id stays taken\n"
    assert deleted_json.json() == {"id": "hooli", "deleted": True}
    assert reelgate("tenant", "list", "--json").json() == []
    assert (again.code, again.err.count("\n")) == (1, 1)
    assert "never used again" in again.err
    assert "there is no tenant acme" in missing.err


async def test_open_tasks_stand_in_the_way_of_a_deletion(bed: Bed, reelgate: Run) -> None:
    """The message has their number and the way out, which works."""
    await bed.created(await bed.key("acme"), character("seconds:600"))

    refused = reelgate("tenant", "delete", "acme")
    forced = reelgate("tenant", "delete", "acme", "--force")

    assert (refused.code, refused.out, refused.err.count("\n")) == (1, "", 1)
    assert "1 unfinished task" in refused.err
    assert "force" in refused.err
    assert forced.code == 0


async def test_use_is_told_by_day(bed: Bed, reelgate: Run) -> None:
    """A table with its total for people; by model and key, too, in JSON."""
    key = await bed.key("acme")
    await bed.created(key, character("seconds:1"))
    await bed.created(await bed.another_key("acme", mode="test"), character("seconds:600"))
    await bed.pass_time(2)
    await bed.created(key, character("outcome:failed,seconds:600"))

    that_day = day_of(bed)
    span = ("--from", that_day, "--to", that_day)
    table = reelgate("tenant", "usage", "acme", *span).out
    live = reelgate("tenant", "usage", "acme", *span, "--json").json()
    test = reelgate("tenant", "usage", "acme", *span, "--test", "--json").json()
    old = reelgate("tenant", "usage", "acme", "--from", "2020-01-01", "--to", "2020-01-31")

    figures = NOTHING | {
        "tasks": 2,
        "completed": 1,
        "credits_used": "0.1",
        "credits_reserved": "0.1",
    }
    (day,) = live["data"]
    heading, *rows = table.splitlines()
    assert heading.split() == ["DAY", "TASKS", "COMPLETED", "FAILED", "CREDITS", "USED", "RESERVED"]
    assert [row.split() for row in rows] == [
        [that_day, "2", "1", "0", "0.1", "0.1"],
        ["total", "2", "1", "0", "0.1", "0.1"],
    ]
    assert {name: day[name] for name in figures} == figures == live["total"]
    assert day["models"] == {"sora-character": figures}
    assert list(day["keys"].values()) == [figures]
    assert test["total"] == NOTHING | {"tasks": 1}
    assert [row.split() for row in old.out.splitlines()[1:]] == [["total", "0", "0", "0", "0", "0"]]


def test_a_key_is_issued_with_all_its_wishes(reelgate: Run) -> None:
    """The JSON is what the admin API answers; the list tells instants in words."""
    reelgate("tenant", "add", "acme")
    words = ["--name", "nightly", "--mode", "test", "--expires-at", "2099-12-01T01:00:00+01:00"]

    issued = reelgate(
        "key", "issue", "acme", *words, "--limits", '{"tasks_in_flight": 2}', "--json"
    ).json()

    (listed,) = reelgate("key", "list", "acme", "--json").json()
    (row,) = reelgate("key", "list", "acme").out.splitlines()[1:]
    assert list(issued) == [
        *("id", "key", "tenant", "name", "mode", "state", "created_at", "expires_at", "limits")
    ]
    assert issued["expires_at"] == "2099-12-01T00:00:00Z"
    assert issued["limits"] == NO_LIMITS | {"tasks_in_flight": 2}
    assert listed == {name: value for name, value in issued.items() if name != "key"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", listed["created_at"])
    assert row.split() == [
        *(issued["id"], "nightly", "test", "active"),
        *(issued["created_at"], "2099-12-01T00:00:00Z"),
    ]


def test_a_key_is_rotated_with_an_overlap(reelgate: Run) -> None:
    """The new secret alone on standard output; how long the old one goes on beside it."""
    reelgate("tenant", "add", "acme")
    first = reelgate("key", "issue", "acme", "--json").json()

    plain = reelgate("key", "rotate", "acme", first["id"], "--grace-s", "60")
    third = reelgate("key", "rotate", "acme", f"{first['id']}.2", "--grace-s", "0", "--json").json()
    again = reelgate("key", "rotate", "acme", first["id"])

    states = {key["id"]: key["state"] for key in reelgate("key", "list", "acme", "--json").json()}
    assert re.fullmatch(r"rg_live_[0-9A-Za-z]{36}\n", plain.out)
    assert "works for 60 more seconds" in plain.err
    assert plain.out.strip() not in plain.err
    assert third["id"] == f"{first['id']}.3"
    assert third["key"] not in (first["key"], plain.out.strip())
    assert states == {
        first["id"]: "active",
        f"{first['id']}.2": "revoked",
        f"{first['id']}.3": "active",
    }
    assert (again.code, again.err.count("\n")) == (1, 1)
    assert f"{first['id']}.2" in again.err


def test_a_key_is_revoked_in_json_too(reelgate: Run) -> None:
    """Twice is as good as once."""
    reelgate("tenant", "add", "acme")
    issued = reelgate("key", "issue", "acme", "--json").json()

    revoked = [reelgate("key", "revoke", "acme", issued["id"], "--json").json() for _ in range(2)]

    expected = {name: value for name, value in issued.items() if name != "key"}
    assert revoked == [expected | {"state": "revoked"}] * 2


def test_acts_are_listed_newest_first(reelgate: Run) -> None:
    """By whom, on what, and with which wishes; no secret is among it."""
    nothing = reelgate("audit", "list")
    reelgate("tenant", "add", "acme")
    reelgate("tenant", "add", "hooli")
    reelgate("tenant", "limit", "acme", "--limits", '{"credits_per_day": "2.50"}')
    key = reelgate("key", "issue", "acme", "--name", "web", "--json").json()
    reelgate("key", "rotate", "acme", key["id"], "--grace-s", "0")
    reelgate("tenant", "show", "acme", "--secrets")
    reelgate("tenant", "rotate-secret", "acme")
    reelgate("tenant", "delete", "acme")
    reelgate("tenant", "disable", "nobody")

    acts = reelgate("audit", "list", "--json")
    of_acme = reelgate("audit", "list", "--tenant", "acme", "--json").json()
    few = reelgate("audit", "list", "--limit", "2", "--json").json()
    heading, *rows = reelgate("audit", "list").out.splitlines()

    found: list[dict[str, Any]] = acts.json()
    assert nothing.err == "nothing has been done yet\n"
    assert [act["act"] for act in found] == [
        "tenant.deleted",
        "webhook_secret.rotated",
        "tenant.secrets_shown",
        "key.revoked",
        "key.rotated",
        "key.issued",
        "tenant.changed",
        "tenant.created",
        "tenant.created",
    ]
    assert {act["actor"] for act in found} == {"cli"}
    assert found[6]["detail"] == {"limits": {"credits_per_day": "2.5"}}
    assert of_acme == [act for act in found if act["tenant"] == "acme"]
    assert few == found[:2]
    assert heading.split() == ["AT", "ACTOR", "ACT", "TENANT", "KEY", "DETAIL"]
    assert [row.split()[2] for row in rows] == [act["act"] for act in found]
    assert not re.search("whsec_|rg_live_", acts.out)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["tenant", "set", "acme"], "--name or --group"),
        (["tenant", "set", "acme", "--group", "-"], "group: it must be 1 to 64 of"),
        (["tenant", "set", "acme", "--name", ""], "name: it must be 1 to 200 characters"),
        (["tenant", "set", "nobody", "--name", "x"], "reelgate tenant list"),
        (["tenant", "delete", "nobody"], "there is no tenant nobody"),
        (["tenant", "usage", "nobody"], "there is no tenant nobody"),
        (["tenant", "usage", "acme", "--from", "soon"], "write a day of UTC such as 2026-11-22"),
        (["tenant", "usage", "acme", "--from", "2026-02-02", "--to", "2026-02-01"], "from"),
        (["tenant", "rotate-secret", "nobody"], "there is no tenant nobody"),
        (["tenant", "rotate-secret", "acme", "--grace-s", "-1"], "grace_s: "),
        (["tenant", "show", "nobody", "--secrets"], "there is no tenant nobody"),
        (["tenant", "limit", "acme", "--limits", "null"], "must be a JSON object"),
        (
            ["tenant", "limit", "acme", "--limits", '{"max_queued": 1, "max_queued": 2}'],
            "--limits",
        ),
        (["tenant", "limit", "acme", "--limits", '{"when_full": "wait"}'], "'queue'"),
        (["tenant", "add", "other", "--group", "ü"], "group: it must be 1 to 64 of"),
        (["tenant", "add", "other", "--name", "M\udcfcnchen"], "name: it must be 1 to 200"),
        (["tenant", "set", "acme", "--name", "M\udcfcnchen"], "characters of UTF-8"),
        (["tenant", "show", "M\udcfcnchen"], "write it in UTF-8"),
        (["key", "issue", "acme", "--name", "M\udcfcnchen"], "name: it must be at most 200"),
        (["key", "revoke", "acme", "M\udcfcnchen"], "write it in UTF-8"),
        (["key", "issue", "acme", "--limits", '{"M\udcfcnchen": 1}'], "--limits"),
        (["key", "rotate", "acme", "key_1"], "reelgate key list acme"),
        (["key", "rotate", "acme", "key_1", "--grace-s", "99999999"], "grace_s: "),
        (["key", "revoke", "acme", "key_1"], "reelgate key list acme"),
        (["key", "issue", "acme", "--expires-at", "soon"], "2026-12-01T00:00:00Z"),
        (["key", "issue", "acme", "--expires-at", "2099-12-01"], "time zone"),
        (["key", "issue", "acme", "--expires-at", "2020-01-01T00:00:00Z"], "in the future"),
        (["key", "issue", "acme", "--limits", '{"credits_per_day": 5}'], "decimal string"),
        (["key", "issue", "acme", "--limits", '{"max_queued": 5}'], "known are"),
        (["audit", "list", "--tenant", "No Tenant"], "tenant"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_failed_command_names_the_remedy_in_one_line(
    reelgate: Run, words: list[str], told: str
) -> None:
    """Exit code 1, nothing on standard output, one line on standard error."""
    reelgate("tenant", "add", "acme")

    said = reelgate(*words)

    assert (said.code, said.out) == (1, ""), said
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    assert told in said.err
    assert "the body" not in said.err


@pytest.mark.parametrize("group", sorted(GROUPS))
def test_every_command_tells_what_it_does(reelgate: Run, group: str) -> None:
    """The group lists its commands, and each has a sentence and its options."""
    overview = reelgate(*group.split(), "--help")

    listed = re.findall(r"^[│ ] +([a-z-]+) {2,}\S", overview.out, re.MULTILINE)
    assert overview.code == 0
    assert [name for name in listed if not name.startswith("-")] == GROUPS[group]
    for command in GROUPS[group]:
        if f"{group} {command}" in GROUPS:
            continue
        said = reelgate(*group.split(), command, "--help")
        assert said.code == 0
        assert "--json" in said.out, f"{group} {command}"
        assert f"Usage: reelgate {group} {command} " in " ".join(said.out.split())


def test_every_group_is_named_at_the_top(reelgate: Run) -> None:
    """Whoever types `reelgate` alone finds all of it."""
    said = reelgate("--help").out

    assert [
        name for name in COMMANDS if not re.search(rf"^[│ ] +{name} ", said, re.MULTILINE)
    ] == []


def test_json_is_never_mixed_with_notes(reelgate: Run) -> None:
    """Whatever is said beside it goes to standard error, so that a program can read the rest."""
    added = reelgate("tenant", "add", "acme", "--json")
    limited = reelgate("tenant", "limit", "acme", "--limits", "{}", "--json")
    empty = [reelgate(*words, "--json") for words in (("key", "list", "acme"), ("audit", "list"))]

    assert "spending is unlimited" in added.err
    assert "spending is unlimited" in limited.err
    for said in (added, limited, *empty):
        json.loads(said.out)
