"""An operator names the vendor's id of a task: the vendor is asked before that is believed."""

from __future__ import annotations

from dataclasses import dataclass, replace

from app.clock import Clock
from app.domain.catalogue import Catalogue
from app.domain.evidence import is_evidence
from app.domain.ids import Mode
from app.domain.task import Task
from app.errors import NotResolvable, NoVendorKey, VendorUnreachable
from app.store.poll_budget import PollBudget
from app.telemetry import Metrics
from app.upstream.client import VendorClient
from app.upstream.wire import Reported, ReportOutcome

_UNSEEN = "or have the id believed unseen"


@dataclass(frozen=True, slots=True)
class VouchForId:
    """Ask the vendor about an id, under the key with which the task was sent."""

    vendors: dict[Mode, VendorClient]
    catalogue: Catalogue
    budget: PollBudget
    clock: Clock
    send_ms: int
    metrics: Metrics

    async def __call__(self, task: Task, vendor_id: str) -> None:
        """Pass if the vendor's task of that id can be this one; changes nothing.

        Raises:
            NotResolvable: the vendor has no such task, or it is of another model or another time.
            NoVendorKey, VendorUnreachable: the vendor could not be asked, or did not tell.
        """
        match await self._ask(task, vendor_id):
            case Reported(report=report):
                # A task that was never in doubt was made before it was known to be accepted.
                timed = replace(task, doubt_ms=task.doubt_ms or task.submitted_ms)
                if not is_evidence(
                    timed, self.catalogue, vendor_id, report, within_ms=self.send_ms
                ):
                    raise _refused(
                        "the vendor's task of that id is of another model, or was made at another"
                        " time than this one"
                    )
            case unreadable if unreadable.says_unknown:
                raise _refused(
                    "the vendor has no task of that id under the key with which this one was sent"
                )
            case unreadable:
                raise VendorUnreachable(
                    f"vendor_id: the vendor does not tell what it is ({unreadable.reason}): repeat"
                    f" this, {_UNSEEN}",
                    param="vendor_id",
                )

    async def _ask(self, task: Task, vendor_id: str) -> ReportOutcome:
        vendor = self.vendors[task.mode]
        key = vendor.keys.by_id(task.vendor_key_id)
        if key is None:
            raise NoVendorKey(
                f"vendor_id: the vendor cannot be asked, for the key {task.vendor_key_id} is not"
                f" configured: configure it, {_UNSEEN}",
                param="vendor_id",
            )
        if await self.budget.wait_ms(task.vendor_key_id, now_ms=self.clock.now_ms()):
            raise VendorUnreachable(
                f"vendor_id: the vendor may not be asked at this moment: repeat this, {_UNSEEN}",
                param="vendor_id",
                retry_after_s=1,
            )
        outcome = await vendor.report(vendor_id, key)
        word = "reported" if isinstance(outcome, Reported) else "unreadable"
        self.metrics.vendor_calls.labels("report", word).inc()
        return outcome


def _refused(why: str) -> NotResolvable:
    return NotResolvable(f"vendor_id: {why}: look it up again, {_UNSEEN}", param="vendor_id")
