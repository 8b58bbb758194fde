"""Every log event and metric: their names, their set-up, and the sink that removes secrets.

Events are `noun.past_participle`. The ones there are:

    access.answered          one line a request
    gateway.listening  gateway.started  gateway.stopped
    task.admitted  task.accepted  task.doubted  task.rejected  task.withdrawn  task.finished
    task.queued  task.requeued  task.dispatched  task.watched  task.written_off  task.corrected
    token.minted
    task.resolved  task.doubt_kept  task.doubt_ended  task.not_resent
    notice.unanswerable  notice.mismatched
    task.unreadable  task.lost  task.late  tasks.forgotten  hold.exceeded
    poll.failed  poll.stale  batch.failed
    store.failed  store.clock_moved  store.set_back  vendor.key_refused  library.warned
    drift.found  vendor.balance_compared  vendor.balance_unread
    delivery.unsigned  delivery.failed  webhook.disabled
    news.heard  news.cut_off  news.stumbled
    engine.stumbled  detached.failed  detached.cut_off  request.failed  request.abandoned

Metrics carry the prefix `reelgate_`; their labels are closed sets:

    reelgate_requests_total{route,status}     reelgate_request_seconds{route}
    reelgate_tasks_admitted_total{mode}       reelgate_tasks_refused_total{reason}
    reelgate_tasks_finished_total{state}      reelgate_tasks_doubted_total
    reelgate_vendor_calls_total{call,outcome} reelgate_engine_stumbles_total
    reelgate_vendor_notices_total{led_to}     reelgate_reads_put_off_total
    reelgate_drift_microcredits               reelgate_stock_taken_timestamp_seconds
    reelgate_doubts                           reelgate_doubt_oldest_seconds
    reelgate_doubt_held_microcredits          reelgate_deliveries_total{outcome}
    reelgate_delivery_attempts_total{outcome} reelgate_delivery_attempt_seconds
    reelgate_deliveries_due                   reelgate_delivery_oldest_seconds
    reelgate_webhooks_disabled_total{reason}  reelgate_listeners{kind}
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable, MutableMapping
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from structlog.typing import Processor

REDACTED = "[redacted]"

_KEY_SHAPES = re.compile(
    r"\b(?:sk-[A-Za-z0-9_-]{6,}|rgt?_(?:live|test)_[A-Za-z0-9]{6,}|whsec_[A-Za-z0-9+/=]{6,})"
)


class Redactor:
    """Removes known secrets, and whatever has the shape of a key, from log events."""

    def __init__(self) -> None:
        self._secrets: re.Pattern[str] | None = None
        self._known: list[str] = []

    def learn(self, secrets: Iterable[str]) -> None:
        """Replace the list of exact secrets to look for."""
        known = sorted({secret for secret in secrets if secret}, key=len, reverse=True)
        self._known = known
        self._secrets = re.compile("|".join(map(re.escape, known))) if known else None

    def learn_more(self, secrets: Iterable[str]) -> None:
        """Add to the list of exact secrets to look for."""
        self.learn([*self._known, *secrets])

    def clean(self, text: str) -> str:
        """Return `text` with every secret replaced."""
        if self._secrets is not None:
            text = self._secrets.sub(REDACTED, text)
        return _KEY_SHAPES.sub(REDACTED, text)

    def _clean_value(self, value: Any) -> Any:
        match value:
            case str():
                return self.clean(value)
            case bytes():
                return self.clean(value.decode("utf-8", "replace"))
            case dict():
                return {
                    self.clean(str(name)): self._clean_value(item) for name, item in value.items()
                }
            case list() | tuple() | set() | frozenset():
                return [self._clean_value(item) for item in value]
            case bool() | int() | float() | None:
                return value
            case _:
                return self.clean(repr(value))

    def __call__(
        self, _logger: Any, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """Clean one log event; the last step before it is rendered."""
        for name, value in event.items():
            event[name] = self._clean_value(value)
        return event


redactor = Redactor()
"""The redactor of this process's log sink; `wiring` teaches it the vendor keys."""


