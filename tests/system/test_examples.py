"""The programs in examples/ do what they say, against a started gateway."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from app.sandbox import SandboxOptions
from app.sandbox.server import running_sandbox
from tests.support.bed import CREATE_PATH, character
from tests.support.broken_line import cutting
from tests.support.customer import Customer
from tests.support.examples import Running, run_example, serving, sign
from tests.support.fleet import Fleet
from tests.support.processes import GatewayProcess
from tests.support.vendor import Vendor
from tests.support.wait import wait_in_thread, wait_until

NOBODY = "http://127.0.0.1:9"
QUICK = {"REELGATE_POLL__MAX_INTERVAL_S": "0.3"}
LOOPBACK = {
    "REELGATE_WEBHOOK__ALLOW_NETWORKS": "127.0.0.0/8",
    "REELGATE_WEBHOOK__ALLOW_HTTP": "true",
}
SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes yes").decode()
ANOTHER = "whsec_" + base64.b64encode(b"another secret of thirty-two").decode()
TOLD = {"id": "task-unified-1", "status": "completed"}


@pytest.fixture(scope="module")
def quick_vendor() -> Iterator[Vendor]:
    """A sandbox whose videos take two seconds: the examples' requests ask for nothing else."""
    with running_sandbox(SandboxOptions(default_seconds=2)) as sandbox:
        opened = Vendor(sandbox.url)
        yield opened
        opened.close()


@pytest.fixture
def vendor(quick_vendor: Vendor) -> Vendor:
    """The vendor of this file's fleets."""
    quick_vendor.sweep()
    return quick_vendor


def at(gateway: str, customer: Customer) -> dict[str, str]:
    """Return the variables that an example is told the gateway and the key by."""
    return {"GATEWAY": gateway, "KEY": customer.key}


def asked(gateway: GatewayProcess, route: str) -> list[int]:
    """Return the statuses that a route has answered with."""
    return [each["status"] for each in gateway.events() if each.get("route") == route]


async def test_the_curl_script_submits_and_waits(fleet: Fleet) -> None:
    """It prints the finished task; repeated under the same name it shows the same one."""
    (gateway,) = await fleet.start("serve", **QUICK)
    variables = at(gateway.url, await fleet.customer())

    first = await asyncio.to_thread(run_example, "sh", "curl.sh", "order-1", **variables)
    again = await asyncio.to_thread(run_example, "sh", "curl.sh", "order-1", **variables)

    assert (first.returncode, first.stderr) == (0, "")
    told = json.loads(first.stdout.splitlines()[-1])
    assert told["status"] == "completed"
    assert told["result_data"]["character_name"].startswith("chr_")
    assert json.loads(again.stdout.splitlines()[-1]) == told
    assert len(fleet.vendor.creates()) == 1


async def test_the_curl_script_says_what_went_wrong(fleet: Fleet) -> None:
    """A refusal is shown in the gateway's words, a silence with what to do; both end it with 1."""
    (gateway,) = await fleet.start("serve")

    refused, unnamed, silent = await asyncio.gather(
        *(
            asyncio.to_thread(run_example, "sh", "curl.sh", "order-2", **variables)
            for variables in (
                {"GATEWAY": gateway.url, "KEY": "rg_live_wrong"},
                {"GATEWAY": gateway.url},
                {"GATEWAY": NOBODY, "KEY": "rg_live_any"},
            )
        )
    )

    assert (refused.returncode, "invalid_key" in refused.stderr) == (1, True)
    assert (unnamed.returncode != 0, "KEY" in unnamed.stderr) == (True, True)
    assert (silent.returncode, "curl.sh order-2" in silent.stderr) == (1, True)


async def test_the_python_client_is_told_by_events(fleet: Fleet) -> None:
    """It prints every change as it comes, in one stream, and the result."""
    (gateway,) = await fleet.start("serve", **QUICK)
    customer = await fleet.customer()

    done = await asyncio.to_thread(run_example, "client.py", gateway.url, customer.key)

    assert (done.returncode, done.stderr) == (0, "")
    percents = percents_of(done.stdout)
    assert percents == sorted(set(percents))
    assert len(percents) > 3
    assert '"character_name": "chr_' in done.stdout
    assert asked(gateway, "/v1/tasks/{task_id}/events") == [200]
    assert asked(gateway, "/v1/tasks/{task_id}") == []


async def test_the_python_client_asks_where_streams_are_cut(fleet: Fleet) -> None:
    """Where something in between lets no stream through, held answers bring it to the same end."""
    (gateway,) = await fleet.start("serve", **QUICK)
    customer = await fleet.customer()

    async with cutting(gateway.url, after=b"event-stream", always=True) as relay:
        done = await asyncio.to_thread(run_example, "client.py", **at(relay.url, customer))

    assert (done.returncode, done.stderr) == (0, "")
    assert '"character_name": "chr_' in done.stdout
    assert relay.cuts == 2
    assert b"?wait=30 HTTP/1.1" in relay.sent


