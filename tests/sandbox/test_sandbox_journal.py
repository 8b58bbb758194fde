"""The journal: what reached the vendor, whatever the client believes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from app.sandbox import SandboxOptions, create_sandbox
from app.sandbox.edge import Edge
from app.sandbox.journal import Journal, key_fingerprint
from app.sandbox.state import assemble
from tests.sandbox.asking import (
    CHARACTER,
    CREATE,
    KEY,
    ManualClock,
    Wire,
    await_entries,
    in_process,
)


def test_an_entry_tells_all_about_a_request(vendor, journal):
    """Method, path, query, headers, body, key, and what came of it."""
    headers = {"Idempotency-Key": "a-key-of-sixteen-characters", "X-Mark": "seen"}
    task = vendor.post(f"{CREATE}?a=b", json=CHARACTER, headers=headers).json()

    [entry] = journal()
    assert ["x-mark", "seen"] in entry.pop("headers")
    assert entry.pop("at_ms") > 1_700_000_000_000
    assert entry.pop("seq") > 0
    assert entry == {
        "method": "POST",
        "path": CREATE,
        "query": "a=b",
        "key": key_fingerprint(KEY),
        "idempotency_key": "a-key-of-sixteen-characters",
        "body": CHARACTER,
        "body_bytes": len(json.dumps(CHARACTER, separators=(",", ":"))),
        "body_complete": True,
        "concurrent": 1,
        "fault": None,
        "created_task_id": task["id"],
        "idempotency_replayed": False,
        "answer_status": 200,
    }


def test_a_key_is_never_written_out(vendor):
    """Twelve characters of its hash and its last four tell keys apart."""
    vendor.get("/v1/models")
    vendor.get("/v1/models", headers={"authorization": "Bearer sk-another-secret-5678"})
    vendor.get("/v1/models", headers={"authorization": ""})

    text = vendor.get("/_sandbox/journal").text
    keys = [entry["key"] for entry in json.loads(text)["entries"]]
    assert [key[-5:] for key in keys] == [":1234", ":5678", key_fingerprint("")[-5:]]
    assert KEY not in text
    assert "another-secret" not in text


def test_what_is_refused_is_written_down_too(vendor, journal):
    """Also without a key, without JSON, or on an unknown path."""
    vendor.post(CREATE, content=b"not json")
    vendor.get("/v1/nothing", headers={"authorization": "Basic x"})

    assert [(entry["body"], entry["answer_status"]) for entry in journal()] == [
        (None, 400),
        (None, 404),
    ]


def test_the_journal_can_be_narrowed(vendor):
    """By path, by method, and by number."""
    vendor.post(CREATE, json=CHARACTER)
    vendor.get("/v1/models")
    vendor.get("/v1/credits")

    def seen(**query: str) -> list[str]:
        entries = vendor.get("/_sandbox/journal", params=query).json()["entries"]
        return [entry["path"].rpartition("/")[2] for entry in entries]

    last = vendor.get("/_sandbox/journal").json()["entries"][1]["seq"]
    assert seen(path="/v1/models") == ["models"]
    assert seen(method="POST") == ["generations"]
    assert seen(after=str(last)) == ["credits"]
    assert vendor.get("/_sandbox/journal?after=x").status_code == 400


def test_the_journal_can_be_emptied(vendor, journal):
    """Numbers go on, so that nothing is mistaken for something older."""
    vendor.get("/v1/models")
    before = journal()[-1]["seq"]
    vendor.delete("/_sandbox/journal")
    vendor.get("/v1/models")

    [entry] = journal()
    assert entry["seq"] == before + 1


def test_requests_served_at_once_are_counted(served, vendor, set_fault):
    """A test can see how many the vendor had at a time."""
    set_fault("hang", times=2)

    with Wire(served) as one, Wire(served) as two:
        one.send("POST", CREATE, CHARACTER)
        await_entries(vendor, 1)
        two.send("POST", CREATE, CHARACTER)
        entries = await_entries(vendor, 2)

    assert [entry["concurrent"] for entry in entries] == [1, 2]


def test_a_request_that_never_ended_is_written_down(served, vendor):
    """A client that left in the middle of its body did reach the vendor."""
    with Wire(served) as wire:
        wire.connection.sendall(
            b"POST /v1/videos/generations HTTP/1.1\r\nhost: a\r\ncontent-length: 50\r\n\r\n{"
        )

    [entry] = await_entries(vendor, 1)
    assert (entry["body_bytes"], entry["body_complete"], entry["answer_status"]) == (1, False, None)


def tight(**limits: int) -> Edge:
    """A sandbox with less room than usual: so many requests, bodies of so many bytes."""
    sandbox = assemble(SandboxOptions(), ManualClock())
    memory = replace(
        sandbox.memory, journal=Journal(None, most_entries=limits.get("most_entries", 100))
    )
    largest = limits.get("largest_body_bytes", 1000)
    app = create_sandbox(SandboxOptions(stateless=True))
    return Edge(app, sandbox=sandbox, memory=memory, largest_body_bytes=largest)


async def test_a_full_journal_refuses_rather_than_forgets():
    """With no room left nothing is served, and the answer says why."""
    async with in_process(tight(most_entries=2)) as vendor:
        answers = [await vendor.post(CREATE, json=CHARACTER) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 507]
    assert "journal" in answers[-1].json()["error"]["message"]


async def test_the_journal_can_be_a_file(tmp_path: Path):
    """A line when a request arrives and one when it is over; the later one counts."""
    path = tmp_path / "journal.jsonl"
    app = create_sandbox(SandboxOptions(journal_path=path), now_ms=ManualClock())

    async with in_process(app) as vendor:
        task = (await vendor.post(CREATE, json=CHARACTER)).json()
        shown = (await vendor.get("/_sandbox/journal")).json()["entries"]

    arrived, over = map(json.loads, path.read_text().splitlines())
    assert (arrived["answer_status"], arrived["created_task_id"]) == (None, None)
    assert over["created_task_id"] == task["id"]
    assert [over] == shown
    assert over["at_ms"] == ManualClock().now_ms


async def test_a_body_that_is_too_large_is_refused():
    """It is answered without being read to its end."""
    async with in_process(tight(largest_body_bytes=100)) as vendor:
        answer = await vendor.post(CREATE, content=b"x" * 200)

    assert answer.status_code == 413
    assert answer.json()["error"]["type"] == "request_too_large_error"
