"""A real server for tests: one process of its own, on a socket in a directory of its own.

`Relay` stands between a client and a server, to delay replies, to lose them, or to fall silent;
`relayed` puts one there for each form of address.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from app.store.embedded import find_server

START_TIMEOUT_S = 10.0
GLANCE_S = 0.002
SENTINEL_NAME = "main"


class RedisServer:
    """A server that runs from construction to `stop`; also a context manager.

    Nothing is kept on disk unless `durable`, which sets what the embedded store sets. With
    `tcp` it listens on a loopback port too; a `cluster` of one node, owning every slot, needs that
    (and takes two seconds, in which a cluster node refuses writes whatever it is told). `watching`
    makes it a sentinel instead, of the primary at that loopback port. Further `flags` go to the
    server as they are and win.
    """

    def __init__(
        self,
        *flags: str,
        durable: bool = False,
        tcp: bool = False,
        cluster: bool = False,
        watching: int | None = None,
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="rg-"))
        self.port = free_port() if tcp or cluster or watching else 0
        self._cluster, self._watching = cluster, watching
        own = self._flags(durable) if watching is None else [self._sentinel_file(), "--sentinel"]
        self._command = [str(find_server()), *own, *flags]
        self._process = self._launch()

    @property
    def url(self) -> str:
        """The address in the form of the setting REELGATE_REDIS_URL."""
        if self._cluster:
            return f"redis+cluster://127.0.0.1:{self.port}"
        if self._watching is not None:
            return f"redis+sentinel://127.0.0.1:{self.port}/{SENTINEL_NAME}"
        return f"unix://{self.socket_path}"

    @property
    def socket_path(self) -> Path:
        """The unix socket, which every variant has."""
        return self.folder / "s"

    @property
    def pid(self) -> int:
        """The present process; another one after `restart`."""
        return self._process.pid

    def call(self, *words: str | int) -> bytes:
        """Run one command on a connection of its own and return the raw beginning of its reply."""
        packed = [str(word).encode() for word in words]
        command = b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in packed)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(START_TIMEOUT_S)
            line.connect(str(self.socket_path))
            line.sendall(b"*%d\r\n%s" % (len(packed), command))
            return line.recv(65_536)

    def flush(self) -> None:
        """Empty every database; the script cache stays."""
        assert self.call("FLUSHALL", "SYNC") == b"+OK\r\n"

    def freeze(self) -> None:
        """Stop the process where it stands: it accepts connections and answers nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen process go on."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill the process as a power cut would, as far as a process can tell."""
        self._process.kill()
        self._process.wait()

    def restart(self, *flags: str, greeting: bytes = b"+PONG") -> None:
        """Kill the process if it still runs, and start it again on the same addresses and files.

        Further `flags` hold for this run only, which has begun once a PING is answered by
        `greeting`.
        """
        self.kill()
        self._process = self._launch(*flags, greeting=greeting)

    def stop(self) -> None:
        """Kill the process and remove its files. Safe to repeat."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        """Return the running server."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it."""
        self.stop()

    def _flags(self, durable: bool) -> list[str]:
        flags = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        flags += ["--unixsocket", str(self.socket_path), "--dir", str(self.folder)]
        flags += ["--maxmemory-policy", "noeviction"]
        if durable:
            flags += ["--appendonly", "yes", "--appendfsync", "always"]
        if self._cluster:
            flags += ["--cluster-enabled", "yes", "--cluster-port", str(free_port())]
        return flags

    def _sentinel_file(self) -> str:
        path = self.folder / "sentinel.conf"
        path.write_text(
            f"port {self.port}\nbind 127.0.0.1\nunixsocket {self.socket_path}\ndir {self.folder}\n"
            f"sentinel monitor {SENTINEL_NAME} 127.0.0.1 {self._watching} 1\n",
            "utf-8",
        )
        return str(path)

    def _launch(self, *flags: str, greeting: bytes = b"+PONG") -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [*self._command, *flags],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={},
                # Ctrl-C ends the tests, which then stop their servers.
                start_new_session=True,
            )
        began_s = time.monotonic()
        while not self._is_ready(greeting):
            if process.poll() is not None or time.monotonic() - began_s > START_TIMEOUT_S:
                process.kill()
                process.wait()
                log_text = (self.folder / "log").read_text("utf-8", errors="replace")
                raise RuntimeError(f"the server did not start:\n{log_text}")
            time.sleep(GLANCE_S)
        return process

    def _is_ready(self, greeting: bytes) -> bool:
        try:
            if not self.call("PING").startswith(greeting):
                return False
            if not self._cluster:
                return True
            state = self.call("CLUSTER", "INFO")
            if b"cluster_slots_assigned:0" in state:
                self.call("CLUSTER", "ADDSLOTSRANGE", 0, 16_383)
        except OSError:
            return False
        return b"cluster_state:ok" in state


@dataclass
class _Link:
    """One client of a relay: `doomed` loses its next reply and hangs up, `dead` is silent."""

    client: asyncio.StreamWriter
    has_subscribed: bool = False
    doomed: bool = False
    dead: bool = False


