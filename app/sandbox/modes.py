"""The faults there are: whether the request is acted on, what becomes of the answer, by which way.

A mode that commits does all the vendor would do before its answer goes wrong. The others do
nothing, and answer as if they might have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from app.sandbox import delivery, shaping
from app.sandbox.delivery import Delivery
from app.sandbox.shaping import BAD_IDS, WRONG_TYPES, Shape

LONGEST_MS: Final = 3_600_000
MOST_MIB: Final = 1024


@dataclass(frozen=True, slots=True)
class Param:
    """A setting of a mode: its default, what it may be, and that in words."""

    default: Any
    allows: Callable[[Any], bool]
    expected: str


@dataclass(frozen=True, slots=True)
class Mode:
    """One way to go wrong."""

    name: str
    commits: bool
    shape: Shape = shaping.unchanged
    deliver: Delivery = delivery.whole
    params: Mapping[str, Param] = field(default_factory=dict)


def _whole(default: int | None, least: int, most: int) -> Param:
    return Param(
        default,
        lambda value: type(value) is int and least <= value <= most,
        f"a whole number from {least} to {most}",
    )


def _text(default: str | None = None) -> Param:
    return Param(
        default,
        lambda value: isinstance(value, str) and value.isprintable() and value.isascii(),
        "printable ASCII text",
    )


def _choice(default: str, *allowed: str) -> Param:
    return Param(default, lambda value: value in allowed, f"one of {', '.join(allowed)}")


_SECONDS_OR_DATE: Final = Param(
    None,
    lambda value: (type(value) is int and value >= 0) or _text().allows(value),
    "whole seconds, or a date as text",
)
_WORD_OR_NUMBER: Final = Param(
    None, lambda value: type(value) in (int, str), "a word or a whole number"
)
_MS: Final = _whole(None, 0, LONGEST_MS)
_ELSEWHERE: Final = _text("https://example.com/elsewhere")


def _refusal(status: int) -> dict[str, Param]:
    return {
        "status": _whole(status, 200, 599),
        "retry_after": _SECONDS_OR_DATE,
        "message": _text(),
        "type": _text(),
        "code": _WORD_OR_NUMBER,
        "generation": _choice("integer", "integer", "string"),
        "location": _ELSEWHERE,
    }


_REDIRECTS: Final = (301, 302, 303, 307, 308)
_REDIRECT_STATUS: Final = Param(
    302, lambda value: value in _REDIRECTS, f"one of {', '.join(map(str, _REDIRECTS))}"
)

_ALL: Final = (
    Mode("commit_then_hang", True, deliver=delivery.hang, params={"ms": _MS}),
    Mode("commit_then_reset", True, deliver=delivery.reset),
    Mode("commit_then_close", True, deliver=delivery.close),
    Mode("commit_then_status", True, shape=shaping.refused, params=_refusal(500)),
    Mode("delay", True, deliver=delivery.late, params={"ms": _whole(1000, 0, LONGEST_MS)}),
    Mode(
        "slow_drip",
        True,
        deliver=delivery.drip,
        params={"bytes": _whole(1, 1, 65536), "interval_ms": _whole(100, 0, LONGEST_MS)},
    ),
    Mode("truncated", True, deliver=delivery.cut_short, params={"bytes": _whole(None, 0, 65536)}),
    Mode("malformed", True, shape=shaping.malformed),
    Mode("html", True, shape=shaping.page, params={"status": _whole(200, 200, 599)}),
    Mode(
        "wrong_type",
        True,
        shape=shaping.wrong_type,
        params={"kind": _choice("list", *WRONG_TYPES)},
    ),
    Mode("missing_id", True, shape=shaping.without_id),
    Mode("bad_id", True, shape=shaping.bad_id, params={"kind": _choice("traversal", *BAD_IDS)}),
    Mode("huge", True, deliver=delivery.huge, params={"mib": _whole(64, 1, MOST_MIB)}),
    Mode("gzip_bomb", True, deliver=delivery.bomb, params={"mib": _whole(64, 1, MOST_MIB)}),
    Mode("string_generation", True, shape=shaping.in_words),
    Mode("reject_then_status", False, shape=shaping.refused, params=_refusal(500)),
    Mode("status", False, shape=shaping.refused, params=_refusal(429)),
    Mode(
        "redirect",
        False,
        shape=shaping.redirected,
        params={"status": _REDIRECT_STATUS, "location": _ELSEWHERE},
    ),
    Mode("hang", False, deliver=delivery.hang, params={"ms": _MS}),
    Mode("reset", False, deliver=delivery.reset),
    Mode("close", False, deliver=delivery.close),
)

MODES: Final[Mapping[str, Mode]] = {mode.name: mode for mode in _ALL}
