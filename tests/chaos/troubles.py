"""What can be the matter with a store that is not gone for good: each is begun, and ended."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

from tests.support.redis_server import RedisServer, Relay, free_port
from tests.support.wait import wait_until

SLOW_S: Final = 2.0
TIMEOUT_S: Final = 10.0
LOADED: Final = 600
"""Keys that are loaded beside the store's own, so that loading takes its time."""

LOADED_US: Final = 10_000
LOADED_BYTES: Final = 1024
"""Of each of them: a server that loads looks up to answer after so many, at the least."""

SAVED_TO: Final = "dump.rdb"


class Console:
    """One connection that is held through every trouble, for the commands that end it."""

    def __init__(self, server: RedisServer) -> None:
        self._line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._line.settimeout(TIMEOUT_S)
        self._line.connect(str(server.socket_path))

    def call(self, *words: str | int) -> bytes:
        """Run one command and return the raw beginning of its reply, which must be no error."""
        packed = [str(word).encode() for word in words]
        command = b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in packed)
        self._line.sendall(b"*%d\r\n%s" % (len(packed), command))
        reply = self._line.recv(65_536)
        assert not reply.startswith(b"-"), reply
        return reply

    def cut_the_others_off(self) -> None:
        """Close every connection but this one."""
        self.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def close(self) -> None:
        """Hang up."""
        self._line.close()


@dataclass(frozen=True)
class Site:
    """A server, and the relay through which the gateways reach it."""

    server: RedisServer
    relay: Relay

    def assert_refuses(self, word: str) -> None:
        """Fail unless a write is refused with this error word at present."""
        reply = self.server.call("SET", "written", "never")
        assert reply.startswith(f"-{word}".encode()), reply

    async def told(self, section: str, line: str) -> None:
        """Wait until the server says `line` of itself."""
        await wait_until(
            lambda: f"{line}\r\n".encode() in self.server.call("INFO", section), describing=line
        )


Trouble = Callable[[Site], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def killed(site: Site) -> AsyncIterator[None]:
    """The process ends as in a power cut, and is started again."""
    site.server.kill()
    yield
    await asyncio.to_thread(site.server.restart)


@asynccontextmanager
async def frozen(site: Site) -> AsyncIterator[None]:
    """It takes connections and commands, and answers nothing; afterwards it runs them all."""
    site.server.freeze()
    try:
        yield
    finally:
        site.server.thaw()


@asynccontextmanager
async def loading(site: Site) -> AsyncIterator[None]:
    """It was restarted and reads its files: every command is answered, and none carried out."""
    server = site.server
    each = f"for i = 1, {LOADED} do redis.call('%s', 'loaded:' .. i%s) end"
    server.call("EVAL", each % ("SET", f", ('x'):rep({LOADED_BYTES})"), 0)
    server.call("CONFIG", "SET", "rdbcompression", "no")
    server.call("BGREWRITEAOF")
    await site.told("persistence", "aof_rewrite_in_progress:0")
    await asyncio.to_thread(
        partial(server.restart, greeting=b"-LOADING"),
        *("--key-load-delay", str(LOADED_US)),
        *("--loading-process-events-interval-bytes", str(LOADED_BYTES)),
    )
    yield
    site.assert_refuses("LOADING")
    server.call("CONFIG", "SET", "key-load-delay", 0)
    await site.told("persistence", "loading:0")
    server.call("EVAL", each % ("DEL", ""), 0)


@asynccontextmanager
async def slow(site: Site) -> AsyncIterator[None]:
    """Every reply is two seconds late, so that nobody waits for it any more."""
    site.relay.reply_delay_s = lambda: SLOW_S
    yield
    site.relay.reply_delay_s = lambda: 0.0


@asynccontextmanager
async def swallowed(site: Site) -> AsyncIterator[None]:
    """Its host is lost: no byte comes through, and attempts to connect are not answered."""
    site.relay.vanish()
    yield
    await site.relay.speak_again()


@asynccontextmanager
async def half_open(site: Site) -> AsyncIterator[None]:
    """Connections stand and can be made, and all of them are silent, the old ones for ever."""
    site.relay.fall_silent()
    yield
    await site.relay.speak_again()


def _set(
    name: str, value: str | int, usual: str | int, *, word: str = "", cut: bool = False
) -> Trouble:
    """Return the trouble that one setting of the server makes, which answers by an error word."""

    @asynccontextmanager
    async def trouble(site: Site) -> AsyncIterator[None]:
        console = Console(site.server)
        console.call("CONFIG", "SET", name, value)
        if cut:
            console.cut_the_others_off()
        try:
            if word:
                site.assert_refuses(word)
            yield
        finally:
            console.call("CONFIG", "SET", name, usual)
            console.close()

    return trouble


@asynccontextmanager
async def read_only(site: Site) -> AsyncIterator[None]:
    """It was made a replica, of a primary that cannot be reached."""
    site.server.call("REPLICAOF", "127.0.0.1", free_port())
    site.assert_refuses("READONLY")
    yield
    site.server.call("REPLICAOF", "NO", "ONE")


@asynccontextmanager
async def unsaved(site: Site) -> AsyncIterator[None]:
    """It could not write its snapshot, because a directory is in the place of the file."""
    server = site.server
    in_the_way = server.folder / SAVED_TO
    in_the_way.mkdir()
    server.call("CONFIG", "SET", "save", "3600 1")
    server.call("BGSAVE")
    await site.told("persistence", "rdb_last_bgsave_status:err")
    site.assert_refuses("MISCONF")
    yield
    in_the_way.rmdir()
    server.call("BGSAVE")
    await site.told("persistence", "rdb_last_bgsave_status:ok")
    server.call("CONFIG", "SET", "save", "")
    (server.folder / SAVED_TO).unlink()


TROUBLES: Final[dict[str, dict[str, Trouble]]] = {
    "its process": {"killed": killed, "frozen": frozen, "loading": loading},
    "the way to it": {"slow": slow, "swallowed": swallowed, "half_open": half_open},
    "what it may do": {
        "read_only": read_only,
        "out_of_memory": _set("maxmemory", 1, 0, word="OOM"),
        "without_replicas": _set("min-replicas-to-write", 1, 0, word="NOREPLICAS"),
        "unsaved": unsaved,
    },
    "whom it lets in": {
        "login_refused": _set("requirepass", "changed", "", word="NOAUTH", cut=True),
        "too_many_clients": _set("maxclients", 1, 10_000, cut=True),
    },
}
"""By where they lie, and by name; while one lasts, nothing can be written."""
