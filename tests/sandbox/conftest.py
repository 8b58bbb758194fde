"""One sandbox over HTTP for all tests of a process, swept before each test that uses it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from app.sandbox import SandboxOptions
from app.sandbox.server import running_sandbox
from tests.sandbox.asking import AUTHORIZED

SetFault = Callable[..., None]


@pytest.fixture(scope="session")
def served() -> Iterator[str]:
    """The address of a sandbox that is being served."""
    with running_sandbox(SandboxOptions()) as sandbox:
        yield sandbox.url


@pytest.fixture
def vendor(served: str) -> Iterator[httpx2.Client]:
    """A client of that sandbox, which has no faults, no journal and the right time."""
    with httpx2.Client(base_url=served, headers=AUTHORIZED, trust_env=False) as client:
        for swept in ("faults", "journal", "clock", "callbacks"):
            client.delete(f"/_sandbox/{swept}").raise_for_status()
        yield client
        client.delete("/_sandbox/faults").raise_for_status()


@pytest.fixture
def set_fault(vendor: httpx2.Client) -> SetFault:
    """Declare a fault on creations."""

    def declare(mode: str, *, on: str = "create", times: int | None = None, **params: Any) -> None:
        declared = {"on": on, "mode": mode, "times": times, "params": params}
        vendor.put(f"/_sandbox/faults/{mode}", json=declared).raise_for_status()

    return declare


@pytest.fixture
def journal(vendor: httpx2.Client) -> Callable[[], list[dict[str, Any]]]:
    """Read what reached the sandbox since the test began."""

    def read() -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = vendor.get("/_sandbox/journal").json()["entries"]
        return entries

    return read
