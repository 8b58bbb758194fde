"""Asking again: what a client has already, and how long it is willing to wait for something else.

Entity tags and their comparison are those of RFC 9110, sections 8.8.3 and 13.1.2.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import parse_qsl

from app.errors import InvalidRequest

MAX_WAIT_S: Final = 60

_SECONDS: Final = re.compile(r"[0-9]{1,2}(\.[0-9]{1,20})?")
_MEMBER: Final = re.compile(rb'[ \t]*(?:(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")[ \t]*)?(?:,|\Z)')
"""A member of a list of tags, and what ends it; a member may be empty."""


def entity_tag(body: bytes) -> bytes:
    """Return the strong tag of an answer: equal for equal bytes, and for no others."""
    return b'"%s"' % hashlib.blake2b(body, digest_size=15).hexdigest().encode("ascii")


def has_already(headers: Iterable[tuple[bytes, bytes]], tag: bytes) -> bool:
    """Say whether `If-None-Match` names a tag; weak and strong tags are equal here.

    A line that is no list of tags names nothing: whoever sends it is answered in full.
    """
    for name, value in headers:
        if name == b"if-none-match" and (value.strip() == b"*" or tag in _tags(value)):
            return True
    return False


def _tags(line: bytes) -> list[bytes]:
    """Return the tags of a line; none where it is no list of tags from end to end."""
    found, place = list[bytes](), 0
    while place < len(line):
        member = _MEMBER.match(line, place)
        if member is None:
            return []
        found.append(member[1])
        place = member.end()
    return found


def read_wait_s(query: bytes) -> float:
    """Return how many seconds a client will wait for news of a task; 0 where it does not say.

    An empty value is none, as in every query.

    Raises:
        InvalidRequest: `wait` is no such number, or stands twice, be it empty.
    """
    if b"wait" not in query and b"%" not in query:
        return 0.0
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    found = [value for name, value in pairs if name == "wait"]
    if found in ([], [""]):
        return 0.0
    seconds = float(found[0]) if _SECONDS.fullmatch(found[0]) else MAX_WAIT_S + 1
    if len(found) > 1 or seconds > MAX_WAIT_S:
        raise InvalidRequest(
            f"Invalid wait parameter: it must be given once, as 0 to {MAX_WAIT_S} seconds, such as"
            " 30 or 0.5",
            param="wait",
        )
    return seconds
