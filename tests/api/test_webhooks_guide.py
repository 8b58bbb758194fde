"""docs/webhooks.md is true: its examples are run, its tables are held against the program."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from standardwebhooks import Webhook
from typer.main import get_command

from app.api.openapi.webhooks import WEBHOOK_OPERATIONS
from app.cli.webhooks import commands
from app.domain.delivery import DeliveryState
from app.domain.webhook import (
    DEFAULT_GRACE_S,
    EVENTS,
    MAX_GRACE_S,
    OffReason,
    WebhookChange,
    WebhookWish,
)
from app.settings import Settings
from tests.api.guide import WEBHOOKS_GUIDE, Pause, assert_as_told, examples_in, http_call, section
from tests.api.subscribing import subscriber
from tests.support.bed import Bed

TEXT = WEBHOOKS_GUIDE.read_text("utf-8")
ENDPOINTS = section(TEXT, "## Endpoints")
LOG = section(TEXT, "## What was delivered")
VECTOR = section(TEXT, "### Checking a signature yourself")

Judge = Callable[[dict[str, str], bytes, str, float], bool]

NODE = """
const { headers, body, secret, now } = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
process.stdout.write(String(isGenuine(headers, Buffer.from(body, "latin1"), secret, now)));
"""


def rows(text: str) -> list[str]:
    """Return what stands in the first column of the tables of a part."""
    return [name for row in re.findall(r"^\| (`.*?) \|", text, re.MULTILINE) for name in [row]]


def vector() -> dict[str, str]:
    """Return the signed message of the guide, by the names that it gives its parts."""
    found = dict(re.findall(r"^\| `?([a-z-]+)`? \| `(.*)` \|$", VECTOR, re.MULTILINE))
    assert found.keys() == {
        *("secret", "body", "webhook-id", "webhook-timestamp", "webhook-signature")
    }
    return found


def snippet(language: str) -> str:
    """Return the code of a language in the section on signatures."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", VECTOR, re.DOTALL | re.MULTILINE)
    return str(found)


def in_python(headers: dict[str, str], body: bytes, secret: str, now: float) -> bool:
    """Ask the guide's Python."""
    names: dict[str, Any] = {}
    exec(snippet("python"), names)  # noqa: S102 - our own page
    judge: Judge = names["is_genuine"]
    return judge(headers, body, secret, now)


