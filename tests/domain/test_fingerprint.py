"""Fingerprints: two bodies share one exactly when they are equal as JSON."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.strict_json import fingerprint, parse_object
from app.errors import MalformedJson
from tests.support.properties import Number, checked, documents, large_numbers, spelled


def mark(text: str) -> str:
    """Return the fingerprint of a JSON text."""
    return fingerprint(parse_object(text.encode()))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"a": 1}', '{"a": 1.0}'),
        ('{"a": 1}', '{"a": 10e-1}'),
        ('{"a": 1}', '{"a": 0.1E+1}'),
        ('{"a": 100}', '{"a": 1e2}'),
        ('{"a": 0.5}', '{"a": 0.50}'),
        ('{"a": 0}', '{"a": -0}'),
        ('{"a": 0}', '{"a": 0.000}'),
        ('{"a": 0}', '{"a": 0e99}'),
        ('{"a": -1.20}', '{"a": -12e-1}'),
        ('{"a": 1e300}', '{"a": 10e299}'),
        (
            '{"a": 123456789012345678901234567890}',
            '{"a": 123456789012345678901234567890.0}',
        ),
        ('{"a": 1, "b": 2}', '{"b": 2, "a": 1}'),
        ('{"x": {"a": 1, "b": 2}}', '{"x": {"b": 2, "a": 1}}'),
        ('{"a": "b"}', '{"\\u0061": "\\u0062"}'),
        ('{"a": "/"}', '{"a": "\\/"}'),
        ('{"a": "\\n"}', '{"a": "\\u000A"}'),
        ('{"😀": "é"}', '{"\\ud83d\\ude00": "\\u00e9"}'),
        ('{"a":[1,2]}', ' { "a" : [ 1 ,\n2 ] } '),
    ],
)
def test_other_spellings_are_the_same_request(one, other):
    """A client that writes its retry differently is not refused for it."""
    assert mark(one) == mark(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"a": 1}', '{"a": "1"}'),
        ('{"a": 1}', '{"a": true}'),
        ('{"a": 0}', '{"a": false}'),
        ('{"a": 0}', '{"a": null}'),
        ('{"a": null}', "{}"),
        ('{"a": null}', '{"a": "null"}'),
        ('{"a": ""}', '{"a": null}'),
        ('{"a": []}', '{"a": {}}'),
        ('{"a": []}', '{"a": [null]}'),
        ('{"a": 1}', '{"a": [1]}'),
        ('{"a": [1, 2]}', '{"a": [2, 1]}'),
        ('{"a": [1, 2]}', '{"a": "[1,2]"}'),
        ('{"a": [[1], 2]}', '{"a": [1, [2]]}'),
        ('{"a": {"b": 1}}', '{"a": {}, "b": 1}'),
        ('{"a": 1, "b": 2}', '{"a": 2, "b": 1}'),
        ('{"a": "x"}', '{"A": "x"}'),
        ('{"a": "x"}', '{"a": "x "}'),
        ('{"a": "é"}', '{"a": "e\\u0301"}'),
        ('{"a": 1}', '{"a": -1}'),
        ('{"a": 1}', '{"a": 10}'),
        ('{"a": 0.1}', '{"a": 0.1000000000000000055511151231257827}'),
        ('{"a": 9007199254740992}', '{"a": 9007199254740993}'),
        ('{"a": 1e-400}', '{"a": 0}'),
        ('{"a": 1e-400}', '{"a": 2e-400}'),
        (
            '{"a": 12345678901234567890123456789012}',
            '{"a": 12345678901234567890123456789013}',
        ),
        ('{"a": 1' + "0" * 62 + "}", '{"a": 1' + "0" * 61 + "1}"),
        ('{"a": "1,2"}', '{"a": "1", "b": "2"}'),
        ('{"a": "\\",\\"b\\":\\""}', '{"a": "", "b": ""}'),
    ],
)
def test_another_value_is_another_request(one, other):
    """What differs as JSON never passes for a replay, however small the difference."""
    assert mark(one) != mark(other)


@pytest.mark.parametrize(
    "number",
    [
        "1e-1000030",
        "1e-999999999",
        "1e-9999999999999999999",
        "-1e-9999999999999999999",
        "0e9999999999999999999",
        "0e-9999999999999999999",
        "0.0e999999999",
    ],
)
def test_a_far_exponent_is_read_right_or_refused(number):
    """Zero is zero with any exponent, everything else is not; nothing ends in another failure."""
    is_zero = not number.partition("e")[0].strip("-0.")

    try:
        found = mark(f'{{"a": {number}}}')
    except MalformedJson:
        return

    assert (found == mark('{"a": 0}')) == is_zero


near_numbers = st.sampled_from(
    [Fraction(each) for each in (0, 1, -1, 10, "0.1", 10**30, 10**30 + 1)]
).map(Number)
near_texts = st.sampled_from(["", "a", "1", "null", '"', "é", "😀"])
near_leaves = st.none() | st.booleans() | near_numbers | near_texts
near_bodies = st.dictionaries(
    st.sampled_from("ab"), near_leaves | st.lists(near_leaves, max_size=2), max_size=2
)
pairs = near_bodies.flatmap(
    lambda one: st.tuples(
        st.just(one), st.just(one) | near_leaves.map(lambda leaf: {**one, "a": leaf}) | near_bodies
    )
)


@checked
@given(pair=pairs, seed=st.integers(0, 2**32))
def test_fingerprints_are_equal_exactly_when_the_values_are(pair, seed):
    """Drawn from few values, so that equal and nearly equal bodies meet often."""
    one, other = pair

    is_same = mark(spelled(one, seed)) == mark(spelled(other, seed + 1))

    assert is_same == (one == other)


@checked
@given(document=documents(large_numbers(40)), seed=st.integers(0, 2**32))
def test_no_spelling_changes_a_fingerprint(document, seed):
    """Blanks, order of names, escapes, exponents and trailing zeros mean nothing."""
    assert mark(spelled(document, seed)) == mark(spelled(document, seed + 1))


@checked
@given(number=large_numbers(55), places=st.integers(0, 99), step=st.sampled_from([-1, 1]))
def test_neighbouring_numbers_differ(number, places, step):
    """Numbers are compared digit by digit, not as doubles."""
    assert mark(f'{{"a": {number}e-{places}}}') != mark(f'{{"a": {number + step}e-{places}}}')
