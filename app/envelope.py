"""The one form of every refusal: the vendor's error object, with a reason and a request id."""

from __future__ import annotations

from typing import Any, ClassVar

TYPE_BY_STATUS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "insufficient_quota_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    409: "invalid_request_error",
    413: "request_too_large_error",
    415: "invalid_request_error",
    429: "rate_limit_error",
    500: "internal_server_error",
    502: "upstream_error",
    503: "service_unavailable_error",
}
"""`error.type` by status: the vendor's integer generation, its 400 family where it is silent."""


class GatewayError(Exception):
    """An answer other than success; subclasses are the closed list."""

    status: ClassVar[int] = 500
    reason: ClassVar[str] = "internal_error"
    default_message: ClassVar[str] = "Internal server error"
    suggestion: ClassVar[str | None] = None
    default_param: ClassVar[str | None] = None
    default_retry_after_s: ClassVar[int | None] = None

    def __init__(
        self,
        message: str | None = None,
        *,
        param: str | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message or self.default_message)
        self.message = message or self.default_message
        self.param = self.default_param if param is None else param
        wait_s = self.default_retry_after_s if retry_after_s is None else retry_after_s
        self.retry_after_s = None if wait_s is None else max(1, wait_s)

    @property
    def http_status(self) -> int:
        """The HTTP status of this answer; equals `error.code`."""
        return self.status

    def envelope(self, request_id: str) -> dict[str, Any]:
        """Return the JSON body: the vendor's integer generation plus `reason` and `request_id`."""
        error: dict[str, Any] = {
            "code": self.http_status,
            "message": self.message,
            "type": TYPE_BY_STATUS[self.http_status],
        }
        if self.param is not None:
            error["param"] = self.param
        if self.suggestion is not None:
            error["fallback_suggestion"] = self.suggestion
        return {"error": error | {"reason": self.reason, "request_id": request_id}}


def closed_list() -> list[type[GatewayError]]:
    """Return every error class that can be answered, in the order of `app.errors`."""
    found: list[type[GatewayError]] = []

    def walk(parent: type[GatewayError]) -> None:
        for child in parent.__subclasses__():
            if child.__module__.startswith("app.errors."):
                found.append(child)
                walk(child)

    walk(GatewayError)
    return found
