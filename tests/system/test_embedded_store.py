"""Without REELGATE_REDIS_URL: the gateway brings its store, and the command line joins it."""

from __future__ import annotations

from pathlib import Path

from tests.support.bed import CREATE_PATH, character
from tests.support.processes import GatewayProcess
from tests.support.shell import Shell
from tests.support.vendor import Vendor
from tests.support.wait import wait_in_thread


def test_the_command_line_joins_the_store_and_everything_outlives_a_restart(
    shell: Shell, tmp_path: Path, vendor: Vendor
) -> None:
    """A tenant added beside the running gateway can create at once; key and task survive it."""
    with GatewayProcess(tmp_path, "", vendor.url) as gateway:
        environment = gateway.environment
        shell.run("tenant", "add", "acme", environment=environment)
        key = shell.run("key", "issue", "acme", environment=environment).out.strip()
        headers = {"authorization": f"Bearer {key}"}
        created = gateway.http.post(CREATE_PATH, json=character("seconds:0"), headers=headers)
        show = ("task", "show", created.json()["id"], "--json")
        path = f"/v1/tasks/{created.json()['id']}"
        wait_in_thread(
            lambda: gateway.http.get(path, headers=headers).json()["status"] == "completed",
            describing="the task to end",
        )
        before = gateway.http.get(path, headers=headers)
        shown = shell.run(*show, environment=environment).json()
        ended = gateway.stop()
    with GatewayProcess(tmp_path, "", vendor.url) as gateway:
        after = gateway.http.get(path, headers=headers)
        ended_again = gateway.stop()
    still_shown = shell.run(*show, environment=environment).json()

    assert (ended, ended_again) == (0, 0)
    assert (shown["tenant"], shown["state"]) == ("acme", "completed")
    assert after.content == before.content
    assert still_shown == shown
