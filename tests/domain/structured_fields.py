"""A reader of HTTP structured fields (RFC 9651), as far as rate limits need one."""

from __future__ import annotations

import re

_ITEM = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
_PARAMETER = re.compile(r"; *([a-z*][a-z0-9_.*-]*)=(-?[0-9]{1,15})")
_COMMA = re.compile(r"[ \t]*,[ \t]*")


def read_list(text: str) -> list[tuple[str, dict[str, int]]]:
    """Read a List whose members are Strings with Integer parameters; anything else fails."""
    members, at = [], 0
    while True:
        item = _ITEM.match(text, at)
        assert item is not None, f"no string at {text[at:]!r}"
        at, parameters = item.end(), dict[str, int]()
        while parameter := _PARAMETER.match(text, at):
            parameters[parameter[1]], at = int(parameter[2]), parameter.end()
        members.append((item[1], parameters))
        if at == len(text):
            return members
        comma = _COMMA.match(text, at)
        assert comma is not None, f"no comma at {text[at:]!r}"
        at = comma.end()
