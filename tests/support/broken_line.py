"""A line to a gateway that breaks at a chosen moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any


@dataclass
class BrokenLine:
    """What was sent through it, and how often it hung up."""

    target: str
    after: bytes
    always: bool
    port: int = 0
    sent: bytearray = field(default_factory=bytearray)
    cuts: int = 0
    at_work: set[asyncio.Task[Any]] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Its address in place of the gateway's."""
        return f"http://127.0.0.1:{self.port}"

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection, and break it off once it has said what is waited for."""
        task = asyncio.current_task()
        assert task is not None
        self.at_work.add(task)
        task.add_done_callback(self.at_work.discard)
        # Cancelled at the end of the test; in a server's callback that would be an error.
        with suppress(asyncio.CancelledError):
            await self._carry(reader, writer)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, towards = await asyncio.open_connection("127.0.0.1", int(self.target))
        try:
            async with asyncio.TaskGroup() as group:
                asking = group.create_task(self._ask(reader, towards))
                await self._answer(there, writer)
                asking.cancel()
        finally:
            towards.close()
            writer.close()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Whoever asks may hang up as well.
        with suppress(ConnectionError):
            while piece := await reader.read(65_536):
                self.sent += piece
                writer.write(piece)
            writer.write_eof()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(65_536):
            is_met = self.after in piece and (self.always or not self.cuts)
            if not (is_met and self.always):
                writer.write(piece)
                await writer.drain()
            if is_met:
                self.cuts += 1
                return


@asynccontextmanager
async def cutting(url: str, *, after: bytes, always: bool = False) -> AsyncIterator[BrokenLine]:
    """Stand before a gateway, and hang up once it has said something; or always, in its place."""
    line = BrokenLine(url.rpartition(":")[2], after, always)
    server = await asyncio.start_server(line.pass_on, "127.0.0.1", 0)
    line.port = server.sockets[0].getsockname()[1]
    try:
        yield line
    finally:
        server.close()
        for task in line.at_work:
            task.cancel()
        await asyncio.gather(*line.at_work, return_exceptions=True)
