"""As in `tests/api`: every answer a test here gets is held against the gateway's own document."""

from __future__ import annotations

from tests.api.conftest import open_gateway_bed

__all__ = ["open_gateway_bed"]
