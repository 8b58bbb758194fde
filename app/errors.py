"""Every way Reelgate says no, as one closed list.

GatewayError
├── Refused by the request itself (4xx, nothing was created)
│   ├── InvalidRequest              400  a field breaks a rule
│   │   ├── MalformedJson           400  the body is not strict JSON
│   │   └── InvalidTaskId           400  the id cannot be a task id
│   ├── InvalidKey                  401  no key, or one that is wrong, revoked or expired
│   ├── InvalidAdminToken           401  the admin API was called without its token
│   ├── CreditExhausted             402  the hold would pass a credit limit
│   ├── PriceUnknown                402  no price is known and the tenant's credits are limited
│   ├── TenantDisabled              403  the operator switched the tenant off
│   ├── ModelNotAllowed             403  the tenant or key may not use the model
│   ├── UnknownPath                 404  no such route
│   ├── ModelNotFound               404  the catalogue does not hold the model
│   ├── TaskNotFound                404  unknown, expired, or somebody else's
│   ├── TenantNotFound              404  the admin API was asked for a tenant there is not
│   ├── KeyNotFound                 404  the tenant has no such key
│   ├── MethodNotAllowed            405  the path exists, the method does not
│   ├── IdempotencyConflict         409  the key was used with another body
│   ├── IdempotencyInFlight         409  the first call with this key is still running
│   ├── TenantExists                409  the id is, or once was, that of another tenant
│   ├── TasksOpen                   409  the tenant still has unfinished tasks
│   ├── KeyEnded                    409  the key was revoked, has expired or was rotated already
│   ├── CannotCancel                409  the task has left for the vendor, or has ended
│   ├── NotResolvable               409  an operator's word does not fit the task's state
│   ├── RequestTooLarge             413  the body passes the size limit
│   └── UnsupportedMediaType        415  the body is not declared as JSON, or compressed
├── Refused for now (429)
│   ├── RateLimited                 429  too many creates in a minute, or reads in a second
│   ├── TooManyInFlight             429  every slot is taken
│   └── QueueFull                   429  as many tasks are queued as may be
├── Refused by the vendor
│   ├── VendorRefused               400, 404, 413, 415  the vendor rejected the request itself
│   └── UpstreamRejected            502  the vendor rejected the call for a reason of our own
└── Not able to (5xx, nothing was created)
    ├── InternalError               500  a defect of the gateway
    ├── NoVendorKey                 503  no vendor key is configured
    ├── NoVendorCapacity            503  the vendor accepts none of our keys at present
    ├── VendorUnreachable           503  the vendor cannot be reached; nothing was sent
    ├── Overloaded                  503  too many requests wait for the vendor already
    ├── StoreUnavailable            503  Redis does not answer
    ├── StoreForeign                503  the store is empty or another one than it was
    ├── NotReady                    503  a probe: work cannot be done here at present
    └── Stopping                    503  the process is shutting down

A class fixes status, type and reason; its docstring is the published explanation (`docs/errors.md`
is held against it). Messages say what is true and what to do; none carries an internal detail.
"""

from __future__ import annotations

from typing import ClassVar

from app.envelope import TYPE_BY_STATUS as TYPE_BY_STATUS
from app.envelope import GatewayError as GatewayError
from app.envelope import closed_list as closed_list


class InvalidRequest(GatewayError):
    """A field of the request breaks a rule; `param` names it and the message says the rule."""

    status = 400
    reason = "invalid_request"
    default_message = "Invalid request parameters"


class MalformedJson(InvalidRequest):
    """The body is not strict JSON: syntax, duplicate names, NaN, overflow, surrogates or depth."""

    reason = "malformed_json"
    default_message = "The body is not valid JSON"


class InvalidTaskId(InvalidRequest):
    """The id in the path does not start with `task-unified-`, so it cannot be a task id."""

    reason = "invalid_task_id"
    default_message = "Invalid task ID format: an id starts with 'task-unified-'"
    default_param = "task_id"


class InvalidKey(GatewayError):
    """The `Authorization: Bearer` key is missing, malformed, unknown, revoked or expired."""

    status = 401
    reason = "invalid_key"
    default_message = "Invalid or expired token"


class InvalidAdminToken(GatewayError):
    """The `Authorization: Bearer` token of the admin API is missing or wrong."""

    status = 401
    reason = "invalid_admin_token"
    default_message = "Invalid admin token: send the header 'Authorization: Bearer <admin token>'"


class CreditExhausted(GatewayError):
    """The task's price would pass a credit limit of the tenant or key; nothing was created."""

    status = 402
    reason = "credit_exhausted"
    default_message = "Insufficient quota"
    suggestion = "ask the operator of this gateway to raise the credit limit"


class PriceUnknown(GatewayError):
    """The model has no known price, so it is refused to a tenant whose credits are limited."""

    status = 402
    reason = "price_unknown"
    default_message = "Insufficient quota: the price of this model is not known"
    suggestion = "ask the operator of this gateway to set a price for the model"


