"""What the tests of rates share: limits, a create that takes nothing, and every kind of read."""

from __future__ import annotations

from tests.api.asking import UNKNOWN_ID
from tests.support.bed import character

BOTH = {"creates_per_minute": 5, "reads_per_second": 20}
BAD = character(timestamps="0,9")
"""A create that is refused, and so takes nothing: it only tells how the caller stands."""

READS = ("/v1/tasks", "/v1/models", "/v1/credits", "/v1/usage", f"/v1/tasks/{UNKNOWN_ID}")
