"""Identifiers and API keys: their shapes, and how they are made from randomness handed in."""

from __future__ import annotations

import base64
import hashlib
import re
import zlib
from collections.abc import Callable
from typing import Final, Literal

Mode = Literal["live", "test"]
"""The two sides of a tenant: live keys reach the vendor, test keys the built-in sandbox."""

TASK_ID_PREFIX: Final = "task-unified-"
_LOWER_36: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_BASE_62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_TASK_ID: Final = re.compile(r"task-unified-[0-9]{10}-[0-9a-z]{25}")
_API_KEY: Final = re.compile(r"rgt?_(live|test)_([0-9A-Za-z]{30})([0-9A-Za-z]{6})")
_TENANT_ID: Final = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?")

Choose = Callable[[str], str]
"""Picks one character of a string; `secrets.choice` outside tests."""


def mint_task_id(now_ms: int, choose: Choose) -> str:
    """Return a new public task id: the vendor's shape, with 25 random characters (129 bits)."""
    return f"{TASK_ID_PREFIX}{now_ms // 1000:010d}-{''.join(choose(_LOWER_36) for _ in range(25))}"


def is_task_id(text: str) -> bool:
    """Return whether `text` has the shape of an id that `mint_task_id` makes."""
    return _TASK_ID.fullmatch(text) is not None


def created_s(task_id: str) -> int:
    """Return the creation time inside a task id, unix seconds."""
    return int(task_id[len(TASK_ID_PREFIX) : len(TASK_ID_PREFIX) + 10])


def is_tenant_id(text: str) -> bool:
    """Return whether `text` can name a tenant: 1 to 63 of a-z 0-9 _ -, ends alphanumeric."""
    return _TENANT_ID.fullmatch(text) is not None


def mint_api_key(mode: Mode, choose: Choose) -> str:
    """Return a new secret key: prefix, 30 random base62 characters (178 bits), 6 of checksum."""
    return _mint_secret(f"rg_{mode}_", choose)


def mint_browser_token(mode: Mode, choose: Choose) -> str:
    """Return a new secret token for a browser: a key's shape under a prefix of its own."""
    return _mint_secret(f"rgt_{mode}_", choose)


def _mint_secret(prefix: str, choose: Choose) -> str:
    text = prefix + "".join(choose(_BASE_62) for _ in range(30))
    return text + _checksum(text)


def mint_key_id(choose: Choose) -> str:
    """Return a new public key id, which is no secret: `key_` and 12 characters."""
    return "key_" + "".join(choose(_LOWER_36) for _ in range(12))


def family_of(key_id: str) -> str:
    """Return the id of the key that a key goes back to through rotations; its own if it is first.

    A key and those it was rotated to count against the same limits: a rotation spends nothing new.
    So do the browser tokens that were minted with any of them.
    """
    return parent_of(key_id).partition(".")[0]


def mint_token_suffix(choose: Choose) -> str:
    """Return what a browser token's id has beside that of its parent: 12 characters."""
    return "".join(choose(_LOWER_36) for _ in range(12))


def token_id(parent_id: str, suffix: str) -> str:
    """Return the public id of a browser token of a key: `key_x~y`; it is no secret."""
    return f"{parent_id}~{suffix}"


def is_token_id(key_id: str) -> bool:
    """Return whether a key is a browser token."""
    return "~" in key_id


def parent_of(key_id: str) -> str:
    """Return the id of the key that a browser token was minted with; a key's is its own."""
    return key_id.partition("~")[0]


def next_key_id(key_id: str) -> str:
    """Return the id of the key that `key_id` is rotated to: `key_x`, `key_x.2`, `key_x.3`."""
    family, _, generation = key_id.partition(".")
    return f"{family}.{int(generation or 1) + 1}"


def mint_webhook_secret(random_bytes: bytes) -> str:
    """Return a signing secret in the form of Standard Webhooks; it takes 24 to 64 random bytes."""
    return "whsec_" + base64.b64encode(random_bytes).decode("ascii")


def mode_of_api_key(text: str) -> Mode | None:
    """Return the mode of a well-formed key or token, else None: no look-up tells a mistyped one."""
    match = _API_KEY.fullmatch(text)
    if match is None or _checksum(text[:-6]) != match[3]:
        return None
    return "live" if match[1] == "live" else "test"


def digest_of_api_key(text: str) -> str:
    """Return the only form in which a key is stored: its SHA-256, hexadecimal."""
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _checksum(text: str) -> str:
    """Return CRC32 as six base62 digits, most significant first."""
    rest = zlib.crc32(text.encode("ascii"))
    digits = ""
    for _ in range(6):
        rest, digit = divmod(rest, 62)
        digits = _BASE_62[digit] + digits
    return digits
