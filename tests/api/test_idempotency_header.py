"""How a create is named, so that repeating it gives the first answer again."""

from __future__ import annotations

import httpx2
import pytest

from tests.api.asking import post_bytes
from tests.support.answers import error_of
from tests.support.bed import Bed

BODY = b'{"model":"sora-character","video_url":"https://example.com/video.mp4"}'
NAME, SYNONYM = "Idempotency-Key", "X-Evo-Run-Id"


async def create(bed: Bed, key: str, *headers: tuple[str, str | bytes]) -> httpx2.Response:
    """Send the same create under the names given."""
    return await post_bytes(bed, key, BODY, *headers)


@pytest.mark.parametrize(
    "name",
    ["a", "order-1", "!#$%&'*+-.^_`|~", "a,b", "{}", 'a"b', '"', '"a', "x" * 255, f'"{"x" * 255}"'],
)
async def test_a_visible_name_is_taken(bed: Bed, name: str) -> None:
    """1 to 255 visible ASCII characters; the repetition is answered byte for byte and marked."""
    key = await bed.key()

    first, second = await create(bed, key, (NAME, name)), await create(bed, key, (NAME, name))

    assert first.status_code == 200
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert second.content == first.content
    assert len(bed.vendor.creates()) == 1


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        '""',
        '" "',
        "two words",
        "tab\tbed",
        "x" * 256,
        f'"{"x" * 256}"',
        "é".encode(),
        "\x7f",
    ],
)
@pytest.mark.parametrize("header", [NAME, SYNONYM])
async def test_any_other_name_is_refused(bed: Bed, header: str, name: str | bytes) -> None:
    """A name that was cut or changed on its way would make a second task: better no task."""
    answer = await create(bed, await bed.key(), (header, name))

    assert answer.status_code == 400
    assert error_of(answer)["reason"] == "invalid_request"
    assert error_of(answer)["param"] == header
    assert bed.vendor.journal() == []


@pytest.mark.parametrize("header", [NAME, SYNONYM])
async def test_a_name_given_twice_is_refused(bed: Bed, header: str) -> None:
    """Also where both are the same: something on the way has doubled the request's head."""
    answer = await create(bed, await bed.key(), (header, "order-1"), (header, "order-1"))

    assert error_of(answer)["param"] == header


async def test_quotes_around_a_name_are_not_part_of_it(bed: Bed) -> None:
    """The draft standard writes a quoted string; older clients write the bare name."""
    key = await bed.key()

    bare = await create(bed, key, (NAME, "order-1"))
    quoted = await create(bed, key, (NAME, '"order-1"'))

    assert quoted.content == bare.content


async def test_the_vendors_own_header_is_a_synonym(bed: Bed) -> None:
    """`X-Evo-Run-Id` names a create like `Idempotency-Key` does."""
    key = await bed.key()

    first = await create(bed, key, (SYNONYM, "order-1"))
    again = await create(bed, key, (NAME, "order-1"))

    assert again.headers["idempotency-replayed"] == "true"
    assert again.content == first.content


async def test_the_standard_header_wins_over_its_synonym(bed: Bed) -> None:
    """Where both are given, `Idempotency-Key` is the name."""
    key = await bed.key()
    await create(bed, key, (NAME, "order-1"))

    again = await create(bed, key, (NAME, "order-1"), (SYNONYM, "order-2"))
    other = await create(bed, key, (NAME, "order-2"), (SYNONYM, "order-1"))

    assert "idempotency-replayed" in again.headers
    assert "idempotency-replayed" not in other.headers


async def test_names_are_told_apart_by_case(bed: Bed) -> None:
    """`Order-1` is not `order-1`."""
    key = await bed.key()

    first, second = [await create(bed, key, (NAME, name)) for name in ("order-1", "Order-1")]

    assert first.json()["id"] != second.json()["id"]


async def test_another_body_under_a_known_name_is_a_conflict(bed: Bed) -> None:
    """The answer names neither the first body nor the first task."""
    key = await bed.key()
    first = await create(bed, key, (NAME, "order-1"))

    other = await post_bytes(bed, key, BODY[:-1] + b',"timestamps":"0,1"}', (NAME, "order-1"))

    assert other.status_code == 409
    assert error_of(other)["reason"] == "idempotency_conflict"
    assert first.json()["id"] not in other.text


async def test_an_equal_body_is_the_same_however_it_is_written(bed: Bed) -> None:
    """Order of members, blanks and the spelling of numbers make no other request."""
    key, name = await bed.key(), (NAME, "order-1")
    first = await post_bytes(bed, key, BODY[:-1] + b',"a":1.50,"b":[1,2]}', name)

    again = await post_bytes(bed, key, b'{ "b" : [1.0, 2], "a":15e-1,' + BODY[1:], name)

    assert again.headers["idempotency-replayed"] == "true"
    assert again.content == first.content


async def test_a_name_belongs_to_one_tenant_and_one_mode(bed: Bed) -> None:
    """The same name of somebody else, or of a test key, is a name of its own."""
    keys = [
        await bed.key("acme"),
        await bed.key("globex"),
        await bed.another_key("acme", mode="test"),
    ]

    answers = [await create(bed, key, (NAME, "order-1")) for key in keys]

    assert len({answer.json()["id"] for answer in answers}) == 3


async def test_two_keys_of_a_tenant_share_their_names(bed: Bed) -> None:
    """A client that restarts with a fresh key still repeats its create."""
    first = await create(bed, await bed.key("acme"), (NAME, "order-1"))

    again = await create(bed, await bed.another_key("acme"), (NAME, "order-1"))

    assert again.content == first.content
