"""The processes behind `reelgate demo`: commands a user could start, and none outlives it."""

from __future__ import annotations

import os
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Final, Self

from app import settings
from app.cli.console import CommandFailed
from app.store.embedded import open_embedded

START_TIMEOUT_S: Final = 30.0
STOP_TIMEOUT_S: Final = 12.0
"""Longer than the gateway's own drain time; who is later than this is killed."""

GLANCE_S: Final = 0.05
LOG_LINES_QUOTED: Final = 15
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopAsked(Exception):
    """The person at the terminal, or a supervisor, wants the demo to end."""


class StopSignals:
    """While entered, a stop signal is a wish that is met at the next pause, never mid-step.

    So no signal can fall between the start of a process and the note that it is ours to end.
    """

    def __init__(self) -> None:
        self._asked = False

    def __enter__(self) -> Self:
        """Take the signals over."""
        self._waking, self._written = socket.socketpair()
        self._written.setblocking(False)
        self._fd_before = signal.set_wakeup_fd(self._written.fileno(), warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, self._note) for number in _SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the signals back; after a stop, one that comes late changes nothing any more."""
        for number, action in self._before.items():
            signal.signal(number, signal.SIG_IGN if self._asked else action)
        signal.set_wakeup_fd(self._fd_before)
        self._waking.close()
        self._written.close()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._asked = True

    def pause(self, seconds: float) -> None:
        """Wait so long, or until a signal comes.

        Raises:
            StopAsked: one came, now or before.
        """
        if not self._asked:
            select.select([self._waking], [], [], max(0.0, seconds))
        if self._asked:
            raise StopAsked


@dataclass(frozen=True, slots=True)
class Child:
    """One started command; what it says on standard error is in `log`."""

    shown: str
    process: subprocess.Popen[str]
    log: Path
    serves: bool

    def last_words(self) -> str:
        """Return the end of its log."""
        lines = self.log.read_text("utf-8", errors="replace").splitlines()[-LOG_LINES_QUOTED:]
        return "\n".join(f"    {line}" for line in lines) or "    (it wrote nothing)"

    def died(self) -> CommandFailed:
        """Return the failure that tells how it ended."""
        return CommandFailed(
            f"`{self.shown}` ended with code {self.process.returncode}; its log ends with:\n"
            + self.last_words()
        )


class Children:
    """Starts commands on one environment and, on leaving, stops them all, the latest first."""

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str],
        signals: StopSignals,
        say: Callable[[str], None],
    ) -> None:
        self._folder, self._environment = folder, environment
        self._signals, self._say = signals, say
        self._program, self._program_shown = own_program()
        self._children: list[Child] = []

    def shown(self, *words: str) -> str:
        """Return a command as a user types it."""
        return f"{self._program_shown} {shlex.join(words)}"

    def start(self, *words: str, serves: bool = False) -> Child:
        """Start `reelgate <words>`; one that `serves` must not end before it is told to."""
        shown = self.shown(*words)
        self._say(f"$ {shown}")
        log = self._folder / f"{words[0]}.log"
        with log.open("w", encoding="utf-8") as written:
            process = subprocess.Popen(  # noqa: S603 - our own command
                [*self._program, *words],
                env=dict(self._environment),
                stdin=subprocess.DEVNULL,
                stdout=written if serves else subprocess.PIPE,
                stderr=written,
                text=True,
                # Ctrl-C at the terminal is for the demo alone, which then stops them in order.
                start_new_session=True,
            )
        child = Child(shown, process, log, serves)
        self._children.append(child)
        return child

    def output_of(self, child: Child) -> str:
        """Return what a command printed, once it has ended.

        Raises:
            CommandFailed: it failed, or takes too long.
            StopAsked: a stop signal came.
        """
        for _ in self.glances(f"`{child.shown}` to end"):
            if child.process.poll() is not None:
                break
        if child.process.returncode != 0:
            raise child.died()
        assert child.process.stdout is not None  # noqa: S101 - as started above
        return child.process.stdout.read()

    def glances(self, awaited: str) -> Iterator[None]:
        """Yield at short intervals, for as long as it makes sense to wait for what is `awaited`.

        Raises:
            CommandFailed: a server died, or it takes too long.
            StopAsked: a stop signal came.
        """
        for _ in range(round(START_TIMEOUT_S / GLANCE_S)):
            self.check()
            yield
            self._signals.pause(GLANCE_S)
        raise CommandFailed(f"waited {START_TIMEOUT_S:.0f} s in vain for {awaited}")

    def check(self) -> None:
        """Look whether all that serve still do.

        Raises:
            CommandFailed: one has ended.
        """
        for child in self._children:
            if child.serves and child.process.poll() is not None:
                raise child.died()

    def __enter__(self) -> Self:
        """Nothing is started yet."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop them all, and the store too if one of its users could not leave it in order."""
        for child in reversed(self._children):
            _stop(child.process)
        if any(child.process.returncode < 0 for child in self._children):
            self._stop_store()

    def _stop_store(self) -> None:
        if (self._folder / "store.alive").exists():
            open_embedded(self._folder).close()


def _stop(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            # It leads a group of its own, so whatever it started goes with it.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.stdout is not None:
        process.stdout.close()


def own_program() -> tuple[list[str], str]:
    """Return how to start this very command again, and how a user would type it."""
    started = Path(sys.argv[0])
    if started.name != "reelgate" or not started.is_file():
        return [sys.executable, "-m", "app"], f"{shlex.quote(sys.orig_argv[0])} -m app"
    found = shutil.which("reelgate")
    on_path = found is not None and started.samefile(found)
    shown = "reelgate" if on_path else shlex.quote(sys.argv[0])
    return [sys.executable, str(started)], shown


def environment_with(ours: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment with our variables, and no other setting of the user's.

    Settings are read whatever the case of their names, so any spelling goes.
    """
    inherited = settings.child_environment({})
    foreign = [name for name in inherited if name.upper().startswith(settings.PREFIX)]
    for name in foreign:
        del inherited[name]
    return {**inherited, **ours}


def free_port() -> int:
    """Return a loopback port that was free a moment ago."""
    with _bound(0) as line:
        port: int = line.getsockname()[1]
        return port


def refusal_of(port: int) -> str | None:
    """Say why `port` cannot be listened on, or None if it can."""
    try:
        with _bound(port):
            return None
    except OSError as refusal:
        return refusal.strerror or type(refusal).__name__


@contextmanager
def _bound(port: int) -> Iterator[socket.socket]:
    with socket.socket() as line:
        # As the server does: a connection that lingers from before is no obstacle.
        line.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        line.bind(("127.0.0.1", port))
        yield line
