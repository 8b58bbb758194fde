"""What holds for every answer: the one envelope for errors, and the published document."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
from fastapi import FastAPI

from app.errors import TYPE_BY_STATUS
from app.wiring import Gateway, built_in_catalogue
from tests.support.schema import problems, resolved

ALWAYS = {"code", "message", "type", "reason", "request_id"}
SOMETIMES = {"param", "fallback_suggestion"}

PAGES = ("/docs", "/docs/static", "/metrics", "/openapi.json")
"""Routes that are for browsers and machines of their own kind, and so not in the document."""

FOR_THE_VENDOR = "/vendor/callback/"
"""Where the vendor calls back; no caller has a use for it."""


PREFLIGHT = (204, 403, 404, 405)
"""What a preflight may be answered: it belongs to no operation, so the document has it in words."""


def is_preflight(answer: httpx2.Response) -> bool:
    """Return whether a browser asks whether a page may call."""
    asked = answer.request
    return asked.method == "OPTIONS" and "access-control-request-method" in asked.headers


def error_of(answer: httpx2.Response) -> dict[str, Any]:
    """Return the `error` of an answer that must be a well-formed refusal."""
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body.keys() == {"error"}, "nothing stands beside `error`, least of all `detail`"
    error: dict[str, Any] = body["error"]
    assert error.keys() >= ALWAYS
    assert error.keys() <= ALWAYS | SOMETIMES
    assert type(error["code"]) is int
    assert error["code"] == answer.status_code
    assert error["code"] != 422, "the framework's own status is never used"
    assert error["type"] == TYPE_BY_STATUS[answer.status_code]
    assert error["request_id"] == answer.headers["x-request-id"]
    texts = [value for name, value in error.items() if name != "code"]
    assert all(isinstance(text, str) and text for text in texts)
    return error


@dataclass(frozen=True, slots=True)
class Document:
    """The gateway's OpenAPI document, as a judge of its answers."""

    content: dict[str, Any]

    def judge(self, answer: httpx2.Response) -> None:
        """Fail where an answer is not documented, or is not as documented."""
        method, path = answer.request.method, answer.request.url.path
        if method == "HEAD":
            return
        if answer.status_code >= 400:
            error_of(answer)
        if is_preflight(answer):
            assert answer.status_code in PREFLIGHT
            return
        operation = self.operation(method, path)
        if operation is None:
            assert answer.status_code in (404, 405) or path.startswith((*PAGES, FOR_THE_VENDOR)), (
                f"{method} {path} answers {answer.status_code} and is not documented"
            )
            return
        listed = operation["responses"].get(str(answer.status_code))
        assert listed is not None, f"{method} {path} must not answer {answer.status_code}"
        for kind, media in listed.get("content", {}).items():
            assert answer.headers["content-type"] == kind
            found = problems(answer.json(), media["schema"], self.content)
            assert found == [], f"{method} {path} is not as documented: {found}"
        found = list(self._header_problems(answer, listed))
        assert found == [], f"{method} {path} is not as documented: {found}"
        if answer.status_code >= 400:
            reason = error_of(answer)["reason"]
            assert reason in re.findall(r"\w+", listed["description"]), (
                f"{method} {path}: {answer.status_code} is documented, the reason {reason} is not"
            )

    def _header_problems(self, answer: httpx2.Response, listed: dict[str, Any]) -> Iterator[str]:
        for name, referred in listed.get("headers", {}).items():
            header = resolved(referred, self.content)
            if name not in answer.headers:
                if header.get("required", False):
                    yield f"{name} is missing"
                continue
            value: Any = answer.headers[name]
            if header["schema"]["type"] == "integer" and value.isascii() and value.isdigit():
                value = int(value)
            yield from (
                f"{name} {each}" for each in problems(value, header["schema"], self.content)
            )

    def operation(self, method: str, path: str) -> dict[str, Any] | None:
        """Return the documented operation that a request means."""
        for template, operations in self.content["paths"].items():
            pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template))
            if re.fullmatch(pattern, path) and method.lower() in operations:
                operation: dict[str, Any] = operations[method.lower()]
                return operation
        return None


_SHIPPED: dict[str, Document] = {}
"""By role, the document over the catalogue as it is shipped: made once for all tests."""


def document_of(app: FastAPI) -> Document:
    """Return the document of a gateway that is open."""
    gateway: Gateway = app.state.gateway
    if gateway.catalogue is not built_in_catalogue():
        return Document(app.openapi())
    role = gateway.settings.role
    if role not in _SHIPPED:
        _SHIPPED[role] = Document(app.openapi())
    return _SHIPPED[role]
