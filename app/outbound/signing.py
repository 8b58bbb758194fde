"""The headers of Standard Webhooks: who sent a message, which one it is, and when."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from standardwebhooks import Webhook

from app import __version__
from app.domain.webhook import signing_key

USER_AGENT: Final = f"Reelgate/{__version__}"


class NotSignable(Exception):
    """No secret is fit to sign with, so nothing may be sent."""


def signed_headers(
    message_id: str, body: bytes, secrets: Sequence[str], *, now_ms: int
) -> dict[str, str]:
    """Return the headers of one attempt, signed with every secret that holds at present.

    The timestamp is that of the attempt: a receiver refuses what is older than five minutes, so
    that nobody can send it once more.

    Raises:
        NotSignable: each of the secrets is malformed or shorter than 24 bytes.
    """
    at_s, text = now_ms // 1000, body.decode("utf-8")
    at = datetime.fromtimestamp(at_s, UTC)
    signatures = [Webhook(key).sign(message_id, at, text) for key in _fit(secrets)]
    if not signatures:
        raise NotSignable("no webhook secret of at least 24 bytes")
    return {
        "content-type": "application/json",
        "user-agent": USER_AGENT,
        "webhook-id": message_id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": " ".join(signatures),
    }


def _fit(secrets: Sequence[str]) -> list[bytes]:
    """Return the keys of those secrets that are long enough, each once."""
    found: dict[bytes, None] = {}
    for secret in secrets:
        try:
            found[signing_key(secret)] = None
        except ValueError:
            # Short of all others, the caller is told that nothing can be signed.
            continue
    return list(found)
