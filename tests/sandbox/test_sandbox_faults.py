"""Faults as a client sees them on the wire."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx2
import pytest

from app.sandbox import SandboxOptions, create_sandbox
from app.sandbox.modes import MODES
from app.sandbox.server import make_server, running_sandbox
from tests.sandbox.asking import (
    CHARACTER,
    CREATE,
    KEY,
    Wire,
    await_entries,
    in_process,
    on_the_wire,
)
from tests.support.wait import wait_in_thread


@pytest.mark.parametrize(
    ("mode", "created", "ended"),
    [
        ("commit_then_reset", True, "reset"),
        ("reset", False, "reset"),
        ("commit_then_close", True, "closed"),
        ("close", False, "closed"),
    ],
)
def test_a_connection_ends_without_a_byte(served, set_fault, journal, mode, created, ended):
    """The client learns nothing; only the journal knows whether a task exists."""
    set_fault(mode)

    seen = on_the_wire(served)

    assert (seen.bytes, seen.ended) == (b"", ended)
    [entry] = journal()
    assert bool(entry["created_task_id"]) is created
    assert (entry["answer_status"], entry["fault"]) == (None, mode)


@pytest.mark.parametrize(("mode", "created"), [("commit_then_hang", True), ("hang", False)])
def test_silence_lasts_longer_than_patience(served, set_fault, journal, mode, created):
    """Nothing comes, and the connection stays."""
    set_fault(mode)

    seen = on_the_wire(served, patience_s=0.1)

    assert (seen.bytes, seen.ended) == (b"", "silent")
    [entry] = journal()
    assert bool(entry["created_task_id"]) is created
    assert entry["answer_status"] is None


def test_silence_can_have_an_end(served, set_fault):
    """With `ms` the connection closes by itself."""
    set_fault("hang", ms=20)

    assert on_the_wire(served).ended == "closed"


def test_a_reused_connection_can_be_reset(served, set_fault):
    """The fault may strike the second request of a connection."""
    with Wire(served) as wire:
        wire.send("GET", "/v1/models", close=False)
        assert wire.read(until=b"]}").status == 200
        set_fault("commit_then_reset")
        wire.send("POST", CREATE, CHARACTER, close=False)

        seen = wire.read()

    assert (seen.bytes, seen.ended) == (b"", "reset")


def test_a_truncated_answer_promises_more_than_it_gives(served, set_fault, journal):
    """The length is that of the whole answer, and half of it comes."""
    set_fault("truncated")

    seen = on_the_wire(served)

    assert (seen.status, seen.ended) == (200, "closed")
    length = int(seen.head.partition("content-length: ")[2].split()[0])
    assert len(seen.body) == length // 2
    assert seen.body.startswith(b'{"created":')
    [entry] = journal()
    assert entry["created_task_id"]
    assert entry["answer_status"] is None


def test_a_slow_answer_comes_in_drops(served, set_fault, journal):
    """It is complete in the end, and correct."""
    set_fault("slow_drip", bytes=40, interval_ms=1)

    seen = on_the_wire(served)

    assert json.loads(seen.body)["id"] == journal()[0]["created_task_id"]
    # Its last piece is here before the server has written that it was.
    wait_in_thread(lambda: journal()[0]["answer_status"] == 200, describing="the journal to say so")


def test_who_leaves_a_slow_answer_is_not_waited_for(served, set_fault, vendor, journal):
    """The journal says that it was never finished."""
    set_fault("slow_drip", bytes=1, interval_ms=50)

    seen = on_the_wire(served, patience_s=0.02)

    assert seen.ended == "silent"
    assert journal()[0]["answer_status"] is None
    assert vendor.get("/v1/models").status_code == 200


def test_a_delayed_answer_is_honest(vendor, set_fault, journal):
    """It comes late, about a task that was created at once."""
    set_fault("delay", ms=30)

    answer = vendor.post(CREATE, json=CHARACTER)

    assert answer.json()["id"] == journal()[0]["created_task_id"]


def test_who_leaves_a_huge_answer_is_not_waited_for(served, set_fault, vendor, journal):
    """The rest is never made."""
    set_fault("huge", mib=1024)

    with Wire(served) as wire:
        wire.send("POST", CREATE, CHARACTER)
        assert wire.read(until=b"padding").status == 200

    vendor.get("/v1/models").raise_for_status()
    assert journal()[0]["answer_status"] is None


def test_a_fault_strikes_only_where_it_was_declared(vendor, set_fault):
    """A fault on reports leaves creations alone."""
    set_fault("status", on="report", status=503)

    created = vendor.post(CREATE, json=CHARACTER)
    report = vendor.get(f"/v1/tasks/{created.json()['id']}")

    assert (created.status_code, report.status_code) == (200, 503)
    assert vendor.get("/v1/models").status_code == 200


def test_a_fault_can_be_meant_for_one_key(vendor):
    """Other keys are served, and the key is not shown back."""
    declared = {"mode": "status", "params": {"status": 401}, "key": "sk-bad-9999"}
    shown = vendor.put("/_sandbox/faults/bad-key", json=declared).json()

    bad = vendor.get("/v1/models", headers={"authorization": "Bearer sk-bad-9999"})
    good = vendor.get("/v1/models")

    assert (bad.status_code, good.status_code) == (401, 200)
    assert "sk-bad-9999" not in json.dumps(shown)


def test_chance_is_repeatable(vendor):
    """The same seed strikes the same requests, about as often as asked."""
    declared = {"mode": "status", "probability": 0.5, "seed": 11}
    rounds = []
    for _ in range(2):
        vendor.put("/_sandbox/faults/half", json=declared)
        rounds.append([vendor.get("/v1/models").status_code for _ in range(40)])

    assert rounds[0] == rounds[1]
    assert 10 <= rounds[0].count(429) <= 30


def test_faults_can_be_listed_and_taken_back(vendor):
    """The list counts how often each has happened."""
    vendor.put("/_sandbox/faults/one", json={"mode": "status", "times": 3})
    vendor.get("/v1/models")

    [shown] = vendor.get("/_sandbox/faults").json()["faults"]
    assert (shown["name"], shown["mode"], shown["fired"], shown["times"]) == ("one", "status", 1, 2)
    assert vendor.delete("/_sandbox/faults/one").json() == {"faults": []}
    assert vendor.delete("/_sandbox/faults/one").status_code == 404
    assert vendor.get("/v1/models").status_code == 200


@pytest.mark.parametrize(
    ("declared", "word"),
    [
        ({}, "mode"),
        ({"mode": "explode"}, "mode"),
        ({"mode": "status", "on": "sometimes"}, "on"),
        ({"mode": "status", "probability": 2}, "probability"),
        ({"mode": "status", "times": 0}, "times"),
        ({"mode": "status", "seed": "x"}, "seed"),
        ({"mode": "status", "key": 5}, "key"),
        ({"mode": "status", "chance": 1}, "chance"),
        ({"mode": "status", "params": []}, "params"),
        ({"mode": "status", "params": {"status": 99}}, "status"),
        ({"mode": "status", "params": {"status": True}}, "status"),
        ({"mode": "status", "params": {"ms": 5}}, "ms"),
        ({"mode": "huge", "params": {"mib": 5000}}, "mib"),
        ({"mode": "bad_id", "params": {"kind": "nice"}}, "kind"),
        ({"mode": "redirect", "params": {"location": "a\r\nb"}}, "location"),
    ],
)
def test_a_fault_that_means_nothing_is_refused(vendor, declared, word):
    """The refusal names the member, and nothing is set."""
    answer = vendor.put("/_sandbox/faults/odd", json=declared)

    assert answer.status_code == 400
    assert word in answer.json()["error"]["message"]
    assert vendor.get("/_sandbox/faults").json() == {"faults": []}


@pytest.mark.parametrize("mode", ["reset", "close", "truncated"])
async def test_without_a_connection_none_can_be_broken(mode):
    """In process such a fault is refused aloud instead of being left out."""
    async with in_process(create_sandbox(SandboxOptions())) as vendor:
        await vendor.put("/_sandbox/faults/any", json={"mode": mode})
        answer = await vendor.get("/v1/models")

    assert answer.status_code == 501
    assert answer.json()["error"]["type"] == "sandbox_error"


async def test_a_hanging_answer_in_process_ends_when_the_caller_gives_up():
    """Only the caller's own limit ends it."""
    async with in_process(create_sandbox(SandboxOptions())) as vendor:
        await vendor.put("/_sandbox/faults/any", json={"mode": "commit_then_hang"})
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await vendor.post(CREATE, json=CHARACTER)
        await vendor.delete("/_sandbox/faults")
        [entry] = (await vendor.get("/_sandbox/journal")).json()["entries"]

    assert entry["created_task_id"]
    assert entry["answer_status"] is None


def test_a_sandbox_stops_although_answers_hang():
    """Those that wait are dropped, so that no test waits for them."""
    with (
        running_sandbox(SandboxOptions()) as sandbox,
        httpx2.Client(base_url=sandbox.url, trust_env=False) as client,
    ):
        client.put("/_sandbox/faults/any", json={"mode": "hang"}).raise_for_status()
        wire = Wire(sandbox.url)
        wire.send("POST", CREATE, CHARACTER)
        await_entries(client, 1)

    with wire:
        assert wire.read().ended in ("closed", "reset")


def test_a_server_can_be_given_a_port():
    """`make_server` is what the command line runs."""
    server = make_server(SandboxOptions(keys=(KEY,)), port=0)

    assert server.config.port == 0
    assert not server.started


def test_every_mode_is_tried_here():
    """A mode without a test is a promise without a check."""
    here = Path(__file__)
    sources = (here, here.with_name("test_sandbox_wrong_answers.py"))
    text = "".join(source.read_text("utf-8") for source in sources)

    assert [name for name in MODES if f'"{name}"' not in text] == []
