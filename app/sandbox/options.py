"""What a sandbox is told when it is made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class SandboxOptions:
    """The settings of one sandbox.

    `keys` are the vendor keys it knows; none means any key that starts with `sk-`.
    `default_seconds` is how long a task runs when its request does not say.
    `stateless` leaves out all that needs memory.
    `balance_credits` is a decimal number of credits.
    `journal_path` names a file to which the journal is also written, as JSON lines.
    """

    keys: tuple[str, ...] = ()
    default_seconds: float = 6.0
    stateless: bool = False
    balance_credits: str = "1000"
    journal_path: Path | None = None
