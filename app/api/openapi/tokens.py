"""The operation that mints tokens for browsers, and what it is sent and sends."""

from __future__ import annotations

from typing import Any, Final

from app.api.openapi.operations import Operations, for_tenants
from app.api.openapi.pieces import RATES, Schema, answers, body, success
from app.api.openapi.refusals import BODY_ERRORS, READ_ERRORS
from app.api.openapi.schemas import record
from app.domain.browser_token import ALL_SCOPES, MAX_MODELS, MAX_TTL_S
from app.errors import ModelNotAllowed, ModelNotFound, TooManyTokens

_SCOPES: Final[Schema] = {
    "items": {"type": "string", "enum": list(ALL_SCOPES)},
    "minItems": 1,
    "uniqueItems": True,
}
_MODELS: Final[Schema] = {
    "items": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9 ._:/-]{0,127}$"},
}
_SUBJECT: Final[Schema] = {"pattern": "^[!-~]{1,128}$"}
_CREDITS: Final = (
    r"^(?!0+(\.0+)?$)([0-9]{1,8}(\.[0-9]{1,6})?|[0-8][0-9]{8}(\.[0-9]{1,6})?|900000000(\.0{1,6})?)$"
)
"""More than nothing, with at most six places, up to the largest amount that is handled."""

_WISH: Final[Schema] = {
    "type": "object",
    "additionalProperties": False,
    "description": "What the token is for. Missing and null mean the default.",
    "properties": {
        "ttl_s": {
            "type": ["integer", "null"],
            "minimum": 1,
            "maximum": MAX_TTL_S,
            "description": f"Seconds that it lives, {MAX_TTL_S} by default; never longer than its"
            " key.",
        },
        "scopes": {
            **_SCOPES,
            "type": ["array", "null"],
            "description": "`create`: create and cancel tasks. `read`: read them and the models."
            " Both by default.",
        },
        "models": {
            **_MODELS,
            "type": ["array", "null"],
            "minItems": 1,
            "maxItems": MAX_MODELS,
            "uniqueItems": True,
            "description": "Models that it may create with, out of those of its key.",
        },
        "max_tasks": {
            "type": ["integer", "null"],
            "minimum": 1,
            "maximum": 1_000_000,
            "description": "Tasks that it may create; any number by default.",
        },
        "max_credits": {
            "type": ["string", "null"],
            "pattern": _CREDITS,
            "description": "Credits that its tasks may hold when they are created, together.",
        },
        "origin": {
            "type": ["string", "null"],
            "format": "origin",
            "description": "The one origin that it may be used from, as `https://app.example.com`.",
        },
        "subject": {
            **_SUBJECT,
            "type": ["string", "null"],
            "description": "Whose tasks it makes and sees: your own word for a user. By default"
            " the token's id, so that it sees what it has made itself.",
        },
        "name": {
            "type": ["string", "null"],
            "maxLength": 200,
            "pattern": r"^[^\x00-\x1f\x7f]*$",
            "description": "A name for people.",
        },
    },
}

TOKEN_SCHEMAS: Final[dict[str, Schema]] = {
    "NewToken": _WISH,
    "Token": record(
        {
            "token": {
                "type": "string",
                "pattern": "^rgt_(live|test)_[0-9A-Za-z]{36}$",
                "description": "The token itself, told this once.",
            },
            "id": {"type": "string", "pattern": r"^key_[0-9a-z]+(\.[0-9]+)?~[0-9a-z]{12}$"},
            "expires_at": {"type": "integer", "description": "Unix seconds."},
            "scopes": {**_SCOPES, "type": "array"},
            "models": {
                **_MODELS,
                "type": ["array", "null"],
                "description": "Models that it may use; null: all that its tenant may.",
            },
            "max_tasks": {"type": ["integer", "null"], "minimum": 1},
            "max_credits": {"type": ["string", "null"], "pattern": _CREDITS},
            "origin": {"type": ["string", "null"]},
            "subject": {**_SUBJECT, "type": "string"},
        }
    ),
}

_EXAMPLE: Final[dict[str, Any]] = {
    "token": "rgt_live_0123456789abcdefghijklmnopqrstABCDEF",
    "id": "key_0123456789ab~0123456789ab",
    "expires_at": 1767918346,
    "scopes": ["create", "read"],
    "models": ["sora-character"],
    "max_tasks": 5,
    "max_credits": "2.5",
    "origin": "https://app.example.com",
    "subject": "user-4711",
}
_WISHED: Final = {
    name: _EXAMPLE[name] for name in ("models", "max_tasks", "max_credits", "origin", "subject")
}

TOKEN_OPERATIONS: Final[Operations] = {
    ("/v1/tokens", "post"): for_tenants(
        "mint_token",
        "Mint a token for a browser",
        description="Call this from your server: the token goes to the page, the key stays with"
        " you. It can do less than the key, with tasks of its own subject only, and ends with it.",
        requestBody=body("NewToken", _WISHED, required=False),
        responses=answers(
            success("The token.", "Token", _EXAMPLE, "Cache-Control", *RATES),
            (*BODY_ERRORS, ModelNotAllowed, ModelNotFound, TooManyTokens, *READ_ERRORS),
            metered=True,
        ),
    )
}
