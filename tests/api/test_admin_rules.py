"""What operators write is held to its rules: the place is named, and the way to do it right."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.operating import (
    AUDIT,
    NO_LIMITS,
    NO_TENANT_LIMITS,
    TENANTS,
    WITH_ADMIN,
    Operator,
    sole,
)
from tests.conftest import OpenBed
from tests.support.contents import everything

ACME = f"{TENANTS}/acme"
KEYS = f"{ACME}/keys"
SECRET = f"{ACME}/webhook-secret/rotate"
JSON = ("content-type", "application/json")

COUNTS = ("creates_per_minute", "reads_per_second", "tasks_in_flight")
CREDITS = ("credits_per_day", "credits_per_month")
DECIMAL = "decimal"
WHOLE = "integer"

BAD_LIMITS: list[tuple[str, Any, str]] = [
    *((f"limits.{name}", bad, WHOLE) for name in COUNTS for bad in ("5", 1.5, True, [], {})),
    *((f"limits.{name}", -1, "greater than or equal to 0") for name in COUNTS),
    *((f"limits.{name}", 1_000_001, "less than or equal to 1000000") for name in COUNTS),
    *((f"limits.{name}", bad, DECIMAL) for name in CREDITS for bad in (5, 0, 1.5, True, [], {})),
    *(
        (f"limits.{name}", bad, DECIMAL)
        for name in CREDITS
        for bad in ("", "x", "-1", "+1", "1e3", ".5", "5.", "1,5", " 5", "0.0000001", "\u0661")
    ),
    *((f"limits.{name}", "900000001", "900000000") for name in CREDITS),
    ("limits.models", "sora-character", "list"),
    ("limits.models", {}, "list"),
    ("limits.models[0]", [5], "string"),
    ("limits.models[1]", ["sora-2", ""], "the name of a model"),
    ("limits.models[0]", ["a,b"], "the name of a model"),
    ("limits.models[0]", ["a\nb"], "the name of a model"),
    ("limits.models[0]", ["x" * 129], "the name of a model"),
    ("limits.models[0]", [None], "not be null"),
    ("limits", [], "JSON object"),
    ("limits", "5", "JSON object"),
    ("limits.credits", "5", "credits_per_day"),
    ("limits.Creates_per_minute", 5, "creates_per_minute"),
]
"""Wherever limits are written: place, value, and a word of the rule."""

BAD_TENANT_LIMITS: list[tuple[str, Any, str]] = [
    ("limits.when_full", "wait", "reject"),
    ("limits.when_full", True, "reject"),
    ("limits.when_vendor_down", "wait", "queue"),
    ("limits.when_in_doubt", "keep", "release"),
    ("limits.when_in_doubt", False, "charge"),
    ("limits.max_queued", -1, "greater than or equal to 0"),
    ("limits.max_queued", "5", WHOLE),
]
"""Where the limits are a tenant's."""

BAD_TENANTS: list[tuple[str, Any, str]] = [
    *(("name", bad, "1 to 200 characters") for bad in ("", "x" * 201, "a\nb", "\x7f")),
    ("name", 5, "string"),
    *(
        ("group", bad, "1 to 64 of")
        for bad in ("", "x" * 65, " vip", "-vip", "Größe", 'vip"', "vip\n")
    ),
    ("group", [], "string"),
    ("origins", "https://a.example", "list"),
    ("origins", [f"https://{n}.a.example" for n in range(51)], "50"),
    ("origins[0]", ["https://a.example/"], "before the path"),
    ("origins[1]", ["https://a.example", "null"], "one site"),
    ("origins[0]", [5], "string"),
    *(("disabled", bad, "boolean") for bad in ("true", 1, 0, [])),
    ("state", "disabled", "disabled"),
    ("webhook_secret", "whsec_x", "limits"),
]

