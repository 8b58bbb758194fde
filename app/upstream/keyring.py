"""The vendor keys of one process, by an id that may be stored and shown."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydantic import SecretStr


@dataclass(frozen=True, slots=True)
class VendorKey:
    """One vendor key; `id` tells keys apart without telling them."""

    id: str
    secret: SecretStr

    @classmethod
    def of(cls, secret: str) -> VendorKey:
        """Name a key by the beginning of its SHA-256."""
        return cls(
            "vk_" + hashlib.sha256(secret.encode("utf-8")).hexdigest()[:12], SecretStr(secret)
        )


class Keyring:
    """Creates take the keys in turn; a task is followed with the key that made it."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._keys = [VendorKey.of(secret) for secret in secrets]
        self._next = 0

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[VendorKey]:
        return iter(self._keys)

    def pick(self) -> VendorKey | None:
        """Return the next key to create with, or None where there is none."""
        if not self._keys:
            return None
        key = self._keys[self._next % len(self._keys)]
        self._next += 1
        return key

    def by_id(self, key_id: str) -> VendorKey | None:
        """Return the key of that id, or None if it is no longer configured."""
        return next((key for key in self._keys if key.id == key_id), None)
