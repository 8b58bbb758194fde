"""The admin API of tenants."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.api.operators import answered, flag, operator, read_wish, written_by
from app.api.requests import StrictRoute
from app.domain.account import DaySpan, usage_answer
from app.domain.api_key import Grace
from app.domain.ids import Mode
from app.domain.pricing import format_credits
from app.domain.tenant import Tenant, TenantChange
from app.errors import InvalidRequest

router = APIRouter(prefix="/admin/v1/tenants", route_class=StrictRoute)


@router.post("", response_class=Response)
async def create_tenant(request: Request) -> Response:
    """Create a tenant; its webhook secret is answered along with it."""
    gateway, by = operator(request)
    with read_wish():
        tenant = Tenant.read(await written_by(request))
    secret = await gateway.store.manage_tenants.create(tenant, by)
    return answered({**tenant.public(), "webhook_secret": secret})


@router.get("", response_class=Response)
async def list_tenants(request: Request) -> Response:
    """Return every tenant, by id."""
    gateway, _ = operator(request)
    return answered({"data": [tenant.public() for tenant in await gateway.store.tenants.all()]})


@router.get("/{tenant}", response_class=Response)
async def show_tenant(request: Request, tenant: str) -> Response:
    """Return a tenant, with `secrets=true` its webhook secret too."""
    gateway, by = operator(request)
    with_secrets = flag(request, "secrets")
    found = await gateway.store.tenants.get(tenant)
    if not with_secrets:
        return answered(found.public())
    secret = await gateway.store.manage_tenants.show_secret(tenant, by)
    return answered({**found.public(), "webhook_secret": secret})


@router.patch("/{tenant}", response_class=Response)
async def change_tenant(request: Request, tenant: str) -> Response:
    """Change what is named; a limit named null is lifted."""
    gateway, by = operator(request)
    with read_wish():
        change = TenantChange.read(await written_by(request))
    changed = await gateway.store.manage_tenants.change(tenant, change, by)
    return answered(changed.public())


@router.delete("/{tenant}", response_class=Response)
async def delete_tenant(request: Request, tenant: str) -> Response:
    """Delete a tenant; with `force=true` also one whose tasks are unfinished."""
    gateway, by = operator(request)
    force = flag(request, "force")
    await gateway.store.manage_tenants.delete(tenant, force=force, by=by)
    return answered({"id": tenant, "deleted": True})


@router.post("/{tenant}/webhook-secret/rotate", response_class=Response)
async def rotate_webhook_secret(request: Request, tenant: str) -> Response:
    """Return a new webhook secret; the old one signs along for `grace_s`."""
    gateway, by = operator(request)
    with read_wish():
        grace = Grace.read(await written_by(request, optional=True))
    secret = await gateway.store.manage_tenants.rotate_secret(tenant, grace, by)
    return answered({"id": tenant, "webhook_secret": secret})


@router.get("/{tenant}/usage", response_class=Response)
async def read_usage(request: Request, tenant: str) -> Response:
    """Return what a tenant has used, by day, model and key."""
    gateway, _ = operator(request)
    mode = _mode(request)
    today = datetime.fromtimestamp(gateway.clock.now_ms() / 1000, UTC).date()
    span = DaySpan.read(request.query_params.multi_items(), today=today)
    figures = await gateway.store.accounts.of_tenant(tenant, mode, span.windows())
    return answered(usage_answer(span, figures, amount=format_credits, with_keys=True))


def _mode(request: Request) -> Mode:
    match request.query_params.getlist("mode"):
        case [] | ["live"]:
            return "live"
        case ["test"]:
            return "test"
        case _:
            raise InvalidRequest("Invalid mode parameter: write live or test", param="mode")
