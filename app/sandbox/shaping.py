"""Answers that are wrong in themselves: what a fault makes of an honest one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from app.sandbox.answers import Answer
from app.sandbox.delivery import Params
from app.sandbox.problems import VendorRefusal, with_integer, with_word

Shape = Callable[[Answer, Params, str], Answer]

LOWEST_ERROR: Final = 400

_GARBAGE: Final = b'\x00\xff\xfe{"id":\x80 task-unified-'
_PAGE: Final = b"<!DOCTYPE html><html><body><h1>Bad gateway</h1></body></html>"

WRONG_TYPES: Final[Mapping[str, Any]] = {
    "list": ["task"],
    "string": "task",
    "number": 7,
    "null": None,
    "boolean": True,
}

_LONG_ID_CHARS: Final = 1_048_576

BAD_IDS: Final[Mapping[str, Any]] = {
    "traversal": "task-unified-1767917446-../../v1/credits",
    "crlf": "task-unified-1767917446-abc123\r\nX-Injected: yes",
    "long": "task-unified-1767917446-",
    "empty": "",
    "number": 1767917446,
    "null": None,
    "foreign": "job-1767917446",
    "other": "task-unified-1767917446-5lqy8zzv",
}


def unchanged(answer: Answer, params: Params, route: str) -> Answer:
    """Leave the answer as it is."""
    return answer


def refused(answer: Answer, params: Params, route: str) -> Answer:
    """Put an error of `status` in its place, with the documented text unless one is given."""
    status = params["status"]
    if params.get("generation") == "string":
        body = with_word(status, query=route == "report")
    else:
        body = with_integer(status)
    given = {"message": params.get("message"), "code": params.get("code")}
    given["type"] = params.get("type")
    body["error"] |= {name: value for name, value in given.items() if value is not None}
    return _redirecting(_timed(_of(status, answer).saying(body), params), params)


def redirected(answer: Answer, params: Params, route: str) -> Answer:
    """Send the client elsewhere."""
    return _redirecting(_of(params["status"], answer).saying({}), params)


def malformed(answer: Answer, params: Params, route: str) -> Answer:
    """Put bytes in its place that are called JSON and are not even text."""
    return answer.containing(_GARBAGE)


def page(answer: Answer, params: Params, route: str) -> Answer:
    """Put a web page in its place."""
    shaped = _of(params["status"], answer).containing(_PAGE)
    return shaped.header(b"content-type", b"text/html; charset=utf-8")


def wrong_type(answer: Answer, params: Params, route: str) -> Answer:
    """Put JSON in its place that is no object."""
    return answer.saying(WRONG_TYPES[params["kind"]])


def without_id(answer: Answer, params: Params, route: str) -> Answer:
    """Take the id out."""
    return answer.saying({name: value for name, value in answer.json().items() if name != "id"})


def bad_id(answer: Answer, params: Params, route: str) -> Answer:
    """Put an id in that no client may use."""
    kind = params["kind"]
    task_id = BAD_IDS[kind] + "a" * _LONG_ID_CHARS if kind == "long" else BAD_IDS[kind]
    return answer.saying(answer.json() | {"id": task_id})


def in_words(answer: Answer, params: Params, route: str) -> Answer:
    """Write an error as the newer pages do; other answers stay."""
    if answer.status < LOWEST_ERROR:
        return answer
    said = json.loads(answer.body)["error"]
    shaped = with_word(answer.status, query=route == "report")
    if "param" in said:
        shaped["error"] |= {"message": said["message"], "param": said["param"]}
    return answer.saying(shaped)


def not_possible(reason: Exception) -> VendorRefusal:
    """The answer where a fault cannot happen as declared."""
    return VendorRefusal(501, str(reason), kind="sandbox_error")


def _of(status: int, answer: Answer) -> Answer:
    return Answer(status, answer.headers, answer.body)


def _timed(answer: Answer, params: Params) -> Answer:
    wait = params.get("retry_after")
    return answer if wait is None else answer.header(b"retry-after", str(wait).encode())


def _redirecting(answer: Answer, params: Params) -> Answer:
    if answer.status not in (301, 302, 303, 307, 308):
        return answer
    return answer.header(b"location", params["location"].encode())
