"""The reference page at /docs; it loads nothing from another host."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

_FILES = Path(__file__).parent / "static" / "swagger-ui"


def serve_docs(app: FastAPI) -> None:
    """Add `/docs` and the vendored files it needs to `app`."""
    app.mount("/docs/static", StaticFiles(directory=_FILES), name="docs-static")

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        """Return the page."""
        return get_swagger_ui_html(
            openapi_url="/openapi.json",
            title="Reelgate API",
            swagger_js_url="/docs/static/swagger-ui-bundle.js",
            swagger_css_url="/docs/static/swagger-ui.css",
            swagger_favicon_url="data:,",
        )
