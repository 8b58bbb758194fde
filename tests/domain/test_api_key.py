"""API keys as operators wish for them: instants, ends, graces, and what is shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.api_key import DEFAULT_GRACE_S, MAX_GRACE_S, ApiKey, Grace, KeyWish
from app.domain.instants import rfc3339
from app.domain.tenant import Limits, Refused
from tests.support.properties import checked

NOW_MS = 1_795_305_600_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LATE_MS = 253_402_300_799_000


def wish(**given: Any) -> KeyWish:
    """Read a wish of now."""
    return KeyWish.read(given, now_ms=NOW_MS)


@pytest.mark.parametrize(
    "given",
    [{}, {"name": None, "mode": None, "expires_at": None, "limits": None}],
    ids=["absent", "null"],
)
def test_what_is_not_wished_for_is_the_default(given: dict[str, Any]) -> None:
    """A live key without end and without limits of its own."""
    found = wish(**given)

    assert (found.name, found.mode, found.expires_at) == ("", "live", None)
    assert found.limits == Limits()


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2026-12-01T00:00:00Z", 1_796_083_200_000),
        ("2026-12-01t00:00:00z", 1_796_083_200_000),
        ("2026-12-01 00:00:00Z", 1_796_083_200_000),
        ("2026-12-01T02:30:00+02:30", 1_796_083_200_000),
        ("2026-11-30T14:00:00-10:00", 1_796_083_200_000),
        ("2026-12-01T00:00:00.001Z", 1_796_083_200_001),
        ("2026-12-01T00:00:00.9999Z", 1_796_083_200_999),
        ("9999-12-31T23:59:59Z", LATE_MS),
        (1_796_083_200, 1_796_083_200_000),
        (253_402_300_799, LATE_MS),
        (NOW_MS // 1000 + 1, NOW_MS + 1000),
    ],
)
def test_an_end_is_read_so(written: str | int, expected: int) -> None:
    """RFC 3339 with an offset, or unix seconds."""
    assert wish(expires_at=written).expires_at == expected


@checked
@given(
    at_ms=st.integers(NOW_MS + 1, LATE_MS - 86_400_000),
    offset_min=st.integers(-23 * 60, 23 * 60),
)
def test_an_instant_is_read_to_the_millisecond(at_ms: int, offset_min: int) -> None:
    """In whatever time zone it is written."""
    moment = EPOCH + timedelta(milliseconds=at_ms)
    written = moment.astimezone(timezone(timedelta(minutes=offset_min)))

    assert wish(expires_at=written.isoformat(timespec="milliseconds")).expires_at == at_ms


@pytest.mark.parametrize(
    "written",
    [
        *("", "tomorrow", "2026-12-01", "2026-12-01T00:00:00", "2026-13-01T00:00:00Z"),
        *("2026-12-01T24:00:00Z", "2026-12-01T00:00:61Z", "2026-W49-2T00:00:00Z", "20261201T00Z"),
        *("1796083200", "2026-12-01T00:00:00+25:00", "10000-01-01T00:00:00Z", "x" * 5000),
        *("9999-12-31T23:59:59-14:00", "٢٠٢٦-12-01T00:00:00Z"),
        *(1.5, 1_796_083_200.0, True, [], {}, -1, 0, 10**30, 253_402_300_800),
        *("2026-11-22T00:00:00Z", "1970-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00"),
        *(NOW_MS // 1000, NOW_MS, 1),
    ],
    ids=lambda written: str(written)[:40],
)
def test_an_end_that_is_none_or_past_is_refused(written: Any) -> None:
    """Milliseconds are not taken for seconds; the present itself is past."""
    with pytest.raises(Refused, match="expires_at") as refused:
        wish(expires_at=written)

    assert refused.value.param == "expires_at"
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"mode": "prod"}, "mode"),
        ({"mode": 1}, "mode"),
        ({"name": 5}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"limits": []}, "limits"),
        ({"limits": {"creates_per_minute": -1}}, "limits.creates_per_minute"),
        ({"limits": {"when_full": "reject"}}, "limits.when_full"),
        ({"limits": {"max_queued": 1}}, "limits.max_queued"),
        ({"limits": {"models": ["ok", "a,b"]}}, "limits.models[1]"),
        ({"id": "key_1"}, "id"),
        ({"secret": "x"}, "secret"),
        ({"tenant": "acme"}, "tenant"),
    ],
    ids=str,
)
def test_a_wish_that_makes_no_sense_is_refused(given: dict[str, Any], param: str) -> None:
    """With the place of what is wrong; what is a tenant's alone is no key's."""
    with pytest.raises(Refused) as refused:
        wish(**given)

    assert refused.value.param == param
    assert param in str(refused.value)


@pytest.mark.parametrize("given", [None, [], "x", 5, True])
def test_a_wish_is_an_object(given: Any) -> None:
    """Nothing else is read as one."""
    with pytest.raises(Refused, match="object"):
        KeyWish.read(given, now_ms=NOW_MS)
    with pytest.raises(Refused, match="object"):
        Grace.read(given)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, DEFAULT_GRACE_S),
        ({"grace_s": None}, DEFAULT_GRACE_S),
        ({"grace_s": 0}, 0),
        ({"grace_s": 86_400}, 86_400),
        ({"grace_s": MAX_GRACE_S}, MAX_GRACE_S),
    ],
)
def test_a_grace_is_read_so(given: dict[str, Any], expected: int) -> None:
    """A day where nothing is said; nought is a grace too."""
    assert Grace.read(given).grace_s == expected


@pytest.mark.parametrize("grace_s", [-1, MAX_GRACE_S + 1, 1.5, "60", True, [], 10**30])
def test_a_grace_that_is_none_is_refused(grace_s: Any) -> None:
    """Neither negative, nor endless, nor anything but whole seconds."""
    with pytest.raises(Refused, match="grace_s") as refused:
        Grace.read({"grace_s": grace_s})

    assert refused.value.param == "grace_s"


def key(**changes: Any) -> ApiKey:
    """Return a key that was made now."""
    made = {"id": "key_1", "tenant_id": "acme", "name": "farm", "mode": "live"}
    return ApiKey(**{**made, "created_ms": NOW_MS, **changes})


@pytest.mark.parametrize(
    ("changes", "later_ms", "works", "state"),
    [
        ({}, 0, True, "active"),
        ({}, 10**12, True, "active"),
        ({"expires_ms": NOW_MS + 5}, 4, True, "active"),
        ({"expires_ms": NOW_MS + 5}, 5, False, "expired"),
        ({"state": "revoked"}, 0, False, "revoked"),
        ({"state": "revoked", "expires_ms": NOW_MS + 5}, 9, False, "revoked"),
    ],
)
def test_a_key_works_until_its_end(
    changes: dict[str, Any], later_ms: int, works: bool, state: str
) -> None:
    """Its last millisecond is the one before; what is shown says so."""
    found = key(**changes)

    assert found.works_at(NOW_MS + later_ms) is works
    assert found.public(now_ms=NOW_MS + later_ms)["state"] == state


def test_a_key_is_shown_without_what_is_secret() -> None:
    """Instants in whole seconds of UTC, every limit of a key, and no trace of its digest."""
    found = key(expires_ms=NOW_MS + 1_999, limits=Limits.read({"credits_per_day": "1.5"}))

    assert found.public(now_ms=NOW_MS) == {
        "id": "key_1",
        "tenant": "acme",
        "name": "farm",
        "mode": "live",
        "state": "active",
        "created_at": "2026-11-22T00:00:00Z",
        "expires_at": "2026-11-22T00:00:01Z",
        "limits": dict.fromkeys(Limits.model_fields) | {"credits_per_day": "1.5"},
    }
    assert key().public(now_ms=NOW_MS)["expires_at"] is None


@checked
@given(
    expires_ms=st.none() | st.integers(0, LATE_MS),
    state=st.sampled_from(["active", "revoked"]),
    mode=st.sampled_from(["live", "test"]),
    per_minute=st.none() | st.integers(0, 1_000_000),
)
def test_a_key_survives_the_store(
    expires_ms: int | None, state: str, mode: str, per_minute: int | None
) -> None:
    """The stored form is text alone and reads back as the key it was."""
    limits = Limits.read({"creates_per_minute": per_minute, "models": ["a b"]})
    found = key(expires_ms=expires_ms, state=state, mode=mode, limits=limits)

    fields = found.fields("d" * 64)

    assert all(isinstance(value, str) and "\n" not in value for value in fields.values())
    assert ApiKey.of_fields("acme", fields) == found


@checked
@given(at_s=st.integers(0, LATE_MS // 1000), rest_ms=st.integers(0, 999))
def test_an_instant_is_written_in_whole_seconds(at_s: int, rest_ms: int) -> None:
    """What is written can be read again, and is not later than what it stands for."""
    written = rfc3339(at_s * 1000 + rest_ms)

    assert datetime.fromisoformat(written) == EPOCH + timedelta(seconds=at_s)
    assert written.endswith("Z")
