"""Real `reelgate` processes: started as a user starts them, killed as an outage kills them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2
import psutil

from tests.support.answers import Document
from tests.support.vendor import VENDOR_KEY
from tests.support.wait import wait_in_thread

START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 20.0


def clean_environment(**variables: str) -> dict[str, str]:
    """Return this environment without Reelgate's own variables, and with `variables`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("REELGATE_")}
    return {**kept, **variables}


def run_command(*words: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run one `reelgate` command to its end, in at most 30 seconds."""
    return subprocess.run(
        [sys.executable, "-m", "app", *words],
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def run_json(*words: str, environment: Mapping[str, str]) -> Any:
    """Run a command that must succeed and return the JSON it prints."""
    done = run_command(*words, environment=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class GatewayProcess:
    """`reelgate serve` on a free port; its whole output is kept in a file.

    What it answers to its own client is held against the document that it publishes.

    `options` are added to the command, `more` to its environment. One of the same `name` in the
    same folder is a restart: it finds the data directory, and adds to the log.
    """

    def __init__(
        self,
        folder: Path,
        redis_url: str,
        vendor_url: str,
        *,
        name: str = "serve",
        options: Sequence[str] = (),
        **more: str,
    ) -> None:
        variables = {
            "REELGATE_REDIS_URL": redis_url,
            "REELGATE_DATA_DIR": str(folder / f"{name}-data"),
            "REELGATE_VENDOR__BASE_URL": vendor_url,
            "REELGATE_VENDOR__KEYS": VENDOR_KEY,
            "REELGATE_POLL__FIRST_DELAY_S": "0.2",
            "REELGATE_POLL__MIN_INTERVAL_S": "0.2",
            "REELGATE_LOG__FORMAT": "json",
            **more,
        }
        self.environment = clean_environment(**variables)
        self.log = folder / f"{name}.log"
        with self.log.open("ab") as output:
            # A restart goes on in the file of the process before it.
            self._began_bytes = output.tell()
            self.process = subprocess.Popen(
                [sys.executable, "-m", "app", "serve", "--port", "0", *options],
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self.url = wait_in_thread(
                self._address, describing=f"{name} to listen", within_s=START_TIMEOUT_S
            )
            self.http = httpx2.Client(base_url=self.url, trust_env=False, timeout=40)
            wait_in_thread(
                self._is_ready, describing=f"{name} to be ready", within_s=START_TIMEOUT_S
            )
            self.document = self._published()
            self.http.event_hooks = {"response": [self._read_and_judge]}
        except BaseException:
            self.kill()
            raise

    def _address(self) -> str:
        assert self.process.poll() is None, f"it ended: {self.log.read_text()}"
        for event in self.events():
            if event["event"] == "gateway.listening":
                return str(event["address"])
        return ""

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, f"it ended: {self.log.read_text()}"
        try:
            return self.http.get("/readyz").status_code == 200
        except httpx2.TransportError:
            return False

    def _published(self) -> Document | None:
        """Return the document that it publishes; an engine has none, and answers probes alone."""
        answer = self.http.get("/openapi.json")
        return Document(answer.json()) if answer.status_code == 200 else None

    def judge(self, answer: httpx2.Response) -> None:
        """Fail where an answer of this process, read already, is not as its document says."""
        if self.document is not None:
            self.document.judge(answer)

    def _read_and_judge(self, answer: httpx2.Response) -> None:
        answer.read()
        self.judge(answer)

    def events(self) -> list[dict[str, Any]]:
        """Return the log events so far; a line that is not whole yet is left out."""
        written = self.log.read_bytes()[self._began_bytes :].decode("utf-8", "replace")
        lines = written.splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process.pid

    def kill(self) -> None:
        """End it as the kernel would: no warning, no last word."""
        self.process.kill()
        self.process.wait(STOP_TIMEOUT_S)

    def wait_for_death(self) -> None:
        """Wait until it has killed itself at a failpoint."""
        code = self.process.wait(STOP_TIMEOUT_S)
        assert code == -signal.SIGKILL, f"it ended with {code}: {self.log.read_text()}"

    def stop(self) -> int:
        """Ask it to stop and return its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(STOP_TIMEOUT_S)

    def __enter__(self) -> Self:
        """Use it in a `with`."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it, by force if it must be, and look its output over for the vendor key.

        By force its workers and its store are ended as well: what a failed test leaves running
        would disturb the tests that come after it.
        """
        self.http.close()
        if self.process.poll() is None:
            started = psutil.Process(self.pid).children(recursive=True)
            self.kill()
            for process in started:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        assert_no_secret(self.log.read_text("utf-8"), where=self.log.name)


def assert_no_secret(text: str, *, where: str) -> None:
    """Fail where `text` carries the vendor key."""
    place = text.find(VENDOR_KEY)
    assert place < 0, f"the vendor key stands in {where}: …{text[max(0, place - 80) : place]}…"
