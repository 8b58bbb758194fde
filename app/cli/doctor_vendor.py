"""The vendor as `reelgate doctor` sees it: reachable, and does it take our keys.

Each key asks for its credits, which costs nothing. Nothing the vendor writes is repeated.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import httpx2

from app import __version__
from app.cli.findings import Notes
from app.settings import Settings, SettingsRefused
from app.telemetry import redactor
from app.upstream.keyring import VendorKey
from app.upstream.transport import AiohttpTransport
from app.upstream.wire import NotStrict, read_object

CREDITS_PATH: Final = "/v1/credits"
LONGEST_ANSWER_S: Final = 5.0
MAX_CONNECTIONS: Final = 64
_REFUSALS: Final = (401, 403)


async def check_vendor(chosen: Settings, note: Notes) -> None:
    """Ask the vendor for the credits of each key."""
    try:
        keys = [VendorKey.of(secret) for secret in chosen.vendor.read_keys()]
    except SettingsRefused as refused:
        for problem in refused.problems:
            note("settings-refused", problem)
        return
    redactor.learn(key.secret.get_secret_value() for key in keys)
    if not keys:
        note("vendor-no-key", "no vendor key is set: test keys work, live creates get 503")
        return
    unreachable: set[str] = set()
    async with _client(chosen) as client, asyncio.TaskGroup() as group:
        for key in keys:
            group.create_task(_check_key(client, key, chosen, note, unreachable))
    for reason in sorted(unreachable):
        note("vendor-unreachable", f"{chosen.vendor.base_url}: {reason}")


def _client(chosen: Settings) -> httpx2.AsyncClient:
    answer_s = min(chosen.vendor.report_timeout_s, LONGEST_ANSWER_S)
    return httpx2.AsyncClient(
        base_url=chosen.vendor.base_url,
        transport=AiohttpTransport(max_connections=MAX_CONNECTIONS, keepalive_s=0),
        timeout=httpx2.Timeout(answer_s, connect=min(chosen.vendor.connect_timeout_s, answer_s)),
        trust_env=False,
        follow_redirects=False,
    )


async def _check_key(
    client: httpx2.AsyncClient,
    key: VendorKey,
    chosen: Settings,
    note: Notes,
    unreachable: set[str],
) -> None:
    try:
        async with asyncio.timeout(LONGEST_ANSWER_S):
            status, body = await _ask(client, key, chosen.vendor.max_answer_bytes)
    except (httpx2.TransportError, TimeoutError) as failure:
        unreachable.add(_reason(failure))
        return
    if status in _REFUSALS:
        note("vendor-key-refused", f"the vendor refuses key {key.id} with status {status}")
    elif status != httpx2.codes.OK:
        note("vendor-key-unclear", f"the vendor answered key {key.id} with status {status}")
    else:
        judge_credits(body, key.id, note)


async def _ask(client: httpx2.AsyncClient, key: VendorKey, most_bytes: int) -> tuple[int, bytes]:
    """Return status and body; of a body that is too long, only so much that it is no JSON."""
    headers = {
        "authorization": f"Bearer {key.secret.get_secret_value()}",
        "accept": "application/json",
        "accept-encoding": "identity",
        "user-agent": f"reelgate/{__version__}",
    }
    body = bytearray()
    async with client.stream("GET", CREDITS_PATH, headers=headers) as answer:
        async for chunk in answer.aiter_raw():
            body += chunk
            if len(body) > most_bytes:
                return answer.status_code, b""
    return answer.status_code, bytes(body)


def judge_credits(body: bytes, key_id: str, note: Notes) -> None:
    """Note what a key has left, by the body of the vendor's answer."""
    try:
        answer = read_object(body)
    except NotStrict:
        note("vendor-key-unclear", f"the answer to key {key_id} is not a JSON object")
        return
    shown = answer.get("data")
    if not isinstance(shown, dict):
        note("vendor-key-unclear", f"the answer to key {key_id} shows no account")
        return
    left = [_left(shown.get(owner)) for owner in ("token", "user")]
    known = [credit for credit in left if credit is not None]
    if known and min(known) <= 0:
        note("vendor-key-empty", f"the vendor takes key {key_id}, but it has no credits left")
        return
    said = f", {min(known):g} credits left" if known else ""
    note("vendor-key-ok", f"the vendor takes key {key_id}{said}")


def _left(allowance: Any) -> float | None:
    """Return the remaining credits of a key or account; None where unlimited or not shown."""
    match allowance:
        case {"unlimited_credits": True} | {"remaining_credits": bool()}:
            return None
        case {"remaining_credits": int() | float() as remaining}:
            return float(remaining)
        case _:
            return None


def _reason(failure: BaseException) -> str:
    """Name a failure and, where the system gave one, its reason; other texts are not repeated."""
    cause = failure
    while cause.__cause__ is not None:
        cause = cause.__cause__
    detail = cause.strerror if isinstance(cause, OSError) and cause.strerror else None
    return f"{type(failure).__name__} ({detail})" if detail else type(failure).__name__
