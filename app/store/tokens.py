"""Browser tokens: minted under a key, and gone with it or by themselves."""

from __future__ import annotations

from typing import Final

from redis.asyncio import Redis

from app.domain.browser_token import BrowserToken
from app.domain.ids import digest_of_api_key
from app.domain.tenant import Caller
from app.store.keys import Shard, caller_keys, key_index
from app.store.refusals import refusal
from app.store.scripts import Script
from app.store.tenants import written

MAX_TOKENS: Final = 1_000
"""Living tokens of one key; ended in one script with it, so their number is bounded."""

LITTER_MS: Final = 60_000
"""How long the record of an ended token is kept: until no clock calls it living any more."""


class TokenStore:
    """Tokens lie beside their parent: whatever ends it, ends them in the same script."""

    def __init__(self, redis: Redis, epoch_id: str) -> None:
        self._epoch_id = epoch_id
        self._mint_token = Script(redis, "mint_token")
        self._index_token = Script(redis, "index_token")

    async def mint(self, token: BrowserToken, parent: Caller, *, secret: str) -> int:
        """Store a token by its digest, under its parent first, and return when it ends.

        That is sooner than wished where the parent ends sooner.

        Raises:
            TooManyTokens: the parent has as many living ones as it may.
            InvalidKey, TenantDisabled, StoreForeign: nothing was stored; the parent is at an end.
        """
        shard, digest = Shard.of(parent.tenant_id), digest_of_api_key(secret)
        outcome, found = await self._mint_token(
            **caller_keys(parent.tenant_id, parent.key_id),
            token=shard.key(parent.tenant_id, token.id),
            tokens=shard.tokens(parent.tenant_id, parent.key_id),
            now_ms=token.created_ms,
            epoch_id=self._epoch_id,
            token_id=token.id,
            ends_ms=token.ends_ms,
            litter_ms=LITTER_MS,
            most=MAX_TOKENS,
            fields=written(token.fields(digest)),
        )
        if outcome == b"refused":
            raise refusal(found)
        ends_ms = int(found)
        await self._index_token(
            index=key_index(digest),
            tenant_id=parent.tenant_id,
            token_id=token.id,
            mode=token.mode,
            gone_ms=ends_ms + LITTER_MS,
        )
        return ends_ms
