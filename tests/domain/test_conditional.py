"""Entity tags, what a client says it has already, and how long it will wait."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.conditional import entity_tag, has_already, read_wait_s
from app.errors import InvalidRequest

TAG = entity_tag(b"{}")


def sent(*values: bytes) -> list[tuple[bytes, bytes]]:
    """Return a request's headers with these lines of If-None-Match."""
    return [(b"host", b"x"), *((b"if-none-match", value) for value in values), (b"etag", TAG)]


@given(st.binary(max_size=50), st.binary(max_size=50))
def test_a_tag_is_that_of_the_bytes(one: bytes, other: bytes) -> None:
    """Equal for equal answers, in every process, and for no others; strong, and quoted."""
    assert (entity_tag(one) == entity_tag(other)) == (one == other)
    assert re.fullmatch(rb'"[0-9a-f]{30}"', entity_tag(one))


@pytest.mark.parametrize(
    "values",
    [
        (TAG,),
        (b"W/" + TAG,),
        (b"*",),
        (b" * ",),
        (b'"a", ' + TAG,),
        (b'"a"' + b"," + TAG + b",",),
        (b'"a,b" , W/"c",\tW/' + TAG,),
        (b'"a"', TAG),
        (b'""', b"*"),
        (b"broken", TAG),
        (b" , ,\t" + TAG + b" \t,, ",),
        (b'"a;b=\xe9\xff"' + b"," + TAG,),
    ],
)
def test_a_client_that_names_the_tag_has_the_answer(values: tuple[bytes, ...]) -> None:
    """In a list, on several lines, weak or strong: all the same for a read (RFC 9110, 13.1.2)."""
    assert has_already(sent(*values), TAG)


@pytest.mark.parametrize(
    "values",
    [
        (),
        (b"",),
        (b'"a"',),
        (TAG[1:-1],),
        (b'"' + TAG[1:-1].upper() + b'"',),
        (TAG[:-1],),
        (b'"x' + TAG[1:],),
        (b'"*"',),
        (b"**",),
        (b"W/*",),
        (b"\xff\x00",),
        (b"a" + TAG,),
        (TAG + b"a",),
        (b'"x"' + TAG,),
        (TAG + b'"x"',),
        (TAG + b" " + TAG,),
        (b'"foo, ' + TAG,),
        (TAG + b', "foo',),
        (b"broken, " + TAG,),
        (b"w/" + TAG,),
        (b"W/ " + TAG,),
        (b"W/W/" + TAG,),
        (b"*, " + TAG,),
        (b'"a b", ' + TAG,),
        (TAG + b"\n",),
    ],
)
def test_a_client_that_names_something_else_is_answered(values: tuple[bytes, ...]) -> None:
    """What is no tag names nothing, and no tag is but half named."""
    assert not has_already(sent(*values), entity_tag(b'{"a":1}') if not values else TAG)


@pytest.mark.parametrize("junk", [b" ", b",", b'"', b'"" ', b'"",', b"W/", b'"a', b"\t,"])
def test_a_long_line_is_read_in_no_time(junk: bytes) -> None:
    """Whatever it repeats: a head has room for 64 KiB of it."""
    began_s = time.process_time()

    assert not has_already(sent(junk * 65_536 + b"x" + TAG), TAG)

    assert time.process_time() - began_s < 1


@pytest.mark.parametrize(
    ("query", "seconds"),
    [
        (b"", 0),
        (b"wait=", 0),
        (b"waits=9&await=8", 0),
        (b"wait=0", 0),
        (b"wait=30", 30),
        (b"wait=60", 60),
        (b"wait=60.0", 60),
        (b"wait=0.25", 0.25),
        (b"wait=05", 5),
        (b"a=1&wait=2.5&b=", 2.5),
        (b"%77ait=7", 7),
    ],
)
def test_a_wait_is_so_many_seconds(query: bytes, seconds: float) -> None:
    """Whole or decimal; an empty value is none."""
    assert read_wait_s(query) == seconds


@pytest.mark.parametrize(
    "value",
    [
        *("61", "60.01", "100", "-1", "+1", "1e1", "1s", ".5", "5.", "1,5", "nan", "inf", "x"),
        *("%D9%A3", "0x10", " 5", "1_0", "1&wait=1", "5&wait=x"),
        *("30&wait=", "&wait=3", "&wait=", "30&%77ait", "5&wait"),
    ],
)
def test_what_is_no_time_to_wait_is_refused(value: str) -> None:
    """With the name of the parameter, and what it may be."""
    with pytest.raises(InvalidRequest) as refusal:
        read_wait_s(f"wait={value}".encode())

    assert refusal.value.param == "wait"
    assert "0 to 60" in refusal.value.message
