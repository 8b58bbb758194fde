"""Pages of other origins: those that a tenant names may call and read, and no others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.api.asking import UNKNOWN_ID, bearer
from tests.api.browsing import APP, Page, allow, told_to_pages
from tests.api.operating import ADMIN_TOKEN, WITH_ADMIN, Operator
from tests.conftest import OpenBed
from tests.support.answers import error_of
from tests.support.bed import CREATE_PATH, Bed, character

LISTED = (
    APP,
    "http://localhost:3000",
    "https://xn--bcher-kva.example",
    "http://[::1]:8080",
    "http://192.0.2.7",
)
"""What a tenant of these tests names."""

NOT_LISTED = (
    *("", "null", "*", " ", "undefined", "about:blank", "file://", "data:text/html,x"),
    *("http://app.example.com", "https://app.example.com:8443", "https://app.example.com:443"),
    *("https://app.example.com/", "https://app.example.com/x", "https://app.example.com?x"),
    *("https://app.example.com#x", "https://app.example.com.", "https://app.example.com "),
    *("https://APP.example.com", "HTTPS://app.example.com", "https://App.Example.Com"),
    *("https://app.example.com.evil.example", "https://evil-app.example.com"),
    *("https://app.example.comevil.example", "https://evil.example/app.example.com"),
    *("https://xapp.example.com", "https://example.com", "https://a.app.example.com"),
    *("https://app-example.com", "https://appxexample.com", "https://app.example.com@evil.example"),
    *("https://user@app.example.com", "https://user:pass@app.example.com", "//app.example.com"),
    *("app.example.com", "https:app.example.com", "https:/app.example.com", "https://"),
    *("https://app.example.com, https://evil.example", "https://app.example.com\t"),
    *("https://*.example.com", "wss://app.example.com", "ftp://app.example.com"),
    *("https://bücher.example", "https://xn--bcher-kva.example.evil.example"),
    *(
        "https://\u0430pp.example.com",
        "https://app\u3002example.com",
        "https://app.example.com\u200b",
    ),
    *("http://localhost", "http://localhost:3001", "https://localhost:3000", "http://127.0.0.1"),
    *("http://[::1]", "http://[0:0:0:0:0:0:0:1]:8080", "http://192.0.2.07", "http://3221225991"),
    *("chrome-extension://abcdef", "https://" + "a" * 5_000 + ".example", "https://[::1]:8080"),
)
"""Spellings that look like one that is named, and others."""

ROUTES = (
    ("POST", CREATE_PATH),
    ("GET", f"/v1/tasks/{UNKNOWN_ID}"),
    ("POST", f"/v1/tasks/{UNKNOWN_ID}/cancel"),
    ("GET", "/v1/tasks"),
    ("POST", "/v1/tasks/batch"),
    ("GET", "/v1/models"),
    ("POST", "/v1/tokens"),
)
NO_ROUTES = (("GET", "/v1/nothing"), ("GET", "/v1/"), ("GET", "/v1"), ("DELETE", "/v1/models"))


@pytest.fixture
async def page(bed: Bed) -> AsyncIterator[Page]:
    """A page of an origin that the tenant `acme` names among others."""
    await bed.key("acme")
    await allow(bed, "acme", *LISTED)
    return Page(bed)


async def test_a_preflight_of_a_named_origin_tells_the_browser_all_it_may_send(page: Page) -> None:
    """The origin itself and never a star, the methods of the path, and no credentials."""
    answer = await page.ask_first("POST", CREATE_PATH)

    assert (answer.status_code, answer.content) == (204, b"")
    assert told_to_pages(answer) == {
        "allow-origin": APP,
        "allow-methods": "POST",
        "allow-headers": "authorization, content-type, idempotency-key, x-evo-run-id,"
        " x-request-id, last-event-id, if-none-match",
        "max-age": "600",
    }
    assert answer.headers["vary"] == "Origin"
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize("origin", LISTED)
async def test_each_named_origin_may_call(page: Page, origin: str) -> None:
    """Any route, by any method that it has; the browser is told nothing of the others."""
    key = await page.bed.another_key("acme")
    of_origin = Page(page.bed, origin)

    asked = [await of_origin.ask_first(method, path) for method, path in ROUTES]
    answer = await of_origin.call(key, "GET", "/v1/models")

    assert {each.status_code for each in asked} == {204}
    assert {told_to_pages(each)["allow-origin"] for each in asked} == {origin}
    assert (answer.status_code, told_to_pages(answer)["allow-origin"]) == (200, origin)


async def test_no_other_origin_is_let_in_however_it_is_spelled(page: Page) -> None:
    """Neither by the preflight nor by the call itself, which is refused without being readable."""
    key, wrong = await page.bed.another_key("acme"), []
    for origin in NOT_LISTED:
        stranger = Page(page.bed, origin)
        answers = [await stranger.ask_first(method, path) for method, path in ROUTES]
        answers += [await stranger.call(key, "GET", path) for path in ("/v1/models", "/v1/tasks")]
        answers.append(await stranger.call(key, "POST", CREATE_PATH, json=character()))
        wrong += [
            (origin, answer.status_code, told_to_pages(answer))
            for answer in answers
            if error_of(answer)["reason"] != "origin_not_allowed"
            or told_to_pages(answer)
            or answer.headers["vary"] != "Origin"
        ]

    assert len(NOT_LISTED) >= 40
    assert wrong == []
    assert page.bed.vendor.creates() == []


async def test_an_origin_of_another_tenant_is_let_in_by_the_preflight_alone(page: Page) -> None:
    """A preflight has no key. The call has, and is refused; the page may not even read that."""
    key = await page.bed.key("hooli")
    await allow(page.bed, "hooli", "https://hooli.example")

    asked = await page.ask_first("GET", "/v1/models")
    answer = await page.call(key, "GET", "/v1/models")

    assert asked.status_code == 204
    assert error_of(answer)["reason"] == "origin_not_allowed"
    assert told_to_pages(answer) == {}
    assert answer.headers["vary"] == "Origin"


async def test_a_page_may_read_the_headers_that_clients_need(page: Page) -> None:
    """And it is never told that it may send cookies."""
    key = await page.bed.another_key("acme", reads_per_second=50)

    answer = await page.call(key, "GET", "/v1/models")

    assert told_to_pages(answer) == {
        "allow-origin": APP,
        "expose-headers": "X-Request-Id, Retry-After, RateLimit, RateLimit-Policy, ETag,"
        " Idempotency-Replayed, Age",
    }
    assert "ratelimit" in answer.headers


async def test_a_page_may_read_why_it_was_refused(page: Page) -> None:
    """Without that header a browser would tell it of a broken network, whatever the answer."""
    key = await page.bed.another_key("acme", reads_per_second=1)
    refused = [
        await page.call("rg_live_wrong", "GET", "/v1/models"),
        await page.call(key, "GET", f"/v1/tasks/{UNKNOWN_ID}"),
        await page.call(key, "GET", "/v1/models"),
        await page.call(key, "GET", "/v1/nothing"),
        await page.call(key, "DELETE", "/v1/models"),
        await page.call(key, "POST", CREATE_PATH, content=b"{"),
    ]

    assert [answer.status_code for answer in refused] == [401, 404, 429, 404, 405, 415]
    assert {told_to_pages(answer).get("allow-origin") for answer in refused} == {APP}


async def test_a_page_may_read_that_the_gateway_has_failed(open_gateway_bed: OpenBed) -> None:
    """Also where no route was left to answer."""
    async with open_gateway_bed(testing={"failpoints": "submit.arrived=raise"}) as bed:
        key = await bed.key("acme")
        await allow(bed, "acme", APP)

        answer = await Page(bed).call(key, "POST", CREATE_PATH, json=character())

    assert (answer.status_code, told_to_pages(answer)["allow-origin"]) == (500, APP)


async def test_every_answer_says_that_it_depends_on_the_origin(page: Page) -> None:
    """A cache must not give the answer for one page to another, or for none to any."""
    key = await page.bed.another_key("acme")

    answers = [
        await page.bed.http.request(method, path, headers=[bearer(key)])
        for method, path in (*ROUTES, *NO_ROUTES)
    ]

    assert {answer.headers["vary"] for answer in answers} == {"Origin"}
    assert all(told_to_pages(answer) == {} for answer in answers)


async def test_nothing_but_the_api_is_opened_to_pages(open_gateway_bed: OpenBed) -> None:
    """Not the admin API, not metrics, not the pages of the gateway itself."""
    paths = ("/admin/v1/tenants", "/metrics", "/docs", "/openapi.json", "/healthz", "/readyz")
    async with open_gateway_bed(**WITH_ADMIN) as bed:
        await Operator(bed).tenant("acme", origins=[APP])
        bed.clock.advance_ms(1_000)
        page = Page(bed)
        asked = [await page.ask_first("GET", path) for path in (*paths, "/v2/models", "/v10")]
        called = [await page.call(ADMIN_TOKEN, "GET", path) for path in paths]

    assert {answer.status_code for answer in asked} == {404, 405}
    assert called[0].status_code == 200
    assert all(told_to_pages(answer) == {} for answer in (*asked, *called))
    assert all("vary" not in answer.headers for answer in (*asked, *called))


async def test_a_page_of_the_gateways_own_host_is_no_stranger(bed: Bed) -> None:
    """Browsers name the origin of a POST to the page's own host too; there is nothing to allow."""
    key = await bed.key()
    others = ("http://gateway:81", "ftp://gateway", "file://gateway", "://gateway", "gateway")

    for own in (Page(bed, "http://gateway"), Page(bed, "https://gateway")):
        assert (await own.call(key, "POST", CREATE_PATH, json=character())).status_code == 200
    for other in (Page(bed, origin) for origin in others):
        assert (await other.call(key, "GET", "/v1/models")).status_code == 403