def in_node(headers: dict[str, str], body: bytes, secret: str, now: float) -> bool:
    """Ask the guide's JavaScript."""
    given = {"headers": headers, "body": body.decode("latin-1"), "secret": secret, "now": now}
    said = subprocess.run(
        ["node", "-e", snippet("js") + NODE],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    return said.stdout == "true"


# A machine without Node has one judge less; those of this project's checks have it.
JUDGES: list[Judge] = [in_python, *([in_node] if shutil.which("node") else [])]


async def test_every_example_is_answered_as_the_guide_says(bed: Bed) -> None:
    """Status, the headers that are shown, and the whole body, one example after the other."""
    variables = {"GATEWAY": "http://gateway", "KEY": await bed.key("acme")}
    for example in examples_in(section(TEXT, "## Getting started") + ENDPOINTS + LOG):
        for command in example.commands:
            if isinstance(command, Pause):
                await bed.pass_time(command.seconds)
                continue
            call = http_call(command, variables)
            answer = await bed.http.request(
                call.method, call.url, headers=call.headers, content=call.content
            )
        found = answer.json()
        variables.setdefault("WEBHOOK", found.get("id", ""))

        assert_as_told(answer, example)


def test_the_signed_message_is_genuine() -> None:
    """By the official library."""
    given = vector()
    at = datetime.fromtimestamp(int(given["webhook-timestamp"]), UTC)

    signature = Webhook(given["secret"]).sign(given["webhook-id"], at, given["body"])

    assert signature == given["webhook-signature"]


@pytest.mark.parametrize("judge", JUDGES)
def test_the_code_of_the_guide_tells_genuine_from_forged(judge: Judge) -> None:
    """As it is, beside other signatures; not with any part changed, nor later than five minutes."""
    given = vector()
    secret, body = given.pop("secret"), given.pop("body").encode()
    now = float(given["webhook-timestamp"])
    signature = given["webhook-signature"]
    late = str(int(now) - 60)

    genuine = [
        judge(given, body, secret, now),
        judge(given, body, secret, now + 299),
        judge(given | {"webhook-signature": f"v1,AAAA {signature}"}, body, secret, now),
    ]
    forged = [
        judge(given, body.replace(b"completed", b"Completed"), secret, now),
        judge(given, body + b" ", secret, now),
        judge(given, body, "whsec_" + "A" * 43 + "=", now),
        judge(given | {"webhook-id": given["webhook-id"] + "x"}, body, secret, now),
        judge(given | {"webhook-timestamp": late}, body, secret, now),
        judge(given | {"webhook-signature": "v1,"}, body, secret, now),
        judge(given | {"webhook-signature": signature.replace("v1,", "v2,")}, body, secret, now),
        judge(given, body, secret, now + 301),
        judge(given, body, secret, now - 301),
    ]

    assert genuine == [True] * 3
    assert forged == [False] * 9


def test_the_guide_names_every_route() -> None:
    """In the table of what can be done."""
    told = set(re.findall(r"^\| [a-z, ]+ \| `([A-Z]+ /v1/\S+)` \|", ENDPOINTS, re.MULTILINE))
    served = {f"{method.upper()} {path}" for path, method in WEBHOOK_OPERATIONS}

    assert told == {each.replace("{webhook_id}", "{id}") for each in served}


async def test_the_guide_names_every_field(bed: Bed) -> None:
    """What is written and what is told, each in its place."""
    made = await (await subscriber(bed)).webhook()
    table = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| (yours|ours)", ENDPOINTS, re.MULTILINE)
    named = {
        whose: {name for names, of in table for name in re.findall(r"\w+", names) if of == whose}
        for whose in ("yours", "ours")
    }

    assert named["yours"] == WebhookWish.model_fields.keys()
    assert named["ours"] == made.keys() - WebhookWish.model_fields.keys() - {"object"}
    patch = re.search(r"`PATCH /v1/webhooks/{id}` \| (.*?):", ENDPOINTS)
    assert patch is not None
    assert set(re.findall(r"\w+", patch[1])) == WebhookChange.model_fields.keys()


def test_the_guide_names_every_command_with_its_options() -> None:
    """But for `--json`, which all of them have."""
    told = {
        name: set(re.findall(r"--[a-z-]+", options))
        for name, options in re.findall(
            r"^\| `([a-z]+) <tenant>.*?` \|(.*)\|$",
            section(TEXT, "## On the command line"),
            re.MULTILINE,
        )
    }
    group: Any = get_command(commands)
    known = {
        name: {
            option
            for param in command.params
            for option in (*param.opts, *param.secondary_opts)
            if option.startswith("--")
        }
        - {"--json"}
        for name, command in group.commands.items()
    }

    assert told == known


def test_the_guide_has_the_numbers_and_words_of_the_program() -> None:
    """Events, reasons and states once each, and every bound."""
    most = Settings().webhook.max_endpoints

    assert [row for row in rows(ENDPOINTS) if row.startswith("`task.")] == [
        f"`{event}`" for event in EVENTS
    ]
    assert {
        row for row in rows(LOG) if row in {f"`{each}`" for each in get_args(DeliveryState)}
    } == {f"`{each}`" for each in get_args(DeliveryState)}
    assert all(f"`{reason}`" in ENDPOINTS for reason in get_args(OffReason))
    assert f"There may be {most} in each" in ENDPOINTS
    assert f"0 to {MAX_GRACE_S}" in ENDPOINTS
    assert DEFAULT_GRACE_S == 86_400
