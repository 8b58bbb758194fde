"""The admin API of the audit log."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.api.operators import answered, operator
from app.api.requests import StrictRoute
from app.domain.ids import is_tenant_id
from app.domain.listing import single_values
from app.errors import InvalidRequest

router = APIRouter(prefix="/admin/v1/audit", route_class=StrictRoute)

DEFAULT_LIMIT: Final = 100
MAX_LIMIT: Final = 1000


@router.get("", response_class=Response)
async def list_acts(request: Request) -> Response:
    """Return what operators did, newest first; `before` continues where a page ended."""
    gateway, _ = operator(request)
    found = single_values(request.query_params.multi_items(), ("tenant", "before", "limit"))
    tenant, before = found.get("tenant"), found.get("before")
    if tenant is not None and not is_tenant_id(tenant):
        raise InvalidRequest("Invalid tenant parameter: no tenant has such an id", param="tenant")
    limit = _limit(found.get("limit"))
    try:
        acts, following = await gateway.store.audit.page(
            tenant_id=tenant, before=before, limit=limit
        )
    except ValueError:
        raise InvalidRequest(
            "Invalid before parameter: write the `next` of an earlier page", param="before"
        ) from None
    return answered({"data": acts, "next": following})


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MAX_LIMIT):
        raise InvalidRequest(
            f"Invalid limit parameter: it must be a whole number from 1 to {MAX_LIMIT}",
            param="limit",
        )
    return int(text)
