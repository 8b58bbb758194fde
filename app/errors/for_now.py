"""Refusals for now: the same request may pass later, at the earliest after `Retry-After`."""

from __future__ import annotations

from app.envelope import GatewayError


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


class TooManyStreams(GatewayError):
    """As many event streams and waits are open as the tenant, the token or the process may have."""

    status = 429
    reason = "too_many_streams"
    default_message = "Too many open streams: close one, or read without waiting"
    suggestion = "share one stream of GET /v1/events among your readers"
    default_retry_after_s = 5


class TooManyTokens(GatewayError):
    """The key has as many living browser tokens as it may; they end by themselves."""

    status = 429
    reason = "too_many_tokens"
    default_message = "Too many living tokens: reuse them, or wait until some have ended"
    default_retry_after_s = 60
