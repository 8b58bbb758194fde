"""The admin API: open to whoever holds its token, and to nobody else."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from app.clock import HeldClock
from app.settings import SettingsRefused
from app.telemetry import REDACTED, redactor
from tests.api.asking import UNKNOWN_ID, bearer
from tests.api.operating import ADMIN_TOKEN, AUDIT, ROUTES, TENANTS, WITH_ADMIN, Operator
from tests.conftest import OpenBed
from tests.support.answers import error_of
from tests.support.bed import CHARACTER, CREATE_PATH, Bed, open_bed, settings_for
from tests.support.contents import everything
from tests.support.vendor import VENDOR_KEY, Vendor

EACH_ROUTE = pytest.mark.parametrize(
    ("method", "path"), ROUTES, ids=[f"{method} {path}" for method, path in ROUTES]
)
REFUSED = {
    "code": 401,
    "message": "Invalid admin token: send the header 'Authorization: Bearer <admin token>'",
    "type": "authentication_error",
    "reason": "invalid_admin_token",
    "request_id": "",
}
INTO_THE_BLUE = b'{"id": "acme", "disabled": 1, "grace_s": "x", not even JSON'


async def test_the_table_of_routes_is_whole(operator: Operator) -> None:
    """It leads to every documented operation, so the tests below leave none out."""
    paths = operator.bed.app.openapi()["paths"]
    described = {
        (method.upper(), re.sub(r"\{\w+\}", "*", path))
        for path, operations in paths.items()
        for method in operations
        if path.startswith("/admin/") and isinstance(operations[method], dict)
    }

    filled_in = f"acme|key_1|{UNKNOWN_ID}"
    assert described == {(method, re.sub(filled_in, "*", path)) for method, path in ROUTES}


@EACH_ROUTE
async def test_without_a_token_of_its_own_the_admin_api_is_not_there(
    bed: Bed, method: str, path: str
) -> None:
    """Beside a shared store no token is made up: 404 with the way to turn it on, for anybody."""
    key = await bed.key()
    tokens = (ADMIN_TOKEN, key, "")

    answers = [
        await bed.http.request(method, path, headers=[bearer(token)], content=INTO_THE_BLUE)
        for token in tokens
    ]
    answers.append(await bed.http.request(method, path))

    for answer in answers:
        error = error_of(answer)
        assert (answer.status_code, error["reason"]) == (404, "unknown_path")
        assert error["message"].startswith(f"Invalid URL ({method} {path})")
        assert "REELGATE_ADMIN_TOKEN" in error["message"]


@EACH_ROUTE
async def test_nobody_else_gets_past_the_door(operator: Operator, method: str, path: str) -> None:
    """One answer to all of them, before the body is looked at, and nothing changes."""
    bed = operator.bed
    key = await bed.key("acme")
    before = await everything(bed.gateway.store.redis)
    wrong = ("", "x", ADMIN_TOKEN + "x", ADMIN_TOKEN[:-1], ADMIN_TOKEN.upper(), key)

    answers = [
        await bed.http.request(method, path, headers=[bearer(token)], content=INTO_THE_BLUE)
        for token in wrong
    ]
    answers.append(await bed.http.request(method, path, content=INTO_THE_BLUE))

    for answer in answers:
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.headers["cache-control"] == "no-store"
        assert {**error_of(answer), "request_id": ""} == REFUSED
    assert await everything(bed.gateway.store.redis) == before


@pytest.mark.parametrize(
    "sent",
    [
        "{token}",
        "Basic {token}",
        "Token {token}",
        "Bearer{token}",
        "Bearer {token} again",
        "Bearer again {token}",
        'Bearer "{token}"',
        "Bearer {token},{token}",
        "Bearer\xa0{token}",
        "Bearer {token}\xe9",
        "Bearer " + "k" * 10_000,
    ],
)
async def test_half_a_header_opens_nothing(operator: Operator, sent: str) -> None:
    """Another scheme, or the token with something around it."""
    header = sent.replace("{token}", ADMIN_TOKEN).encode("latin-1")

    answer = await operator.bed.http.get(TENANTS, headers=[("authorization", header)])

    assert error_of(answer)["reason"] == "invalid_admin_token"


async def test_two_headers_open_nothing(operator: Operator) -> None:
    """Also two that are equal."""
    headers = [bearer(ADMIN_TOKEN), bearer(ADMIN_TOKEN)]

    answer = await operator.bed.http.get(TENANTS, headers=headers)

    assert error_of(answer)["reason"] == "invalid_admin_token"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer "])
async def test_the_scheme_is_known_in_any_case(operator: Operator, scheme: str) -> None:
    """As with the keys of tenants."""
    header = ("authorization", f"{scheme} {ADMIN_TOKEN}")

    answer = await operator.bed.http.get(TENANTS, headers=[header])

    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", CREATE_PATH),
        ("GET", f"/v1/tasks/{UNKNOWN_ID}"),
        ("GET", "/v1/tasks"),
        ("POST", "/v1/tasks/batch"),
        ("GET", "/v1/models"),
        ("GET", "/v1/credits"),
        ("GET", "/v1/usage"),
    ],
)
async def test_the_admin_token_is_no_key(operator: Operator, method: str, path: str) -> None:
    """It creates and reads nothing: an operator takes a key of a tenant for that."""
    await operator.tenant()

    answer = await operator.ask(method, path, json=CHARACTER)

    assert answer.status_code == 401
    assert error_of(answer)["reason"] == "invalid_key"
    assert operator.bed.vendor.journal() == []


@EACH_ROUTE
async def test_a_method_that_is_not_served_is_refused(
    operator: Operator, method: str, path: str
) -> None:
    """405, and `Allow` names every method that the path has."""
    answer = await operator.ask("PUT", path)

    assert error_of(answer)["reason"] == "method_not_allowed"
    has = {other for other, same in ROUTES if same == path}
    assert set(answer.headers["allow"].split(", ")) == has


@pytest.mark.parametrize(
    "path",
    [
        "/admin",
        "/admin/v1",
        "/admin/v1/",
        f"{TENANTS}/",
        f"{TENANTS}/acme/",
        f"{TENANTS}/acme/keys/",
        f"{TENANTS}/acme/keys/key_1/",
        f"{TENANTS}/acme/secrets",
        "/admin/v2/tenants",
        f"{AUDIT}/1",
    ],
)
async def test_a_path_beside_the_table_is_unknown(operator: Operator, path: str) -> None:
    """Nobody is redirected, and no slash too many is forgiven."""
    await operator.tenant()

    error = await operator.refused("GET", path)

    assert (error["code"], error["reason"]) == (404, "unknown_path")


async def test_the_token_is_in_no_answer_and_no_log(
    operator: Operator, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor in the document, the metrics, the probes, the audit log or anything that is stored."""
    bed = operator.bed
    await operator.tenant()
    await operator.key()
    answers = [await operator.ask(method, path) for method, path in ROUTES]
    for path in ("/openapi.json", "/metrics", "/readyz", "/healthz", "/docs", f"/x/{UNKNOWN_ID}"):
        answers.append(await operator.ask("GET", path))

    said = "".join(f"{answer.headers}{answer.text}" for answer in answers)
    stored = await everything(bed.gateway.store.redis)
    logged = "".join(capsys.readouterr())

    assert ADMIN_TOKEN not in said
    assert ADMIN_TOKEN not in str(stored)
    assert ADMIN_TOKEN not in logged
    assert ADMIN_TOKEN not in repr(bed.gateway.settings) + repr(bed.gateway)


