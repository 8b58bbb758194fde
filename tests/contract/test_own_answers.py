"""What the gateway answers by itself has the documented keys and types, in one generation."""

from __future__ import annotations

from typing import Any

import pytest

from app.errors import TYPE_BY_STATUS
from tests.conftest import OpenBed
from tests.contract.comparing import differences
from tests.contract.pairs import Pair, answered_by
from tests.contract.ways import WAYS, Scene
from tests.support.answers import error_of
from tests.support.redis_server import RedisServer


@pytest.mark.parametrize("pair", answered_by("gateway"), ids=lambda pair: pair.name)
async def test_the_answer_has_the_documented_status_keys_and_types(
    pair: Pair, open_gateway_bed: OpenBed, redis_server: RedisServer
) -> None:
    """Whatever is not so stands in the table, with the reason."""
    way = WAYS[pair.way]

    async with open_gateway_bed(**way.settings) as bed:
        answer = await way.act(Scene(bed, redis_server, pair))

    assert answer.status_code == pair.status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert list(differences(pair.answer, answer.json(), pair.excepted)) == []
    if pair.is_error:
        assert_documented_words(pair, error_of(answer))


def assert_documented_words(pair: Pair, given: dict[str, Any]) -> None:
    """Fail where type or field are others; a text of the older pages begins as it does there."""
    documented = pair.answer["error"]
    assert given["code"] == pair.status
    assert given["type"] == pair.shown.get("type", documented["type"])
    assert given["type"] == TYPE_BY_STATUS[pair.status]
    if "param" in documented and "error.param" not in pair.excepted:
        assert given["param"] == documented["param"]
    if isinstance(documented["code"], int) and "error.message" not in pair.excepted:
        assert given["message"].startswith(documented["message"])
    assert given["message"].startswith(pair.shown.get("message", ""))
