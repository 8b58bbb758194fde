"""The holder of a key has a token minted for a browser."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

import structlog

from app.clock import Clock
from app.domain.browser_token import BrowserToken, TokenWish, narrowed
from app.domain.catalogue import Catalogue
from app.domain.ids import mint_browser_token, mint_token_suffix, token_id
from app.domain.tenant import Caller
from app.store.account import AccountStore
from app.store.tokens import TokenStore

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class MintToken:
    """Narrow a key to what was wished for, and store the token under it."""

    catalogue: Catalogue
    accounts: AccountStore
    tokens: TokenStore
    clock: Clock

    async def __call__(self, wish: TokenWish, parent: Caller) -> dict[str, Any]:
        """Mint a token and return what its minter is told; the secret is told this once.

        Raises:
            ModelNotFound, ModelNotAllowed: the parent may not use a model that was named.
            TooManyTokens: the parent has as many living tokens as it may.
            InvalidKey, TenantDisabled: the parent may not be used any more; nothing was stored.
        """
        now_ms = self.clock.now_ms()
        account = await self.accounts.of_caller(parent, (), now_ms=now_ms)
        suffix = mint_token_suffix(secrets.choice)
        token = BrowserToken(
            id=token_id(parent.key_id, suffix),
            mode=parent.mode,
            created_ms=now_ms,
            wish=wish,
            limits=narrowed(account.of_key, wish, self.catalogue, account.of_tenant),
        )
        secret = mint_browser_token(parent.mode, secrets.choice)
        ends_ms = await self.tokens.mint(token, parent, secret=secret)
        log.info("token.minted", token_id=token.id, tenant_id=parent.tenant_id)
        return token.public(secret, ends_ms=ends_ms)
