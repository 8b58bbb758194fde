"""Webhook endpoints of tenants: made and changed, tried, and what they were told."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.api.callers import reader
from app.api.operators import answered, read_wish, written_by
from app.api.requests import StrictRoute
from app.domain.contract import encode
from app.domain.delivery import Redelivery
from app.domain.delivery_log import DeliveryQuery
from app.domain.tenant import Caller
from app.domain.webhook import Rotation, Webhook, WebhookChange, WebhookTest, WebhookWish
from app.flows.manage_webhooks import ManageWebhooks
from app.wiring import Gateway

router = APIRouter(prefix="/v1/webhooks", route_class=StrictRoute)


@router.post("", response_class=Response)
async def create_webhook(request: Request) -> Response:
    """Make an endpoint; its secret is answered this once."""
    webhooks, caller = await _asked(request)
    with read_wish():
        wish = WebhookWish.read(await written_by(request))
    webhook, secret = await webhooks.add(wish, caller)
    return answered({**_shown(webhook, webhooks), "secret": secret})


@router.get("", response_class=Response)
async def list_webhooks(request: Request) -> Response:
    """Return the endpoints of the caller's tenant and mode, oldest first."""
    webhooks, caller = await _asked(request)
    found = [_shown(webhook, webhooks) for webhook in await webhooks.all(caller)]
    return _answer({"data": found, "total": len(found)})


@router.get("/{webhook_id}", response_class=Response)
async def read_webhook(request: Request, webhook_id: str) -> Response:
    """Return an endpoint."""
    webhooks, caller = await _asked(request)
    return _answer(_shown(await webhooks.get(webhook_id, caller), webhooks))


@router.patch("/{webhook_id}", response_class=Response)
async def change_webhook(request: Request, webhook_id: str) -> Response:
    """Change what is named of an endpoint."""
    webhooks, caller = await _asked(request)
    with read_wish():
        change = WebhookChange.read(await written_by(request))
    return _answer(_shown(await webhooks.change(webhook_id, change, caller), webhooks))


@router.delete("/{webhook_id}", response_class=Response)
async def delete_webhook(request: Request, webhook_id: str) -> Response:
    """Delete an endpoint, with all that it was and was to be told."""
    webhooks, caller = await _asked(request)
    await webhooks.delete(webhook_id, caller)
    return _answer({"id": webhook_id, "deleted": True})


@router.post("/{webhook_id}/rotate", response_class=Response)
async def rotate_webhook(request: Request, webhook_id: str) -> Response:
    """Give an endpoint another secret; the old one signs along for the time of grace."""
    webhooks, caller = await _asked(request)
    with read_wish():
        rotation = Rotation.read(await written_by(request, optional=True))
    webhook, secret = await webhooks.rotate(webhook_id, rotation, caller)
    return answered({**_shown(webhook, webhooks), "secret": secret})


@router.post("/{webhook_id}/test", response_class=Response)
async def send_test(request: Request, webhook_id: str) -> Response:
    """Send an endpoint a test, and wait a moment for what comes of it."""
    webhooks, caller = await _asked(request)
    with read_wish():
        test = WebhookTest.read(await written_by(request, optional=True))
    return _answer((await webhooks.test(webhook_id, test, caller)).public())


@router.post("/{webhook_id}/redeliver", response_class=Response)
async def redeliver(request: Request, webhook_id: str) -> Response:
    """Let one message, or those of a time, be delivered again."""
    webhooks, caller = await _asked(request)
    with read_wish():
        wish = Redelivery.read(await written_by(request))
    return _answer({"redelivered": await webhooks.redeliver(webhook_id, wish, caller)})


@router.get("/{webhook_id}/deliveries", response_class=Response)
async def list_deliveries(request: Request, webhook_id: str) -> Response:
    """Return a page of what an endpoint was told, newest first."""
    webhooks, caller = await _asked(request)
    query = DeliveryQuery.read(request.query_params.multi_items())
    found, total = await webhooks.log(webhook_id, query, caller)
    page = {"total": total, "page": query.page, "page_size": query.page_size}
    return _answer({"data": [delivery.public() for delivery in found], **page})


async def _asked(request: Request) -> tuple[ManageWebhooks, Caller]:
    gateway: Gateway = request.app.state.gateway
    caller = await reader(request.scope, gateway)
    return gateway.store.manage_webhooks, caller


def _shown(webhook: Webhook, webhooks: ManageWebhooks) -> dict[str, Any]:
    return webhook.public(now_ms=webhooks.clock.now_ms())


def _answer(content: dict[str, Any]) -> Response:
    headers = {"cache-control": "private, no-cache"}
    return Response(encode(content), media_type="application/json", headers=headers)
