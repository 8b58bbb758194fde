"""Clients of event streams: the text taken apart, within the process and over a socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from fastapi import FastAPI

from tests.support.wait import wait_until


@dataclass(frozen=True, slots=True)
class Event:
    """One event; `id` is "" for one that does not move its client's place."""

    name: str
    data: Any
    id: str

    @property
    def told(self) -> tuple[str, str]:
        """What it is about: the task and its status."""
        return self.data["id"], self.data["status"]


@dataclass
class EventText:
    """What a client reads, by the rules of the HTML standard."""

    events: list[Event] = field(default_factory=list)
    last_id: str = ""
    retry_ms: int = 0
    comments: int = 0
    _rest: bytes = b""

    def feed(self, text: bytes) -> None:
        """Take what has arrived."""
        *blocks, self._rest = (self._rest + text).split(b"\n\n")
        for block in blocks:
            self._read(block.decode("utf-8"))

    def _read(self, block: str) -> None:
        name, data, moved = "message", list[str](), ""
        for line in block.split("\n"):
            word, _, value = line.partition(":")
            value = value.removeprefix(" ")
            match word:
                case "":
                    self.comments += 1
                case "retry":
                    self.retry_ms = int(value)
                case "id":
                    self.last_id = moved = value
                case "event":
                    name = value
                case "data":
                    data.append(value)
        if data:
            self.events.append(Event(name, json.loads("\n".join(data)), moved))


class _Heard:
    """What a listener has heard, however it listens."""

    text: EventText
    is_over: bool

    @property
    def events(self) -> list[Event]:
        """The events so far."""
        return self.text.events

    async def heard(self, count: int = 1, *, within_s: float = 10) -> list[Event]:
        """Return the events once there are so many."""
        await wait_until(
            lambda: len(self.events) >= count, describing=f"{count} events", within_s=within_s
        )
        return self.events

    async def hears_where_it_is(self) -> None:
        """Wait until there is an id to go on from."""
        await wait_until(lambda: self.text.last_id, describing="an id")

    async def ended(self, *, within_s: float = 10) -> None:
        """Wait until the gateway has ended the stream, or the connection is gone."""
        await wait_until(lambda: self.is_over, describing="the stream's end", within_s=within_s)


class Listening(_Heard):
    """A stream in the gateway's own process; use it in an `async with`.

    `hold` keeps the gateway from writing on, as a client does that does not read. Of a request
    that is `put_off` no answer is waited for.
    """

    def __init__(
        self, app: FastAPI, path: str, key: str, *, put_off: bool = False, **headers: str
    ) -> None:
        self._is_put_off = put_off
        self.text = EventText()
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.is_over = False
        self.writes = 0
        self.was_cut_off = False
        self._may_write, self._gone = asyncio.Event(), asyncio.Event()
        self._may_write.set()
        self._app, self._scope = app, self._asked(path, key, headers)
        self._task: asyncio.Task[None] | None = None

    def _asked(self, path: str, key: str, headers: dict[str, str]) -> dict[str, Any]:
        parts = urlsplit(path)
        sent = {"host": "gateway", "authorization": f"Bearer {key}", **headers}
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": parts.path,
            "raw_path": parts.path.encode("ascii"),
            "query_string": parts.query.encode("ascii"),
            "root_path": "",
            "headers": [
                (name.replace("_", "-").encode("ascii"), value.encode("latin-1"))
                for name, value in sent.items()
            ],
            "server": ("gateway", 80),
            "client": ("127.0.0.1", 1),
            "state": {},
            "reelgate.abort": self.cut_off,
        }

    async def __aenter__(self) -> Self:
        """Ask, and wait for the head of the answer."""
        self._task = asyncio.get_running_loop().create_task(
            self._app(self._scope, self._receive, self._send)
        )
        task = self._task
        if not self._is_put_off:
            await wait_until(lambda: self.body or task.done(), describing="an answer")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Hang up, and wait until the gateway has noticed."""
        self.hang_up()
        assert self._task is not None
        await self._task

    async def _receive(self) -> dict[str, Any]:
        if not self.is_over:
            await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        await self._may_write.wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {
                name.decode("latin-1"): value.decode("latin-1")
                for name, value in message["headers"]
            }
            return
        assert not self.is_over, "nothing may be written after the end"
        self.writes += 1
        self.body += message["body"]
        if self.headers["content-type"].startswith("text/event-stream"):
            self.text.feed(message["body"])
        if not message.get("more_body", False):
            self.is_over = True
            self._gone.set()

    def hold(self) -> None:
        """Read nothing more."""
        self._may_write.clear()

    def read_on(self) -> None:
        """Read again."""
        self._may_write.set()

    def hang_up(self) -> None:
        """Be gone."""
        self._may_write.set()
        self._gone.set()

    def cut_off(self) -> None:
        """Be hung up on by the gateway."""
        self.was_cut_off = True
        self.hang_up()


class SocketListening(_Heard):
    """A stream over a socket, as little of a client as can be; use it in an `async with`.

    `was_finished` where the gateway has ended it in order.
    """

    def __init__(self, url: str, path: str, key: str, **headers: str) -> None:
        parts = urlsplit(url)
        self.text = EventText()
        self.head = ""
        self.is_over = self.was_finished = False
        self.on_text: Callable[[], None] = lambda: None
        self._host, self._port = str(parts.hostname), int(parts.port or 80)
        sent = {"host": parts.netloc, "authorization": f"Bearer {key}", **headers}
        lines = [f"{name.replace('_', '-')}: {value}\r\n" for name, value in sent.items()]
        self._asked = f"GET {path} HTTP/1.1\r\n{''.join(lines)}\r\n".encode("ascii")
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Ask, wait for the head of the answer, and read on in the background."""
        await self.ask()
        self._task = asyncio.get_running_loop().create_task(self._read_on())
        return self

    async def ask(self) -> None:
        """Ask, and wait for the head of the answer alone."""
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        self._writer.write(self._asked)
        self.head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Hang up."""
        self.hang_up()
        if self._task is not None:
            await self._task

    def hang_up(self) -> None:
        """Break the connection off, wherever it is."""
        self._writer.transport.abort()

    async def _read_on(self) -> None:
        try:
            while size := int(await self._reader.readuntil(b"\r\n"), 16):
                self.text.feed((await self._reader.readexactly(size + 2))[:-2])
                self.on_text()
            self.was_finished = True
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            self.is_over = True
            self.on_text()
