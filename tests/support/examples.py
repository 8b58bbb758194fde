"""The programs in examples/, run as a reader runs them."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from standardwebhooks import Webhook

from tests.support.processes import clean_environment
from tests.support.redis_server import free_port
from tests.support.wait import wait_in_thread

EXAMPLES = Path(__file__).parents[2] / "examples"
END_TIMEOUT_S = 30.0


def run_example(
    *words: str, cwd: Path | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and return what it printed; the first word may be `sh`."""
    *shell, name = words[: 2 if words[0] == "sh" else 1]
    command = [*(shell or [sys.executable]), str(EXAMPLES / name), *words[len(shell) + 1 :]]
    return subprocess.run(
        command,
        env=clean_environment(**variables),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=END_TIMEOUT_S,
        check=False,
    )


@dataclass(frozen=True)
class Running:
    """An example that serves: its port, and what it has printed so far."""

    port: int
    log: Path

    @property
    def origin(self) -> str:
        """The origin of what it serves."""
        return f"http://127.0.0.1:{self.port}"

    def said(self) -> list[str]:
        """Return the lines it has printed."""
        return self.log.read_text("utf-8").splitlines()


@contextmanager
def serving(
    name: str, folder: Path, *options: str, port: int = 0, **variables: str
) -> Iterator[Running]:
    """Serve an example on a port of its own until the end of the block.

    `{port}` in an option is the port. The example prints a line when it can be called.
    """
    port = port or free_port()
    running = Running(port, folder / f"{Path(name).stem}-{port}.log")
    words = [option.format(port=port) for option in options]
    with running.log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-u", str(EXAMPLES / name), *words],
            env=clean_environment(**variables),
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:

        def answers() -> bool:
            assert process.poll() is None, f"it ended:\n{running.log.read_text()}"
            return _is_listening(port)

        wait_in_thread(answers, describing=f"{name} to listen", within_s=END_TIMEOUT_S)
        yield running
    finally:
        process.terminate()
        process.wait(END_TIMEOUT_S)


def sign(secret: str, body: str, *, message_id: str = "msg_1", age_s: float = 0) -> dict[str, str]:
    """Return the headers of a webhook that was sent so long ago."""
    sent = datetime.fromtimestamp(time.time() - age_s, tz=UTC)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(sent.timestamp())),
        "webhook-signature": Webhook(secret).sign(message_id, sent, body),
    }


def _is_listening(port: int) -> bool:
    with socket.socket() as line:
        return line.connect_ex(("127.0.0.1", port)) == 0
