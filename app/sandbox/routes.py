"""The vendor's routes."""

from __future__ import annotations

import hmac
import re
from decimal import Decimal
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.sandbox import catalogue, life, paths, task_ids, validation
from app.sandbox.answers import json_response
from app.sandbox.edge import ENTRY
from app.sandbox.problems import VendorRefusal, invalid
from app.sandbox.state import Memory, Sandbox, sandbox_of
from app.sandbox.task_ids import PREFIX, Ticket
from app.sandbox.validation import Order

LARGEST_PAGE: Final = 100
DEFAULT_PAGE: Final = 20
FILTERS: Final = ("processing", "completed", "failed", "cancelled")

_IDEMPOTENCY_KEY: Final = re.compile(r"[A-Za-z0-9._-]{16,96}")
_REPLAYED: Final = {"Idempotency-Replayed": "true"}


def require_key(request: Request) -> str:
    """The vendor key of a request.

    Raises:
        VendorRefusal: there is none, or none this sandbox knows.
    """
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    known = sandbox_of(request).options.keys
    if scheme.lower() != "bearer" or not _is_known(key, known):
        raise VendorRefusal(401, "Invalid or expired token")
    return key


def _is_known(key: str, known: tuple[str, ...]) -> bool:
    if not known:
        return key.startswith("sk-") and len(key) > len("sk-")
    return any([hmac.compare_digest(key.encode(), one.encode()) for one in known])


async def create(request: Request) -> Response:
    """Create a task, or give the first answer again for a known idempotency key."""
    key = require_key(request)
    sandbox = sandbox_of(request)
    body = validation.object_in(await request.body())
    order = validation.order_in(body, default_seconds=sandbox.options.default_seconds)
    if sandbox.memory is None:
        return json_response(life.created_answer(*_new(order, sandbox)))
    return _create_once(request, sandbox, sandbox.memory, key, body, order)


def _new(order: Order, sandbox: Sandbox) -> tuple[Ticket, str]:
    ticket = Ticket(sandbox.clock.now_ms(), order.model, order.scenario)
    return ticket, task_ids.mint(ticket)


def _create_once(
    request: Request, sandbox: Sandbox, memory: Memory, key: str, body: Any, order: Order
) -> Response:
    idempotency_key = _idempotency_key(request)
    entry = request.scope[ENTRY]
    if idempotency_key is not None:
        given = memory.register.replay(key, idempotency_key, body)
        if given is not None:
            entry.idempotency_replayed = True
            return json_response(given, headers=_REPLAYED)
    if order.callback_url is not None:
        memory.callbacks.require_room()
    ticket, task_id = _new(order, sandbox)
    memory.register.add(task_id, ticket)
    entry.created_task_id = task_id
    answer = life.created_answer(ticket, task_id)
    if idempotency_key is not None:
        memory.register.remember(key, idempotency_key, body, answer)
    if order.callback_url is not None:
        memory.callbacks.plan(task_id, ticket, order.callback_url)
    return json_response(answer)


def _idempotency_key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not _IDEMPOTENCY_KEY.fullmatch(key):
        raise VendorRefusal(
            400, "Idempotency-Key must be 16 to 96 of A-Za-z0-9._-", "Idempotency-Key"
        )
    return key


async def report(request: Request) -> Response:
    """Say how a task stands."""
    require_key(request)
    task_id = request.path_params["task_id"]
    if not task_id.startswith(PREFIX):
        raise VendorRefusal(400, "Invalid task ID format", "task_id")
    answer = _report(task_id, sandbox_of(request))
    if answer is None:
        raise VendorRefusal(404, "Task not found or expired", "task_id")
    return json_response(answer)


def _report(task_id: str, sandbox: Sandbox) -> dict[str, Any] | None:
    ticket = task_ids.read(task_id)
    return None if ticket is None else life.report(ticket, task_id, sandbox.clock.now_ms())


async def batch(request: Request) -> Response:
    """Say how several tasks stand; unknown ones are left out."""
    require_key(request)
    wanted = validation.task_ids_in(validation.object_in(await request.body()))
    found = (_report(task_id, sandbox_of(request)) for task_id in wanted)
    return json_response({"data": [answer for answer in found if answer is not None]})


async def task_list(request: Request) -> Response:
    """List the tasks this sandbox created, newest first."""
    require_key(request)
    sandbox = sandbox_of(request)
    if sandbox.memory is None:
        raise VendorRefusal(501, "The stateless sandbox has no task list", kind="sandbox_error")
    query = request.query_params
    page = _whole(query.get("page", "1"), "page", 1_000_000)
    page_size = _whole(query.get("page_size", str(DEFAULT_PAGE)), "page_size", LARGEST_PAGE)
    if query.get("status") not in (None, "", *FILTERS):
        raise invalid("status")
    now_ms = sandbox.clock.now_ms()
    items = [
        item
        for task_id, ticket in sandbox.memory.register.newest_first()
        if (item := life.list_item(ticket, task_id, now_ms)) and _is_wanted(item, request)
    ]
    shown = items[(page - 1) * page_size : page * page_size]
    return json_response({"data": shown, "total": len(items), "page": page, "page_size": page_size})


def _whole(text: str, param: str, most: int) -> int:
    if not re.fullmatch("[0-9]{1,7}", text) or not 1 <= int(text) <= most:
        raise invalid(param)
    return int(text)


def _is_wanted(item: dict[str, Any], request: Request) -> bool:
    status = item["status"] if item["status"] in life.FINAL_STATUSES else "processing"
    found = {"status": status, "type": item["type"], "model": item["model"]}
    wanted = ((name, request.query_params.get(name)) for name in found)
    return all(not value or value == found[name] for name, value in wanted)


async def credits(request: Request) -> Response:
    """The account's balance, for which the key has the same allowance."""
    require_key(request)
    sandbox = sandbox_of(request)
    account = {"remaining": Decimal(sandbox.options.balance_credits), "used": Decimal(0)}
    if sandbox.memory is not None:
        account |= sandbox.memory.register.account(sandbox.clock.now_ms())
    shown = {f"{name}_credits": life.as_number(amount) for name, amount in account.items()}
    allowance = shown | {"unlimited_credits": False}
    return json_response(
        {"data": {"token": allowance, "user": shown}, "message": "", "success": True}
    )


async def models(request: Request) -> Response:
    """The names of all models."""
    require_key(request)
    return json_response({"data": [{"id": model.name} for model in catalogue.MODELS]})


ROUTES: Final = (
    Route(paths.CREATE, create, methods=["POST"]),
    Route(paths.TASKS, task_list, methods=["GET"]),
    Route(f"{paths.TASKS}/batch", batch, methods=["POST"]),
    Route(f"{paths.TASKS}/{{task_id}}", report, methods=["GET"]),
    Route("/v1/credits", credits, methods=["GET"]),
    Route("/v1/models", models, methods=["GET"]),
)
