"""The admin token of real processes: set, made up and shared, and told to nobody."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import httpx2
import psutil
import pytest

from tests.api.operating import ADMIN_TOKEN, TENANTS
from tests.support.fleet import Fleet
from tests.support.processes import GatewayProcess
from tests.support.shell import Shell
from tests.support.vendor import Vendor
from tests.support.wait import wait_in_thread


def statuses(gateway: GatewayProcess, tokens: Iterable[str]) -> list[int]:
    """Return what the admin API answers to each token."""
    return [
        gateway.http.get(TENANTS, headers={"authorization": f"Bearer {token}"}).status_code
        for token in tokens
    ]


def test_processes_on_one_embedded_store_agree_about_the_token(
    tmp_path: Path, vendor: Vendor, shell: Shell
) -> None:
    """The first makes it up, the second finds it, and so does each of its workers."""
    home = {"REELGATE_DATA_DIR": str(tmp_path / "home"), "REELGATE_LOG__LEVEL": "debug"}
    with (
        GatewayProcess(tmp_path, "", vendor.url, name="one", **home) as one,
        GatewayProcess(
            tmp_path, "", vendor.url, name="two", options=("--workers", "2"), **home
        ) as two,
    ):
        file = tmp_path / "home" / "admin-token"
        token = file.read_text("ascii").strip()
        found = [statuses(each, (token, "x" * 20)) for each in (one, two)]
        again = [_with_new_line(two, token) for _ in range(8)]
        doctor = shell.run("doctor", environment=one.environment)
        said = [
            one.http.get(path, headers={"authorization": f"Bearer {token}"}).text
            for path in ("/openapi.json", "/metrics", "/readyz", TENANTS)
        ]
        shown = [" ".join(psutil.Process(each.pid).cmdline()) for each in (one, two)]
        # The store is theirs: killed ones would leave it running.
        ended = [each.stop() for each in (two, one)]

    assert ended == [0, 0]
    assert found == [[200, 401], [200, 401]]
    assert set(again) == {200}
    assert file.stat().st_mode & 0o777 == 0o600
    for text in (*said, *shown, doctor.out, doctor.err, one.log.read_text(), two.log.read_text()):
        assert token not in text


def _with_new_line(gateway: GatewayProcess, token: str) -> int:
    """Ask over a connection of its own, which any worker may take."""
    headers = {"authorization": f"Bearer {token}"}
    return httpx2.get(gateway.url + TENANTS, headers=headers, trust_env=False).status_code


def test_first_starts_at_once_agree_about_the_token(tmp_path: Path) -> None:
    """Of those that find no file one is faster; the others take its token and leave nothing."""
    order = "import sys, pathlib, app.store.admin_token as kept; sys.stdin.read()"
    order += f"; print(kept.kept_admin_token(pathlib.Path({str(tmp_path)!r})))"
    began = [
        subprocess.Popen(
            [sys.executable, "-c", order], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(6)
    ]
    for process in began:
        assert process.stdin is not None
        process.stdin.close()

    made = [_last_words(process) for process in began]

    assert len(set(made)) == 1
    assert made[0].startswith("rga_")
    assert [path.name for path in tmp_path.iterdir()] == ["admin-token"]


def _last_words(process: subprocess.Popen[str]) -> str:
    """Wait for the end of a process that must end well, and return what it printed."""
    assert process.stdout is not None
    with process.stdout as output:
        said = output.read()
    assert process.wait(20) == 0
    return said


async def test_a_set_token_is_told_to_nobody(fleet: Fleet, shell: Shell) -> None:
    """Not in a log at debug level, not by the doctor, not in the document, not in the store."""
    (gateway,) = await fleet.start(
        "serve", REELGATE_ADMIN_TOKEN=ADMIN_TOKEN, REELGATE_LOG__LEVEL="debug"
    )
    found = statuses(gateway, (ADMIN_TOKEN, ADMIN_TOKEN + "x", ADMIN_TOKEN[:-1]))
    doctor = shell.run("doctor", "--json", environment=gateway.environment)
    listed = shell.run("tenant", "list", environment=gateway.environment)
    document = gateway.http.get("/openapi.json").text
    wrong = gateway.http.get(f"/{ADMIN_TOKEN}?token={ADMIN_TOKEN}")
    await fleet.stop()

    assert found == [200, 401, 401]
    assert wrong.status_code == 404
    for text in (
        *(doctor.out, doctor.err, listed.out, listed.err, document),
        gateway.log.read_text("utf-8"),
    ):
        assert ADMIN_TOKEN not in text
    assert json.loads(doctor.out)["findings"]


@pytest.mark.parametrize(
    "token",
    [
        "canary-15-chars",
        "canary with blanks in it",
        " canary-with-a-blank-before",
        "canary-with-a-blank-after ",
        "canary\twith-a-tab-in-it",
        "canary-with-a-line\n",
        "canary-with-ümläuts-in-it",
        "canary-with-a-bell\x07",
    ],
)
def test_a_token_that_no_header_carries_is_refused_at_the_start(
    shell: Shell, tmp_path: Path, redis_url: str, token: str
) -> None:
    """By its name, with the rule, and without its value."""
    said = shell.run(
        "serve",
        "--port",
        "0",
        environment={
            "REELGATE_REDIS_URL": redis_url,
            "REELGATE_DATA_DIR": str(tmp_path),
            "REELGATE_ADMIN_TOKEN": token,
        },
    )

    assert (said.code, said.out) == (1, "")
    assert "REELGATE_ADMIN_TOKEN: must be at least 16 visible ASCII characters" in said.err
    assert "canary" not in said.err
    assert len(said.err.splitlines()) == 2


async def test_beside_a_shared_store_nothing_is_made_up(fleet: Fleet) -> None:
    """Without a setting the admin API is off, and no file says otherwise."""
    (gateway,) = await fleet.start("serve")

    answer = gateway.http.get(TENANTS, headers={"authorization": f"Bearer {ADMIN_TOKEN}"})

    assert (answer.status_code, answer.json()["error"]["reason"]) == (404, "unknown_path")
    assert "REELGATE_ADMIN_TOKEN" in answer.json()["error"]["message"]
    assert not list(fleet.folder.rglob("admin-token"))


async def test_every_worker_knows_a_set_token(fleet: Fleet) -> None:
    """Workers read the environment of their parent."""
    (gateway,) = await fleet.start(
        "serve", options=("--workers", "2"), REELGATE_ADMIN_TOKEN=ADMIN_TOKEN
    )
    wait_in_thread(lambda: _with_new_line(gateway, ADMIN_TOKEN) == 200, describing="a worker")

    found = {_with_new_line(gateway, ADMIN_TOKEN) for _ in range(8)}
    # Told to, not killed: workers outlive a parent that had no time to end them.
    await fleet.stop()

    assert found == {200}
