"""Who is calling: the bearer key of a request, and whose it is."""

from __future__ import annotations

from starlette.types import Scope

from app.api.cors import require_origin
from app.domain.browser_token import TokenScopeName
from app.domain.ids import mode_of_api_key
from app.domain.rates import PolicyName
from app.domain.tenant import Caller
from app.errors import InvalidKey, RateLimited, TokenScope
from app.wiring import Gateway, Store


def bearer_of(scope: Scope) -> str:
    """Return the bearer token of a request.

    Raises:
        InvalidKey: there is none, it is of another scheme, or there are several.
    """
    found = [value for name, value in scope["headers"] if name == b"authorization"]
    if len(found) != 1:
        raise InvalidKey(
            "Missing token: send the header 'Authorization: Bearer <key>'"
            if not found
            else "Invalid token: send one Authorization header"
        )
    scheme, _, token = found[0].partition(b" ")
    token = token.strip()
    if scheme.lower() != b"bearer" or not token.isascii():
        raise InvalidKey
    return str(token.decode("ascii"))


async def authenticate(
    scope: Scope, store: Store, *, tokens_for: TokenScopeName | None = None
) -> Caller:
    """Return the caller of a request; a mistyped key costs no Redis call.

    Says whose key it is; whether it may still be used is for the script that serves the request.
    A browser token is only let in by a route that says which of its scopes it serves.

    Raises:
        InvalidKey: no key, or none that was ever issued, or a browser token that has ended.
        OriginNotAllowed: it is used by a page that its tenant, or its token, does not name.
        TokenScope: it is a browser token, and not for this.
    """
    token = bearer_of(scope)
    mode = mode_of_api_key(token)
    caller = None if mode is None else await store.keys.find_caller(token, mode)
    if caller is None:
        raise InvalidKey
    if caller.ends_ms is not None and store.clock.now_ms() >= caller.ends_ms:
        raise InvalidKey
    scope["reelgate.tenant_id"] = caller.tenant_id
    scope["reelgate.caller"] = caller
    require_origin(scope, caller, store.origins)
    if caller.is_token and tokens_for not in caller.scopes:
        raise TokenScope
    return caller


async def reader(
    scope: Scope, gateway: Gateway, *, tokens_for: TokenScopeName | None = None
) -> Caller:
    """Return the caller of a read, which is counted against its `reads_per_second`.

    The answer, whatever it will be, tells the caller how it stands.

    Raises:
        InvalidKey, OriginNotAllowed, TokenScope: as `authenticate`.
        TenantDisabled: the caller may not read.
        RateLimited: no read is left at present.
    """
    caller = await authenticate(scope, gateway.store, tokens_for=tokens_for)
    permit = await gateway.store.meter.take_read(caller, now_ms=gateway.clock.now_ms())
    scope["reelgate.rates"] = permit.rates
    if permit.wait_ms is not None:
        raise RateLimited(retry_after_s=-(-permit.wait_ms // 1000))
    return caller


async def look_up_rates(
    scope: Scope, gateway: Gateway, caller: Caller, counted: PolicyName
) -> None:
    """Let the answer tell how the caller stands, where nothing has looked at its limits yet."""
    rates = await gateway.store.meter.peek(caller, counted, now_ms=gateway.clock.now_ms())
    scope["reelgate.rates"] = rates
