"""Who is calling: the bearer key of a request, and whose it is."""

from __future__ import annotations

from starlette.types import Scope

from app.domain.ids import mode_of_api_key
from app.domain.tenant import Caller
from app.errors import InvalidKey
from app.store.tenants import TenantStore


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


async def authenticate(scope: Scope, tenants: TenantStore) -> Caller:
    """Return the caller of a request; a mistyped key costs no Redis call.

    Says whose key it is; whether it may still be used is for the script that serves the request.

    Raises:
        InvalidKey: no key, or none that was ever issued.
    """
    token = bearer_of(scope)
    mode = mode_of_api_key(token)
    caller = None if mode is None else await tenants.find_caller(token, mode)
    if caller is None:
        raise InvalidKey
    scope["reelgate.tenant_id"] = caller.tenant_id
    return caller
