"""The admin API of single tasks: their whole story, an end to them, and the doubts about them."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.api.operators import answered, operator, read_wish, written_by
from app.api.requests import StrictRoute
from app.domain.resolution import CallingOff, Resolution
from app.flows.cancel import CancelAnyTask
from app.flows.explain import ExplainTask, ListDoubts

router = APIRouter(prefix="/admin/v1", route_class=StrictRoute)


@router.get("/tasks/{task_id}/explain", response_class=Response)
async def explain_task(request: Request, task_id: str) -> Response:
    """Return everything known of a task: its steps, and every credit of it."""
    gateway, _ = operator(request)
    return answered(await ExplainTask(gateway.store.tasks)(task_id))


@router.post("/tasks/{task_id}/cancel", response_class=Response)
async def cancel_task(request: Request, task_id: str) -> Response:
    """Cancel a queued task, whosever it is; answers with the task's story."""
    gateway, by = operator(request)
    with read_wish():
        wanted = CallingOff.read(await written_by(request))
    await CancelAnyTask(gateway.cancel.call_off)(task_id, wanted, by)
    return answered(await ExplainTask(gateway.store.tasks)(task_id))


@router.get("/doubts", response_class=Response)
async def list_doubts(request: Request) -> Response:
    """Return the tasks of which nobody knows whether the vendor has them, oldest doubt first."""
    gateway, _ = operator(request)
    store = gateway.store
    return answered({"data": await ListDoubts(store.tasks, store.doubts, gateway.clock)()})


@router.post("/doubts/{task_id}/resolve", response_class=Response)
async def resolve_doubt(request: Request, task_id: str) -> Response:
    """End a doubt, put a task right, or correct what one has cost; answers with its story."""
    gateway, by = operator(request)
    with read_wish():
        wanted = Resolution.read(await written_by(request))
    await gateway.resolve(task_id, wanted, by)
    return answered(await ExplainTask(gateway.store.tasks)(task_id))