class Relay:
    """A proxy to a server's socket, on a loopback `port` and on a unix `socket_path`; enter it.

    `reply_delay_s` is asked before each reply is passed on. Once `fatal_word` is set, the first
    command with that word in it still reaches the server, but its reply is dropped and the client's
    connection closed.
    """

    def __init__(self, server: RedisServer) -> None:
        self.port = 0
        self.socket_path = server.folder / "relay"
        self.reply_delay_s: Callable[[], float] = lambda: 0.0
        self.fatal_word: bytes | None = None
        self._target = server.socket_path
        self._links: dict[asyncio.Task[None], _Link] = {}
        self._listeners: list[asyncio.Server] = []
        self._is_silent = self._is_silent_to_subscribers = False
        self._stoppers: list[socket.socket] = []

    async def __aenter__(self) -> Self:
        """Listen."""
        await self._listen()
        self._listeners.append(await asyncio.start_unix_server(self._accept, self.socket_path))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop listening and cut what is still connected."""
        self._unstop()
        for listener in self._listeners:
            listener.close()
        # A connection that was being accepted takes a few turns of the loop to appear.
        for _ in range(10):
            await asyncio.sleep(0)
        for link in self._links.values():
            link.client.close()
        await asyncio.gather(*self._links)
        for listener in self._listeners:
            await listener.wait_closed()

    def reset(self) -> None:
        """Reset the TCP connection of every client, as a host does whose server was killed."""
        for client in [link.client for link in self._links.values()]:
            if not client.is_closing():
                line = client.get_extra_info("socket")
                line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.transport.abort()

    def fall_silent(self) -> None:
        """Take bytes and carry none: what is connected, now or until `speak_again`, is dead.

        It stays open and silent for ever, as where a host has lost its state and says so to nobody.
        """
        self._is_silent = True
        for link in self._links.values():
            link.dead = True

    def fall_silent_to_subscribers(self) -> int:
        """Fall silent on connections that subscribe to something; returns how many have by now."""
        self._is_silent_to_subscribers = True
        subscribed = [link for link in self._links.values() if link.has_subscribed]
        for link in subscribed:
            link.dead = True
        return len(subscribed)

    def vanish(self) -> None:
        """Fall silent, and leave attempts to connect to `port` unanswered, as a lost host does."""
        self.fall_silent()
        self._listeners.pop(0).close()
        listener, filler = socket.socket(), socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        # Nobody accepts: with one connection the queue is full, and no further one is answered.
        listener.listen(0)
        filler.connect(("127.0.0.1", self.port))
        self._stoppers = [filler, listener]

    async def speak_again(self) -> None:
        """Carry new connections as before."""
        self._is_silent = False
        if self._stoppers:
            self._unstop()
            await self._listen()

    def _unstop(self) -> None:
        while self._stoppers:
            self._stoppers.pop().close()

    async def _listen(self) -> None:
        by_port = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = by_port.sockets[0].getsockname()[1]
        self._listeners.insert(0, by_port)

    def _accept(self, asked: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        link = _Link(client, dead=self._is_silent)
        task = asyncio.get_running_loop().create_task(self._carry(link, asked))
        self._links[task] = link
        task.add_done_callback(self._links.pop)

    async def _carry(self, link: _Link, asked: asyncio.StreamReader) -> None:
        ends = [link.client]
        with suppress(OSError):
            replies, server = await asyncio.open_unix_connection(self._target)
            ends.append(server)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass_commands(link, asked, server))
                group.create_task(self._pass_replies(link, replies))
        for end in ends:
            end.close()
            with suppress(OSError):
                await end.wait_closed()

    async def _pass_commands(
        self, link: _Link, asked: asyncio.StreamReader, server: asyncio.StreamWriter
    ) -> None:
        with suppress(OSError):
            while chunk := await asked.read(65_536):
                if self.fatal_word is not None and self.fatal_word in chunk:
                    self.fatal_word = None
                    link.doomed = True
                link.has_subscribed = link.has_subscribed or b"SUBSCRIBE" in chunk
                if link.has_subscribed and self._is_silent_to_subscribers:
                    link.dead = True
                if link.dead:
                    continue
                if server.is_closing():
                    break
                server.write(chunk)
                await server.drain()
        server.close()

    async def _pass_replies(self, link: _Link, replies: asyncio.StreamReader) -> None:
        with suppress(OSError):
            while (chunk := await replies.read(65_536)) and not link.doomed:
                if delay_s := self.reply_delay_s():
                    await asyncio.sleep(delay_s)
                if link.dead:
                    continue
                if link.client.is_closing():
                    break
                link.client.write(chunk)
                await link.client.drain()
        if not link.dead:
            link.client.close()


FORMS = ("redis", "unix", "redis+sentinel", "redis+cluster")
"""Every form of address a client is built for but TLS, which only wraps the first."""


@asynccontextmanager
async def relayed(form: str, server: RedisServer) -> AsyncIterator[tuple[str, Relay]]:
    """Yield an address of one form by which every command to the server goes through a relay.

    The cluster form needs a server that is a cluster of one node; it is told to announce the relay.
    """
    async with Relay(server) as relay:
        sentinel = RedisServer(watching=relay.port) if form == "redis+sentinel" else None
        if form == "redis+cluster":
            server.call("CONFIG", "SET", "cluster-announce-port", relay.port)
        try:
            if sentinel:
                yield sentinel.url, relay
            elif form == "unix":
                yield f"unix://{relay.socket_path}", relay
            else:
                yield f"{form}://127.0.0.1:{relay.port}", relay
        finally:
            if sentinel:
                sentinel.stop()


def free_port() -> int:
    """Return a loopback port that was free a moment ago."""
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        port: int = line.getsockname()[1]
        return port