async def test_the_token_would_be_removed_from_the_log(open_gateway_bed: OpenBed) -> None:
    """Whoever logs it by accident: the sink knows it, the vendor keys as well."""
    async with open_gateway_bed(**WITH_ADMIN):
        cleaned = redactor.clean(f"refused {ADMIN_TOKEN} and {VENDOR_KEY}")

    assert cleaned == f"refused {REDACTED} and {REDACTED}"


async def test_a_role_without_tenant_routes_has_no_admin_routes(open_gateway_bed: OpenBed) -> None:
    """An engine shows its probes alone."""
    async with open_gateway_bed(role="engine", **WITH_ADMIN) as bed:
        answer = await Operator(bed).ask("GET", TENANTS)

    assert error_of(answer)["reason"] == "unknown_path"


@pytest.fixture
def open_embedded_bed(tmp_path: Path, clock: HeldClock, vendor: Vendor) -> OpenBed:
    """Open gateways that bring their own store."""
    return lambda **changes: open_bed(
        settings_for("", tmp_path, vendor.url, **changes), clock, vendor
    )


async def test_with_the_embedded_store_a_token_is_made_and_kept(
    open_embedded_bed: OpenBed, tmp_path: Path
) -> None:
    """It lies in the data directory, readable by its owner alone, and outlives the gateway."""
    file, kept = tmp_path / "admin-token", []
    for _ in range(2):
        async with open_embedded_bed() as bed:
            token = file.read_text("ascii").strip()
            listed = await Operator(bed, token).ask("GET", TENANTS)
            refused = await Operator(bed).ask("GET", TENANTS)
            kept.append((token, listed.status_code, refused.status_code))

    assert kept[0] == kept[1]
    assert kept[0][1:] == (200, 401)
    assert file.stat().st_mode & 0o777 == 0o600
    assert re.fullmatch(r"rga_[A-Za-z0-9_-]{43}", kept[0][0])
    assert not [name for name in os.listdir(tmp_path) if name.startswith("admin-token.")]


async def test_a_token_that_is_set_wins_over_the_kept_one(
    open_embedded_bed: OpenBed, tmp_path: Path
) -> None:
    """Nothing is made up where the operator has chosen."""
    async with open_embedded_bed(**WITH_ADMIN) as bed:
        listed = await Operator(bed).ask("GET", TENANTS)

    assert listed.status_code == 200
    assert not (tmp_path / "admin-token").exists()


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"canary\n", b"canary with two blanks\n", b"\xff\xfe"]
)
async def test_a_kept_token_that_can_be_none_stops_the_start(
    open_embedded_bed: OpenBed, tmp_path: Path, content: bytes
) -> None:
    """A spoilt file is told by name; it leaves the API neither off nor open to a guess."""
    file = tmp_path / "admin-token"
    file.write_bytes(content)

    with pytest.raises(SettingsRefused) as refusal:
        async with open_embedded_bed():
            pass

    assert "REELGATE_ADMIN_TOKEN" in str(refusal.value)
    assert str(file) in str(refusal.value)
    assert "canary" not in str(refusal.value)


async def test_the_access_line_names_the_route_and_no_id(
    operator: Operator, capsys: pytest.CaptureFixture[str]
) -> None:
    """The log has the template, so that neither tenants nor keys are labels of anything."""
    await operator.ask("GET", f"{TENANTS}/acme")

    lines = capsys.readouterr().out.splitlines()
    (line,) = (json.loads(line) for line in lines if "access.answered" in line)
    metrics = await operator.bed.http.get("/metrics")
    assert line["route"] == TENANTS + "/{tenant}"
    assert "acme" not in metrics.text
