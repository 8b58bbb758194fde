"""The document at /openapi.json: well-formed, complete, and true to its own examples."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
import schemathesis
from jsonschema_rs import meta
from starlette.routing import BaseRoute, Route

from app import __version__
from app.api.openapi import ADMIN_OPERATIONS, OPERATIONS, TENANT_OPERATIONS
from app.errors import MethodNotAllowed, VendorRefused, closed_list
from tests.conftest import OpenBed
from tests.support.answers import PAGES, Document
from tests.support.bed import CHARACTER, Bed
from tests.support.schema import SCHEMA_KEYWORDS, problems, resolved, subschemas

OPERATION = {"operationId", "summary", "description", "security", "parameters", "requestBody"}
OPERATION |= {"responses", "tags"}


@pytest.fixture
async def document(bed: Bed) -> dict[str, Any]:
    """Return the document as a client fetches it."""
    answer = await bed.http.get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    content: dict[str, Any] = answer.json()
    return content


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Return path, method and content of every operation."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def refusals(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return status and content of every answer that is a refusal."""
    for _, _, operation in operations(document):
        for status, answer in operation["responses"].items():
            if status >= "400":
                yield status, answer


def places(value: Any, name: str) -> Iterator[Any]:
    """Return what stands under `name`, wherever it is."""
    if isinstance(value, dict):
        if name in value:
            yield value[name]
        for item in value.values():
            yield from places(item, name)
    if isinstance(value, list):
        for item in value:
            yield from places(item, name)


