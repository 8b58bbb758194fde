"""Fields that name an earlier task: found wherever they stand, translated without a trace."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import strict_json
from app.domain.catalogue import Catalogue, Model
from app.domain.requests import EARLIER_TASK_FIELDS, CreateRequest, check_create
from app.errors import InvalidRequest
from tests.domain.rule_cases import least_body
from tests.domain.samples import CATALOGUE, MODEL, REQUEST, TASK_ID
from tests.support.properties import checked

OWN = ("task-unified-1767917446-" + "a" * 25, "task-unified-1767917446-" + "b" * 25)


def requested(catalogue: Catalogue = CATALOGUE, **fields: Any) -> CreateRequest:
    """Check the documented request with more fields."""
    return check_create(json.dumps(REQUEST | fields).encode(), catalogue)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {}),
        ({"base_video_task_id": OWN[0]}, {"base_video_task_id": OWN[0]}),
        ({"source_task_id": OWN[0]}, {"source_task_id": OWN[0]}),
        (
            {"model_params": {"source_task_id": OWN[0], "x": 1}},
            {"model_params.source_task_id": OWN[0]},
        ),
        (
            {"source_task_id": OWN[0], "model_params": {"source_task_id": OWN[1]}},
            {"source_task_id": OWN[0], "model_params.source_task_id": OWN[1]},
        ),
        ({"source_task_id": "anything"}, {"source_task_id": "anything"}),
        ({"source_task_id": ""}, {"source_task_id": ""}),
        ({"source_task_id": None, "model_params": None}, {}),
        ({"model_params": {"source_task_id": None}}, {}),
        ({"model_params": "source_task_id"}, {}),
        ({"model_params": [{"source_task_id": OWN[0]}]}, {}),
        ({"model_params.source_task_id": OWN[0]}, {}),
        ({"other": {"source_task_id": OWN[0]}, "task_id": OWN[0]}, {}),
    ],
    ids=str,
)
def test_a_task_is_named_by_these_fields(fields: dict[str, Any], expected: dict[str, str]) -> None:
    """And by no other; null is the same as absent."""
    assert requested(**fields).earlier_tasks == expected


@pytest.mark.parametrize("value", [0, 1, 1.5, True, False, [], [OWN[0]], {}, {"id": OWN[0]}])
@pytest.mark.parametrize("path", EARLIER_TASK_FIELDS)
def test_a_task_is_named_by_a_text(path: str, value: Any) -> None:
    """Anything else is refused, with the whole path of the field."""
    *outer, name = path.split(".")
    fields: dict[str, Any] = {name: value}
    for part in reversed(outer):
        fields = {part: fields}

    with pytest.raises(InvalidRequest) as refused:
        requested(**fields)

    assert refused.value.param == path
    assert path in refused.value.message


def test_a_model_may_have_fields_of_its_own_for_it() -> None:
    """As the catalogue says, nested ones too; the known ones stay."""
    model = MODEL.model_copy(update={"task_id_fields": ("x.y.of", "source_task_id")})
    catalogue = Catalogue({MODEL.name: model})
    fields = {"x": {"y": {"of": OWN[0]}}, "source_task_id": OWN[1]}

    found = requested(catalogue, **fields)

    assert found.earlier_tasks == {"x.y.of": OWN[0], "source_task_id": OWN[1]}
    with pytest.raises(InvalidRequest, match=r"x\.y\.of"):
        requested(catalogue, x={"y": {"of": 5}})


@pytest.mark.parametrize(
    "model",
    [each for each in CATALOGUE.models.values() if each.task_id_fields],
    ids=lambda model: model.name,
)
def test_the_models_that_build_on_a_task_say_where(model: Model) -> None:
    """Their field is one that is translated."""
    body = least_body(model) | dict.fromkeys(model.task_id_fields, OWN[0])

    found = check_create(json.dumps(body).encode(), CATALOGUE)

    assert found.earlier_tasks == dict.fromkeys(model.task_id_fields, OWN[0])


def test_the_vendors_ids_take_the_place_of_ours() -> None:
    """In the body that is sent, at their very places; all else is as it was written."""
    raw = (
        b'{"model":"sora-character","video_url":"https://example.com/video.mp4",'
        b'"model_params":{"n":1.50,"source_task_id":"%s"},"base_video_task_id":"%s"}'
        % (OWN[0].encode(), OWN[1].encode())
    )
    request = check_create(raw, CATALOGUE)

    sent = request.naming(
        {"model_params.source_task_id": "vendor-a", "base_video_task_id": "vendor-b"}
    )

    assert sent.vendor_body == raw.decode().replace(OWN[0], "vendor-a").replace(OWN[1], "vendor-b")
    assert not any(own in sent.vendor_body for own in OWN)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=5,
)


@checked
@given(params=st.dictionaries(st.text(max_size=4), values, max_size=3), other=values)
def test_a_translation_leaves_the_request_as_it_was(params: dict[str, Any], other: Any) -> None:
    """Only the named fields differ in the new one; price, model and fingerprint are the old's."""
    fields = {"model_params": params | {"source_task_id": TASK_ID}, "z": other}
    request = requested(**fields)
    before = strict_json.dump(request.body)

    sent = request.naming({"model_params.source_task_id": "vendor-a"})

    assert strict_json.dump(request.body) == request.vendor_body == before
    expected = json.loads(request.vendor_body)
    expected["model_params"]["source_task_id"] = "vendor-a"
    assert json.loads(sent.vendor_body) == expected
    assert sent.fingerprint == request.fingerprint
    assert (sent.model, sent.price) == (request.model, request.price)
    assert sent.earlier_tasks == request.earlier_tasks


def test_a_request_is_the_same_by_our_id_not_by_the_vendors() -> None:
    """Another earlier task makes another request, as a repeated Idempotency-Key finds out."""
    one, other = (requested(source_task_id=own) for own in OWN)

    assert one.fingerprint != other.fingerprint
    assert one.fingerprint == requested(source_task_id=OWN[0]).fingerprint
