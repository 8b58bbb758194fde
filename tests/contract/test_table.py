"""The table itself: every documented pair is in it, classified, and argued for where it must be."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from tests.api.asking import bearer
from tests.contract.pairs import PAIRS, Pair, answered_by
from tests.contract.ways import WAYS
from tests.support.answers import error_of
from tests.support.bed import Bed

SHORTEST_REASON = 20

TASK_ERRORS = {
    "content_policy_violation",
    "invalid_parameters",
    "image_processing_error",
    "image_dimension_mismatch",
    "request_cancelled",
    "generation_failed_no_content",
    "service_error",
    "generation_timeout",
    "resource_exhausted",
    "quota_exceeded",
    "service_unavailable",
    "resource_not_found",
    "unknown_error",
}
"""The codes that the vendor's page about failed tasks lists."""

IN_NUMBERS = {400, 401, 402, 403, 404, 413, 429, 500, 502, 503}
IN_WORDS = {400, 401, 402, 403, 429, 500, 502}


def statuses(method: str, kind: type) -> set[int]:
    """Return the documented error statuses of the two task calls whose code is of that type."""
    return {
        pair.status
        for pair in PAIRS
        if pair.is_error
        and pair.method == method
        and re.match("/v1/(videos/generations$|tasks/)", pair.path)
        and type(pair.answer["error"]["code"]) is kind
    }


def test_every_documented_pair_has_a_row_and_a_class() -> None:
    """86 pairs are known; none is missing, none stands twice, none is left open."""
    assert len(PAIRS) == 86
    assert len({pair.name for pair in PAIRS}) == 86
    assert Counter(pair.by for pair in PAIRS) == {"gateway": 36, "sandbox": 41, "artefact": 9}
    assert all(pair.source for pair in PAIRS)
    assert {pair.basis for pair in PAIRS} == {"documented", "derived", "observed"}


def test_every_error_of_both_generations_is_a_pair() -> None:
    """Older pages write codes as numbers, newer ones as words; creates and reads have both."""
    assert statuses("POST", int) == IN_NUMBERS
    assert statuses("POST", str) == IN_WORDS
    assert statuses("GET", int) == IN_NUMBERS - {413}
    assert statuses("GET", str) == (IN_WORDS | {404}) - {502}


def test_every_end_of_a_task_is_a_pair() -> None:
    """Each documented status, and each documented code of a failure."""
    reads = [pair.answer for pair in PAIRS if pair.method == "GET" and pair.status == 200]
    ends = [answer for answer in reads if "status" in answer]

    assert {end["status"] for end in ends} == {
        "pending",
        "processing",
        "completed",
        "failed",
        "cancelled",
    }
    assert {end["error"]["code"] for end in ends if "error" in end} == TASK_ERRORS


def test_every_departure_from_the_documents_has_its_reason() -> None:
    """Rows that nobody serves, calls that are asked otherwise, members that are not given."""
    reasons = {pair.name: list(pair.excepted.values()) for pair in PAIRS}
    for pair in PAIRS:
        if pair.by == "artefact" or (pair.is_error and pair.by == "sandbox"):
            reasons[pair.name].append(pair.because)
        if pair.ask:
            reasons[pair.name].append(pair.ask["because"])

    short = {
        name: told for name, told in reasons.items() if any(len(r) < SHORTEST_REASON for r in told)
    }
    assert short == {}


def test_every_way_is_gone() -> None:
    """A way that no row takes is left over; a row without a way would not be run."""
    assert {pair.way for pair in answered_by("gateway")} == WAYS.keys()
    assert {pair.way for pair in PAIRS if pair.by != "gateway"} == {""}


def test_every_error_says_what_becomes_of_it_when_the_vendor_gives_it() -> None:
    """The caller's own errors and the vendor's are two things, though they look alike."""
    told = {pair.name for pair in PAIRS if pair.relayed}
    errors = {pair.name for pair in PAIRS if pair.is_error}

    assert errors - told == {"unknown path", "credits refused 400", "credits refused 401"}


@pytest.mark.parametrize(
    "pair",
    [pair for pair in answered_by("artefact") if pair.path_is == "unknown"],
    ids=lambda pair: pair.name,
)
async def test_what_is_not_served_says_so(bed: Bed, pair: Pair) -> None:
    """In the words that clients look for, and without a trace at the vendor."""
    headers = [bearer(await bed.key())]

    answer = await bed.http.request(pair.method, pair.path, json=pair.request, headers=headers)

    assert error_of(answer)["message"] == f"Invalid URL ({pair.method} {pair.path})"
    assert bed.vendor.journal() == []
