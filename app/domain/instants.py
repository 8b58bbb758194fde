"""Instants as operators write and read them; inside they are milliseconds of the unix epoch."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

from pydantic import BeforeValidator

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_S: Final = 253_402_300_799
"""The end of the year 9999, beyond which no date can be written."""

_REMEDY: Final = "write unix seconds, or a date such as 2026-12-01T00:00:00Z"
_RFC_3339: Final = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII
)


def _instant_in(value: Any) -> Any:
    """Read an instant as milliseconds: unix seconds, or RFC 3339 with an offset."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(_REMEDY)  # noqa: TRY004 - for pydantic
    if isinstance(value, int):
        if not 0 <= value <= _LAST_S:
            raise ValueError(_REMEDY)
        return value * 1000
    if _RFC_3339.fullmatch(value.upper()) is None:
        raise ValueError(f"{_REMEDY}, with its time zone")
    try:
        at_ms = (datetime.fromisoformat(value.upper()) - _EPOCH) // timedelta(milliseconds=1)
    except ValueError:
        raise ValueError(_REMEDY) from None
    if at_ms > _LAST_S * 1000 + 999:
        raise ValueError(_REMEDY)
    return at_ms


Instant = Annotated[int, BeforeValidator(_instant_in)]
"""Milliseconds inside; outside unix seconds or RFC 3339."""


def rfc3339(at_ms: int) -> str:
    """Write an instant as operators read it, in whole seconds of UTC."""
    return f"{datetime.fromtimestamp(at_ms // 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
