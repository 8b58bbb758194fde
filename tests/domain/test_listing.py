"""The list of tasks: what may be asked of it, which ids a batch names, and what is shown."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.ids import is_task_id
from app.domain.listing import MAX_BATCH, MAX_PAGE, MAX_PAGE_SIZE, ListQuery, batch_ids, list_item
from app.errors import InvalidRequest
from tests.domain.samples import TASK_ID, pending
from tests.support.properties import checked

OTHER_ID = TASK_ID[:-1] + "z"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ListQuery()),
        ({"status": "processing"}, ListQuery(status="open")),
        ({"status": "completed"}, ListQuery(status="completed")),
        ({"status": "failed"}, ListQuery(status="failed")),
        ({"status": "cancelled"}, ListQuery(status="cancelled")),
        ({"type": "video"}, ListQuery()),
        ({"type": "audio"}, ListQuery(nothing_matches=True)),
        ({"type": "image"}, ListQuery(nothing_matches=True)),
        ({"type": "text"}, ListQuery(nothing_matches=True)),
        ({"model": "no such model, é"}, ListQuery(model="no such model, é")),
        ({"page": "7", "page_size": "100"}, ListQuery(page=7, page_size=100)),
        ({"page": "1000000", "page_size": "1"}, ListQuery(page=1_000_000, page_size=1)),
        ({"page": "007"}, ListQuery(page=7)),
        ({"status": "", "page": "", "page_size": "", "model": "", "type": ""}, ListQuery()),
        ({"limit": "5", "Status": "x", "pages": "-1"}, ListQuery()),
    ],
    ids=str,
)
def test_a_query_is_read_so(query: dict[str, str], expected: ListQuery) -> None:
    """What is not given, or empty, is the default; names that mean nothing here are ignored."""
    assert ListQuery.read(query.items()) == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("status", value) for value in ("pending", "queued", "all", "open", "Completed", " ")),
        *(("type", value) for value in ("videos", "VIDEO", "1")),
        *(("page", value) for value in ("0", "-1", "+1", "1.0", "1e1", "x", " 1", "1000001")),
        *(("page", value) for value in ("9" * 5000, "٣", "²", "0x1", "1_0", "null")),
        *(("page_size", value) for value in ("0", "101", "-20", "20.0", "twenty", "9" * 8)),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(name: str, value: str) -> None:
    """With the name of the parameter, and a rule that says what would."""
    with pytest.raises(InvalidRequest, match=name) as refused:
        ListQuery.read([(name, value)])

    assert refused.value.param == name
    assert len(refused.value.message) < 200


@pytest.mark.parametrize("name", ["status", "type", "model", "page", "page_size"])
def test_a_name_that_is_given_twice_is_refused(name: str) -> None:
    """Even with equal values: two readers would choose differently."""
    value = {"status": "failed", "type": "video"}.get(name, "1")

    with pytest.raises(InvalidRequest, match="more than once") as refused:
        ListQuery.read([(name, value), ("other", "x"), (name, value)])

    assert refused.value.param == name


@checked
@given(page=st.integers(1, MAX_PAGE), size=st.integers(1, MAX_PAGE_SIZE))
def test_pages_lie_side_by_side(page: int, size: int) -> None:
    """Each has as many places as it is large, and begins where the one before it ends."""
    first, last = ListQuery(page=page, page_size=size).places

    assert last - first + 1 == size
    assert ListQuery(page=page + 1, page_size=size).places[0] == last + 1
    assert ListQuery(page=1, page_size=size).places[0] == 0


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], []),
        ([TASK_ID], [TASK_ID]),
        ([OTHER_ID, TASK_ID, OTHER_ID, TASK_ID], [OTHER_ID, TASK_ID]),
        (["", "x", TASK_ID.upper(), TASK_ID + "\n", TASK_ID], [TASK_ID]),
        (["task-unified-1767917446-5lqy8zzv"], []),
    ],
)
def test_a_batch_names_each_id_once_in_order(given: list[str], expected: list[str]) -> None:
    """What cannot be a task id is left out, as an unknown one is."""
    assert batch_ids({"task_ids": given}) == expected


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "task_ids"),
        ({"task_ids": None}, "task_ids"),
        ({"task_ids": TASK_ID}, "task_ids"),
        ({"task_ids": {TASK_ID: 1}}, "task_ids"),
        ({"task_ids": 5}, "task_ids"),
        ({"ids": [TASK_ID]}, "task_ids"),
        ({"task_ids": [TASK_ID] * 51}, "task_ids"),
        ({"task_ids": [1]}, "task_ids[0]"),
        ({"task_ids": [TASK_ID, None, 3]}, "task_ids[1]"),
        ({"task_ids": [TASK_ID, TASK_ID, [TASK_ID]]}, "task_ids[2]"),
        ({"task_ids": ["x"] * 49 + [True]}, "task_ids[49]"),
    ],
    ids=["absent", "null", "text", "object", "number", "misnamed", "51", "0", "1", "2", "49"],
)
def test_a_batch_that_is_none_is_refused(body: dict[str, Any], param: str) -> None:
    """With the place of what is wrong."""
    with pytest.raises(InvalidRequest) as refused:
        batch_ids(body)

    assert refused.value.param == param
    assert param in refused.value.message


@checked
@given(
    ids=st.lists(st.sampled_from([TASK_ID, OTHER_ID]) | st.text(max_size=50), max_size=MAX_BATCH)
)
def test_whatever_texts_a_batch_holds_it_is_read(ids: list[str]) -> None:
    """What is read is what could be an id, in the order given, once each."""
    found = batch_ids({"task_ids": ids})

    assert found == sorted({one for one in ids if is_task_id(one)}, key=ids.index)


@pytest.mark.parametrize(
    ("members", "shown"),
    [
        ({}, {"status": "pending", "progress": 0, "has_results": False, "has_error": False}),
        ({"status": "processing", "progress": 40}, {"status": "processing", "progress": 40}),
        ({"results": ["https://example.com/a.mp4"]}, {"has_results": True}),
        ({"result_data": {"url": "https://example.com/a.mp4"}}, {"has_results": True}),
        ({"results": [], "result_data": {}}, {"has_results": False}),
        ({"status": "failed", "error": {"code": "x"}}, {"status": "failed", "has_error": True}),
        ({"usage": {"credits_used": 0.25}}, {"credits_used": 0.25}),
        ({"usage": {"credits_used": 0}}, {"credits_used": 0}),
        ({"usage": {"credits_reserved": 9}}, {"credits_used": 0}),
    ],
    ids=str,
)
def test_a_task_is_listed_so(members: dict[str, Any], shown: dict[str, Any]) -> None:
    """What it is and how it stands; that it has results, but no link to them."""
    body = pending() | members

    item = list_item(json.dumps(body).encode())

    assert {name: item[name] for name in shown} == shown
    assert item.keys() == {
        *("id", "status", "model", "type", "progress", "created_at"),
        *("has_results", "has_error", "credits_used"),
    }
    assert (item["id"], item["created_at"]) == (TASK_ID, 1767917446)
    assert "https" not in str(item)