async def test_two_origins_are_none(page: Page) -> None:
    """What stands between might read the first, and the gateway the second."""
    key = await page.bed.another_key("acme")
    headers = [bearer(key), ("origin", APP), ("origin", APP)]

    answer = await page.bed.http.get("/v1/models", headers=headers)

    assert error_of(answer)["reason"] == "origin_not_allowed"
    assert told_to_pages(answer) == {}


async def test_origins_that_are_taken_away_are_shut_out_within_a_second(page: Page) -> None:
    """By the preflight and by the call, in every process; so are those of a deleted tenant."""
    key, bed = await page.bed.another_key("acme"), page.bed
    before = await page.call(key, "GET", "/v1/models")

    await allow(bed, "acme", "https://new.example")
    answers = [await page.ask_first("GET", "/v1/models"), await page.call(key, "GET", "/v1/models")]

    assert before.status_code == 200
    assert [answer.status_code for answer in answers] == [403, 403]
    assert (await Page(bed, "https://new.example").ask_first("GET", "/v1/models")).is_success


async def test_a_call_that_names_no_origin_asks_the_store_nothing_about_origins(bed: Bed) -> None:
    """Only browsers pay for what only browsers need."""
    key = await bed.key()
    redis, reads = bed.gateway.store.redis, []
    for headers in ([], [("origin", APP)]):
        await redis.config_resetstat()
        await bed.http.get("/v1/models", headers=[bearer(key), *headers])
        stats = await redis.info("commandstats")
        reads.append(stats.get("cmdstat_hgetall", {"calls": 0})["calls"] > 15)

    assert reads == [False, True]


async def test_one_second_of_preflights_costs_one_look_at_the_store(page: Page) -> None:
    """However many there are, and whichever origins they name."""
    redis = page.bed.gateway.store.redis
    page.bed.clock.advance_ms(1_000)
    await redis.config_resetstat()

    pages = [Page(page.bed, f"https://{n}.example") for n in range(50)]
    await asyncio.gather(*(each.ask_first("GET", "/v1/models") for each in pages))

    stats = await redis.info("commandstats")
    assert stats["cmdstat_hgetall"]["calls"] == 16
