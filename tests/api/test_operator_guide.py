"""docs/admin-api.md is true: its examples are run, its tables are held against the program."""

from __future__ import annotations

import re
from typing import get_args

import httpx2

from app.domain.audit import ActName
from app.domain.ids import TASK_ID_PREFIX
from app.domain.tenant import TenantLimits
from tests.api.asking import UNKNOWN_ID
from tests.api.guide import (
    OPERATORS_GUIDE,
    Call,
    Example,
    assert_as_told,
    examples,
    http_call,
    told_routes,
)
from tests.api.operating import ADMIN_TOKEN, ROUTES, WITH_ADMIN
from tests.conftest import OpenBed
from tests.support.bed import Bed

TEXT = OPERATORS_GUIDE.read_text("utf-8")


async def followed(bed: Bed, example: Example, variables: dict[str, str]) -> httpx2.Response:
    """Do what an example says, remember what later ones speak of, and return the last answer."""
    answer: httpx2.Response | None = None
    for command in example.commands:
        assert isinstance(command, Call)
        call = http_call(command, variables)
        answer = await bed.http.request(
            call.method, call.url, headers=call.headers, content=call.content
        )
        shown = answer.json()
        if str(shown.get("id")).startswith(TASK_ID_PREFIX):
            variables["TASK"] = shown["id"]
        elif "key" in shown:
            variables |= {"KEY_ID": shown["id"], "KEY": shown["key"]}
    assert answer is not None
    return answer


async def test_every_example_is_answered_as_the_guide_says(open_gateway_bed: OpenBed) -> None:
    """Status, the headers that are shown, and the whole body, one example after the other."""
    variables = {"GATEWAY": "http://gateway", "ADMIN_TOKEN": ADMIN_TOKEN}
    async with open_gateway_bed(**WITH_ADMIN) as bed:
        for example in examples(OPERATORS_GUIDE):
            assert_as_told(await followed(bed, example, variables), example)


def test_every_route_has_an_example() -> None:
    """Whoever looks for one finds a command to copy."""
    variables = {"GATEWAY": "", "ADMIN_TOKEN": "x", "KEY_ID": "key_1", "KEY": "x"}
    variables["TASK"] = UNKNOWN_ID
    shown = set()
    for example in examples(OPERATORS_GUIDE):
        for command in example.commands:
            assert isinstance(command, Call)
            call = http_call(command, variables)
            shown.add((call.method, call.url.partition("?")[0]))

    assert set(ROUTES) - shown == set()


async def test_the_guide_names_every_route(bed: Bed) -> None:
    """Nothing is served that operators are not told of, and nothing else is promised."""
    described = bed.app.openapi()["paths"].items()
    served = {
        (path, method.upper())
        for path, item in described
        for method in item
        if path.startswith("/admin/")
    }

    assert told_routes(OPERATORS_GUIDE) == served


def test_the_guide_names_every_limit_and_every_act() -> None:
    """Each in a row of its own table."""
    first_cells = re.findall(r"^\| `([a-z_.]+)` \|", TEXT, re.MULTILINE)

    assert set(TenantLimits.model_fields) <= set(first_cells)
    assert {name for name in first_cells if "." in name} == set(get_args(ActName))
