"""The document at `/openapi.json`, written out: every operation, its answers and their headers.

Nothing is taken from signatures: routes that skip the framework are described like all others.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from app.api.openapi.admin import ADMIN_OPERATIONS
from app.api.openapi.admin_schemas import ADMIN_SCHEMAS
from app.api.openapi.models import create_requests
from app.api.openapi.operations import PROBES, TASK_OPERATIONS, Operations
from app.api.openapi.pieces import HEADERS, component, error_examples
from app.api.openapi.schemas import SCHEMAS
from app.api.openapi.tokens import TOKEN_OPERATIONS, TOKEN_SCHEMAS
from app.api.openapi.webhook_schemas import WEBHOOK_SCHEMAS
from app.api.openapi.webhooks import WEBHOOK_OPERATIONS
from app.domain.catalogue import Catalogue
from app.errors import closed_list

__all__ = [
    "ADMIN_OPERATIONS",
    "OPERATIONS",
    "TENANT_OPERATIONS",
    "describe",
]

TENANT_OPERATIONS: Final[Operations] = TASK_OPERATIONS | TOKEN_OPERATIONS | WEBHOOK_OPERATIONS
"""All that takes the key of a tenant."""

OPERATIONS: Final[Operations] = TENANT_OPERATIONS | ADMIN_OPERATIONS | PROBES
"""All that is served and described, in the order in which it is shown."""

_SCHEMAS: Final = SCHEMAS | TOKEN_SCHEMAS | WEBHOOK_SCHEMAS | ADMIN_SCHEMAS

_SECURITY_SCHEMES: Final = {
    "ApiKey": {
        "type": "http",
        "scheme": "bearer",
        "description": "A key that the operator of this gateway has issued.",
    },
    "BrowserToken": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token that `POST /v1/tokens` has minted with a key, if it has the scope"
        " that is named. It does nothing else, and only sees tasks of its own subject.",
    },
    "AdminToken": {
        "type": "http",
        "scheme": "bearer",
        "description": "The token of the operator of this gateway.",
    },
}

_EVERYWHERE: Final = (
    "Every error has one form, in which `reason` is a stable word for programs. A path that there"
    " is not is answered 404 `unknown_path`; a method that a path does not have, 405"
    " `method_not_allowed` with the header `Allow`. A request may bring an `X-Request-Id` of 8 to"
    " 128 of `A-Za-z0-9._-`, which comes back with the answer. Pages of origins that a tenant names"
    " may call everything under /v1: a preflight is answered 204, or 403 `origin_not_allowed`."
)


def describe(
    *, title: str, version: str, description: str, catalogue: Catalogue, with_tenant_routes: bool
) -> dict[str, Any]:
    """Return the whole document of a gateway that serves the models of `catalogue`."""
    served = OPERATIONS if with_tenant_routes else PROBES
    paths: dict[str, Any] = {}
    for (path, method), operation in served.items():
        paths.setdefault(path, {})[method] = operation
    components = {
        "schemas": _SCHEMAS | create_requests(catalogue),
        "headers": HEADERS,
        "examples": error_examples(closed_list()),
        "securitySchemes": _SECURITY_SCHEMES,
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "version": version,
            "description": f"{description}\n\n{_EVERYWHERE}",
        },
        "paths": paths,
        "components": _needed(paths, components),
    }


def _needed(paths: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    """Return the components that the paths lead to, in the order they are listed in."""
    waiting: list[Any] = [paths]
    named: set[str] = set()
    while waiting:
        for address in set(_addresses(waiting.pop())) - named:
            named.add(address)
            _, _, kind, name = address.split("/")
            waiting.append(components[kind][name])
    return {
        kind: kept
        for kind, listed in components.items()
        if (kept := {n: c for n, c in listed.items() if component(kind, n) in named})
    }


def _addresses(value: Any) -> Iterator[str]:
    """Yield the address of every component that is named within a part of the document."""
    match value:
        case {"$ref": str(address)}:
            yield address
        case {"security": [*schemes], **members}:
            yield from (component("securitySchemes", name) for each in schemes for name in each)
            yield from _addresses(members)
        case dict():
            for member in value.values():
                yield from _addresses(member)
        case list():
            for item in value:
                yield from _addresses(item)
