"""Text the vendor wrote, made fit for a tenant's eyes."""

from __future__ import annotations

import re
from typing import Final

MAX_CHARS: Final = 1000
"""Longest vendor text that is shown."""

_IDENTITY: Final = re.compile(
    r"https?://|www\.|\bsk-[A-Za-z0-9_-]|\bbearer\b|task-unified-|evolink|<[a-z!/]"
    r"|[a-z0-9-]\.(?:ai|com|net|io|cn|org|dev|app)\b"
    r"|\b\d{1,3}(?:\.\d{1,3}){3}\b"
    r"|\b(?:request|trace)[ _-]?id\b",
    re.IGNORECASE,
)
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f\x7f\ud800-\udfff]")


def public_text(text: object, fallback: str) -> str:
    """Return `text` if it is plain and tells nothing of the vendor's side, else `fallback`.

    Text that holds a key, an address, a host name, one of the vendor's task ids or markup is not
    repaired but replaced: a half-removed secret is still a leak.
    """
    if not isinstance(text, str):
        return fallback
    # A little more is looked at than shown, so that nothing is cut in the middle of what betrays.
    looked_at = text[: 2 * MAX_CHARS]
    if not looked_at.strip() or _IDENTITY.search(looked_at):
        return fallback
    return _CONTROL.sub(" ", looked_at)[:MAX_CHARS]
