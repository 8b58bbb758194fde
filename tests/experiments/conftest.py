"""Experiments count: many trials, long lives, full sizes; each in the process of the test."""

from __future__ import annotations

from tests.flows.conftest import audited, store_url
from tests.store.conftest import bare_shelf, shelf, shelves

__all__ = ["audited", "bare_shelf", "shelf", "shelves", "store_url"]