BAD_IDS: list[tuple[str, Any, str]] = [
    *(
        ("id", bad, "1 to 63 of a-z 0-9 _ -")
        for bad in ("", "Acme", "a b", "a.b", "-a", "a-", "_a", "a_", "ä", "a\n", "x" * 64, "a:b")
    ),
    *(("id", bad, "string") for bad in (5, True, [], {})),
    ("id", None, "required"),
]

BAD_KEYS: list[tuple[str, Any, str]] = [
    *(("name", bad, "at most 200 characters") for bad in ("x" * 201, "a\tb", "a\n")),
    ("name", 5, "string"),
    *(("mode", bad, "'live' or 'test'") for bad in ("LIVE", "", "both", True, 1)),
    *(
        ("expires_at", bad, "2026-12-01T00:00:00Z")
        for bad in (True, 1.5, [], {}, "", "soon", "2026-13-01T00:00:00Z", "1767917446", "never")
    ),
    *(("expires_at", bad, "time zone") for bad in ("2099-12-01T00:00:00", "2099-12-01")),
    *(("expires_at", bad, "future") for bad in (1_000_000_000, "2020-01-01T00:00:00Z", 0)),
    *(("expires_at", bad, "unix seconds") for bad in (4_102_444_800_000, 10**30, -1)),
    ("expires_at", "0001-01-01T00:00:00+00:00", "future"),
    ("id", "key_1", "name"),
    ("tenant", "acme", "expires_at"),
    ("limits.when_full", "reject", "creates_per_minute"),
    ("limits.max_queued", 5, "creates_per_minute"),
]

BAD_GRACE: list[tuple[str, Any, str]] = [
    *(("grace_s", bad, WHOLE) for bad in ("60", 1.5, True, [])),
    ("grace_s", -1, "greater than or equal to 0"),
    ("grace_s", 90 * 86_400 + 1, "less than or equal to 7776000"),
    ("grace", 60, "grace_s"),
]

REFUSED: list[tuple[str, str, str, Any, str]] = [
    *(("POST", TENANTS, *row) for row in BAD_IDS),
    *(
        (method, path, *row)
        for method, path in (("POST", TENANTS), ("PATCH", ACME))
        for row in (*BAD_TENANTS, *BAD_LIMITS, *BAD_TENANT_LIMITS)
    ),
    ("PATCH", ACME, "id", "other", "name"),
    ("PATCH", ACME, "name", None, "not be null: leave it out to keep it"),
    ("PATCH", ACME, "group", None, "not be null: leave it out to keep it"),
    ("PATCH", ACME, "disabled", None, "not be null: leave it out to keep it"),
    ("PATCH", ACME, "limits", None, "not be null: leave it out to keep it"),
    *(("POST", KEYS, *row) for row in (*BAD_KEYS, *BAD_LIMITS)),
    *(("POST", path, *row) for path in (SECRET, f"{KEYS}/key_1/rotate") for row in BAD_GRACE),
]


def rules() -> dict[tuple[str, str, str, str], list[Any]]:
    """Return the values that break each rule, by method, path, place and a word of the rule."""
    found: dict[tuple[str, str, str, str], list[Any]] = {}
    for method, path, place, value, rule in REFUSED:
        found.setdefault((method, path, place, rule), []).append(value)
    return found


def written(method: str, path: str, place: str, value: Any) -> dict[str, Any]:
    """Return a body that is right but for one value."""
    body = sole(place.partition("[")[0], value)
    return {"id": "other", **body} if (method, path) == ("POST", TENANTS) else body


@pytest.mark.parametrize(
    ("method", "path", "place", "rule", "values"),
    [(*where, values) for where, values in rules().items()],
    ids=[f"{method} {path[10:]} {place} {rule[:12]}" for method, path, place, rule in rules()],
)
async def test_a_value_that_breaks_its_rule_is_refused(
    operator: Operator, method: str, path: str, place: str, rule: str, values: list[Any]
) -> None:
    """400 with the place as `param`, the rule in words, and nothing is changed."""
    await operator.tenant()
    before = await everything(operator.bed.gateway.store.redis)

    errors = [
        await operator.refused(method, path, json=written(method, path, place, value))
        for value in values
    ]

    for value, error in zip(values, errors, strict=True):
        told = f"{value!r:.40}: {error['message']:.200}"
        assert (error["code"], error["reason"], error["param"]) == (400, "invalid_request", place)
        assert error["message"].startswith(f"{place}: "), told
        assert rule in error["message"], told
    assert await everything(operator.bed.gateway.store.redis) == before


