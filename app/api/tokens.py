"""Tokens for browsers, minted by whoever holds a key."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.api.callers import reader
from app.api.operators import answered, read_wish, written_by
from app.api.requests import StrictRoute
from app.domain.browser_token import TokenWish
from app.wiring import Gateway

router = APIRouter(route_class=StrictRoute)


@router.post("/v1/tokens", response_class=Response)
async def mint_token(request: Request) -> Response:
    """Mint a token that a page may hold; it is answered this once."""
    gateway: Gateway = request.app.state.gateway
    caller = await reader(request.scope, gateway)
    with read_wish():
        wish = TokenWish.read(await written_by(request, optional=True))
    return answered(await gateway.mint(wish, caller))
