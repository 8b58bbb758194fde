"""What the vendor refused, and what the gateway cannot do at present."""

from __future__ import annotations

from typing import ClassVar

from app.envelope import GatewayError


class VendorRefused(GatewayError):
    """The vendor rejected the request itself; its status and explanation are passed on."""

    SHOWN_AS: ClassVar[dict[int, int]] = {400: 400, 404: 404, 413: 413, 415: 415, 422: 400}
    """The vendor's statuses that concern the request itself, and what each is passed on as."""

    status = 400
    reason = "vendor_refused"
    default_message = "The video service refused the request"

    def __init__(
        self, message: str | None = None, *, status: int, param: str | None = None
    ) -> None:
        super().__init__(message, param=param)
        self._status = self.SHOWN_AS[status]

    @property
    def http_status(self) -> int:
        """The vendor's own status, but 400 for its 422."""
        return self._status


class UpstreamRejected(GatewayError):
    """The vendor rejected the call for a reason that is not the caller's; nothing was created."""

    status = 502
    reason = "upstream_rejected"
    default_message = "Upstream AI service rejected the gateway's call"


class InternalError(GatewayError):
    """A defect of the gateway; the log has an entry with the same request id."""


class NoVendorKey(GatewayError):
    """The gateway has no vendor key, so live keys cannot create; test keys can."""

    status = 503
    reason = "no_vendor_key"
    default_message = "Service temporarily unavailable: no vendor key is configured"
    default_retry_after_s = 60


class NoVendorCapacity(GatewayError):
    """The vendor accepts none of the gateway's keys at present; nothing was created."""

    status = 503
    reason = "no_vendor_capacity"
    default_message = "Service temporarily unavailable: no vendor capacity"
    default_retry_after_s = 30


class VendorUnreachable(GatewayError):
    """The vendor cannot be reached; nothing was created or changed, a create's hold released."""

    status = 503
    reason = "vendor_unreachable"
    default_message = "Service temporarily unavailable: the video service cannot be reached"
    default_retry_after_s = 10


class Overloaded(GatewayError):
    """As many requests as the gateway may have under way are waiting for the vendor."""

    status = 503
    reason = "overloaded"
    default_message = "Service temporarily unavailable: too many requests in flight"
    default_retry_after_s = 1


class StoreUnavailable(GatewayError):
    """The store does not answer; a create repeated with its `Idempotency-Key` tells its outcome."""

    status = 503
    reason = "store_unavailable"
    default_message = "Service temporarily unavailable: the store does not answer"
    default_retry_after_s = 2


class StoreForeign(GatewayError):
    """The store is empty, or not the one this gateway was set up with; an operator must look."""

    status = 503
    reason = "store_foreign"
    default_message = "Service temporarily unavailable: the store is not the expected one"
    default_retry_after_s = 30


class NotReady(GatewayError):
    """The readiness probe says that this process cannot work now; the message names what fails."""

    status = 503
    reason = "not_ready"
    default_message = "Not ready"
    default_retry_after_s = 5


class Stopping(GatewayError):
    """This process is shutting down and takes no new work; another one, or the next, will."""

    status = 503
    reason = "stopping"
    default_message = "Service temporarily unavailable: shutting down"
    default_retry_after_s = 1
