"""RateLimit header fields: their exact text, and that a reader of structured fields reads it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.rates import Rates, Standing
from tests.domain.structured_fields import read_list
from tests.support.properties import checked

standings = st.none() | st.builds(
    Standing, st.integers(0, 1_000_000), st.integers(0, 1_000_000), st.integers(0, 90_000)
)


def fields(rates: Rates) -> dict[str, str]:
    """Return the header fields as text."""
    return {name.decode(): value.decode() for name, value in rates.header_fields()}


@pytest.mark.parametrize(
    ("rates", "policy", "limit"),
    [
        (Rates("creates"), None, None),
        (Rates("reads"), None, None),
        (Rates("creates", Standing(60, 4, 11_001)), '"creates";q=60;w=60', '"creates";r=4;t=12'),
        (Rates("creates", Standing(60, 60, 0)), '"creates";q=60;w=60', '"creates";r=60;t=0'),
        (Rates("creates", Standing(0, 0, 60_000)), '"creates";q=0;w=60', '"creates";r=0;t=60'),
        (Rates("reads", None, Standing(20, 19, 50)), '"reads";q=20;w=1', '"reads";r=19;t=1'),
        (Rates("reads", Standing(60, 4, 11_001)), '"creates";q=60;w=60', None),
        (Rates("creates", None, Standing(20, 20, 0)), '"reads";q=20;w=1', None),
        (
            Rates("creates", Standing(60, 4, 12_000), Standing(20, 1, 1)),
            '"creates";q=60;w=60, "reads";q=20;w=1',
            '"creates";r=4;t=12',
        ),
        (
            Rates("reads", Standing(60, 4, 12_000), Standing(20, 1, 1)),
            '"creates";q=60;w=60, "reads";q=20;w=1',
            '"reads";r=1;t=1',
        ),
    ],
)
def test_the_fields_are_written_so(rates: Rates, policy: str | None, limit: str | None) -> None:
    """Only limited policies are told, and only the counted one's state; seconds are rounded up."""
    expected = {"ratelimit-policy": policy, "ratelimit": limit}

    assert fields(rates) == {name: text for name, text in expected.items() if text is not None}


@checked
@given(counted=st.sampled_from(["creates", "reads"]), creates=standings, reads=standings)
def test_whatever_the_figures_they_are_read_back(
    counted: str, creates: Standing | None, reads: Standing | None
) -> None:
    """As structured fields, by a reader that knows nothing of how they were written."""
    rates = Rates("creates" if counted == "creates" else "reads", creates, reads)

    told = {name: read_list(text) for name, text in fields(rates).items()}

    known = {"creates": (creates, 60), "reads": (reads, 1)}
    limited = {name: pair for name, pair in known.items() if pair[0] is not None}
    policies = [
        (name, {"q": standing.quota, "w": window_s})
        for name, (standing, window_s) in limited.items()
        if standing is not None
    ]
    assert told.get("ratelimit-policy", []) == policies
    standing = known[counted][0]
    if standing is None:
        assert "ratelimit" not in told
        return
    [(name, parameters)] = told["ratelimit"]
    assert (name, parameters["r"]) == (counted, standing.left)
    assert (parameters["t"] - 1) * 1000 < standing.grows_in_ms <= parameters["t"] * 1000
