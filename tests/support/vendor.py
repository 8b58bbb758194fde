"""The sandbox vendor as tests use it: over real HTTP, with its journal and its faults."""

from __future__ import annotations

from typing import Any

import httpx2

VENDOR_KEY = "sk-canary-vendor-key-000000000001"
"""The vendor key of every test: seen anywhere but in the vendor's own journal, it is a leak."""

CREATE_PATH = "/v1/videos/generations"


class Vendor:
    """A served sandbox: what reached it, and what it is to do wrong."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx2.Client(base_url=url, trust_env=False, timeout=10)
        self._touched = {"faults", "clock"}

    def sweep(self) -> None:
        """Forget faults, journal, clock and callbacks."""
        for swept in ("journal", "callbacks", *self._touched):
            self._http.delete(f"/_sandbox/{swept}").raise_for_status()
        self._touched.clear()

    def fault(
        self,
        mode: str,
        *,
        on: str = "create",
        times: int | None = None,
        chance: tuple[float, int] = (1.0, 0),
        name: str = "",
        **params: Any,
    ) -> None:
        """Declare a fault; `mode` is one of the sandbox's, `on` is create, report or any.

        `chance` is the probability and the seed of the lots drawn for it. Of one mode there can be
        several only under names of their own.
        """
        self._touched.add("faults")
        lots = dict(zip(("probability", "seed"), chance, strict=True))
        declared = {"on": on, "mode": mode, "times": times, "params": params, **lots}
        answer = self._http.put(f"/_sandbox/faults/{name or f'{mode}-{on}'}", json=declared)
        assert answer.status_code == 200, answer.text

    def heal(self) -> None:
        """Remove every fault."""
        self._http.delete("/_sandbox/faults").raise_for_status()

    def journal(self) -> list[dict[str, Any]]:
        """Return every request that reached the sandbox, in order."""
        entries: list[dict[str, Any]] = self._http.get("/_sandbox/journal").json()["entries"]
        return entries

    def creates(self) -> list[dict[str, Any]]:
        """Return the creates that reached the sandbox."""
        return [
            entry
            for entry in self.journal()
            if entry["method"] == "POST" and entry["path"] == CREATE_PATH
        ]

    def reads(self) -> list[dict[str, Any]]:
        """Return the status reads that reached the sandbox."""
        return [
            entry
            for entry in self.journal()
            if entry["method"] == "GET" and entry["path"].startswith("/v1/tasks/")
        ]

    def pass_time(self, seconds: float) -> None:
        """Move the sandbox's clock forward."""
        self._touched.add("clock")
        moved = {"advance_ms": int(seconds * 1000)}
        self._http.post("/_sandbox/clock", json=moved).raise_for_status()

    def catch_up(self, now_ms: int) -> None:
        """Move the sandbox's clock to an instant, if it is well ahead."""
        ahead_ms = now_ms - int(self._http.get("/_sandbox/clock").json()["now_ms"])
        if ahead_ms > 1_000:
            self.pass_time(ahead_ms / 1000)

    def close(self) -> None:
        """Close the control connection."""
        self._http.close()
