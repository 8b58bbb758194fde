"""Text the vendor wrote, made fit for a tenant's eyes."""

from __future__ import annotations

import re
from typing import Final

MAX_CHARS: Final = 1000
"""Longest vendor text that is shown."""

_IDENTITY: Final = re.compile(
    r"https?://|www\.|\bsk-[A-Za-z0-9_-]|\bbearer\b|task-unified-|evolink|[a-z0-9-]+\.(?:ai|com|net|io|cn|org)\b|<[a-z!/]",
    re.IGNORECASE,
)
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f\x7f\ud800-\udfff]")


def public_text(text: object, fallback: str) -> str:
    """Return `text` if it is plain and tells nothing of the vendor's side, else `fallback`.

    Text that holds a key, an address, a host name, one of the vendor's task ids or markup is not
    repaired but replaced: a half-removed secret is still a leak.
    """
    if not isinstance(text, str) or not text.strip() or _IDENTITY.search(text):
        return fallback
    return _CONTROL.sub(" ", text)[:MAX_CHARS]
