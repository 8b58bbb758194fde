"""Where there is nothing, the answer says so in the words that clients look for."""

from __future__ import annotations

from urllib.parse import unquote

import pytest

from tests.api.asking import UNKNOWN_ID, bearer
from tests.conftest import OpenBed
from tests.support.answers import error_of
from tests.support.bed import CREATE_PATH, Bed

TASK_PATH = f"/v1/tasks/{UNKNOWN_ID}"
ALIAS_PATH = f"{CREATE_PATH}/{UNKNOWN_ID}"


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v1/",
        "/v1/tasks/",
        "/v1/tasks/a/b",
        "/v1/images/generations",
        "/V1/tasks/a",
        "/v1/tasks/%2e%2e/x",
        "/redoc",
        "/docs/oauth2-redirect",
        "/docs/static",
        "/docs/static/",
        "/docs/static/no-such-file.js",
        "/.env",
    ],
)
async def test_an_unknown_path_is_named_with_its_method(bed: Bed, path: str) -> None:
    """Clients that try several paths go on only at a 404 that contains `Invalid URL`."""
    answer = await bed.http.get(path, headers=[bearer(await bed.key())])

    assert answer.status_code == 404
    assert error_of(answer)["reason"] == "unknown_path"
    assert error_of(answer)["message"] == f"Invalid URL (GET {unquote(path)})"


@pytest.mark.parametrize("path", [CREATE_PATH, TASK_PATH, ALIAS_PATH, "/healthz", "/docs"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_nobody_is_sent_to_a_path_with_another_slash(
    bed: Bed, path: str, method: str
) -> None:
    """A redirect would turn a POST into a GET in some clients; the path is unknown instead."""
    answer = await bed.http.request(method, f"{path}/", headers=[bearer(await bed.key())])

    assert answer.status_code == 404
    assert "location" not in answer.headers
    assert error_of(answer)["message"] == f"Invalid URL ({method} {path}/)"


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE", "PROPFIND", "PUT", "DELETE"])
@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        (CREATE_PATH, {"POST"}),
        (TASK_PATH, {"GET"}),
        (ALIAS_PATH, {"GET"}),
        ("/openapi.json", {"GET"}),
    ],
)
async def test_another_method_is_told_the_ones_there_are(
    bed: Bed, path: str, allowed: set[str], method: str
) -> None:
    """405 in the envelope, with `Allow`; a HEAD goes where a GET does, or is refused too."""
    answer = await bed.http.request(method, path)

    offered = set(answer.headers.get("allow", "").split(", "))
    if method == "HEAD" and answer.status_code != 405:
        expected = 401 if path in (TASK_PATH, ALIAS_PATH) else 200
        assert answer.status_code == expected, "a HEAD goes where a GET does, a task's key included"
        return
    assert answer.status_code == 405
    assert offered - {"HEAD"} == allowed
    if method != "HEAD":
        assert error_of(answer)["reason"] == "method_not_allowed"
        assert f"{method} on {path}" in error_of(answer)["message"]


async def test_a_head_of_a_task_is_its_read_without_the_body(bed: Bed) -> None:
    """The headers are those of the GET."""
    key = await bed.key()
    path = f"/v1/tasks/{await bed.created(key)}"

    head = await bed.http.head(path, headers=[bearer(key)])
    got = await bed.http.get(path, headers=[bearer(key)])

    differing = {"x-request-id"}
    assert head.status_code == 200
    assert {n: v for n, v in head.headers.items() if n not in differing} == {
        n: v for n, v in got.headers.items() if n not in differing
    }


async def test_what_stands_in_the_path_cannot_break_the_answer(bed: Bed) -> None:
    """Quotes, line breaks, bytes that are no text, and a path of a thousand characters."""
    for path in ('/a"b', "/%0d%0aX-Injected:%20yes", "/%ff%fe", "/%00", "/é", "/" + "a" * 1000):
        answer = await bed.http.get(path)

        assert error_of(answer)["message"].startswith("Invalid URL (GET /")
        assert len(error_of(answer)["message"]) < 300
        assert "x-injected" not in answer.headers


async def test_an_engine_serves_no_tenants(open_gateway_bed: OpenBed) -> None:
    """A process of the role `engine` has probes and metrics, and no route that takes a key."""
    async with open_gateway_bed(role="engine") as bed:
        key = await bed.key()
        created, read = await bed.create(key), await bed.read(key, UNKNOWN_ID)
        pages = [await bed.http.get(path) for path in ("/docs", "/docs/static/swagger-ui.css")]
        probes = [await bed.http.get(path) for path in ("/healthz", "/metrics")]

    assert [error_of(answer)["reason"] for answer in (created, read, *pages)] == [
        "unknown_path"
    ] * 4
    assert [answer.status_code for answer in probes] == [200, 200]
