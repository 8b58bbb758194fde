"""A create under a known Idempotency-Key: the same request in any spelling, and no other one."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest

from app.domain.catalogue import Catalogue
from app.domain.requests import check_create
from app.wiring.models import built_in_catalogue
from tests.flows.watching import reason_of
from tests.support.bed import CREATE_PATH, Bed
from tests.support.contents import everything
from tests.support.properties import Number, spelled
from tests.support.scale import scaled

PAIRS = scaled(5_000, share=1.0)
CREATES = scaled(5_000)
TEXTS = ("a boat", "", "é", "😀", "1", "null", '"', "/", "\\", "\n", "true")

Body = dict[str, Any]


def number(lots: random.Random) -> Number:
    """Return a number that has many spellings."""
    return Number(Fraction(lots.randrange(-(10**6), 10**6), 10 ** lots.randrange(4)))


def value(lots: random.Random) -> Any:
    """Return anything that a field may hold."""
    return lots.choice([number(lots), lots.choice(TEXTS), True, False, [number(lots), "x"], {}])


def request(lots: random.Random) -> Body:
    """Return a create with fields that the contract does not know beside those it does."""
    known = {"model": "sora-character", "video_url": "https://example.com/video.mp4"}
    extra = {f"field_{n}": value(lots) for n in range(lots.randrange(1, 5))}
    return {**known, **extra, "inner": {"a": number(lots), "b": lots.choice(TEXTS)}}


def with_another_number(body: Body, lots: random.Random) -> None:
    body["inner"]["a"] = Number(body["inner"]["a"].value + Fraction(1, 10 ** lots.randrange(9)))


def with_a_field_more(body: Body, lots: random.Random) -> None:
    body["one_more"] = lots.choice([False, "", Number(Fraction(0)), [], {}])


def with_a_field_less(body: Body, lots: random.Random) -> None:
    del body["field_0"]


def with_another_text(body: Body, lots: random.Random) -> None:
    body["inner"]["b"] += lots.choice([" ", "\u0301", "0", "\\"])


def with_a_text_for_a_number(body: Body, lots: random.Random) -> None:
    body["inner"]["a"] = str(body["inner"]["a"].value)


def with_fields_exchanged(body: Body, lots: random.Random) -> None:
    body["inner"] = {"a": body["inner"]["b"], "b": body["inner"]["a"]}


CHANGES: list[Callable[[Body, random.Random], None]] = [
    with_another_number,
    with_a_field_more,
    with_a_field_less,
    with_another_text,
    with_a_text_for_a_number,
    with_fields_exchanged,
]
"""Each makes another request of it."""


def mark(catalogue: Catalogue, body: Body, lots: random.Random) -> str:
    """Return the fingerprint of a body in one of its spellings."""
    return check_create(spelled(body, lots.getrandbits(32)).encode(), catalogue).fingerprint


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: str(change.__name__))
def test_spelling_is_nothing_and_meaning_is_everything(
    change: Callable[[Body, random.Random], None],
) -> None:
    """Thousands of pairs: equal in another spelling, unequal after the least change."""
    lots, catalogue = random.Random(3), built_in_catalogue()

    for _ in range(PAIRS // len(CHANGES) + 1):
        body = request(lots)
        other = copy.deepcopy(body)
        change(other, lots)

        first = mark(catalogue, body, lots)

        assert mark(catalogue, body, lots) == first, body
        assert mark(catalogue, other, lots) != first, (body, other)


async def test_a_create_is_repeated_in_any_spelling_and_never_taken_for_another(bed: Bed) -> None:
    """The one is the first answer again, the other a conflict that changes nothing."""
    lots, key = random.Random(4), await bed.key()

    async def create(name: str, body: Body) -> Any:
        content = spelled(body, lots.getrandbits(32))
        headers = {
            "authorization": f"Bearer {key}",
            "content-type": "application/json",
            "idempotency-key": name,
        }
        return await bed.http.post(CREATE_PATH, content=content.encode(), headers=headers)

    for turn in range(CREATES):
        body, name, is_last = request(lots), f"order-{turn}", turn >= CREATES - len(CHANGES)
        other = copy.deepcopy(body)
        CHANGES[turn % len(CHANGES)](other, lots)
        first = await create(name, body)
        untouched = await everything(bed.gateway.store.redis) if is_last else {}

        again, conflict = await create(name, body), await create(name, other)

        assert first.status_code == 200
        assert again.content == first.content
        assert again.headers["idempotency-replayed"] == "true"
        assert (conflict.status_code, reason_of(conflict)) == (409, "idempotency_conflict")
        assert json.loads(first.content)["id"] not in conflict.text
        assert not is_last or await everything(bed.gateway.store.redis) == untouched
    assert len(bed.vendor.creates()) == CREATES
