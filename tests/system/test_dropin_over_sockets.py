"""Whole programs against a started gateway: a shell script, and one of the standard library."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.dropin.callers import jq_error_or_message
from tests.support.bed import CREATE_PATH, character
from tests.support.fleet import Fleet, open_fleet
from tests.support.processes import clean_environment
from tests.support.redis_server import RedisServer
from tests.support.vendor import Vendor
from tests.support.wait import wait_in_thread

SCRIPT = """
set -eu
call() {
  curl -s -o answer.json -w '%{http_code}' "$@" -H "Authorization: Bearer $KEY" \
    -H 'Content-Type: application/json' --max-time 25
}
status=$(call "$BASE/videos/generations" -d "$BODY")
[ "$status" = 200 ] || { cat answer.json; exit 22; }
id=$(sed 's/.*"id":"\\([^"]*\\)".*/\\1/' answer.json)
case $id in task-unified-*) ;; *) exit 3 ;; esac
tries=0
while [ $tries -lt 60 ]; do
  status=$(call "$BASE/tasks/$id")
  [ "$status" = 200 ] || { cat answer.json; exit 22; }
  case $(cat answer.json) in
    *'"status":"completed"'*) cat answer.json; exit 0 ;;
    *'"status":"failed"'*) cat answer.json; exit 4 ;;
  esac
  tries=$((tries + 1))
  sleep 0.2
done
exit 5
"""
"""A shell client as they are: it cuts what it needs out of the text, and knows 200 alone."""

Run = Callable[[str, str, dict[str, Any], Path], Any]
"""Create a task at this address with this key and body, poll it; returns the last JSON."""


class GaveUp(Exception):
    """The program ended without a video; holds the last JSON it saw."""


def shell_script(base: str, key: str, body: dict[str, Any], folder: Path) -> Any:
    """Run the script."""
    environment = clean_environment(BASE=base, KEY=key, BODY=json.dumps(body))
    done = subprocess.run(
        ["sh", "-c", SCRIPT],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        timeout=40,
        check=False,
    )
    if done.returncode:
        raise GaveUp(done.stdout)
    return json.loads(done.stdout)


def standard_library(base: str, key: str, body: dict[str, Any], folder: Path) -> Any:
    """Do the same with what Python brings along, whose user agent and exceptions are its own."""

    def call(path: str, content: bytes | None = None) -> Any:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        request = urllib.request.Request(base + path, content, headers)  # noqa: S310 - loopback
        try:
            with urllib.request.urlopen(request, timeout=25) as answer:  # noqa: S310 - loopback
                return json.load(answer)
        except urllib.error.HTTPError as refusal:
            raise GaveUp(refusal.read().decode()) from refusal

    task_id = call("/videos/generations", json.dumps(body).encode())["id"]

    def ended() -> Any:
        task = call(f"/tasks/{task_id}")
        return task if task["status"] in ("completed", "failed") else None

    return wait_in_thread(ended, describing="the task to end")


PROGRAMS: list[Run] = [standard_library, *([shell_script] if shutil.which("curl") else [])]
EACH_PROGRAM = pytest.mark.parametrize("run", PROGRAMS, ids=lambda run: run.__name__)


@pytest.fixture
async def fleet(
    redis_server: RedisServer, redis_url: str, vendor: Vendor, tmp_path: Path
) -> AsyncIterator[Fleet]:
    """An empty store, a vendor without faults, and one started gateway."""
    async with open_fleet(tmp_path, redis_server, vendor) as opened:
        await opened.start("serve")
        yield opened


@EACH_PROGRAM
async def test_a_program_gets_its_video(fleet: Fleet, tmp_path: Path, run: Run) -> None:
    """With no other change than address and key: created, polled, completed."""
    customer = await fleet.customer()
    base = f"{fleet.gateways[0].url}/v1"

    ended = await asyncio.to_thread(run, base, customer.key, character("seconds:1"), tmp_path)

    assert ended["status"] == "completed"
    assert ended["result_data"]["character_name"].endswith("#")
    assert len(fleet.vendor.creates()) == 1


@EACH_PROGRAM
async def test_a_program_can_say_why_it_gave_up(fleet: Fleet, tmp_path: Path, run: Run) -> None:
    """What it prints is the gateway's JSON, with the field in it that was wrong."""
    customer = await fleet.customer()
    base = f"{fleet.gateways[0].url}/v1"

    with pytest.raises(GaveUp) as caught:
        await asyncio.to_thread(run, base, customer.key, character(timestamps="0,9"), tmp_path)

    assert jq_error_or_message(str(caught.value))["param"] == "timestamps"
    assert fleet.vendor.creates() == []


async def test_a_connection_is_kept_between_a_create_and_its_polls(fleet: Fleet) -> None:
    """A program that keeps its line open is not made to connect again for each question."""
    customer = await fleet.customer()
    url = fleet.gateways[0].url

    created = await customer.ask("POST", url + CREATE_PATH, json=character("seconds:1"))
    answers = [
        await customer.ask("GET", f"{url}/v1/tasks/{created.json()['id']}") for _ in range(5)
    ]

    assert {answer.status_code for answer in (created, *answers)} == {200}
    assert not any("close" in answer.headers.get("connection", "") for answer in answers)
