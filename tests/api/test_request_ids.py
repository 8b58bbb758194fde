"""Every answer carries an id, the caller's own where it is fit for a log."""

from __future__ import annotations

import re

import pytest

from tests.api.asking import bearer
from tests.support.answers import error_of
from tests.support.bed import Bed

OURS = re.compile(r"req_[0-9a-f]{24}")


@pytest.mark.parametrize(
    "given", ["abcd1234", "9f2c6f0e-8a51-4d0a-b0a5-6a2f51f6c0d1", "A.b_c-d.1", "x" * 128]
)
async def test_a_well_formed_id_is_kept(bed: Bed, given: str) -> None:
    """Whoever numbers requests finds the number again, in the header and in the body."""
    answer = await bed.http.get("/nowhere", headers={"x-request-id": given})

    assert answer.headers["x-request-id"] == given
    assert error_of(answer)["request_id"] == given


@pytest.mark.parametrize(
    "given",
    [
        "",
        "short",
        "x" * 129,
        "two words",
        "a/b/c/d/e",
        'quoted"id"',
        "<script>",
        "ümlaut-1".encode(),
    ],
)
async def test_an_unfit_id_is_replaced(bed: Bed, given: str | bytes) -> None:
    """What could garble a log or a page is not repeated; the request gets an id of ours."""
    answer = await bed.http.get("/nowhere", headers=[("x-request-id", given)])

    assert OURS.fullmatch(answer.headers["x-request-id"])
    assert error_of(answer)["request_id"] == answer.headers["x-request-id"]


async def test_requests_without_an_id_get_different_ones(bed: Bed) -> None:
    """No two requests share an id that we made."""
    answers = [await bed.http.get("/healthz") for _ in range(50)]

    given = {answer.headers["x-request-id"] for answer in answers}
    assert len(given) == 50
    assert all(OURS.fullmatch(one) for one in given)


async def test_every_kind_of_answer_carries_exactly_one(bed: Bed) -> None:
    """Pages, probes, successes and errors alike."""
    key = await bed.key()
    task_id = await bed.created(key)
    paths = ["/docs", "/docs/static/swagger-ui.css", "/openapi.json", "/metrics", "/healthz"]
    paths += ["/readyz", f"/v1/tasks/{task_id}", "/v1/tasks/none", "/nowhere"]

    answers = [await bed.http.get(path, headers=[bearer(key)]) for path in paths]

    counts = [len(answer.headers.get_list("x-request-id")) for answer in answers]
    assert dict(zip(paths, counts, strict=True)) == dict.fromkeys(paths, 1)
