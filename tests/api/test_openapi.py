"""The document at /openapi.json: well-formed, complete, and true to its own examples."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from app import __version__
from app.errors import closed_list
from tests.api.answers import Document
from tests.api.conftest import OpenBed
from tests.api.schema import KEYWORDS, TYPES, problems, resolved
from tests.support.bed import CHARACTER, Bed

METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
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


def subschemas(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Return a schema and all within it."""
    yield schema
    for inner in (*schema.get("properties", {}).values(), schema.get("items", {})):
        yield from subschemas(inner) if inner else ()
    if isinstance(schema.get("additionalProperties"), dict):
        yield from subschemas(schema["additionalProperties"])


def all_schemas(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Return every schema of the document."""
    for schema in (
        *places(document["paths"], "schema"),
        *document["components"]["schemas"].values(),
    ):
        yield from subschemas(schema)


def test_the_document_says_what_it_is(document: dict[str, Any]) -> None:
    """OpenAPI 3.1, with the program's name and version."""
    assert re.fullmatch(r"3\.1\.\d+", document["openapi"])
    assert document["info"]["title"] == "Reelgate"
    assert document["info"]["version"] == __version__
    assert document.keys() <= {"openapi", "info", "paths", "components"}


def test_every_operation_is_complete(document: dict[str, Any]) -> None:
    """A name of its own, a summary, and answers that say what they mean."""
    names = [operation["operationId"] for _, _, operation in operations(document)]

    assert len(names) == len(set(names)) >= 5
    for path, method, operation in operations(document):
        assert path.startswith("/")
        assert method in METHODS
        assert operation.keys() <= OPERATION
        assert operation["summary"]
        assert "200" in operation["responses"]
        for status, answer in operation["responses"].items():
            assert re.fullmatch(r"[1-5][0-9]{2}", status)
            assert answer["description"]


def test_every_parameter_of_a_path_is_declared(document: dict[str, Any]) -> None:
    """And nothing is declared to be in a path that is not."""
    for path, _, operation in operations(document):
        parameters = operation.get("parameters", [])
        in_path = {each["name"] for each in parameters if each["in"] == "path"}
        assert in_path == set(re.findall(r"\{(\w+)\}", path))
        assert all(each["required"] for each in parameters if each["in"] == "path")
        assert all(each["schema"]["type"] for each in parameters)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    """Schemas and key schemes that are named exist, and none exists that nobody names."""
    references = set(places(document, "$ref"))
    schemes = {name for each in places(document, "security") for one in each for name in one}

    assert all(resolved({"$ref": reference}, document) for reference in references)
    wanted = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert wanted == references
    assert schemes == document["components"]["securitySchemes"].keys()
    assert document["components"]["securitySchemes"]["ApiKey"] == {
        "type": "http",
        "scheme": "bearer",
    }


def test_every_schema_is_one(document: dict[str, Any]) -> None:
    """Only keywords of JSON Schema, only types there are, only members that are described."""
    for schema in all_schemas(document):
        assert schema.keys() <= KEYWORDS
        types = schema.get("type", [])
        assert set([types] if isinstance(types, str) else types) <= TYPES.keys()
        assert set(schema.get("required", [])) <= schema.get("properties", {}).keys()


def test_every_example_is_what_its_schema_says(document: dict[str, Any]) -> None:
    """Whoever copies one copies something that is true."""
    media = [each for content in places(document, "content") for each in content.values()]
    shown = [each for each in media if "example" in each]

    assert len(shown) >= 3
    for each in shown:
        assert list(problems(each["example"], each["schema"], document)) == []


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

    assert {"200", "400", "401", "403", "404", "500", "503"} == read["responses"].keys()
    assert read["security"] == [{"ApiKey": []}]
    schema = read["responses"]["200"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/Task"}


def test_every_reason_named_is_on_the_closed_list(document: dict[str, Any]) -> None:
    """And stands under its own status."""
    known = {error.reason: str(error.status) for error in closed_list()}
    for path, _, operation in operations(document):
        for status, answer in operation["responses"].items():
            prefix, _, reasons = answer["description"].partition("reason: ")
            for reason in reasons.split(", ") if not prefix and reasons else ():
                assert reason in known, path
                assert status == known[reason] or reason == "vendor_refused", path


def test_the_frameworks_own_refusal_is_not_promised(document: dict[str, Any]) -> None:
    """Neither its status nor its schemas, which no answer of ours has."""
    text = str(document)

    assert "422" not in text
    assert "ValidationError" not in text
    assert "'detail'" not in text


async def test_an_engine_describes_only_what_it_serves(open_gateway_bed: OpenBed) -> None:
    """No route of tenants is promised by a process that has none."""
    async with open_gateway_bed(role="engine") as bed:
        document = (await bed.http.get("/openapi.json")).json()

    assert document["paths"].keys() == {"/healthz", "/readyz"}


@pytest.mark.parametrize(
    ("good", "bad", "complaint"),
    [
        (b'"progress":0', b'"progress":"0"', "progress"),
        (b'"progress":0', b'"progress":101', "maximum"),
        (b'"status":"pending"', b'"status":"queued"', "queued"),
        (b'"type":"video"', b'"kind":"video"', "type is missing"),
        (b'"can_cancel":false', b'"can_cancel":null', "can_cancel"),
    ],
)
async def test_the_judge_of_these_tests_sees_a_broken_promise(
    bed: Bed, good: bytes, bad: bytes, complaint: str
) -> None:
    """An answer of another shape than the document's is noticed, and told by its place."""
    created = await bed.create(await bed.key())
    spoilt = httpx2.Response(
        200,
        headers={"content-type": "application/json"},
        content=created.content.replace(good, bad),
        request=created.request,
    )

    assert good in created.content
    with pytest.raises(AssertionError, match=complaint):
        Document(bed.app.openapi()).judge(spoilt)


async def test_the_judge_of_these_tests_sees_an_undocumented_status(bed: Bed) -> None:
    """A teapot is not in the document."""
    created = await bed.create(await bed.key())

    with pytest.raises(AssertionError, match="must not answer 202"):
        Document(bed.app.openapi()).judge(httpx2.Response(202, request=created.request))
