"""Making a store ours, as the first start of a gateway does."""

from __future__ import annotations

from pathlib import Path

from app.store.connect import connect
from app.store.epoch import settle_epoch


async def claim(url: str, folder: Path) -> str:
    """Initialise a store as a first start does; return its epoch."""
    redis = connect(url)
    try:
        return await settle_epoch(redis, folder, "")
    finally:
        await redis.aclose()
