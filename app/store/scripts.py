"""Turn `lua/<verb>.lua` into an async function; the file's header is its signature."""

from __future__ import annotations

import hashlib
import re
from importlib import resources
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError, ResponseError

from app.errors import StoreUnavailable

_HEADER = re.compile(r"^-- (KEYS|ARGV) +(.+)$", re.MULTILINE)


class Script:
    """One atomic change, called by name and never by position."""

    def __init__(self, redis: Redis, verb: str) -> None:
        source = (resources.files("app.store") / "lua" / f"{verb}.lua").read_text("utf-8")
        names: dict[str, list[str]] = {"KEYS": [], "ARGV": []}
        bindings: list[str] = []
        for slot, listed in _HEADER.findall(source):
            for name in listed.split():
                plain = name.removesuffix(":int")
                names[slot].append(plain)
                value = f"{slot}[{len(names[slot])}]"
                bindings.append(
                    f"local {plain} = {f'tonumber({value})' if plain != name else value}"
                )
        # On the file's own first line, so that line numbers in a Redis error are those of the file.
        self._source = "; ".join(bindings) + " " + source
        self._digest = hashlib.sha1(self._source.encode("utf-8"), usedforsecurity=False).hexdigest()
        self._keys, self._args = names["KEYS"], names["ARGV"]
        self._redis, self._verb = redis, verb

    async def __call__(self, **named: str | int | bytes) -> Any:
        """Run the script once.

        Raises:
            TypeError: the names given are not exactly those of the header.
            StoreUnavailable: no reply came; the script may or may not have run.
        """
        if named.keys() != {*self._keys, *self._args}:
            raise TypeError(
                f"{self._verb}.lua takes {[*self._keys, *self._args]}, got {sorted(named)}"
            )
        values = [named[name] for name in (*self._keys, *self._args)]
        with store_errors():
            try:
                return await self._redis.evalsha(self._digest, len(self._keys), *values)
            except NoScriptError:
                # The one repeat that is safe: the server said it did not run.
                return await self._redis.eval(self._source, len(self._keys), *values)


_FOR_NOW = ("MISCONF", "MASTERDOWN", "CLUSTERDOWN", "NOREPLICAS", "TRYAGAIN", "BUSY", "UNBLOCKED")
"""Error words of a server that will work again; a script's own error has none of them."""


class store_errors:  # noqa: N801 - reads as a word where it is used
    """Translate what the client library raises when a server is away, slow or refuses for now.

    A script's own error passes: it is a defect, and no retry mends it.
    """

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: object, failure: BaseException | None, trace: object) -> None:
        """Translate.

        Raises:
            StoreUnavailable: the server did not answer, or refused for now.
        """
        if type(failure) is ResponseError and not str(failure).startswith(_FOR_NOW):
            return
        if isinstance(failure, RedisError | OSError | TimeoutError):
            raise StoreUnavailable from failure