async def test_of_a_body_all_of_which_is_wrong_one_thing_is_told(operator: Operator) -> None:
    """The first; the message is one sentence, not a report."""
    body = {"id": "A B", "name": 5, "limits": {"models": 5, "x": 1}}

    error = await operator.refused("POST", TENANTS, json=body)

    assert error["param"] == "id"
    assert error["message"].count("\n") == 0


@pytest.mark.parametrize(
    "body",
    [{}, {"limits": {}, "name": "x", "nought": 1}],
    ids=["nothing", "something unknown"],
)
async def test_a_change_of_nothing_is_refused(operator: Operator, body: dict[str, Any]) -> None:
    """Whoever changes nothing has misspelt something."""
    await operator.tenant()

    error = await operator.refused("PATCH", ACME, json=body)

    assert error["param"] == ("nought" if body else "body")
    assert "name, group, disabled, limits" in error["message"] or "known are" in error["message"]


@pytest.mark.parametrize("place", ["x" * 5_000, "limits." + "x" * 5_000])
async def test_a_long_name_is_not_repeated_in_full(operator: Operator, place: str) -> None:
    """An answer does not grow with what was sent."""
    error = await operator.refused("POST", TENANTS, json={"id": "a", **sole(place, 1)})

    assert error["reason"] == "invalid_request"
    assert len(error["message"]) < 1000
    assert len(error["param"]) < 200


@pytest.mark.parametrize("name", CREDITS)
async def test_a_long_amount_is_not_repeated_in_full(operator: Operator, name: str) -> None:
    """Nor the value."""
    body = {"id": "a", "limits": {name: "9" * 5_000}}

    error = await operator.refused("POST", TENANTS, json=body)

    assert error["param"] == f"limits.{name}"
    assert len(error["message"]) < 1000


BODIES = [
    ("POST", TENANTS, True),
    ("PATCH", ACME, True),
    ("POST", KEYS, False),
    ("POST", SECRET, False),
    ("POST", f"{KEYS}/key_1/rotate", False),
]
"""Every route that reads a body, and whether there must be one."""
EACH_BODY = pytest.mark.parametrize(("method", "path", "needed"), BODIES)


NOT_STRICT = [
    b"{",
    b"nonsense",
    b"[]",
    b'"acme"',
    b"null",
    b'{"id": "acme"} {}',
    b'{"id": "acme", "id": "acme"}',
    b'{"limits": {"models": [], "models": []}}',
    b'{"grace_s": NaN}',
    b'{"grace_s": Infinity}',
    b'{"grace_s": 1e999}',
    b'{"name": "\\ud800"}',
    b'{"name": "\xff"}',
    b"\xef\xbb\xbf{}",
    b"[" * 2000,
    b'{"a":' * 40 + b"1" + b"}" * 40,
]


@EACH_BODY
async def test_a_body_that_is_no_strict_json_object_is_refused(
    operator: Operator, method: str, path: str, needed: bool
) -> None:
    """Duplicate names and NaN as much as broken syntax, wherever a body is read."""
    await operator.tenant()

    for content in NOT_STRICT:
        error = await operator.refused(method, path, content=content, headers=[JSON])

        assert (error["code"], error["reason"]) == (400, "malformed_json"), content[:40]


@EACH_BODY
async def test_a_body_of_another_kind_is_refused(
    operator: Operator, method: str, path: str, needed: bool
) -> None:
    """415 where the body is not declared as JSON."""
    await operator.tenant()

    for kind in ("text/plain", "application/x-www-form-urlencoded", "", None):
        headers = [] if kind is None else [("content-type", kind)]
        error = await operator.refused(method, path, content=b"{}", headers=headers)

        assert (error["code"], error["reason"]) == (415, "unsupported_media_type"), kind


