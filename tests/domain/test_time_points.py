"""timestamps: plain decimal seconds that lie within two seconds of each other, exactly."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.requests import check_create
from app.errors import InvalidRequest
from tests.domain.samples import CATALOGUE, REQUEST
from tests.support.properties import checked

ACCEPTED = [
    "0,2",
    "1,3",
    "3,1",
    "0",
    "7",
    "1,1",
    "0,0",
    "0,1,2",
    "2,0,1,0.5",
    "1.5",
    "1.5,3.5",
    "0.1,2.1",
    "0.7,2.7",
    "1.1,3.1",
    "0.0,2.000",
    "0.3,0.1",
    "007,008",
    "00.50,2.5",
    "1, 3",
    "1 ,3",
    " 1,3 ",
    "\t1\t,\t3\t",
    "0,2.0000000000000000000000000000000000000000",
    "0.0000000000000000000000000000000000000001,2.0000000000000000000000000000000000000001",
    "100000000000000000000000,100000000000000000000002",
    "9" * 64,
    "0.5," + "0" * 64,
    ",".join(["1"] * 500),
]

REFUSED = [
    "",
    " ",
    ",",
    "1,",
    ",1",
    "1,,3",
    "0,3",
    "3,0",
    "0,1,2,3",
    "0,2.1",
    "1.1,3.2",
    "0,2.0000000000000000000000000000000000000001",
    "0.0000000000000000000000000000000000000001,2.0000000000000000000000000000000000000002",
    "100000000000000000000000,100000000000000000000003",
    "-1",
    "-1,1",
    "-0,1",
    "+1,2",
    "1e0,2",
    "1E1",
    "0x1,2",
    "1_0,11",
    "1/2,1",
    "1.,2",
    ".5,1",
    "1.2.3,2",
    "1..2",
    "--1",
    "1-3",
    "1;3",
    "1 3",
    "1 000,1 001",
    "1,3 s",
    "1s,3s",
    "0:01,0:03",
    "[1,3]",
    '"1,3"',
    "a,b",
    "NaN",
    "nan,1",
    "inf",
    "Infinity,Infinity",
    "1,\n3",
    "1,3\n",
    "\n1,3",
    "1,\r3",
    "1,\x0b3",
    "1\x00,3",
    "1\u00a0,3",
    "1,\u20093",
    "1,\uff13",
    "\u0661,\u0662",
    "½",
    "1²",
    "1\uff0c3",
    "1,3\ufeff",
    "9" * 65,
    "0." + "0" * 5000,
    "9" * 5000 + "," + "9" * 5000,
    ",".join(["1"] * 501),
]


def body_with(points: str) -> bytes:
    """Return the documented request for other points."""
    return json.dumps(REQUEST | {"timestamps": points}).encode()


def is_accepted(points: str) -> bool:
    """Tell whether the points pass; if not, the refusal names the field."""
    try:
        check_create(body_with(points), CATALOGUE)
    except InvalidRequest as refused:
        return refused.param != "timestamps"
    return True


@pytest.mark.parametrize("points", ACCEPTED, ids=lambda points: points[:30])
def test_points_within_two_seconds_pass_unchanged(points):
    """One or more, in any order, blanks around them; the vendor is sent what was written."""
    request = check_create(body_with(points), CATALOGUE)

    assert json.loads(request.vendor_body)["timestamps"] == points


@pytest.mark.parametrize("points", REFUSED, ids=lambda points: points[:30])
def test_other_points_are_refused(points):
    """Signs, exponents, other digits and separators, gaps, and too wide a span."""
    with pytest.raises(InvalidRequest) as caught:
        check_create(body_with(points), CATALOGUE)

    assert (caught.value.http_status, caught.value.param) == (400, "timestamps")
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 300


def decimal(units: int, places: int, zeros: int) -> str:
    """Write `units` of the last decimal place, with zeros behind."""
    digits = f"{units:0{places + 1}d}"
    whole, rest = (digits[:-places], digits[-places:]) if places else (digits, "")
    rest += "0" * zeros
    return f"{whole}.{rest}" if rest else whole


@checked
@given(
    least=st.integers(0, 10**25),
    excess=st.integers(-3, 3),
    places=st.integers(0, 20),
    between=st.lists(st.integers(0, 100), max_size=3),
    chance=st.randoms(use_true_random=False),
)
def test_the_span_is_reckoned_exactly(least, excess, places, between, chance):
    """Two seconds pass and two seconds and a unit of any decimal place do not."""
    span = max(0, 2 * 10**places + excess)
    points = [least, least + span, *(least + span * share // 100 for share in between)]
    chance.shuffle(points)
    comma = chance.choice([",", ", ", " ,\t"])

    text = comma.join(decimal(point, places, zeros=chance.randrange(5)) for point in points)

    assert is_accepted(text) == (span <= 2 * 10**places)


def test_many_points_cannot_be_made_to_cost_much():
    """As many as a body can hold take the one event loop for less than a quarter of a second."""
    body = body_with(",".join(["0." + "1" * 60] * 90_000))
    begun_s = time.thread_time()

    try:
        check_create(body, CATALOGUE)
    except InvalidRequest as refused:
        param = refused.param
    else:
        param = "timestamps"

    assert time.thread_time() - begun_s < 0.25
    assert param == "timestamps"
