"""Webhook endpoints on the command line: in words, in JSON, and in the audit log."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import OpenBed
from tests.flows.delivering import deliver, hooks_of, running_engine
from tests.support.bed import Bed
from tests.support.hooks import LOOPBACK
from tests.support.receiver import FAULTY, ReceiverServer, Reply, open_receiver
from tests.system.conftest import Run

URL = "https://example.com/hooks"
UNKNOWN = "we_0123456789abcdef"
SECRET = r"whsec_[A-Za-z0-9+/]{43}="
OWN_SECRET = "whsec_" + "A" * 32
MINUTE_MS = 60_000


@pytest.fixture
def acme(reelgate: Run) -> Run:
    """The command line of a store with one tenant."""
    reelgate("tenant", "add", "acme")
    return reelgate


@pytest.fixture
async def receiver() -> AsyncIterator[ReceiverServer]:
    """A receiver that takes whatever comes."""
    async with open_receiver() as opened:
        yield opened


@pytest.fixture
async def hooked(open_gateway_bed: OpenBed) -> AsyncIterator[Bed]:
    """A gateway that may call this machine, a minute ahead of what commands take for the time."""
    async with open_gateway_bed(webhook=LOOPBACK) as opened:
        opened.clock.advance_ms(MINUTE_MS)
        await opened.key("acme")
        yield opened


def added(run: Run, *words: str) -> dict[str, Any]:
    """Add an endpoint of acme."""
    made: dict[str, Any] = run("webhook", "add", "acme", URL, *words, "--json").json()
    return made


def test_an_endpoint_is_added_with_all_its_wishes(acme: Run) -> None:
    """The JSON has the secret, and all else as it is listed and shown later."""
    made = added(
        acme,
        *("--event", "task.failed", "--event", "task.completed"),
        *("--description", "nightly Größe", "--disabled", "--mode", "test"),
    )

    (listed,) = acme("webhook", "list", "acme", "--json").json()
    shown = acme("webhook", "show", "acme", made["id"], "--json").json()
    row = acme("webhook", "list", "acme").out.splitlines()[1]
    assert re.fullmatch(SECRET, made.pop("secret"))
    assert listed == shown == made
    assert list(made)[:4] == ["id", "tenant", "mode", "object"]
    assert (made["tenant"], made["mode"], made["url"]) == ("acme", "test", URL)
    assert made["events"] == ["task.completed", "task.failed"]
    assert made["disabled_reason"] == "requested"
    assert re.split(r" {2,}", row) == [
        *(made["id"], "test", "off", "0", "never"),
        *("task.completed task.failed", URL, "nightly Größe"),
    ]


def test_the_secret_alone_is_on_standard_output(acme: Run) -> None:
    """When it is made, and when it is replaced; what it is for is said beside it."""
    first = acme("webhook", "add", "acme", URL)
    webhook_id = re.findall(r"we_[0-9a-z]{16}", first.err)[0]

    second = acme("webhook", "rotate", "acme", webhook_id, "--grace-s", "60")
    third = acme("webhook", "rotate", "acme", webhook_id, "--grace-s", "0", "--json").json()

    assert re.fullmatch(SECRET + r"\n", first.out)
    assert re.fullmatch(SECRET + r"\n", second.out)
    assert "signs along until" in second.err
    assert third["previous_secret_until"] is None
    assert len({first.out.strip(), second.out.strip(), third["secret"]}) == 3
    assert "whsec_" not in first.err + second.err


def test_the_secret_is_shown_only_when_asked_for(acme: Run) -> None:
    """And the audit log tells of it."""
    made = added(acme)

    plain = acme("webhook", "show", "acme", made["id"])
    plain_json = acme("webhook", "show", "acme", made["id"], "--json")
    listed = acme("webhook", "list", "acme", "--json")
    secret = acme("webhook", "show", "acme", made["id"], "--secrets")
    secret_json = acme("webhook", "show", "acme", made["id"], "--secrets", "--json").json()

    acts = [act["act"] for act in acme("audit", "list", "--json").json()]
    assert secret_json == made
    assert f"secret: {made['secret']}" in secret.out.splitlines()
    assert "whsec_" not in plain.out + plain_json.out + listed.out
    assert acts[:3] == ["webhook.secrets_shown", "webhook.secrets_shown", "webhook.created"]


def test_a_secret_of_ones_own_is_read_from_a_file(acme: Run, tmp_path: Path) -> None:
    """So that it stands in no list of processes."""
    (tmp_path / "secret").write_text(OWN_SECRET + "\n", "utf-8")

    made = added(acme, "--secret-file", str(tmp_path / "secret"))

    assert made["secret"] == OWN_SECRET


def test_an_endpoint_is_shown_line_by_line(acme: Run) -> None:
    """What is not so is left out."""
    made = added(acme)

    lines = acme("webhook", "show", "acme", made["id"]).out.splitlines()

    shown = dict(line.split(": ", 1) for line in lines)
    assert list(shown) == [
        "id",
        "tenant",
        "mode",
        "url",
        "events",
        "disabled",
        "created",
        "failures",
    ]
    assert shown["events"] == "task.processing task.completed task.failed"
    assert shown["disabled"] == "no"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", shown["created"])


def test_an_endpoint_is_updated_and_removed(acme: Run) -> None:
    """What is not named stays as it is; of what is removed nothing is left."""
    made = added(acme, "--mode", "test")
    del made["secret"]
    named = ("webhook", "update", "acme", made["id"])

    url = acme(*named, "--url", f"{URL}/2", "--description", "x", "--json").json()
    off = acme(*named, "--disable", "--json").json()
    on = acme(*named, "--enable", "--event", "task.failed", "--json").json()
    removed = acme("webhook", "remove", "acme", made["id"])

    assert url == made | {"url": f"{URL}/2", "description": "x"}
    assert (off["disabled"], off["disabled_reason"]) == (True, "requested")
    assert on == url | {"events": ["task.failed"]}
    assert (removed.out, removed.err) == ("", f"webhook {made['id']} of acme is removed\n")
    assert acme("webhook", "list", "acme", "--json").json() == []
    again = acme("webhook", "remove", "acme", made["id"], "--json")
    assert (again.code, again.out) == (1, "")


def test_what_operators_do_is_recorded(acme: Run) -> None:
    """By whom, to which endpoint, and with which wishes; no secret is among it."""
    made = added(acme, "--mode", "test", "--description", "x")
    webhook_id = made["id"]
    for words in (
        ("update", "--disable"),
        ("update", "--enable"),
        ("rotate", "--grace-s", "60"),
        ("redeliver", "--since", "2026-01-09T00:00:00Z", "--status", "all"),
        ("remove",),
    ):
        acme("webhook", words[0], "acme", webhook_id, *words[1:])

    found = acme("audit", "list", "--json", "--tenant", "acme")

    acts = list(reversed(found.json()))[1:]
    named = {"webhook": webhook_id, "mode": "test"}
    events = ["task.processing", "task.completed", "task.failed"]
    assert {act["actor"] for act in acts} == {"cli"}
    assert [(act["act"], act["detail"]) for act in acts] == [
        (
            "webhook.created",
            named | {"url": URL, "events": events, "description": "x", "disabled": False},
        ),
        ("webhook.changed", named | {"disabled": True}),
        ("webhook.changed", named | {"disabled": False}),
        ("webhook.rotated", named | {"grace_s": 60}),
        ("webhook.redelivered", named | {"since": 1767916800000, "status": "all"}),
        ("webhook.deleted", named),
    ]
    assert "whsec_" not in found.out


def test_what_the_operator_allows_holds_for_commands_too(acme: Run) -> None:
    """The same settings as the service has."""
    inside = ("webhook", "add", "acme", "http://127.0.0.1:9000/hook", "--json")
    allowed = {
        "REELGATE_WEBHOOK__ALLOW_NETWORKS": "127.0.0.0/8",
        "REELGATE_WEBHOOK__ALLOW_HTTP": "true",
    }

    refused = acme(*inside)
    made = acme(*inside, **allowed)
    full = acme(*inside, **allowed, REELGATE_WEBHOOK__MAX_ENDPOINTS="1")

    assert (refused.code, refused.err.count("\n")) == (1, 1)
    assert "https" in refused.err
    assert made.json()["url"] == "http://127.0.0.1:9000/hook"
    assert (full.code, full.err.count("\n")) == (1, 1)
    assert "the most that may be" in full.err


async def test_an_endpoint_is_tried(hooked: Bed, receiver: ReceiverServer, reelgate: Run) -> None:
    """By the engine of the service: the command waits for what comes of it."""
    receiver.rule = lambda _: Reply(204)
    webhook_id = await hooks_of(hooked).add(receiver.url())
    words = ("webhook", "test", "acme", webhook_id)

    async with running_engine(hooked):
        told = await asyncio.to_thread(reelgate, *words, "--event", "task.failed", "--json")
        text = await asyncio.to_thread(reelgate, *words)

    found = told.json()
    first, second = receiver.journal
    assert json.loads(first.body)["type"] == found["event"] == "task.failed"
    assert (found["id"], found["status"]) == (first.message_id, "delivered")
    assert [attempt["status_code"] for attempt in found["attempts"]] == [204]
    assert text.out == f"{second.message_id}  delivered  204\n"
    assert text.err == ""


async def test_a_test_that_nobody_delivers_says_so(hooked: Bed, reelgate: Run) -> None:
    """After five seconds; it stays to be delivered."""
    webhook_id = await hooks_of(hooked).add(URL)

    said = reelgate("webhook", "test", "acme", webhook_id)

    assert re.fullmatch(r"msg_[0-9a-z]{25}_test  pending  none yet\n", said.out)
    assert "is `reelgate serve` running?" in said.err


async def test_what_was_told_is_listed_and_delivered_again(
    hooked: Bed, receiver: ReceiverServer, reelgate: Run
) -> None:
    """One by its id, or all of a time; the table has a line for each message."""
    hooks = hooks_of(hooked)
    webhook_id = await hooks.add(receiver.url())
    of_it = ("acme", webhook_id)
    nothing = reelgate("webhook", "deliveries", *of_it)
    (first,) = await hooks.enqueue()
    await deliver(hooked)
    receiver.rule = lambda _: FAULTY
    (second,) = await hooks.enqueue(event="task.failed")
    await deliver(hooked)

    heading, *rows = reelgate("webhook", "deliveries", *of_it).out.splitlines()
    failed = reelgate("webhook", "deliveries", *of_it, "--status", "pending", "--json").json()
    one = reelgate("webhook", "redeliver", *of_it, "--id", first)
    many = reelgate("webhook", "redeliver", *of_it, "--since", "0", "--json").json()

    assert nothing.err == "no messages\n"
    assert heading.split("  ")[0] == "CREATED"
    cells = {row.split()[-1]: row.split()[1:5] for row in rows}
    assert cells == {
        first: ["delivered", "task.completed", "1", "200"],
        second: ["pending", "task.failed", "1", "500"],
    }
    assert [each["id"] for each in failed["data"]] == [second]
    assert failed["total"] == 1
    assert one.err == "1 message will be delivered again\n"
    assert many == {"redelivered": 2}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["add", "nobody", URL], "there is no tenant nobody"),
        (["list", "nobody"], "there is no tenant nobody"),
        (["show", "nobody", UNKNOWN], "there is no tenant nobody"),
        (["add", "acme", "http://example.com/"], "only where the operator says so"),
        (["add", "acme", "https://10.0.0.1/"], "must not be called"),
        (["add", "acme", URL, "--event", "task.pending"], "'task.processing', 'task.completed'"),
        (["add", "acme", URL, "--description", "a\nb"], "description: it must be at most 200"),
        (["add", "acme", URL, "--secret-file", "/dev/null"], "24 to 64 bytes"),
        (["add", "acme", URL, "--secret-file", "/nowhere"], "--secret-file: /nowhere cannot"),
        (["show", "acme", UNKNOWN], "reelgate webhook list acme"),
        (["show", "acme", UNKNOWN, "--secrets"], "reelgate webhook list acme"),
        (["show", "acme", "nonsense"], "has no webhook nonsense"),
        (["show", "acme", "M\udcfcnchen"], "write it in UTF-8"),
        (["update", "acme", UNKNOWN], "give --url, --event"),
        (["update", "acme", UNKNOWN, "--disable"], "reelgate webhook list acme"),
        (["update", "acme", UNKNOWN, "--url", "x"], "absolute https URL"),
        (["remove", "acme", UNKNOWN], "reelgate webhook list acme"),
        (["rotate", "acme", UNKNOWN], "reelgate webhook list acme"),
        (["rotate", "acme", UNKNOWN, "--grace-s", "604801"], "grace_s: "),
        (["test", "acme", UNKNOWN], "reelgate webhook list acme"),
        (["test", "acme", UNKNOWN, "--event", "x"], "'webhook.test'"),
        (["redeliver", "acme", UNKNOWN], "`since`"),
        (["redeliver", "acme", UNKNOWN, "--since", "soon"], "2026-12-01T00:00:00Z"),
        (["redeliver", "acme", UNKNOWN, "--since", "0"], "reelgate webhook list acme"),
        (["redeliver", "acme", UNKNOWN, "--id", "msg_1", "--until", "0"], "alone"),
        (["deliveries", "acme", UNKNOWN], "reelgate webhook list acme"),
        (["deliveries", "acme", UNKNOWN, "--status", "open"], "pending, delivered"),
        (["deliveries", "acme", UNKNOWN, "--page-size", "101"], "1 to 100"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_failed_command_names_the_remedy_in_one_line(
    acme: Run, words: list[str], told: str
) -> None:
    """Exit code 1, nothing on standard output, one line on standard error."""
    said = acme("webhook", *words)

    assert (said.code, said.out) == (1, ""), said
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    assert told in said.err


def test_what_is_disabled_is_sent_nothing_by_commands_either(acme: Run) -> None:
    """The message has the command that enables it, which works."""
    made = added(acme, "--disabled")

    refused = [
        acme("webhook", "test", "acme", made["id"]),
        acme("webhook", "redeliver", "acme", made["id"], "--since", "0"),
    ]
    unknown = acme("webhook", "deliveries", "acme", made["id"])

    remedy = f"webhook update acme {made['id']} --enable"
    assert all(f"`reelgate {remedy}`" in said.err for said in refused)
    assert acme(*remedy.split(), "--json").json()["disabled"] is False
    lost = acme("webhook", "redeliver", "acme", made["id"], "--id", "msg_" + "0" * 25 + "_failed")
    assert (unknown.code, lost.code) == (0, 1)
    assert f"reelgate webhook deliveries acme {made['id']}" in lost.err
