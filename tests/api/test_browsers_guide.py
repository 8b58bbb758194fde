"""docs/browsers.md is true: its examples are run, its tables are held against the program."""

from __future__ import annotations

import re

from app.api.cors import ASKED_HEADERS, READ_HEADERS
from app.domain.browser_token import ALL_SCOPES, MAX_TTL_S, TokenWish
from app.store.tokens import MAX_TOKENS
from tests.api.browsing import APP, allow
from tests.api.guide import BROWSERS_GUIDE, Call, assert_as_told, examples, http_call
from tests.api.test_route_matrix import IN, TABLE
from tests.support.bed import Bed

TEXT = BROWSERS_GUIDE.read_text("utf-8")


async def test_every_example_is_answered_as_the_guide_says(bed: Bed) -> None:
    """Status, the headers that are shown, and the whole body."""
    variables = {"GATEWAY": "http://gateway", "KEY": await bed.key("acme")}
    await allow(bed, "acme", APP)

    for example in examples(BROWSERS_GUIDE):
        (command,) = example.commands
        assert isinstance(command, Call)
        call = http_call(command, variables)
        answer = await bed.http.request(
            call.method, call.url, headers=call.headers, content=call.content
        )

        assert_as_told(answer, example)


def test_the_guide_names_every_field_of_a_wish_and_its_bounds() -> None:
    """Once each, in a table of its own."""
    section = TEXT.partition("## Minting")[2].partition("\n## ")[0]

    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == list(TokenWish.model_fields)
    assert f"1 to {MAX_TTL_S} |" in section
    assert f"at most {MAX_TOKENS:,} living tokens" in section


def test_the_guide_names_the_routes_of_each_scope() -> None:
    """Those that the table of all routes lets a token to; the alias by its name."""
    for scope in ALL_SCOPES:
        row = re.search(rf"^\| `{scope}` \| (.*) \|$", TEXT, re.MULTILINE)
        assert row is not None
        told = set(re.findall(r"`([A-Z]+ /\S+)`", row[1]))
        taken = {route for route, who in TABLE.items() if route.partition(" ")[2].startswith("/v1")}
        taken = {route for route in taken if TABLE[route][f"token to {scope}"] == IN}

        assert told == taken - {"GET /v1/videos/generations/{task_id}"}


def test_the_guide_names_the_headers_that_pages_send_and_read() -> None:
    """As the gateway tells browsers."""
    named = {name.lower() for name in re.findall(r"`([A-Z][A-Za-z-]+)`", TEXT)}

    assert {name.lower() for name in (*ASKED_HEADERS, *READ_HEADERS)} <= named