def configure_logging(level: str, style: str) -> None:
    """Send structured logs, and the standard library's, to standard error.

    `style` is `json`, `console` or `auto` (console on a terminal).
    """
    console = style == "console" or (style == "auto" and sys.stderr.isatty())
    steps: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redactor,
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        if console
        else structlog.processors.JSONRenderer(),
    ]
    structlog.configure(
        processors=steps,
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[_Bridge()], level=logging.WARNING, force=True)


class _Bridge(logging.Handler):
    """Carries the libraries' own warnings into the one log, so that they are redacted too."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger(record.name).log(
            record.levelno, "library.warned", text=record.getMessage(), exc_info=record.exc_info
        )


class Metrics:
    """The counters of one gateway. Label sets are closed; no tenant's text is ever a label."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

        def counter(name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
            return Counter(name, text, labels, registry=self.registry)

        self.requests = counter(
            "reelgate_requests_total", "Answered requests.", ("route", "status")
        )
        self.request_seconds = Histogram(
            "reelgate_request_seconds",
            "Time from a request's arrival to its answer.",
            ("route",),
            registry=self.registry,
        )
        self.tasks_admitted = counter("reelgate_tasks_admitted_total", "Tasks admitted.", ("mode",))
        self.tasks_refused = counter(
            "reelgate_tasks_refused_total", "Creates refused.", ("reason",)
        )
        self.tasks_finished = counter(
            "reelgate_tasks_finished_total", "Tasks that reached a final state.", ("state",)
        )
        self.tasks_doubted = counter(
            "reelgate_tasks_doubted_total", "Tasks whose send had no clear outcome."
        )
        self.vendor_calls = counter(
            "reelgate_vendor_calls_total", "Calls to the vendor.", ("call", "outcome")
        )
        self.notices = counter(
            "reelgate_vendor_notices_total",
            "Notices of the vendor, by what they led to.",
            ("led_to",),
        )
        self.reads_put_off = counter(
            "reelgate_reads_put_off_total",
            "Due status reads that had to wait for the budget of their vendor key.",
        )
        self._count_deliveries()
        self.listeners = Gauge(
            "reelgate_listeners",
            "Open event streams and waiting reads.",
            ("kind",),
            registry=self.registry,
        )
        self._gauge_stock()
        self.engine_stumbles = counter(
            "reelgate_engine_stumbles_total", "Engine rounds that ended in an error."
        )

    def _count_deliveries(self) -> None:
        """Make the counters of webhooks."""
        self.deliveries = Counter(
            "reelgate_deliveries_total",
            "Messages that came to their end with a receiver: delivered, failed, gone.",
            ("outcome",),
            registry=self.registry,
        )
        self.delivery_attempts = Counter(
            "reelgate_delivery_attempts_total",
            "Attempts to deliver, by the class of the status or what stood in the way.",
            ("outcome",),
            registry=self.registry,
        )
        self.delivery_seconds = Histogram(
            "reelgate_delivery_attempt_seconds",
            "Time that attempts to deliver took.",
            registry=self.registry,
        )
        self.webhooks_disabled = Counter(
            "reelgate_webhooks_disabled_total",
            "Webhook endpoints that were disabled: gone, failing.",
            ("reason",),
            registry=self.registry,
        )
        # Shown from the start, so that the first of them is seen to be one more.
        for reason in ("gone", "failing"):
            self.webhooks_disabled.labels(reason)

    def _gauge_stock(self) -> None:
        """Make the gauges that an engine sets every now and then."""

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(name, text, registry=self.registry)

        self.drift = gauge(
            "reelgate_drift_microcredits",
            "Differences between what is reserved and what open tasks hold; should be 0.",
        )
        self.stock_taken = gauge(
            "reelgate_stock_taken_timestamp_seconds",
            "When that was last reckoned by any process, as unix time.",
        )
        self.doubts = gauge("reelgate_doubts", "Tasks in doubt.")
        self.doubt_oldest_seconds = gauge(
            "reelgate_doubt_oldest_seconds", "Age of the oldest doubt."
        )
        self.deliveries_due = gauge(
            "reelgate_deliveries_due", "Messages whose next attempt is due and not under way."
        )
        self.delivery_oldest_seconds = gauge(
            "reelgate_delivery_oldest_seconds", "How long the oldest of them has been due."
        )
        self.doubt_held = gauge(
            "reelgate_doubt_held_microcredits", "Credits held by tasks in doubt."
        )
