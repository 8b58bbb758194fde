"""Refusals in the vendor's two ways of writing them.

Older pages give `error.code` as the HTTP status, newer ones as a word. This imitation speaks the
older way, as the page of `sora-character` does; the newer is kept for the fault that asks for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, NamedTuple


class _Written(NamedTuple):
    kind: str
    message: str
    suggestion: str | None = None


_WITH_INTEGERS: Final[dict[int, _Written]] = {
    400: _Written("invalid_request_error", "Invalid request format"),
    401: _Written("authentication_error", "Invalid or expired token"),
    402: _Written(
        "insufficient_quota_error", "Insufficient quota", "https://evolink.ai/dashboard/billing"
    ),
    403: _Written("permission_error", "Access denied for this model"),
    404: _Written("not_found_error", "Specified model not found"),
    413: _Written("request_too_large_error", "Request body too large", "reduce prompt length"),
    429: _Written("rate_limit_error", "Rate limit exceeded", "retry after 60 seconds"),
    500: _Written("internal_server_error", "Internal server error", "try again later"),
    502: _Written("upstream_error", "Upstream AI service unavailable", "try different model"),
    503: _Written(
        "service_unavailable_error", "Service temporarily unavailable", "retry after 30 seconds"
    ),
}


class _Worded(NamedTuple):
    code: str
    kind: str
    message: str


_CREATE_WITH_WORDS: Final[dict[int, _Worded]] = {
    400: _Worded("invalid_request", "invalid_request_error", "Invalid request parameters"),
    401: _Worded("unauthorized", "authentication_error", "Invalid or expired token"),
    402: _Worded(
        "insufficient_quota",
        "insufficient_quota",
        "Insufficient quota. Please top up your account.",
    ),
    403: _Worded(
        "model_access_denied", "invalid_request_error", "Token does not have access to model"
    ),
    429: _Worded(
        "rate_limit_exceeded", "rate_limit_error", "Too many requests, please try again later"
    ),
    500: _Worded("internal_error", "api_error", "Internal server error"),
    502: _Worded("upstream_error", "upstream_error", "Upstream AI service unavailable"),
}

_QUERY_WITH_WORDS: Final[dict[int, _Worded]] = {
    400: _Worded(
        "invalid_task_id",
        "invalid_request_error",
        "Invalid task ID format, must start with 'task-unified-'",
    ),
    401: _Worded("unauthorized", "authentication_error", "Authentication required"),
    402: _Worded(
        "quota_exceeded", "insufficient_quota", "Insufficient quota. Please top up your account."
    ),
    403: _Worded(
        "permission_denied",
        "invalid_request_error",
        "You don't have permission to access this task",
    ),
    404: _Worded(
        "task_not_found", "invalid_request_error", "The requested task could not be found"
    ),
    429: _Worded("rate_limit_exceeded", "evo_api_error", "Rate limit exceeded"),
    500: _Worded("internal_error", "api_error", "Failed to retrieve task status"),
}


@dataclass(eq=False, slots=True)
class VendorRefusal(Exception):
    """The vendor refuses a request; nothing was created.

    Where a member is not given, the documented text for the status is used. `code` replaces the
    integer where the vendor is known to send a word.
    """

    status: int
    message: str | None = None
    param: str | None = None
    kind: str | None = None
    code: int | str | None = None

    def body(self) -> dict[str, Any]:
        """The answer's JSON, with an integer code."""
        return with_integer(self.status, self)


def with_integer(status: int, said: VendorRefusal | None = None) -> dict[str, Any]:
    """An error as the older pages write it."""
    said = said or VendorRefusal(status)
    written = _WITH_INTEGERS.get(status) or _Written("invalid_request_error", _phrase(status))
    error: dict[str, Any] = {
        "code": said.code if said.code is not None else status,
        "message": said.message or written.message,
        "type": said.kind or written.kind,
    }
    if said.param is not None:
        error["param"] = said.param
    if said.message is None and written.suggestion is not None:
        error["fallback_suggestion"] = written.suggestion
    return {"error": error}


def with_word(status: int, *, query: bool) -> dict[str, Any]:
    """An error as the newer pages write it; the task query has words of its own."""
    table = _QUERY_WITH_WORDS if query else _CREATE_WITH_WORDS
    worded = table.get(status)
    if worded is None:
        phrase = _phrase(status)
        worded = _Worded(phrase.lower().replace(" ", "_"), "api_error", phrase)
    return {"error": {"code": worded.code, "message": worded.message, "type": worded.kind}}


def unknown_path(method: str, path: str) -> VendorRefusal:
    """No such route; clients look for the two words at the start of the text."""
    return VendorRefusal(404, f"Invalid URL ({method} {path})")


def invalid(param: str) -> VendorRefusal:
    """A field of the request is not as documented."""
    return VendorRefusal(400, f"Invalid {param} parameter", param)


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in set(HTTPStatus) else f"Status {status}"
