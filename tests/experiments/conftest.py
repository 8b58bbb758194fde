"""Experiments count: many trials, long lives, full sizes; each in the process of the test."""

from __future__ import annotations

from tests.flows.conftest import audited, hooked, receiver, store_url
from tests.store.conftest import bare_shelf, shelf, shelves

__all__ = ["audited", "bare_shelf", "hooked", "receiver", "shelf", "shelves", "store_url"]
