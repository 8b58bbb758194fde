"""Requests that a well-behaved client would not send."""

from __future__ import annotations

import httpx2

from tests.support.bed import CREATE_PATH, Bed

UNKNOWN_ID = "task-unified-1767917446-0123456789abcdefghijklmno"
"""An id of the right shape that nobody was given."""

Headers = list[tuple[str, str | bytes]]


def bearer(key: str) -> tuple[str, str]:
    """Return the header that a client identifies itself with."""
    return "authorization", f"Bearer {key}"


async def post_bytes(
    bed: Bed, key: str, content: bytes, *more: tuple[str, str | bytes]
) -> httpx2.Response:
    """Send a create whose body is given byte by byte; a header in `more` may repeat another."""
    headers: Headers = [bearer(key), *more]
    if not any(name == "content-type" for name, _ in more):
        headers.append(("content-type", "application/json"))
    return await bed.http.post(CREATE_PATH, content=content, headers=headers)
