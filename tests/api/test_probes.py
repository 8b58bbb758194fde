"""Liveness, readiness and figures: what tells an operator, and a load balancer, how it stands."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.api.asking import UNKNOWN_ID, bearer
from tests.conftest import OpenBed
from tests.support.answers import error_of
from tests.support.bed import CREATE_PATH, Bed, character
from tests.support.redis_server import RedisServer
from tests.support.wait import wait_until


@pytest.fixture
def own_server() -> Iterator[RedisServer]:
    """A Redis that only this test uses, for it may be stopped."""
    with RedisServer() as server:
        yield server
        server.thaw()


@pytest.fixture
def redis_url(own_server: RedisServer) -> str:
    """Let the gateways of these tests use it."""
    return own_server.url


async def figures(bed: Bed) -> dict[tuple[str, ...], float]:
    """Return the samples of /metrics by name and label values."""
    text = (await bed.http.get("/metrics")).text
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_a_gateway_that_works_is_alive_and_ready(bed: Bed) -> None:
    """Both probes say so in JSON."""
    live, ready = await bed.http.get("/healthz"), await bed.http.get("/readyz")

    assert (live.status_code, live.json()) == (200, {"status": "ok"})
    assert (ready.status_code, ready.json()["status"]) == (200, "ok")
    assert set(ready.json()["checks"].values()) == {"ok"}


async def test_a_frozen_store_ends_readiness_not_life(
    open_gateway_bed: OpenBed, own_server: RedisServer
) -> None:
    """A restart would not help, so the process is alive; it is ready again when the store is."""
    async with open_gateway_bed(redis_timeout_s=0.2) as bed:
        own_server.freeze()
        frozen = await bed.http.get("/readyz")
        alive = await bed.http.get("/healthz")
        own_server.thaw()

        async def is_ready() -> bool:
            return (await bed.http.get("/readyz")).status_code == 200

        await wait_until(is_ready, describing="readiness after the thaw")

    assert frozen.status_code == 503
    assert error_of(frozen)["message"] == "Not ready: store (store_unavailable)"
    assert alive.status_code == 200


async def test_an_emptied_store_ends_readiness(bed: Bed, own_server: RedisServer) -> None:
    """A store without its epoch looks like a fresh one, with nobody's credits spent."""
    own_server.flush()

    answer = await bed.http.get("/readyz")

    assert answer.status_code == 503
    assert error_of(answer)["reason"] == "not_ready"
    assert error_of(answer)["message"] == "Not ready: store (store_foreign)"
    assert answer.headers["retry-after"] == "5"


async def test_an_exchanged_store_ends_readiness(bed: Bed) -> None:
    """Neither does one with another epoch count as ours."""
    await bed.gateway.store.redis.hset("rg:meta", "epoch", "0" * 32)

    answer = await bed.http.get("/readyz")

    assert "store_foreign" in error_of(answer)["message"]


async def test_an_engine_that_makes_no_rounds_ends_readiness(
    open_gateway_bed: OpenBed, own_server: RedisServer
) -> None:
    """Where the role has an engine, ten seconds without a finished round are too long."""
    async with open_gateway_bed(role="all", redis_timeout_s=0.2) as bed:
        engine = bed.gateway.engine
        await wait_until(lambda: engine.last_round_ms, describing="the engine's first round")
        own_server.freeze()
        bed.clock.advance_ms(9_999)
        early = await bed.http.get("/readyz")
        bed.clock.advance_ms(10_000)
        late = await bed.http.get("/readyz")
        own_server.thaw()

    assert "engine" not in error_of(early)["message"]
    assert "engine (engine_stuck)" in error_of(late)["message"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
async def test_a_probe_may_ask_for_the_head_alone(bed: Bed, path: str) -> None:
    """Balancers do."""
    answer = await bed.http.head(path)

    assert answer.status_code == 200


async def test_readiness_says_nothing_of_the_inside(bed: Bed, own_server: RedisServer) -> None:
    """The probe is open to everybody who reaches the port."""
    own_server.flush()

    text = (await bed.http.get("/readyz")).text

    assert str(own_server.socket_path) not in text
    assert bed.gateway.store.epoch_id not in text


async def test_metrics_are_in_the_format_that_scrapers_read(bed: Bed) -> None:
    """Plain text, and every family with its meaning."""
    answer = await bed.http.get("/metrics")

    assert answer.headers["content-type"].startswith("text/plain; version=")
    families = list(text_string_to_metric_families(answer.text))
    assert all(family.documentation for family in families)
    assert any(family.name == "reelgate_requests" for family in families)


async def test_requests_are_counted_by_route_template(bed: Bed) -> None:
    """The label is the route as written in the program: bounded, and nobody's id."""
    key = await bed.key()
    task_id = await bed.created(key)
    await bed.read(key, task_id)
    await bed.read(key, UNKNOWN_ID)
    await bed.http.get(f"{CREATE_PATH}/{task_id}", headers=[bearer(key)])
    await bed.http.get("/nowhere")

    found = await figures(bed)

    def counted(route: str, status: str) -> float:
        return found["reelgate_requests_total", route, status]

    assert counted(CREATE_PATH, "200") == 1
    assert counted("/v1/tasks/{task_id}", "200") == 2, "the alias is the same route"
    assert counted("/v1/tasks/{task_id}", "404") == 1
    assert counted("unmatched", "404") == 1
    assert found["reelgate_request_seconds_count", CREATE_PATH] == 1


async def test_tasks_are_counted_from_admission_to_their_end(bed: Bed) -> None:
    """Admitted, refused, doubted, finished, and the calls that went to the vendor."""
    key = await bed.key(tasks_in_flight=2)
    await bed.created(key, character("seconds:1"))
    bed.vendor.fault("commit_then_close", times=1)
    await bed.created(key)
    await bed.create(key)
    await bed.pass_time(5)

    found = await figures(bed)

    assert found["reelgate_tasks_admitted_total", "live"] == 2
    assert found["reelgate_tasks_refused_total", "too_many_in_flight"] == 1
    assert found["reelgate_tasks_doubted_total",] == 1
    assert found["reelgate_tasks_finished_total", "completed"] == 1
    assert found["reelgate_vendor_calls_total", "submit", "started"] == 1
    assert found["reelgate_vendor_calls_total", "submit", "ambiguous"] == 1
    assert found["reelgate_vendor_calls_total", "report", "reported"] == 1


async def test_no_text_of_a_caller_becomes_a_label(bed: Bed) -> None:
    """Neither tenant, key, task, path, model nor request id."""
    key = await bed.key("acme")
    task_id = await bed.created(key, idempotency_key="order-4711", x_request_id="trace-4711")
    await bed.create(key, character(model="a-model-of-acme"))
    await bed.http.get("/path-of-acme", headers=[bearer(key)])
    await bed.http.request("ACME", "/healthz")

    text = (await bed.http.get("/metrics")).text.lower()

    assert [word for word in ("acme", "4711", task_id, key.lower()) if word in text] == []
