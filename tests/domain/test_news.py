"""The ids of events, their order, and their form on the wire."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.news import (
    HEARTBEAT,
    NewsEntry,
    Place,
    closing_bytes,
    event_bytes,
    event_of,
    is_last_event,
    opening_bytes,
    retry_bytes,
)
from app.errors import InvalidKey
from tests.support.events import Event, EventText

BODY = b'{"id":"task-unified-1","status":"processing","progress":40}'
PLACES = st.builds(Place, st.integers(0, 10**15 - 1), st.integers(0, 10**10 - 1))


def read(*texts: bytes) -> EventText:
    """Return what a client makes of these bytes."""
    found = EventText()
    for text in texts:
        found.feed(text)
    return found


@given(PLACES)
def test_an_id_reads_back_as_the_place_it_was_made_of(place: Place) -> None:
    """For every place there can be."""
    assert Place.read(str(place)) == place


@pytest.mark.parametrize(
    "text",
    [
        *("", "0", "1-", "-1", "1-1-1", " 1-1", "1-1 ", "1-1\n", "+1-1", "1--1", "1.0-0", "1-*"),
        *("$", "0x1-1", "01-1", "1-01", "\u0661-1", "9" * 16 + "-1", "1-" + "9" * 11, "1-1\x00"),
    ],
)
def test_what_is_no_id_of_ours_has_no_place(text: str) -> None:
    """Nothing but the one spelling that is sent is understood, and nothing reaches Redis."""
    assert Place.read(text) is None


def test_places_stand_in_the_order_of_numbers_not_of_text() -> None:
    """A place with more digits is not before one with fewer."""
    texts = ["9-5", "10-0", "10-2", "10-10", "1767917446123-0"]

    places = [Place.read(text) for text in texts]

    assert places == sorted(places, key=lambda place: place or Place(0, 0))
    assert Place(10, 10) > Place(10, 2) > Place(9, 5)


def test_an_event_says_what_happened_to_what_and_where_it_stands() -> None:
    """Name, id and data, each on its line, and a blank line behind them."""
    assert event_bytes("task.processing", BODY, Place(12, 3)) == (
        b"event: task.processing\nid: 12-3\ndata: " + BODY + b"\n\n"
    )


def test_an_event_without_a_place_leaves_the_client_where_it_is() -> None:
    """It has no id line: an empty one would send the client back to the beginning."""
    found = read(event_bytes("a", BODY, Place(1, 1)), event_bytes("b", BODY, None))

    assert [event.id for event in found.events] == ["1-1", ""]
    assert found.last_id == "1-1"


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=3), st.booleans())
def test_every_answer_arrives_as_it_was_sent(answer: dict[str, str], is_pretty: bool) -> None:
    """Whatever letters are in it, and also where somebody has broken it into lines."""
    body = json.dumps(answer, ensure_ascii=False, indent=1 if is_pretty else None).encode()

    found = read(event_bytes("task.failed", body, Place(5, 0)))

    assert found.events == [Event("task.failed", answer, "5-0")]


@pytest.mark.parametrize("line_end", [b"\n", b"\r", b"\r\n"])
def test_no_line_of_an_answer_can_pass_for_a_field(line_end: bytes) -> None:
    """A line break in the data would let a task write events of its own."""
    text = event_bytes("a", b"{" + line_end + b'"x":1' + line_end + b"}", None)

    assert text == b'event: a\ndata: {\ndata: "x":1\ndata: }\n\n'


def test_a_stream_begins_with_when_to_come_back_and_where_it_stands() -> None:
    """Neither makes an event: whoever is cut off before the first one goes on from there."""
    found = read(opening_bytes(Place(7, 0)))

    assert (found.retry_ms, found.last_id, found.events) == (2_000, "7-0", [])
    assert read(opening_bytes(None)).last_id == ""


def test_a_heartbeat_is_nothing_to_a_client() -> None:
    """A comment, which moves nothing."""
    found = read(event_bytes("a", BODY, Place(1, 1)), HEARTBEAT)

    assert (len(found.events), found.last_id, found.comments) == (1, "1-1", 1)


def test_who_may_listen_no_more_is_told_why() -> None:
    """An event of its own name, with the usual error in it."""
    (event,) = read(closing_bytes(InvalidKey(), "req_1234567")).events

    assert event.name == "closed"
    assert event.data["error"]["reason"] == "invalid_key"
    assert event.data["error"]["request_id"] == "req_1234567"
    assert event.id == ""


def test_a_client_can_be_told_when_to_return() -> None:
    """By the field that clients of the standard obey."""
    assert read(retry_bytes(4321)).retry_ms == 4321


@pytest.mark.parametrize(
    ("status", "is_last"),
    [("pending", False), ("processing", False), ("completed", True), ("failed", True)],
)
def test_a_task_is_told_of_until_it_is_over(status: str, is_last: bool) -> None:
    """Its two ends are the last that is told of it."""
    event = event_of(json.dumps({"status": status}).encode())

    assert event == f"task.{status}"
    assert is_last_event(event) == is_last
    assert NewsEntry(Place(1, 0), "t", event, "", b"{}").is_last == is_last
