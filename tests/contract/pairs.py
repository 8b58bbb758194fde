"""The table of documented pairs: what the vendor's pages show, and what this gateway does about it.

`pairs.json` has one row for each documented request and its answer. `by` says who answers here:

* `gateway`: the gateway by itself, with the documented status, keys and types. `way` says how the
  answer is brought about (see `ways.py`).
* `sandbox`: a vendor that gives exactly this answer; the gateway passes it on under its own id and
  money. What it shows otherwise stands in `shown`.
* `artefact`: nobody here; `because` says why.

`ask` replaces path or request of the documented call, and says why. `except` lists the documented
members that callers do not get, or get with another type or value, each with its reason. `relayed`
is what a caller gets if the vendor gives that error to the gateway. `earlier` names the field that
holds the id of an earlier task. `basis` says how sure the pair itself is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

By = Literal["gateway", "sandbox", "artefact"]

ROWS: Final[list[dict[str, Any]]] = json.loads(
    Path(__file__).with_name("pairs.json").read_text("utf-8")
)


@dataclass(frozen=True, slots=True)
class Pair:
    """One row."""

    name: str
    basis: Literal["documented", "derived", "observed"]
    source: list[str]
    method: str
    path: str
    request: dict[str, Any] | None
    status: int
    answer: Any
    by: By
    because: str = ""
    way: str = ""
    path_is: str = ""
    earlier: str = ""
    ask: dict[str, Any] = field(default_factory=dict)
    shown: dict[str, Any] = field(default_factory=dict)
    excepted: dict[str, str] = field(default_factory=dict)
    relayed: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, row: dict[str, Any]) -> Pair:
        """Read one row; an unknown member is an error."""
        return cls(**{"excepted" if name == "except" else name: row[name] for name in row})

    @property
    def asked_path(self) -> str:
        """The path that is really asked."""
        return str(self.ask.get("path", self.path))

    @property
    def asked_body(self) -> dict[str, Any] | None:
        """The request that is really sent, None where it has no body."""
        body: dict[str, Any] | None = self.ask.get("request", self.request)
        return body

    @property
    def is_error(self) -> bool:
        """Whether the documented answer is a refusal over HTTP."""
        return self.status >= 400

    @property
    def is_create(self) -> bool:
        """Whether it is about the one create call that is served here."""
        return self.method == "POST" and self.path == "/v1/videos/generations"


PAIRS: Final = [Pair.of(row) for row in ROWS]


def answered_by(by: By) -> list[Pair]:
    """Return the rows of one class."""
    return [pair for pair in PAIRS if pair.by == by]
