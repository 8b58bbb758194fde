"""What a careless or hostile client can still write: heads, paths, lengths and lists.

Bodies by themselves are in `test_bodies.py`, what is no HTTP at all in `test_over_the_wire.py`.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Iterator

import pytest

from app.settings import Settings
from app.wiring import open_store
from tests.api.asking import UNKNOWN_ID, bearer, post_bytes
from tests.api.wire import Line, Received
from tests.support.answers import error_of
from tests.support.bed import CREATE_PATH, Bed, settings_for
from tests.support.processes import GatewayProcess
from tests.support.redis_server import RedisServer
from tests.support.tenant_keys import key_of_tenant
from tests.support.vendor import Vendor

BODY = b'{"model":"sora-character","video_url":"https://example.com/video.mp4"}'
JSON = b"content-type: application/json\r\n"
TEXT = b"content-type: text/plain\r\n"
LENGTH = b"content-length: %d\r\n" % len(BODY)
MOST_HEAD_BYTES = 65_536


class Wire:
    """A started gateway and a key for it, asked byte by byte."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._key = f"authorization: Bearer {key}\r\n".encode()

    def ask(self, start: bytes, rest: bytes = b"\r\n", path: str = CREATE_PATH) -> Received:
        """Send a request with its method, its path, the key, and `rest`: headers and body."""
        head = start + b" " + path.encode("latin-1") + b" HTTP/1.1\r\nhost: gateway.example.com\r\n"
        with Line(self._url) as line:
            line.send(head + self._key + rest)
            return line.receive()

    def post(self, headers: bytes, body: bytes = BODY) -> Received:
        """Send a create."""
        return self.ask(b"POST", headers + b"\r\n" + body)


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory, served_vendor: Vendor) -> Iterator[Wire]:
    """One gateway for all tests of this file, with a store of its own."""
    folder = tmp_path_factory.mktemp("strict")
    # Without an engine: nothing but these requests may reach the vendor.
    with (
        RedisServer() as server,
        GatewayProcess(folder, server.url, served_vendor.url, REELGATE_ROLE="api") as gateway,
    ):
        settings = settings_for(server.url, folder / "keys-data", served_vendor.url)
        yield Wire(gateway.url, asyncio.run(key_on(settings)))


async def key_on(settings: Settings) -> str:
    """Return a key on the store of these settings."""
    async with open_store(settings) as store:
        return await key_of_tenant(store.tenants, store.keys, "acme", now_ms=store.clock.now_ms())


@pytest.fixture
def wire(started: Wire, vendor: Vendor) -> Wire:
    """The gateway, in front of a vendor with an empty journal."""
    return started


@pytest.mark.parametrize(
    "headers",
    [
        JSON + LENGTH + LENGTH,
        JSON + b"content-length: +70\r\n",
        JSON + b"content-length: 70, 70\r\n",
        JSON + b"content-length: 0x46\r\n",
        JSON + b"content-length: 7e1\r\n",
        JSON + b"content-length: \xb2\r\n",
        JSON + b"content-length: " + b"9" * 5000 + b"\r\n",
        JSON + b"transfer-encoding: gzip\r\n",
        JSON + b"transfer-encoding: chunked, identity\r\n",
        JSON + LENGTH + b"x-a: 1\r\n 2\r\n",
        JSON + LENGTH + b"x-a: 1\x002\r\n",
        JSON + LENGTH + b"x-a\r\n",
        JSON + LENGTH + b": 1\r\n",
        JSON + LENGTH + b"x a: 1\r\n",
    ],
    ids=lambda headers: headers[len(JSON) :][:40].decode("latin-1"),
)
def test_a_head_that_can_be_read_in_two_ways_is_refused(
    wire: Wire, vendor: Vendor, headers: bytes
) -> None:
    """Where gateway and proxy could differ over where a body ends, there is no body."""
    answer = wire.post(headers)

    assert answer.status == 400
    assert answer.error()["reason"] == "invalid_request"
    assert "HTTP" in answer.error()["message"]
    assert vendor.journal() == []


@pytest.mark.parametrize("pieces", [b"zz\r\n", b"-1\r\n", b"f" * 20 + b"\r\n", b"\r\n"], ids=str)
def test_chunks_of_no_length_are_refused(wire: Wire, vendor: Vendor, pieces: bytes) -> None:
    """A body that cannot be measured is not guessed at."""
    answer = wire.post(JSON + b"transfer-encoding: chunked\r\n", pieces + BODY)

    assert answer.status == 400
    assert answer.error()["reason"] == "invalid_request"
    assert vendor.journal() == []


def test_chunks_in_any_form_the_standard_knows_are_put_together(wire: Wire, vendor: Vendor) -> None:
    """With extensions, with zeros in front of a length, and with trailers."""
    pieces = b"0001;a=b\r\n" + BODY[:1] + b"\r\n%x\r\n" % (len(BODY) - 1) + BODY[1:]

    answer = wire.post(
        JSON + b"transfer-encoding: chunked\r\n", pieces + b"\r\n0\r\nx-trailer: 1\r\n\r\n"
    )

    assert answer.status == 200
    assert vendor.creates()[0]["body"] == json.loads(BODY)


