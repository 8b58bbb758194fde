"""The ways in which an answer reaches the client, or does not.

Each way takes the exchange, the answer and the fault's params, and says whether the client was
sent all of it. Those that break the connection need the transport, which `app.sandbox.server`
puts into the scope.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import zlib
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from starlette.types import Message, Receive, Scope, Send

from app.sandbox.answers import Answer

TRANSPORT: Final = "sandbox.transport"

Params = Mapping[str, Any]

_CHUNK_BYTES: Final = 64 * 1024
_MIB: Final = 1024 * 1024
_GZIP_WINDOW: Final = 31
# Lingering for no time at all makes the kernel reset the connection instead of closing it.
_LINGER_NOT: Final = struct.pack("ii", 1, 0)


class NoTransport(Exception):
    """The server in use does not let the application break a connection."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request being answered, and the sign that the sandbox is about to stop."""

    scope: Scope
    receive: Receive
    send: Send
    stopping: asyncio.Event

    def transport(self) -> asyncio.Transport:
        """The connection under this exchange.

        Raises:
            NoTransport: the server does not hand it out.
        """
        transport = self.scope.get("extensions", {}).get(TRANSPORT)
        if transport is None:
            raise NoTransport("this fault works over `reelgate sandbox` only")
        return cast("asyncio.Transport", transport)

    async def drop(self) -> None:
        """Close the connection with what was sent so far, and wait until it is gone."""
        self.transport().close()
        await _gone(self.receive)

    async def while_connected(self, act: Coroutine[Any, Any, None]) -> bool:
        """Run `act` until the client leaves or the sandbox stops; say whether it finished."""
        async with asyncio.TaskGroup() as group:
            acting = group.create_task(act)
            watching = (
                group.create_task(_gone(self.receive)),
                group.create_task(_set(self.stopping)),
            )
            await asyncio.wait((acting, *watching), return_when=asyncio.FIRST_COMPLETED)
            finished = acting.done() and not self.stopping.is_set()
            for task in (acting, *watching):
                task.cancel()
        return finished


Delivery = Callable[[Exchange, Answer, Params], Awaitable[bool]]


async def whole(exchange: Exchange, answer: Answer, params: Params) -> bool:
    """Send the answer as it is."""
    await answer.send(exchange.send)
    return True


async def late(exchange: Exchange, answer: Answer, params: Params) -> bool:
    """Send the answer after `ms`; what it reports has happened before."""
    if not await exchange.while_connected(asyncio.sleep(params["ms"] / 1000)):
        return await _give_up(exchange)
    return await whole(exchange, answer, params)


async def hang(exchange: Exchange, answer: Answer, params: Params) -> bool:
    """Send nothing; after `ms`, or else when the client or the sandbox is done, close."""
    wait_ms = params["ms"]
    wait = asyncio.sleep(wait_ms / 1000) if wait_ms is not None else _for_ever()
    await exchange.while_connected(wait)
    return await _give_up(exchange)


async def close(exchange: Exchange, answer: Answer, params: Params) -> bool:
    """Close the connection in good order without a byte of an answer."""
    await exchange.drop()
    return False


async def reset(exchange: Exchange, answer: Answer, params: Params) -> bool:
    """Reset the connection without a byte of an answer."""
    transport = exchange.transport()
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    transport.abort()
    await _gone(exchange.receive)
    return False


async def cut_short(exchange: Exchange, answer: Answer, params: Params) -> bool:
    """Announce the whole length, send `bytes` of it, or half, and close."""
    exchange.transport()
    share = params["bytes"] if params["bytes"] is not None else len(answer.body) // 2
    await exchange.send(answer.start(length=len(answer.body)))
    await exchange.send(_part(answer.body[: min(share, len(answer.body) - 1)]))
    await exchange.drop()
    return False


async def drip(exchange: Exchange, answer: Answer, params: Params) -> bool:
    """Send `bytes` at a time, with `interval_ms` before each."""
    await exchange.send(answer.start(length=len(answer.body)))

    async def act() -> None:
        for start in range(0, len(answer.body), params["bytes"]):
            await asyncio.sleep(params["interval_ms"] / 1000)
            await exchange.send(_part(answer.body[start : start + params["bytes"]]))
        await exchange.send(_part(b"", more=False))

    return await exchange.while_connected(act()) or await _give_up(exchange)


async def huge(exchange: Exchange, answer: Answer, params: Params) -> bool:
    """Send valid JSON with `mib` of padding in it, in chunks and without a length."""
    await exchange.send(answer.start(length=None))

    async def act() -> None:
        await exchange.send(_part(answer.body[:-1] + b',"padding":"'))
        for _ in range(params["mib"] * _MIB // _CHUNK_BYTES):
            await exchange.send(_part(b"x" * _CHUNK_BYTES))
            # Gives way, so that a client that left is noticed and nobody else has to wait.
            await asyncio.sleep(0)
        await exchange.send(_part(b'"}', more=False))

    return await exchange.while_connected(act()) or await _give_up(exchange)


async def bomb(exchange: Exchange, answer: Answer, params: Params) -> bool:
    """Send the same as `huge`, but compressed to a thousandth, whatever the client accepts."""
    await exchange.send(answer.header(b"content-encoding", b"gzip").start(length=None))

    async def act() -> None:
        gzip = zlib.compressobj(wbits=_GZIP_WINDOW)
        await exchange.send(_part(gzip.compress(answer.body[:-1] + b',"padding":"')))
        for _ in range(params["mib"]):
            await exchange.send(_part(gzip.compress(b"x" * _MIB)))
            await asyncio.sleep(0)
        await exchange.send(_part(gzip.compress(b'"}') + gzip.flush(), more=False))

    return await exchange.while_connected(act()) or await _give_up(exchange)


def _part(body: bytes, *, more: bool = True) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more}


async def _give_up(exchange: Exchange) -> bool:
    """End an exchange whose answer will not be finished."""
    await exchange.drop()
    return False


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _set(event: asyncio.Event) -> None:
    await event.wait()


async def _for_ever() -> None:
    await asyncio.Event().wait()
