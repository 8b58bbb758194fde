"""The part of a browser application that holds the tenant's key: it serves the page, mints tokens.

    KEY=rg_live_… python examples/browser/server.py

Run it with --help to see what can be set. The origin that it prints must be one of the tenant's.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import uvicorn
from fastapi import FastAPI, Request
from starlette.responses import FileResponse, JSONResponse, Response

FOLDER = Path(__file__).parent
PAGE = {
    "": "text/html",
    "app.js": "text/javascript",
    "reelgate.js": "text/javascript",
    "events.js": "text/javascript",
    "style.css": "text/css",
    "icon.svg": "image/svg+xml",
}
VISITOR = "visitor"


def application(gateway: str, key: str, origin: str, token_s: int) -> FastAPI:
    """Build the application for pages of `origin`; a token of it lives for `token_s` seconds."""

    @asynccontextmanager
    async def opened(app: FastAPI) -> AsyncIterator[None]:
        headers = {"authorization": f"Bearer {key}"}
        async with httpx2.AsyncClient(base_url=gateway, headers=headers, timeout=10) as http:
            app.state.http = http
            yield

    app = FastAPI(lifespan=opened, docs_url=None, redoc_url=None, openapi_url=None)
    shielded = page_headers(gateway)

    @app.get("/{name:path}")
    async def show(name: str, request: Request) -> Response:
        if name not in PAGE:
            return refused(404, "There is no such page")
        shown = FileResponse(FOLDER / (name or "index.html"), media_type=PAGE[name])
        shown.headers.update(shielded)
        if name == "" and VISITOR not in request.cookies:
            # Stands for signing in: a real application knows who its visitor is.
            secret = secrets.token_urlsafe(24)
            is_https = origin.startswith("https://")
            shown.set_cookie(VISITOR, secret, httponly=True, samesite="strict", secure=is_https)
        return shown

    @app.post("/token")
    async def mint(request: Request) -> Response:
        visitor = request.cookies.get(VISITOR)
        # Pages of other sites have no business here, whatever cookies a browser sends along.
        if request.headers.get("origin") != origin or not visitor:
            return refused(403, f"Open this page as {origin}")
        return await minted(app.state.http, gateway, wish(visitor, origin, token_s))

    return app


def wish(visitor: str, origin: str, token_s: int) -> dict[str, Any]:
    """Return what one visitor's token is to be good for, and no more than that."""
    return {
        "ttl_s": token_s,
        "scopes": ["create", "read"],
        "models": ["sora-character"],
        "max_tasks": 20,
        "max_credits": "2",
        "origin": origin,
        # Tasks belong to the subject, so that the next token finds those of the one before.
        "subject": f"visitor-{hashlib.sha256(visitor.encode()).hexdigest()[:32]}",
        "name": "browser example",
    }


async def minted(http: httpx2.AsyncClient, gateway: str, wished: dict[str, Any]) -> Response:
    """Ask the gateway for a token; what goes wrong is for our log, and not for visitors."""
    try:
        answer = (await http.post("/v1/tokens", json=wished)).raise_for_status()
    except httpx2.HTTPStatusError as failure:
        print(f"no token: {failure.response.text}", flush=True)
        return refused(502, "No token is to be had at present")
    except httpx2.TransportError as failure:
        print(f"no token: {failure!r}", flush=True)
        return refused(502, "The gateway cannot be reached")
    token = answer.json()
    told = {"gateway": gateway, "token": token["token"], "expires_in_s": wished["ttl_s"]}
    return JSONResponse(told, headers={"cache-control": "no-store"})


def page_headers(gateway: str) -> dict[str, str]:
    """Return headers by which a browser runs our own files only, and calls us and the gateway."""
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
        f" connect-src 'self' {gateway}; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'none'; require-trusted-types-for 'script'"
    )
    return {
        "content-security-policy": policy,
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "cache-control": "no-cache",
    }


def refused(status: int, message: str) -> JSONResponse:
    """Answer in the form of the gateway's errors, which the page can read."""
    return JSONResponse({"error": {"message": message}}, status, {"cache-control": "no-store"})


def main() -> None:
    """Read what is to be served from the command line, and serve it until Ctrl-C."""
    given = argparse.ArgumentParser(description="Serve the example page of a Reelgate tenant.")
    given.add_argument("--port", type=int, default=8090)
    given.add_argument("--origin", help="as visitors see it; http://127.0.0.1:<port> where missing")
    given.add_argument("--token-seconds", type=int, default=300, help="life of a token, to 900")
    options = given.parse_args()
    gateway = os.environ.get("GATEWAY", "http://127.0.0.1:8080").rstrip("/")
    origin = options.origin or f"http://127.0.0.1:{options.port}"
    if "KEY" not in os.environ:
        given.error("set KEY to a key of the tenant, as `reelgate key issue` printed it")
    app = application(gateway, os.environ["KEY"], origin, options.token_seconds)
    print(f"Open {origin}/ (for the gateway at {gateway})", flush=True)
    uvicorn.run(app, host="127.0.0.1", port=options.port, log_level="warning")


if __name__ == "__main__":
    main()
