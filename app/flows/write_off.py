"""Giving a task up of which the vendor's word never came: at whose cost is its tenant's policy."""

from __future__ import annotations

from app.domain import contract
from app.domain.audit import Act
from app.domain.task import Task, TaskState
from app.errors import TenantNotFound
from app.store.task_steps import Change
from app.store.tenants import TenantStore


async def writing_off(task: Task, tenants: TenantStore, act: Act | None = None) -> Change:
    """Return the step that gives a task up by its tenant's policy: counted as spent, or released.

    A tenant that was deleted has none any more, so what may have been spent counts as spent.
    """
    try:
        charges = (await tenants.get(task.tenant_id)).limits.charges_doubt
    except TenantNotFound:
        charges = True
    outcome = "counted as spent" if charges else "released"
    charged = task.held_microcredits if charges else 0
    return Change(
        TaskState.WRITTEN_OFF,
        contract.written_off_answer(task.body, charged=charged),
        charged_microcredits=charged,
        why=f"{outcome}, by an operator" if act else outcome,
        act=act,
    )
