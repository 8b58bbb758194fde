"""How large an experiment is: a share of its full size by default, `SCALE=1` is the whole."""

from __future__ import annotations

import os


def scaled(full: int, *, share: float = 0.01, least: int = 20) -> int:
    """Return how many of `full` trials are run; the variable `SCALE` takes the place of `share`."""
    return max(least, round(full * float(os.environ.get("SCALE") or share)))