async def test_the_python_client_goes_on_where_it_was_cut_off(fleet: Fleet) -> None:
    """A stream that breaks amid a task is taken up after the last event: none is told twice."""
    (gateway,) = await fleet.start("serve", **QUICK)
    customer = await fleet.customer()

    async with cutting(gateway.url, after=b"event: task.processing") as relay:
        done = await asyncio.to_thread(run_example, "client.py", **at(relay.url, customer))

    assert (done.returncode, done.stderr) == (0, "")
    percents = percents_of(done.stdout)
    assert percents == sorted(set(percents))
    assert relay.cuts == 1
    assert relay.sent.count(b"/events HTTP/1.1") == 2
    assert relay.sent.lower().count(b"last-event-id: ") == 1


def percents_of(printed: str) -> list[int]:
    """Return the progress that the client printed, in order."""
    words = (line.split() for line in printed.splitlines() if line.startswith("task-unified-"))
    return [int(percent) for _, _, percent, _ in words]


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Running]:
    """The example's receiver, with an empty inbox."""
    with serving("receiver.py", tmp_path, "{port}", WEBHOOK_SECRET=SECRET) as running:
        yield running


def test_the_receiver_takes_what_is_genuine_once(receiver: Running) -> None:
    """A genuine message is kept and told of; when it comes again, that is all that is said."""
    body = json.dumps({"type": "task.completed", "data": TOLD})

    first, again = (post(receiver, body, sign(SECRET, body)) for _ in range(2))
    bare = json.dumps(TOLD)
    callback = post(receiver, bare, sign(SECRET, bare, message_id="msg_2"))

    shown = json.dumps(TOLD)
    assert (first, again, callback) == (204, 204, 204)
    assert said_of(receiver, "msg_2") == [
        f"received msg_1 {shown}",
        f"again msg_1 {shown}",
        f"received msg_2 {shown}",
    ]


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (401, "{}", {}),
        (401, "{}", sign(ANOTHER, "{}")),
        (401, '{"a": 1}', sign(SECRET, "{}")),
        (401, "{}", sign(SECRET, "{}") | {"webhook-id": "msg_9"}),
        (401, "{}", sign(SECRET, "{}", age_s=600)),
        (401, "{}", sign(SECRET, "{}", age_s=-600)),
        (400, "{}", sign(SECRET, "{}") | {"webhook-signature": "no version"}),
        (400, "{", sign(SECRET, "{")),
        (413, " " * 1_048_577, {}),
    ],
    ids=[
        *("unsigned", "of another", "altered", "renamed", "old", "early"),
        *("misshapen", "no JSON", "too long"),
    ],
)
def test_the_receiver_refuses_all_else(
    receiver: Running, status: int, body: str, headers: dict[str, str]
) -> None:
    """What is forged, altered, old or malformed is refused, and not kept."""
    answered = post(receiver, body, headers)

    assert answered == status
    genuine = json.dumps(TOLD)
    post(receiver, genuine, sign(SECRET, genuine, message_id="msg_last"))
    assert said_of(receiver, "msg_last") == [f"received msg_last {genuine}"]


def post(receiver: Running, body: str, headers: dict[str, str]) -> int:
    """Send a message; return the status of the answer."""
    address = receiver.origin + "/"
    return httpx2.post(address, content=body, headers=headers, trust_env=False).status_code


def said_of(receiver: Running, last: str) -> list[str]:
    """Return what the receiver printed of messages that it took, once it has told of the last."""

    def said() -> list[str]:
        lines = [line for line in receiver.said() if line.startswith(("received", "again"))]
        return lines if lines and last in lines[-1] else []

    return wait_in_thread(said, describing=f"{last} to be told of")


async def test_the_receiver_is_told_by_the_gateway(fleet: Fleet) -> None:
    """A create with its address as `callback_url` ends in a message that it takes for genuine."""
    (gateway,) = await fleet.start("serve", **LOOPBACK, **QUICK)
    customer = await fleet.customer()
    secret = await fleet.store.tenants.webhook_secret("acme")
    assert secret is not None

    with serving("receiver.py", fleet.folder, "{port}", WEBHOOK_SECRET=secret) as receiver:
        request = character("seconds:0", callback_url=receiver.origin + "/")
        created = await customer.ask("POST", gateway.url + CREATE_PATH, json=request)
        shown = json.dumps({"id": created.json()["id"], "status": "completed"})
        await wait_until(
            lambda: any(shown in line for line in receiver.said()),
            describing="the message to be received",
        )

    assert [line.split()[0] for line in receiver.said()[1:]] == ["received"]
