"""Requests that a bed has no word of its own for."""

from __future__ import annotations

from typing import Any

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


async def get(bed: Bed, key: str, path: str) -> httpx2.Response:
    """Ask for a path, with its query."""
    return await bed.http.get(path, headers=[bearer(key)])


async def shown(bed: Bed, key: str, path: str) -> Any:
    """Return what is answered to a read that must go well."""
    answer = await get(bed, key, path)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def ask_batch(bed: Bed, key: str, body: Any) -> httpx2.Response:
    """Send a batch read."""
    return await bed.http.post("/v1/tasks/batch", json=body, headers=[bearer(key)])
