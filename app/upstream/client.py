"""Asking the vendor: creates, status reads and credits, each with a deadline and a byte cap."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import httpx2

from app import __version__, failpoints
from app.upstream.failure import surely_not_sent
from app.upstream.keyring import Keyring, VendorKey
from app.upstream.wire import (
    Ambiguous,
    Answer,
    Balance,
    NotSent,
    Reported,
    ReportOutcome,
    SubmitOutcome,
    Unreadable,
    classify_create,
    classify_credits,
    classify_report,
    classify_reports,
)

_CREATE_PATH: Final = "/v1/videos/generations"
_TASK_PATH: Final = "/v1/tasks/"
_BATCH_PATH: Final = "/v1/tasks/batch"
_CREDITS_PATH: Final = "/v1/credits"

BATCH_SIZE: Final = 50
"""Most tasks the vendor lets one batch read name."""


class AnswerTooLong(Exception):
    """The vendor's answer passed the byte cap, or was compressed against our wish."""


@dataclass(frozen=True, slots=True)
class CallLimits:
    """Deadlines in seconds and the byte cap of one vendor."""

    submit_timeout_s: float
    report_timeout_s: float
    max_answer_bytes: int


@dataclass(frozen=True, slots=True)
class VendorClient:
    """One vendor, its keys, and two separate connection pools: creates never wait behind reads."""

    submits: httpx2.AsyncClient
    reports: httpx2.AsyncClient
    keys: Keyring
    limits: CallLimits

    async def submit(self, body: str, task_id: str, key: VendorKey) -> SubmitOutcome:
        """Send one create, exactly once, and say what is known; raises only cancellation.

        The send carries an Idempotency-Key made from our task id.
        """
        headers = {
            **_headers(key),
            "content-type": "application/json",
            "idempotency-key": idempotency_key_of(task_id),
        }
        request = self.submits.build_request(
            "POST", _CREATE_PATH, content=body.encode("utf-8"), headers=headers
        )
        try:
            async with asyncio.timeout(self.limits.submit_timeout_s):
                response = await self.submits.send(request, stream=True)
                answer = await self._read(response, key, failpoint="submit.sent")
        except Exception as failure:  # noqa: BLE001 - an unforeseen failure is ambiguous, whatever it is
            reason = type(failure).__name__
            return NotSent(reason) if surely_not_sent(failure) else Ambiguous(reason)
        return classify_create(answer)

    async def report(self, vendor_id: str, key: VendorKey) -> ReportOutcome:
        """Read a task's status once. Raises nothing but cancellation."""
        request = self.reports.build_request("GET", _TASK_PATH + vendor_id, headers=_headers(key))
        answer = await self._look(request, key)
        return answer if isinstance(answer, Unreadable) else classify_report(answer, vendor_id)

    async def report_many(
        self, vendor_ids: Sequence[str], key: VendorKey
    ) -> dict[str, Reported] | Unreadable:
        """Read the status of up to `BATCH_SIZE` tasks in one call; raises only cancellation.

        Tasks about which the answer tells nothing are left out: they are for `report` to read.
        """
        request = self.reports.build_request(
            "POST",
            _BATCH_PATH,
            content=json.dumps({"task_ids": list(vendor_ids)}),
            headers={**_headers(key), "content-type": "application/json"},
        )
        answer = await self._look(request, key)
        return answer if isinstance(answer, Unreadable) else classify_reports(answer, vendor_ids)

    async def balance(self, key: VendorKey) -> Balance | Unreadable:
        """Read what a key has used up so far. Raises nothing but cancellation."""
        request = self.reports.build_request("GET", _CREDITS_PATH, headers=_headers(key))
        answer = await self._look(request, key)
        return answer if isinstance(answer, Unreadable) else classify_credits(answer)

    async def _look(self, request: httpx2.Request, key: VendorKey) -> Answer | Unreadable:
        """Send a request that changes nothing at the vendor."""
        try:
            async with asyncio.timeout(self.limits.report_timeout_s):
                response = await self.reports.send(request, stream=True)
                return await self._read(response, key, failpoint="poll.sent")
        except Exception as failure:  # noqa: BLE001 - a read that failed tells nothing, whatever the failure
            return Unreadable(type(failure).__name__)

    async def _read(self, response: httpx2.Response, key: VendorKey, *, failpoint: str) -> Answer:
        """Read an answer to its end and give its connection back; our key is cut out of it.

        Raises:
            AnswerTooLong: the answer was cut off at the cap.
            httpx2.TransportError: the answer broke off.
        """
        try:
            await failpoints.reach(failpoint)
            if response.headers.get("content-encoding", "identity").lower() != "identity":
                raise AnswerTooLong
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > self.limits.max_answer_bytes:
                    raise AnswerTooLong
        finally:
            await response.aclose()
        return Answer(
            status=response.status_code,
            content_type=response.headers.get("content-type", ""),
            # A vendor that repeats what it was sent must not carry the key on to a tenant.
            body=bytes(body).replace(key.secret.get_secret_value().encode("utf-8"), b"[redacted]"),
            retry_after=response.headers.get("retry-after", ""),
        )

    async def aclose(self) -> None:
        """Close both pools."""
        await self.submits.aclose()
        await self.reports.aclose()


def idempotency_key_of(task_id: str) -> str:
    """Return the Idempotency-Key of a task's send: 43 characters of the vendor's alphabet.

    A hash, so that the vendor does not learn our ids.
    """
    return "rg-" + hashlib.sha256(task_id.encode("ascii")).hexdigest()[:40]


def _headers(key: VendorKey) -> dict[str, str]:
    return {
        "authorization": f"Bearer {key.secret.get_secret_value()}",
        "accept": "application/json",
        "accept-encoding": "identity",
        "user-agent": f"reelgate/{__version__}",
    }
