"""The page at /docs: complete in itself, with files that are the published ones."""

from __future__ import annotations

import hashlib
import re
import tomllib
from html.parser import HTMLParser
from pathlib import Path

import pytest

from app.api import docs
from tests.support.bed import Bed

STATIC = Path(docs.__file__).parent / "static"
VENDORED = tomllib.loads((STATIC / "vendored.toml").read_text("utf-8"))
LICENCES = {"LICENSE", "NOTICE", "swagger-ui-bundle.js.LICENSE.txt"}


class References(HTMLParser):
    """Collects what a page loads or leads to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take the addresses of one element."""
        self.found += [value or "" for name, value in attrs if name in ("src", "href", "srcset")]


async def referred_to(bed: Bed) -> list[str]:
    """Return every address in the page."""
    references = References()
    references.feed((await bed.http.get("/docs")).text)
    return references.found


async def test_the_page_names_no_other_host(bed: Bed) -> None:
    """It works where nothing outside can be reached, and tells nobody outside who reads it."""
    page = await bed.http.get("/docs")

    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert re.findall(r"(?:https?:)?//[\w.-]+\.\w+", page.text) == []
    assert "/openapi.json" in page.text


async def test_every_file_of_the_page_is_served(bed: Bed) -> None:
    """Script, style and document come from this gateway, as what they are."""
    addresses = [address for address in await referred_to(bed) if not address.startswith("data:")]
    expected = {".js": "text/javascript", ".css": "text/css"}

    assert len(addresses) == 2
    for address in addresses:
        answer = await bed.http.get(address)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(expected[Path(address).suffix])
        assert len(answer.content) > 100_000


async def test_the_style_loads_nothing_from_elsewhere(bed: Bed) -> None:
    """An `url(…)` to another host would be loaded unasked."""
    style = (await bed.http.get("/docs/static/swagger-ui.css")).text

    loaded = re.findall(r"url\(\s*[\"']?([^\"')]*)", style)
    assert [address for address in loaded if not address.startswith(("data:", "#"))] == []
    assert "@import" not in style


def test_vendored_files_are_the_published_ones() -> None:
    """Nobody has edited them, and an exchange shows in the list beside them."""
    package = VENDORED["swagger-ui-dist"]
    folder = STATIC / package["folder"]

    for name, checksum in package["sha256"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == checksum, name


def test_every_vendored_file_is_listed() -> None:
    """Nothing is served that no checksum holds, and the licences lie beside it."""
    package = VENDORED["swagger-ui-dist"]
    found = {path.name for path in (STATIC / package["folder"]).rglob("*") if path.is_file()}

    assert found == set(package["sha256"]) | LICENCES
    assert {path.name for path in STATIC.iterdir()} == {"vendored.toml", package["folder"]}


@pytest.mark.parametrize("path", ["../vendored.toml", "..%2fvendored.toml", "%2e%2e/app.py"])
async def test_nothing_beside_the_page_can_be_fetched(bed: Bed, path: str) -> None:
    """The folder of the page is all there is to see."""
    answer = await bed.http.get(f"/docs/static/{path}")

    assert answer.status_code == 404
