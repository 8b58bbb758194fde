"""What stands between a gateway and its vendor, and may be shut or cut a line at the worst time."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


class VendorGate:
    """A proxy on a loopback port to the vendor's; enter it.

    While it is shut, connections are refused. `cuts_idle` is the share of the lines that are cut
    just as another request comes in on them, of which the vendor then never hears.
    """

    def __init__(self, vendor_url: str, lots: random.Random) -> None:
        self._target = urlsplit(vendor_url)
        self._lots = lots
        self._listener: asyncio.Server | None = None
        self._links: set[asyncio.Task[None]] = set()
        self.port = 0
        self.cuts_idle = 0.0
        self.cut = 0
        self.shut_times = 0

    @property
    def url(self) -> str:
        """The address that a gateway is given for its vendor's."""
        return f"http://127.0.0.1:{self.port}"

    async def open(self) -> None:
        """Take connections, on the port that was had before."""
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        """Refuse new connections; those there are stay."""
        if self._listener is not None:
            self._listener.close()
            self.shut_times += 1
        self._listener = None

    async def __aenter__(self) -> Self:
        """Open it."""
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Shut it for good."""
        await self.shut()
        for link in list(self._links):
            link.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)

    def _accept(self, asked: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        link = asyncio.get_running_loop().create_task(self._link(asked, client))
        self._links.add(link)
        link.add_done_callback(self._links.discard)

    async def _link(self, asked: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        ends = [client]
        try:
            with suppress(OSError):
                told, vendor = await asyncio.open_connection(
                    self._target.hostname, self._target.port
                )
                ends.append(vendor)
                answers = asyncio.ensure_future(self._pass(told, client))
                await self._pass_requests(asked, vendor, client)
                vendor.close()
                await answers
        finally:
            for end in ends:
                end.close()

    async def _pass_requests(
        self,
        asked: asyncio.StreamReader,
        vendor: asyncio.StreamWriter,
        client: asyncio.StreamWriter,
    ) -> None:
        is_used = False
        while chunk := await asked.read(65_536):
            begins = chunk.startswith((b"POST ", b"GET "))
            if begins and is_used and self._lots.random() < self.cuts_idle:
                self.cut += 1
                client.transport.abort()
                return
            is_used = is_used or begins
            vendor.write(chunk)
            await vendor.drain()

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await source.read(65_536):
                sink.write(chunk)
                await sink.drain()
        sink.close()
