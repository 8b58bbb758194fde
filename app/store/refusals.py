"""What scripts may refuse with, by the word they use."""

from __future__ import annotations

from typing import Final

from app.errors import (
    CreditExhausted,
    GatewayError,
    IdempotencyConflict,
    IdempotencyInFlight,
    InvalidKey,
    ModelNotAllowed,
    PriceUnknown,
    QueueFull,
    RateLimited,
    StoreForeign,
    TenantDisabled,
    TokenSpent,
    TooManyInFlight,
    TooManyTokens,
)

REFUSALS: Final[dict[str, type[GatewayError]]] = {
    error.reason: error
    for error in (
        StoreForeign,
        InvalidKey,
        TenantDisabled,
        IdempotencyConflict,
        IdempotencyInFlight,
        ModelNotAllowed,
        RateLimited,
        TooManyInFlight,
        QueueFull,
        PriceUnknown,
        QueueFull,
        CreditExhausted,
        TokenSpent,
        TooManyTokens,
    )
}


def refusal(reason: bytes, wait_ms: int = 0) -> GatewayError:
    """Return the error a script's word stands for; a wait is rounded up to seconds."""
    return REFUSALS[reason.decode()](retry_after_s=-(-int(wait_ms) // 1000) or None)
