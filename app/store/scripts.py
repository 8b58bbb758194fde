"""Turn `lua/<verb>.lua` into an async function; the file's header is its signature."""

from __future__ import annotations

import hashlib
import re
from importlib import resources
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError, ResponseError

from app.errors import StoreUnavailable

_FOLDER: Final = resources.files("app.store") / "lua"
_HEADER: Final = re.compile(r"^-- (USES|KEYS|ARGV) +(.+)$", re.MULTILINE)


class _Signature:
    """What a script's header says: its keys and arguments in order, and what it is built on.

    `-- USES caller` puts `lua/shared/caller.lua` before the script; a last key written `tasks...`
    stands for any number of keys, which the script gets as a table.
    """

    def __init__(self, source: str) -> None:
        self.uses, self.keys, self.args = list[str](), list[str](), list[str]()
        self.many = ""
        listed = {"USES": self.uses, "KEYS": self.keys, "ARGV": self.args}
        for slot, names in _HEADER.findall(source):
            listed[slot] += names.split()
        if self.keys and self.keys[-1].endswith("..."):
            self.many = self.keys.pop().removesuffix("...")

    def bindings(self) -> list[str]:
        """Return the Lua statements that give every key and argument its name."""
        found = [f"local {name} = KEYS[{place}]" for place, name in enumerate(self.keys, 1)]
        if self.many:
            found.append(f"local {self.many} = {{unpack(KEYS, {len(self.keys) + 1})}}")
        for place, name in enumerate(self.args, 1):
            plain, value = name.removesuffix(":int"), f"ARGV[{place}]"
            found.append(f"local {plain} = {f'tonumber({value})' if plain != name else value}")
        return found

    def arg_names(self) -> list[str]:
        """Return the names of the arguments, without their types."""
        return [name.removesuffix(":int") for name in self.args]


def _on_one_line(source: str) -> str:
    """Return a shared piece without its comment lines, for a place before a file's first line."""
    lines = (line.strip() for line in source.splitlines())
    return " ".join(line for line in lines if not line.startswith("--"))


class Script:
    """One atomic change, called by name and never by position."""

    def __init__(self, redis: Redis, verb: str) -> None:
        source = (_FOLDER / f"{verb}.lua").read_text("utf-8")
        signature = _Signature(source)
        shared = [
            _on_one_line((_FOLDER / "shared" / f"{name}.lua").read_text("utf-8"))
            for name in signature.uses
        ]
        # On the file's own first line, so that line numbers in a Redis error are those of the file.
        self._source = "; ".join([*signature.bindings(), *shared]) + " " + source
        self._keys, self._many, self._args = signature.keys, signature.many, signature.arg_names()
        self._names = {*self._keys, *self._args, *([self._many] if self._many else [])}
        self._digest = hashlib.sha1(self._source.encode("utf-8"), usedforsecurity=False).hexdigest()
        self._redis, self._verb = redis, verb

    async def __call__(self, **named: str | int | bytes | list[str]) -> Any:
        """Run the script once; a name that stands for many keys takes a list of them.

        Raises:
            TypeError: the names given are not exactly those of the header.
            StoreUnavailable: no reply came; the script may or may not have run.
        """
        if named.keys() != self._names:
            raise TypeError(
                f"{self._verb}.lua takes {[*self._keys, self._many, *self._args]},"
                f" got {sorted(named)}"
            )
        keys = [named[name] for name in self._keys]
        many = named[self._many] if self._many else []
        if isinstance(many, list):
            keys += many
        values: list[Any] = [*keys, *(named[name] for name in self._args)]
        with store_errors():
            try:
                return await self._redis.evalsha(self._digest, len(keys), *values)
            except NoScriptError:
                # The one repeat that is safe: the server said it did not run.
                return await self._redis.eval(self._source, len(keys), *values)


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