class TenantDisabled(GatewayError):
    """The operator has disabled the tenant; nothing can be created until it is enabled again."""

    status = 403
    reason = "tenant_disabled"
    default_message = "Access denied: this tenant is disabled"


class ModelNotAllowed(GatewayError):
    """The model is not on the list of models that the tenant or key may use."""

    status = 403
    reason = "model_not_allowed"
    default_message = "Access denied for this model: GET /v1/models lists those that can be used"
    default_param = "model"


class UnknownPath(GatewayError):
    """No route has this path; the message repeats method and path."""

    status = 404
    reason = "unknown_path"
    default_message = "Invalid URL"


class ModelNotFound(GatewayError):
    """The catalogue does not hold the named model."""

    status = 404
    reason = "model_not_found"
    default_message = "Specified model not found: GET /v1/models lists those that can be used"
    default_param = "model"


class TaskNotFound(GatewayError):
    """No task of the caller has this id: unknown, expired and foreign ids answer alike."""

    status = 404
    reason = "task_not_found"
    default_message = "Task not found or expired"
    default_param = "task_id"


class TenantNotFound(GatewayError):
    """No tenant has this id; deleted ones are not found either."""

    status = 404
    reason = "tenant_not_found"
    default_message = "Tenant not found"
    default_param = "tenant"


class KeyNotFound(GatewayError):
    """The tenant has no key of this id."""

    status = 404
    reason = "key_not_found"
    default_message = "Key not found"
    default_param = "key"

    def __init__(self, message: str | None = None, *, tenant_id: str = "") -> None:
        super().__init__(message)
        self.tenant_id = tenant_id


class MethodNotAllowed(GatewayError):
    """The path exists but not with this method; the `Allow` header lists the ones that do."""

    status = 405
    reason = "method_not_allowed"
    default_message = "Method not allowed"


class IdempotencyConflict(GatewayError):
    """The `Idempotency-Key` was used before with another body; use a new key for a new request."""

    status = 409
    reason = "idempotency_conflict"
    default_message = "This Idempotency-Key was used with a different body; use a new key"


class IdempotencyInFlight(GatewayError):
    """The first call with this `Idempotency-Key` is unanswered yet; repeat after `Retry-After`."""

    status = 409
    reason = "idempotency_in_flight"
    default_message = "The first request with this Idempotency-Key is still being answered"
    default_retry_after_s = 1


class TenantExists(GatewayError):
    """The id is taken: by a tenant, or by one that was deleted, for ids are never used again."""

    status = 409
    reason = "tenant_exists"
    default_message = "The id is taken, if only by a deleted tenant: choose another"
    default_param = "id"


class TasksOpen(GatewayError):
    """The tenant has unfinished tasks; wait for them, or delete it with `force=true`."""

    status = 409
    reason = "tasks_open"
    default_message = "The tenant has unfinished tasks: wait for them, or force its deletion"


class KeyEnded(GatewayError):
    """The key was revoked, has expired or was rotated before, so it cannot be rotated."""

    status = 409
    reason = "key_ended"
    default_message = "The key cannot be rotated: it has ended or was rotated before"


class CannotCancel(GatewayError):
    """The task has been sent to the vendor, or has ended: cancelling would stop nothing."""

    status = 409
    reason = "cannot_cancel"
    default_message = "The task cannot be cancelled: it has left for the video service or has ended"
    default_param = "task_id"


class NotResolvable(GatewayError):
    """What an operator says of a task does not fit its state, or the vendor's id not the task."""

    status = 409
    reason = "not_resolvable"
    default_message = "That does not fit the state of the task: look at it again"


class RequestTooLarge(GatewayError):
    """The body passes the size limit; it was not read to its end."""

    status = 413
    reason = "request_too_large"
    default_message = "Request body too large"
    suggestion = "send media as URLs instead of embedding it"


class UnsupportedMediaType(GatewayError):
    """The body is not declared as `application/json`, or it is compressed."""

    status = 415
    reason = "unsupported_media_type"
    default_message = "Unsupported media type: send the body as application/json"


class RateLimited(GatewayError):
    """More creates a minute, or reads a second, than tenant or key may make; see `Retry-After`."""

    status = 429
    reason = "rate_limited"
    default_message = "Rate limit exceeded"
    suggestion = "retry after the time in Retry-After"
    default_retry_after_s = 1


class TooManyInFlight(GatewayError):
    """The tenant or key has as many unfinished tasks as it may; one must finish first."""

    status = 429
    reason = "too_many_in_flight"
    default_message = "Too many tasks in flight: wait until one has finished"
    suggestion = "retry when a task has finished"
    default_retry_after_s = 5


class QueueFull(GatewayError):
    """Every slot is taken, and as many tasks wait as the tenant's `max_queued` allows."""

    status = 429
    reason = "queue_full"
    default_message = "The queue is full: wait until a task has finished"
    suggestion = "retry when a task has finished"
    default_retry_after_s = 5


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
