"""`reelgate demo`: a newcomer's first minute works, and nothing of it stays behind."""

from __future__ import annotations

import os
import pty
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx2
import psutil
import pytest

from tests.support.processes import clean_environment
from tests.support.wait import wait_in_thread

DEMO_TIMEOUT_S = 40.0
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Demo:
    """A running `reelgate demo`; on leaving it has ended, and so must have all it started."""

    def __init__(self, *options: str, terminal: bool = False, **variables: str) -> None:
        self._reading, writing = pty.openpty() if terminal else os.pipe()
        os.set_blocking(self._reading, False)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "app", "demo", *options],
            env=clean_environment(**{"TERM": "xterm", **variables}),
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=writing,
            start_new_session=True,
        )
        os.close(writing)
        self.raw = ""

    def read(self) -> str:
        """Return all that was printed so far, without colours."""
        # A terminal whose other end is closed is an error to read from, not an end.
        with suppress(OSError):
            while piece := os.read(self._reading, 65_536):
                self.raw += piece.decode()
        return ESCAPES.sub("", self.raw)

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait until something is printed."""

        def found() -> re.Match[str] | None:
            match = re.search(pattern, self.read())
            assert match or self.process.poll() is None, f"it ended:\n{self.read()}"
            return match

        return wait_in_thread(found, describing=f"{pattern!r}", within_s=DEMO_TIMEOUT_S)

    def wait(self) -> int:
        """Wait until it has ended; return its exit code."""

        def ended() -> bool:
            self.read()
            return self.process.poll() is not None

        wait_in_thread(ended, describing="the demo to end", within_s=DEMO_TIMEOUT_S)
        self.read()
        return self.process.returncode

    def stop(self, number: signal.Signals) -> int:
        """Send it a signal; return its exit code."""
        self.process.send_signal(number)
        return self.wait()

    @property
    def folder(self) -> str:
        """Its data directory, as it printed it."""
        return self.wait_for(r"REELGATE_DATA_DIR=(\S+)")[1]

    def __enter__(self) -> Self:
        """Use it in a `with`."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Look for what it left behind."""
        if self.process.poll() is None:
            self.stop(signal.SIGTERM)
        os.close(self._reading)
        found = re.search(r"REELGATE_DATA_DIR=(\S+)", ESCAPES.sub("", self.raw))
        if found:
            assert [each.info["cmdline"] for each in processes_of(found[1])] == []
            assert not Path(found[1]).exists()


def processes_of(folder: str) -> Iterator[psutil.Process]:
    """Return what lives on a data directory: by environment (ours) or by directory (the store)."""
    for process in psutil.process_iter(["pid", "status", "cwd", "cmdline", "environ"]):
        known = process.info
        variables = known["environ"] or {}
        places = [known["cwd"], *(known["cmdline"] or []), variables.get("REELGATE_DATA_DIR")]
        if any(folder in (place or "") for place in places):
            yield process


def serving_process(folder: str) -> psutil.Process:
    """Return the gateway of a demo."""
    return next(each for each in processes_of(folder) if "serve" in each.info["cmdline"])


@pytest.fixture
def usual_port() -> Iterator[int]:
    """The port the gateway would take, taken, by us or by someone else on this machine."""
    with socket.socket() as line, suppress(OSError):
        line.bind(("127.0.0.1", 8080))
        line.listen()
        yield 8080
        return
    yield 8080


@pytest.mark.slow
def test_one_video_is_followed_to_its_end() -> None:
    """Piped and with settings of another gateway around: plain lines, the character, exit 0."""
    with Demo(
        "--once",
        "--port",
        "0",
        REELGATE_REDIS_URL="redis://127.0.0.1:1",
        reelgate_redis_timeout_s="nonsense",
    ) as demo:
        code = demo.wait()

    assert code == 0, demo.raw
    assert re.search(r"\$ .* sandbox --port \d+", demo.raw)
    assert re.search(r"\$ .* serve --port \d+\n", demo.raw)
    assert re.search(r" processing \d+%\n(.*\n)* +completed 100%\n", demo.raw)
    assert re.search(r'"character_name": "\w+#"', demo.raw)
    assert "Charged to tenant demo: 0.1 credits.\n" in demo.raw
    assert all(character.isprintable() for character in demo.raw.replace("\n", ""))


@pytest.mark.slow
def test_it_serves_on_until_interrupted(usual_port: int) -> None:
    """On a terminal it shows a bar, gives way to whoever has the port, and ends by Ctrl-C."""
    with Demo(terminal=True) as demo:
        demo.wait_for("Serving until Ctrl-C")
        key = demo.wait_for(r"export KEY=(\w+)")[1]
        address = demo.wait_for(r"curl -s (http://\S+/v1/tasks/\S+)")[1]
        task = httpx2.get(address, headers={"authorization": f"Bearer {key}"}, trust_env=False)

        code = demo.stop(signal.SIGINT)

    printed = ESCAPES.sub("", demo.raw)
    assert code == 0
    assert task.json()["result_data"]["character_name"].endswith("#")
    assert f"Port {usual_port} cannot be used" in printed
    assert f":{usual_port}/" not in address
    assert re.search("completed +━+ 100%", printed)
    assert "?sandbox=outcome:failed" in printed
    assert f"REELGATE_DATA_DIR={demo.folder} " in printed
    assert "/docs" in printed


@pytest.mark.slow
def test_terminated_half_way_it_takes_everything_with_it() -> None:
    """A supervisor's SIGTERM while commands are still starting leaves no process and no file."""
    with Demo("--port", "0") as demo:
        demo.wait_for(r"\$ .* key issue ")

        code = demo.stop(signal.SIGTERM)

    assert code == 0, demo.raw


@pytest.mark.slow
def test_the_death_of_a_part_is_told_with_its_last_words() -> None:
    """The gateway killed: the demo fails, quotes its log, and stops the store it left behind."""
    with Demo("--port", "0") as demo:
        log = Path(demo.folder) / "serve.log"
        wait_in_thread(
            lambda: log.exists() and "gateway.started" in log.read_text("utf-8"),
            describing="the gateway to start",
            within_s=DEMO_TIMEOUT_S,
        )
        serving_process(demo.folder).kill()

        code = demo.wait()

    assert code == 1
    assert re.search(r"error: `.* serve --port \d+` ended with code -9", demo.raw)
    assert "gateway.started" in demo.raw


def test_a_port_that_was_asked_for_and_is_taken_is_refused() -> None:
    """A wish that cannot be met is an error that says what to do, before anything is started."""
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        line.listen()
        port = line.getsockname()[1]
        with Demo("--once", "--port", str(port)) as demo:
            code = demo.wait()

    assert code == 1
    assert f"cannot listen on port {port}" in demo.raw
    assert "$" not in demo.raw