@pytest.mark.parametrize("headers", [JSON + TEXT, TEXT + JSON, TEXT + TEXT], ids=str)
def test_a_body_of_two_kinds_is_of_none(wire: Wire, vendor: Vendor, headers: bytes) -> None:
    """Which of two content types is meant is not for the gateway to choose."""
    answer = wire.post(headers + LENGTH)

    assert answer.status == 415
    assert answer.error()["reason"] == "unsupported_media_type"
    assert "application/json" in answer.error()["message"]
    assert vendor.journal() == []


def test_the_same_kind_said_twice_is_that_kind(wire: Wire) -> None:
    """Some proxies add what is there already."""
    assert wire.post(JSON + JSON + LENGTH).status == 200


def test_a_compressed_body_is_refused(wire: Wire, vendor: Vendor) -> None:
    """Nothing is unpacked: a kilobyte could become a gigabyte; the answer says what to do."""
    packed = gzip.compress(BODY)
    length = b"content-length: %d\r\n" % len(packed)

    answer = wire.post(JSON + b"content-encoding: gzip\r\n" + length, packed)

    assert answer.status == 415
    assert answer.error()["reason"] == "unsupported_media_type"
    assert "uncompressed" in answer.error()["message"]
    assert vendor.journal() == []


@pytest.mark.parametrize(
    "flood",
    [
        b"x-a: y\r\n" * 4000,
        b"".join(b"x-%d: y\r\n" % i for i in range(4000)),
        b"x-a: " + b"a" * 60_000 + b"\r\n",
    ],
    ids=["one name 4000 times", "4000 names", "one value of 60 kB"],
)
def test_a_head_below_the_limit_is_read_whatever_is_in_it(wire: Wire, flood: bytes) -> None:
    """Too much of it is no reason to fail."""
    assert wire.post(JSON + LENGTH + flood).status == 200


@pytest.mark.parametrize(
    "flood",
    [b"x-a: y\r\n" * 9000, b"x-a: " + b"a" * 70_000 + b"\r\n", b"a" * 70_000 + b": 1\r\n"],
    ids=["9000 headers", "one long value", "one long name"],
)
def test_a_head_above_the_limit_is_refused_however_it_arrives(
    wire: Wire, vendor: Vendor, flood: bytes
) -> None:
    """Also where it comes in one piece; the answer names the limit."""
    answer = wire.post(JSON + LENGTH + flood)

    assert answer.status == 400
    assert str(MOST_HEAD_BYTES) in answer.error()["message"]
    assert vendor.journal() == []


@pytest.mark.parametrize(
    "method", [b"BREW", b"get", b"G" * 5000, b"POST\x00", b"\xc3\xa9"], ids=repr
)
def test_a_method_nobody_knows_is_no_request(wire: Wire, vendor: Vendor, method: bytes) -> None:
    """The line ends with an answer in JSON."""
    answer = wire.ask(method)

    assert answer.status == 400
    assert answer.error()["type"] == "invalid_request_error"
    assert vendor.journal() == []


@pytest.mark.parametrize("method", [b"TRACE", b"CONNECT", b"PATCH", b"LINK", b"QUERY"])
def test_a_method_that_is_not_served_is_told_the_one_that_is(wire: Wire, method: bytes) -> None:
    """A TRACE is not answered with what it sent, a CONNECT opens nothing."""
    answer = wire.ask(method)

    assert answer.status == 405
    assert answer.header("allow") == "POST"
    assert method.decode() in answer.error()["message"]


