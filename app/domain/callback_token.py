"""The token in the address the vendor calls back: whose it is, and the proof that we made it."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Final, Self

from app.domain.ids import is_task_id

_TOKEN: Final = re.compile(r"(\d{2})\.([a-z0-9-]{1,64})\.([0-9a-f]{40})", re.ASCII)
_MAC_CHARS: Final = 40
"""160 bits of HMAC-SHA256: guessing one takes longer than any task lives."""


@dataclass(frozen=True, slots=True)
class CallbackToken:
    """Whose callback it is: the task, and the number of its shard, for ids carry none.

    Repeated sends carry the same token: to the vendor's idempotency an altered body is another
    request.
    """

    shard: int
    task_id: str

    def write(self, secret: bytes) -> str:
        """Return the token as it stands in the address."""
        return f"{self._named()}.{self._mac(secret)}"

    @classmethod
    def read(cls, text: str, secret: bytes) -> Self | None:
        """Return what a token says if we made it, else None."""
        found = _TOKEN.fullmatch(text)
        if found is None or not is_task_id(found[2]):
            return None
        token = cls(int(found[1]), found[2])
        return token if hmac.compare_digest(token._mac(secret), found[3]) else None

    def _named(self) -> str:
        return f"{self.shard:02d}.{self.task_id}"

    def _mac(self, secret: bytes) -> str:
        named = self._named().encode("ascii")
        return hmac.new(secret, named, hashlib.sha256).hexdigest()[:_MAC_CHARS]
