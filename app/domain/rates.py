"""How a caller stands with its rate limits, as the RateLimit header fields tell it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

PolicyName = Literal["creates", "reads"]

WINDOW_S: Final[dict[PolicyName, int]] = {"creates": 60, "reads": 1}
"""The time in which a policy's whole quota comes back, seconds."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a caller stands with one policy: its quota, what is left, and when there is one more.

    Where tenant and key are both limited: the lower quota, the lower rest and its time.
    """

    quota: int
    left: int
    grows_in_ms: int


@dataclass(frozen=True, slots=True)
class Rates:
    """A caller's policies, None for one without limit, and which of them a request counts by."""

    counted: PolicyName
    creates: Standing | None = None
    reads: Standing | None = None

    def header_fields(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield the header fields; none where the caller has no limit.

        The form is that of draft-ietf-httpapi-ratelimit-headers-10: `q` the quota, `w` its window
        in seconds, `r` what is left, `t` the seconds for which that is all there is. Where nothing
        is left, `t` and `Retry-After` agree.
        """
        limits: dict[PolicyName, Standing | None] = {"creates": self.creates, "reads": self.reads}
        policies = [
            f'"{name}";q={standing.quota};w={WINDOW_S[name]}'
            for name, standing in limits.items()
            if standing is not None
        ]
        if policies:
            yield b"ratelimit-policy", ", ".join(policies).encode("ascii")
        counted = limits[self.counted]
        if counted is not None:
            grows_in_s = -(-counted.grows_in_ms // 1000)
            told = f'"{self.counted}";r={counted.left};t={grows_in_s}'
            yield b"ratelimit", told.encode("ascii")