def test_nothing_is_upgraded(wire: Wire) -> None:
    """To another protocol on the same line, for nobody."""
    upgrade = b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"

    answer = wire.ask(b"GET", upgrade + b"sec-websocket-key: YQ==\r\n\r\n", "/v1/tasks/abc")

    assert answer.status == 400
    assert answer.error()["reason"] == "invalid_task_id"


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("task-unified-%2F", "unknown_path"),
        ("task-unified-1%2F..%2F..%2Fcredits", "unknown_path"),
        ("..%2Fhealthz", "unknown_path"),
        ("task-unified-%00", "task_not_found"),
        ("task-unified-%0d%0aX-Injected:%20yes", "task_not_found"),
        ("task-unified-%252F", "task_not_found"),
        ("task%252Dunified-1", "invalid_task_id"),
        ("task-unified-%C3%A9", "task_not_found"),
        ("task-unified-%ff%fe", "task_not_found"),
        ("task-unified-%ED%A0%80", "task_not_found"),
        ("task-unified-%", "task_not_found"),
        ("task-unified-%zz", "task_not_found"),
        ("task-unified-%u0041", "task_not_found"),
        ("task-unified-*%5B%5D%7B%7D", "task_not_found"),
        ("task-unified-1;a=b", "task_not_found"),
        ("task-unified-" + "9" * 5000, "task_not_found"),
        ("%EF%BC%94task-unified-1", "invalid_task_id"),
        ("%20task-unified-1", "invalid_task_id"),
        (UNKNOWN_ID + "%20", "task_not_found"),
        (UNKNOWN_ID + "%0a", "task_not_found"),
        (UNKNOWN_ID[:-1] + "%D9%A1", "task_not_found"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/tasks/", f"{CREATE_PATH}/"])
def test_an_id_in_any_writing_is_no_more_than_an_id(
    wire: Wire, vendor: Vendor, path: str, written: str, reason: str
) -> None:
    """Slashes, NUL, line ends, encodings within encodings, other alphabets: an answer in words."""
    answer = wire.ask(b"GET", path=path + written)

    assert answer.error()["reason"] == reason
    assert answer.header("x-injected") is None
    assert vendor.journal() == []


def test_numbers_and_depths_of_thousands_are_refused_by_name(wire: Wire, vendor: Vendor) -> None:
    """The answer names the rule, and where there is one the field, and comes at once."""
    for member, rule in [
        (b'"seed":' + b"9" * 5000, "64 characters"),
        (b'"seed":-0.' + b"0" * 5000 + b"1", "64 characters"),
        (b'"seed":1e' + b"9" * 5000, "64 characters"),
        (b'"seed":1e400', "range of a double"),
        (b'"seed":NaN', "NaN"),
        (b'"timestamps":"' + b"1," * 5000 + b'1"', "timestamps"),
        (b'"timestamps":"' + b"1" * 900 + b'"', "timestamps"),
        (b'"timestamps":' + b"[" * 5000 + b"]" * 5000, "32 levels"),
    ]:
        body = BODY[:-1] + b"," + member + b"}"
        answer = wire.post(JSON + b"content-length: %d\r\n" % len(body), body)

        assert answer.status == 400
        assert rule in answer.error()["message"]
        assert answer.error()["param"] == member[1:].partition(b'"')[0].decode()
    assert vendor.journal() == []


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"", "empty"),
        (b"[]", "JSON object"),
        (b'\xef\xbb\xbf{"task_ids":[]}', "byte order mark"),
        (b'{"task_ids":["\\ud800"]}', "surrogate"),
        (b'{"task_ids":[],"task_ids":[]}', "stands twice"),
        (b'{"task_ids":[NaN]}', "NaN"),
        (b'{"task_ids":' + b"[" * 5000 + b"]" * 5000 + b"}", "32 levels"),
        (b'{"task_ids":["\xff"]}', "not UTF-8"),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_a_batch_is_read_as_strictly_as_a_create(bed: Bed, content: bytes, rule: str) -> None:
    """One reader for all bodies: the same rules, in the same words."""
    answer = await bed.http.post(
        "/v1/tasks/batch",
        content=content,
        headers=[bearer(await bed.key()), ("content-type", "application/json")],
    )

    assert answer.status_code == 400
    assert error_of(answer)["reason"] == "malformed_json"
    assert rule in error_of(answer)["message"]


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("page=" + "9" * 5000, "page"),
        ("page=1e1", "page"),
        ("page=%D9%A1", "page"),
        ("page=+1", "page"),
        ("page=-1", "page"),
        ("page=%20", "page"),
        ("page_size=0", "page_size"),
        ("page_size=101", "page_size"),
        ("page_size=NaN", "page_size"),
        ("page=1&page=2", "page"),
        ("status=%00", "status"),
        ("status=completed&status=completed", "status"),
        ("type=" + "a" * 5000, "type"),
        ("status=%ED%A0%80", "status"),
    ],
    ids=lambda value: value[:30],
)
async def test_a_list_is_asked_for_as_strictly(bed: Bed, query: str, param: str) -> None:
    """Each name in a query has its rule, and the answer says which was broken."""
    answer = await bed.http.get(f"/v1/tasks?{query}", headers=[bearer(await bed.key())])

    assert answer.status_code == 400
    assert error_of(answer)["reason"] == "invalid_request"
    assert error_of(answer)["param"] == param
    assert len(error_of(answer)["message"]) < 300


@pytest.mark.parametrize(
    "query", ["page=&page_size=&status=&type=&model=", "PAGE=x&sort=&page[]=a"]
)
async def test_what_a_list_is_not_asked_for_is_left_alone(bed: Bed, query: str) -> None:
    """Forms send every field, filled in or not, and programs names that nobody here knows."""
    answer = await bed.http.get(f"/v1/tasks?{query}", headers=[bearer(await bed.key())])

    assert answer.status_code == 200
    assert answer.json() == {"data": [], "total": 0, "page": 1, "page_size": 20}


async def test_a_refused_body_costs_the_tenant_nothing(bed: Bed) -> None:
    """No hold, no slot, no create of the minute."""
    key = await bed.key(creates_per_minute=1, tasks_in_flight=1, credits_per_day="0.1")

    for content in (b"", b"{", b'{"model":NaN}', BODY[:-1] + b',"timestamps":"0,9"}'):
        assert (await post_bytes(bed, key, content)).status_code == 400

    assert (await post_bytes(bed, key, BODY)).status_code == 200