@EACH_BODY
async def test_a_missing_body_is_refused_where_one_is_needed(
    operator: Operator, method: str, path: str, needed: bool
) -> None:
    """Elsewhere it means all defaults, whatever the header says."""
    await operator.tenant()

    answers = [await operator.ask(method, path, headers=given) for given in ([], [JSON])]

    codes = [answer.status_code for answer in answers]
    assert codes == ([415, 400] if needed else [404, 404] if "key_1" in path else [200, 200])


@EACH_BODY
async def test_a_body_that_is_too_large_is_not_read(
    open_gateway_bed: OpenBed, method: str, path: str, needed: bool
) -> None:
    """413, as for tenants."""
    async with open_gateway_bed(max_body_bytes=1024, **WITH_ADMIN) as bed:
        operator = Operator(bed)
        await operator.tenant()

        error = await operator.refused(method, path, json={"name": "x" * 1024})

    assert (error["code"], error["reason"]) == (413, "request_too_large")


@pytest.mark.parametrize(
    ("method", "path", "place", "values"),
    [
        ("GET", ACME, "secrets", ["yes", "", "TRUE", "2"]),
        ("DELETE", ACME, "force", ["yes", "", "on"]),
        ("GET", f"{ACME}/usage", "mode", ["LIVE", "all", "live,test"]),
        ("GET", f"{ACME}/usage", "from", ["yesterday", "2026-13-01", "20261101", "2026-1-1"]),
        ("GET", f"{ACME}/usage", "from", ["9999-01-01", "2026-11-01T00:00:00Z"]),
        ("GET", f"{ACME}/usage", "to", ["tomorrow", "1969-12-31"]),
        ("GET", AUDIT, "limit", ["0", "-1", "1001", "x", "1.5", "10000000", "\u0661"]),
        ("GET", AUDIT, "before", ["x", "1", "1-1", "1-1-1-1", "-1-0-0", "1-1-x", "9" * 20]),
        ("GET", AUDIT, "tenant", ["A", "a b", "a:b", "x" * 64, "*"]),
    ],
)
async def test_a_query_that_breaks_its_rule_is_refused(
    operator: Operator, method: str, path: str, place: str, values: list[str]
) -> None:
    """400 with the name as `param`; twice the same name is refused as well."""
    await operator.tenant()

    errors = [await operator.refused(method, path, params={place: value}) for value in values]
    twice = await operator.refused(method, f"{path}?{place}=a&{place}=a")

    for error in (*errors, twice):
        assert (error["code"], error["reason"]) == (400, "invalid_request")
        assert error["param"] == place
        assert error["message"].startswith(f"Invalid {place} parameter: ")


@pytest.mark.parametrize("path", [TENANTS, ACME, KEYS, f"{ACME}/usage", AUDIT])
async def test_a_query_name_that_is_not_known_is_ignored(operator: Operator, path: str) -> None:
    """As on the routes of tenants."""
    await operator.tenant()

    plain = await operator.done("GET", path)

    assert await operator.done("GET", f"{path}?_=1&verbose=yes") == plain


async def test_the_largest_and_the_smallest_values_pass(operator: Operator) -> None:
    """Each rule's own edge is inside."""
    limits = dict.fromkeys(COUNTS, 1_000_000) | dict.fromkeys(CREDITS, "900000000")
    limits["models"] = ["x" * 128, "a", "Vendor/Model-1.5:free"]

    made = await operator.tenant("x" * 63, name="★" * 200, group="x" * 64, limits=limits)
    key = await operator.key("x" * 63, name="n" * 200, limits=dict.fromkeys(COUNTS, 0))

    assert made["limits"] == NO_TENANT_LIMITS | limits
    assert key["limits"] == NO_LIMITS | dict.fromkeys(COUNTS, 0)