def all_schemas(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Return every schema of the document."""
    components = document["components"]
    yield from places(document["paths"], "schema")
    yield from places(components["headers"], "schema")
    yield from components["schemas"].values()


def test_the_document_says_what_it_is(document: dict[str, Any]) -> None:
    """OpenAPI 3.1, with the program's name and version."""
    assert re.fullmatch(r"3\.1\.\d+", document["openapi"])
    assert document["info"]["title"] == "Reelgate"
    assert document["info"]["version"] == __version__
    assert document.keys() == {"openapi", "info", "paths", "components"}


def test_the_document_is_valid(document: dict[str, Any]) -> None:
    """Held against the specification's own schema, and each schema against that of its dialect."""
    schemathesis.openapi.from_dict(document).validate()
    for schema in all_schemas(document):
        meta.validate(schema)


def test_every_operation_is_complete(document: dict[str, Any]) -> None:
    """A name of its own, a summary, and answers that say what they mean."""
    names = [operation["operationId"] for _, _, operation in operations(document)]

    assert len(names) == len(set(names)) == len(OPERATIONS)
    for path, _, operation in operations(document):
        assert path.startswith("/")
        assert operation.keys() <= OPERATION
        assert operation["summary"]
        assert "200" in operation["responses"]
        for status, answer in operation["responses"].items():
            assert re.fullmatch(r"[1-5][0-9]{2}", status)
            assert answer["description"]


def served(routes: list[BaseRoute]) -> Iterator[tuple[str, str]]:
    """Return path and method of every route, those of included routers too.

    But for pages, and for what the vendor calls: it is told the address, and is no reader of ours.
    """
    for route in routes:
        if (included := getattr(route, "original_router", None)) is not None:
            yield from served(included.routes)
        elif isinstance(route, Route) and not route.path.startswith((*PAGES, "/vendor/")):
            yield from (
                (route.path, method.lower()) for method in (route.methods or set()) - {"HEAD"}
            )


def test_every_route_is_described_and_nothing_else_is(bed: Bed) -> None:
    """What is served and what is promised are the same paths and methods, but for pages."""
    assert set(served(bed.app.routes)) == OPERATIONS.keys()


def test_everybody_is_told_whose_key_it_takes(document: dict[str, Any]) -> None:
    """A tenant's below /v1, the operator's token below /admin, and none for probes."""
    wanted = {**dict.fromkeys(TENANT_OPERATIONS, "ApiKey")}
    wanted |= dict.fromkeys(ADMIN_OPERATIONS, "AdminToken")

    for path, method, operation in operations(document):
        scheme = wanted.get((path, method))
        taken = [each for each in operation.get("security", []) if "BrowserToken" not in each]
        assert taken == ([{scheme: []}] if scheme else [])
        assert path.startswith({"ApiKey": "/v1/", "AdminToken": "/admin/v1/"}.get(scheme or "", ""))
    schemes = document["components"]["securitySchemes"]
    assert schemes.keys() == {"ApiKey", "BrowserToken", "AdminToken"}
    assert all((each["type"], each["scheme"]) == ("http", "bearer") for each in schemes.values())


def test_every_parameter_of_a_path_is_declared(document: dict[str, Any]) -> None:
    """And nothing is declared to be in a path that is not."""
    for path, _, operation in operations(document):
        parameters = operation.get("parameters", [])
        in_path = {each["name"] for each in parameters if each["in"] == "path"}
        assert in_path == set(re.findall(r"\{(\w+)\}", path))
        assert all(each["required"] for each in parameters if each["in"] == "path")
        assert all(each["schema"]["type"] for each in parameters)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    """Components that are named exist, and none exists that nobody names."""
    references = set(places(document, "$ref"))
    components = document["components"]

    assert all(resolved({"$ref": reference}, document) for reference in references)
    assert references == {
        f"#/components/{kind}/{name}"
        for kind in components.keys() - {"securitySchemes"}
        for name in components[kind]
    }


def test_every_schema_says_what_it_means(document: dict[str, Any]) -> None:
    """Only keywords that are known, and only members required that are described."""
    for schema in all_schemas(document):
        for each in subschemas(schema):
            assert each.keys() <= SCHEMA_KEYWORDS
            assert set(each.get("required", [])) <= each.get("properties", {}).keys()


def test_every_example_is_what_its_schema_says(document: dict[str, Any]) -> None:
    """Whoever copies one copies something that is true."""
    media = [each for content in places(document, "content") for each in content.values()]
    parameters = [each for several in places(document, "parameters") for each in several]
    headers = [each for each in document["components"]["headers"].values() if "example" in each]

    for each in (*media, *parameters, *headers):
        named = [resolved(one, document)["value"] for one in each.get("examples", {}).values()]
        shown = [*named, *([each["example"]] if "example" in each else [])]
        assert shown, "an example is missing"
        for one in shown:
            assert problems(one, each["schema"], document) == []


def test_the_documented_request_is_the_vendors_own(document: dict[str, Any]) -> None:
    """Word for word the example of the vendor's page."""
    body = document["paths"]["/v1/videos/generations"]["post"]["requestBody"]

    assert body["content"]["application/json"]["example"] == CHARACTER


@pytest.mark.parametrize("path", ["/v1/tasks/{task_id}", "/v1/videos/generations/{task_id}"])
def test_a_read_is_described_although_no_signature_tells_of_it(
    document: dict[str, Any], path: str
) -> None:
    """The fast route bypasses the framework; its description must not be missing for that."""
    read = document["paths"][path]["get"]

    statuses = {"200", "304", "400", "401", "403", "404", "429", "500", "503"}
    assert read["responses"].keys() == statuses
    schema = read["responses"]["200"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/Task"}


def test_every_reason_stands_under_its_own_status_with_an_example(document: dict[str, Any]) -> None:
    """Each is on the closed list, and what is shown of it is what the gateway answers."""
    known = {error.reason: {str(error.status)} for error in closed_list()}
    known[VendorRefused.reason] = {str(status) for status in VendorRefused.SHOWN_AS.values()}

    for status, answer in refusals(document):
        reasons = answer["description"].removeprefix("reason: ").split(", ")
        examples = answer["content"]["application/json"]["examples"]
        assert list(examples) == reasons
        for reason in reasons:
            shown = resolved(examples[reason], document)["value"]["error"]
            assert (str(shown["code"]), shown["reason"]) == (status, reason)
            assert status in known[reason]


def test_every_error_there_is_can_be_found_in_the_document(document: dict[str, Any]) -> None:
    """Only that a path has no such method belongs to no operation."""
    told = {
        reason
        for _, answer in refusals(document)
        for reason in answer["description"].removeprefix("reason: ").split(", ")
    }

    assert {error.reason for error in closed_list()} - told == {MethodNotAllowed.reason}


def test_every_answer_names_its_headers(document: dict[str, Any]) -> None:
    """The request's id always; on refusals whether to keep them, how to get in and when to retry.

    `Retry-After` is promised where every reason of a status has one, and else only possible.
    """
    waiting = {error.reason for error in closed_list() if error.default_retry_after_s is not None}

    for _, _, operation in operations(document):
        assert "X-Request-Id" in operation["responses"]["200"]["headers"]
    for status, answer in refusals(document):
        headers = {name: resolved(each, document) for name, each in answer["headers"].items()}
        promised = {name for name, header in headers.items() if header.get("required")}
        reasons = set(answer["description"].removeprefix("reason: ").split(", "))
        assert promised >= {"X-Request-Id", "Cache-Control"}
        assert ("WWW-Authenticate" in promised) == (status == "401")
        assert ("Retry-After" in promised) == (reasons <= waiting)
        assert ("Retry-After" in headers) == bool(reasons & waiting)


def test_rates_are_told_on_every_answer_to_a_tenant(document: dict[str, Any]) -> None:
    """But to nobody whose key is not known."""
    for path, method, operation in operations(document):
        for status, answer in operation["responses"].items():
            told = {"RateLimit", "RateLimit-Policy"} <= answer["headers"].keys()
            assert told == ((path, method) in TENANT_OPERATIONS and status != "401")


def test_the_frameworks_own_refusal_is_not_promised(document: dict[str, Any]) -> None:
    """Neither its status nor its schemas, which no answer of ours has."""
    assert "422" not in set(status for status, _ in refusals(document))
    assert "ValidationError" not in str(document)


async def test_an_engine_describes_only_what_it_serves(open_gateway_bed: OpenBed) -> None:
    """No route of tenants is promised by a process that has none."""
    async with open_gateway_bed(role="engine") as bed:
        document = (await bed.http.get("/openapi.json")).json()

    assert document["paths"].keys() == {"/healthz", "/readyz"}
    assert set(places(document, "$ref")) == {
        f"#/components/{kind}/{name}"
        for kind, listed in document["components"].items()
        for name in listed
    }


@pytest.mark.parametrize(
    ("good", "bad", "complaint"),
    [
        (b'"progress":0', b'"progress":"0"', "progress: .* is not of type"),
        (b'"progress":0', b'"progress":101', "progress: 101 is greater than the maximum"),
        (b'"status":"pending"', b'"status":"queued"', "status: .*queued"),
        (b'"type":"video"', b'"kind":"video"', "type.* is a required property"),
        (b'"can_cancel":false', b'"can_cancel":null', "task_info.can_cancel"),
    ],
)
async def test_the_judge_of_these_tests_sees_a_broken_promise(
    bed: Bed, good: bytes, bad: bytes, complaint: str
) -> None:
    """An answer of another shape than the document's is noticed, and told by its place."""
    created = await bed.create(await bed.key())
    spoilt = httpx2.Response(
        200,
        headers=created.headers,
        content=created.content.replace(good, bad),
        request=created.request,
    )

    assert good in created.content
    with pytest.raises(AssertionError, match=complaint):
        Document(bed.app.openapi()).judge(spoilt)


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("x-request-id", None, "X-Request-Id is missing"),
        ("x-request-id", "no id", "X-Request-Id .* does not match"),
        ("cache-control", "public", "Cache-Control"),
        ("retry-after", "soon", "Retry-After .* is not of type"),
        ("retry-after", "0", "Retry-After .* minimum"),
    ],
)
async def test_the_judge_of_these_tests_looks_at_headers(
    bed: Bed, name: str, value: str | None, complaint: str
) -> None:
    """One that is promised must be there, and one that is there as described."""
    created = await bed.create(await bed.key())
    headers = {each: created.headers[each] for each in created.headers if each != name}
    headers |= {} if value is None else {name: value}
    spoilt = httpx2.Response(200, headers=headers, content=created.content, request=created.request)

    with pytest.raises(AssertionError, match=complaint):
        Document(bed.app.openapi()).judge(spoilt)


async def test_the_judge_of_these_tests_sees_an_undocumented_status(bed: Bed) -> None:
    """A teapot is not in the document."""
    created = await bed.create(await bed.key())

    with pytest.raises(AssertionError, match="must not answer 202"):
        Document(bed.app.openapi()).judge(httpx2.Response(202, request=created.request))
