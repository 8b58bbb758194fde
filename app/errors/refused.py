"""Refusals by the request itself: nothing was created, and a repeat will not help."""

from __future__ import annotations

from app.envelope import GatewayError


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


class TokenScope(GatewayError):
    """A browser token may not do this: it creates and reads tasks of its own, and nothing else."""

    status = 403
    reason = "token_scope"
    default_message = "Access denied: this token's scopes do not cover the call"
    suggestion = "use a token with the scope, or call from a server with a key"


class TokenSpent(GatewayError):
    """The browser token has created as many tasks, or held as many credits, as it may."""

    status = 403
    reason = "token_spent"
    default_message = "Access denied: this token's tasks or credits are used up"
    suggestion = "ask the application for a new token"


class OriginNotAllowed(GatewayError):
    """The page that called is of an origin that the tenant, or the token, does not name."""

    status = 403
    reason = "origin_not_allowed"
    default_message = "Access denied: the origin of this page is not allowed for the caller"


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


class WebhookNotFound(GatewayError):
    """The caller has no webhook endpoint of this id in its mode."""

    status = 404
    reason = "webhook_not_found"
    default_message = "Webhook not found"
    default_param = "webhook_id"


class DeliveryNotFound(GatewayError):
    """The webhook endpoint has no message of this id, or not any more."""

    status = 404
    reason = "delivery_not_found"
    default_message = "Delivery not found or expired"
    default_param = "id"


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


class TooManyWebhooks(GatewayError):
    """The tenant has as many webhook endpoints as it may; delete one that is not needed."""

    status = 409
    reason = "too_many_webhooks"
    default_message = "Too many webhooks: delete one first"


class WebhookDisabled(GatewayError):
    """The webhook endpoint is disabled, so nothing is sent to it; enable it first."""

    status = 409
    reason = "webhook_disabled"
    default_message = 'The webhook is disabled: enable it first with PATCH {"disabled": false}'


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
