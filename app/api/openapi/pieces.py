"""The parts that operations are put together from: references, parameters, headers, answers."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any, Final

from app.domain.account import DEFAULT_DAYS, MAX_DAYS
from app.errors import GatewayError, VendorRefused

Schema = dict[str, Any]

REQUEST_ID: Final = "req_896edae4bcf955692ad86d3d"
JSON: Final = "application/json"


def component(kind: str, name: str) -> str:
    """Return the address of a component."""
    return f"#/components/{kind}/{name}"


def reference(kind: str, name: str) -> dict[str, str]:
    """Return a reference to a component."""
    return {"$ref": component(kind, name)}


HEADERS: Final[dict[str, Schema]] = {
    "X-Request-Id": {
        "required": True,
        "description": "The caller's own id of the request where it is well-formed, else a new one;"
        " the log has it too.",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{8,128}$"},
        "example": REQUEST_ID,
    },
    "Cache-Control": {
        "required": True,
        "description": "`private, no-cache` on what may be kept and asked about again, else"
        " `no-store`.",
        "schema": {"type": "string", "enum": ["no-store", "private, no-cache"]},
    },
    "Retry-After": {
        "required": True,
        "description": "Whole seconds after which asking again can help.",
        "schema": {"type": "integer", "minimum": 1},
        "example": 5,
    },
    "ETag": {
        "required": True,
        "description": "What the answer is known by: send it as `If-None-Match` next time.",
        "schema": {"type": "string", "pattern": '^"[0-9a-f]+"$'},
        "example": '"1f9e0c9a51ab4c0d8a9be07b2c4d11"',
    },
    "Age": {
        "description": "Only while the store is away: how many seconds ago it gave this answer,"
        " which this process has kept.",
        "schema": {"type": "integer", "minimum": 0, "maximum": 60},
        "example": 7,
    },
    "Retry-After-Unfinished": {
        "description": "While the task is unfinished: the shortest time in which its status can"
        " change, seconds.",
        "schema": {"type": "integer", "minimum": 1},
        "example": 5,
    },
    "Retry-After-Sometimes": {
        "description": "Whole seconds after which asking again can help; where it is missing, that"
        " cannot.",
        "schema": {"type": "integer", "minimum": 1},
        "example": 1,
    },
    "RateLimit-Policy": {
        "description": "The rates that this key and its tenant have, the tighter of the two:"
        " `q` calls in `w` seconds. Missing where no rate is limited.",
        "schema": {"type": "string", "pattern": '^"(creates|reads)";q=[0-9]+;w=[0-9]+(, .+)?$'},
        "example": '"creates";q=60;w=60, "reads";q=20;w=1',
    },
    "RateLimit": {
        "description": "What is left of the rate that this call counts towards: `r` calls now, one"
        " more in `t` seconds. Missing where that rate is not limited.",
        "schema": {"type": "string", "pattern": '^"(creates|reads)";r=[0-9]+;t=[0-9]+$'},
        "example": '"reads";r=19;t=1',
    },
    "Idempotency-Replayed": {
        "description": "The answer was given before, to a create of the same Idempotency-Key.",
        "schema": {"type": "string", "const": "true"},
    },
    "WWW-Authenticate": {
        "required": True,
        "description": "How to identify oneself.",
        "schema": {"type": "string", "const": "Bearer"},
    },
}

RATES: Final = ("RateLimit", "RateLimit-Policy")


def headers(*names: str) -> dict[str, dict[str, str]]:
    """Return the `headers` of an answer; a name may be that of a variant of `Retry-After`."""
    return {_sent_as(name): reference("headers", name) for name in names}


def _sent_as(name: str) -> str:
    return "Retry-After" if name.startswith("Retry-After") else name


def body(schema: str, example: Any, *, required: bool = True) -> Schema:
    """Return a `requestBody`."""
    content = {"schema": reference("schemas", schema), "example": example}
    return {"required": required, "content": {JSON: content}}


def query(name: str, description: str, example: Any, **schema: Any) -> Schema:
    """Return a parameter of the query."""
    return {
        "name": name,
        "in": "query",
        "description": description,
        "schema": schema,
        "example": example,
    }


def in_path(name: str, example: str, **schema: Any) -> Schema:
    """Return a parameter of the path."""
    return {
        "name": name,
        "in": "path",
        "required": True,
        "schema": {"type": "string", **schema},
        "example": example,
    }


PERIOD: Final = (
    query(
        "from",
        f"The first day, of UTC; without it {DEFAULT_DAYS} days end with the last.",
        "2026-01-01",
        type="string",
        format="date",
    ),
    query(
        "to",
        f"The last day, of UTC; without it today. At most {MAX_DAYS} days are told at once.",
        "2026-01-31",
        type="string",
        format="date",
    ),
)


def success(description: str, schema: str, example: Any, *more_headers: str) -> Schema:
    """Return the answer 200: a schema among the components, an example of it, and its headers."""
    return {
        "description": description,
        "headers": headers("X-Request-Id", *more_headers),
        "content": {JSON: {"schema": reference("schemas", schema), "example": example}},
    }


def answers(
    good: Schema, errors: Iterable[type[GatewayError]], *, metered: bool = False
) -> dict[str, Schema]:
    """Return the `responses` of an operation: the success, and each error status with its reasons.

    `metered`: the answers tell of the caller's rates.
    """
    by_status: dict[int, list[type[GatewayError]]] = {}
    for error in errors:
        for status in statuses_of(error):
            by_status.setdefault(status, []).append(error)
    return {"200": good} | {
        str(status): _refusal(status, by_status[status], metered=metered)
        for status in sorted(by_status)
    }


def statuses_of(error: type[GatewayError]) -> list[int]:
    """Return the statuses an error is answered with: one, but for what the vendor refuses."""
    return sorted(
        set(VendorRefused.SHOWN_AS.values()) if error is VendorRefused else [error.status]
    )


def _refusal(status: int, errors: list[type[GatewayError]], *, metered: bool) -> Schema:
    sent = ["X-Request-Id", "Cache-Control"]
    if status == 401:
        sent.append("WWW-Authenticate")
    waits = [error.default_retry_after_s is not None for error in errors]
    if any(waits):
        sent.append("Retry-After" if all(waits) else "Retry-After-Sometimes")
    if metered and status != 401:
        sent += RATES
    return {
        "description": f"reason: {', '.join(error.reason for error in errors)}",
        "headers": headers(*sent),
        "content": {
            JSON: {
                "schema": reference("schemas", "Error"),
                "examples": {
                    error.reason: reference("examples", _example_name(error, status))
                    for error in errors
                },
            }
        },
    }


def _example_name(error: type[GatewayError], status: int) -> str:
    return error.reason if status == error.status else f"{error.reason}_{status}"


def error_examples(errors: Iterable[type[GatewayError]]) -> dict[str, Schema]:
    """Return an example of every error, explained in the words of its class."""
    found = {}
    for error in errors:
        for status in statuses_of(error):
            raised = VendorRefused(status=status) if error is VendorRefused else error()
            explanation = (inspect.getdoc(error) or "").partition("\n\n")[0]
            found[_example_name(error, status)] = {
                "summary": " ".join(explanation.split()),
                "value": raised.envelope(REQUEST_ID),
            }
    return found
