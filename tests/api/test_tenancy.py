"""Nobody sees or notices what is not its own: on every route, for every id, near and far."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.routing import BaseRoute, Route

from app.clock import HeldClock
from app.domain.audit import GATEWAY
from app.store.keys import shard_of
from tests.api.asking import UNKNOWN_ID, bearer
from tests.conftest import OpenBed
from tests.support.bed import CREATE_PATH, Bed, character
from tests.support.calendar import DAY_MS

RATES = {"creates_per_minute": 1000, "reads_per_second": 100_000}
CREDITS = {"credits_per_day": "5000", "credits_per_month": "50000"}
CALLERS = ("acme", "acme in test mode", "hooli", "globex")
"""`hooli` lives in the shard of `acme`, `globex` in another; the two modes share one tenant."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A request without its key."""

    path: str
    body: Any = None


@dataclass(frozen=True, slots=True)
class Entry:
    """How a route is asked: with a task's id, in every way there is, and for what is one's own.

    `views` must show the same before and after whatever others do. `found` is the status of the
    answer for an own task that has ended. `elsewhere`: it takes other ids, and that file tests it.
    """

    with_id: tuple[Callable[[str], Sent], ...] = ()
    views: tuple[str, ...] = ()
    found: int = 200
    elsewhere: str = ""


def _naming(field_name: str) -> Callable[[str], Sent]:
    return lambda task_id: Sent(CREATE_PATH, character(**{field_name: task_id}))


WEBHOOKS = Entry(elsewhere="test_webhook_tenancy.py")

ROUTES: dict[tuple[str, str], Entry] = {
    ("POST", CREATE_PATH): Entry(
        with_id=(
            _naming("base_video_task_id"),
            _naming("source_task_id"),
            lambda task_id: Sent(CREATE_PATH, character(model_params={"source_task_id": task_id})),
            lambda task_id: Sent(
                CREATE_PATH,
                {"model": "sora-2-preview", "prompt": "x", "base_video_task_id": task_id},
            ),
        )
    ),
    ("GET", "/v1/tasks/{task_id}"): Entry(with_id=(lambda task_id: Sent(f"/v1/tasks/{task_id}"),)),
    ("GET", "/v1/videos/generations/{task_id}"): Entry(
        with_id=(lambda task_id: Sent(f"{CREATE_PATH}/{task_id}"),)
    ),
    ("POST", "/v1/tasks/{task_id}/cancel"): Entry(
        with_id=(lambda task_id: Sent(f"/v1/tasks/{task_id}/cancel"),), found=409
    ),
    ("GET", "/v1/tasks"): Entry(
        with_id=(
            lambda task_id: Sent(f"/v1/tasks?model={task_id}"),
            lambda task_id: Sent(f"/v1/tasks?task_id={task_id}&status=completed&model=x"),
        ),
        views=(
            "/v1/tasks",
            "/v1/tasks?status=completed&page_size=1&page=2",
            "/v1/tasks?status=failed",
            "/v1/tasks?status=processing&model=sora-character",
        ),
    ),
    ("POST", "/v1/tasks/batch"): Entry(
        with_id=(
            lambda task_id: Sent("/v1/tasks/batch", {"task_ids": [task_id]}),
            lambda task_id: Sent("/v1/tasks/batch", {"task_ids": [UNKNOWN_ID, task_id]}),
        )
    ),
    ("GET", "/v1/models"): Entry(views=("/v1/models",)),
    ("GET", "/v1/credits"): Entry(views=("/v1/credits",)),
    ("GET", "/v1/usage"): Entry(views=("/v1/usage", "/v1/usage?from=2026-01-01&to=2026-12-31")),
    ("GET", "/v1/webhooks"): Entry(views=("/v1/webhooks",)),
    ("POST", "/v1/webhooks"): WEBHOOKS,
    ("GET", "/v1/webhooks/{webhook_id}"): WEBHOOKS,
    ("PATCH", "/v1/webhooks/{webhook_id}"): WEBHOOKS,
    ("DELETE", "/v1/webhooks/{webhook_id}"): WEBHOOKS,
    ("POST", "/v1/webhooks/{webhook_id}/rotate"): WEBHOOKS,
    ("POST", "/v1/webhooks/{webhook_id}/test"): WEBHOOKS,
    ("POST", "/v1/webhooks/{webhook_id}/redeliver"): WEBHOOKS,
    ("GET", "/v1/webhooks/{webhook_id}/deliveries"): WEBHOOKS,
    ("GET", "/v1/tasks/{task_id}/events"): Entry(elsewhere="test_live_task.py"),
    ("GET", "/v1/events"): Entry(elsewhere="test_live_tenant.py"),
    ("POST", "/v1/tokens"): Entry(elsewhere="test_tokens.py"),
}
"""Every route that takes a tenant's key. Whoever adds one says here how it is asked."""


@dataclass
class Town:
    """Four callers with tasks that have ended well, ended badly, and not ended."""

    bed: Bed
    keys: dict[str, str] = field(default_factory=dict)
    ids: dict[str, list[str]] = field(default_factory=dict)
    vendor_ids: list[str] = field(default_factory=list)

    async def send(self, caller: str, method: str, sent: Sent) -> httpx2.Response:
        """Send a request for a caller."""
        body = {} if sent.body is None else {"json": sent.body}
        return await self.bed.http.request(
            method, sent.path, headers=[bearer(self.keys[caller])], **body
        )

    async def views(self, caller: str) -> list[tuple[int, bytes, dict[str, str]]]:
        """Return all that a caller sees of itself, with every header but the request's id."""
        paths = [path for entry in ROUTES.values() for path in entry.views]
        paths += [f"/v1/tasks/{task_id}" for task_id in self.ids[caller]]
        asked = [("GET", Sent(path)) for path in paths]
        asked.append(("POST", Sent("/v1/tasks/batch", {"task_ids": self.ids[caller]})))
        self.bed.clock.advance_ms(1000)
        return [seen(await self.send(caller, method, sent)) for method, sent in asked]


def seen(answer: httpx2.Response) -> tuple[int, bytes, dict[str, str]]:
    """Return an answer as it is seen: status, bytes and headers, the request's id apart."""
    headers = dict(answer.headers)
    request_id = headers.pop("x-request-id")
    return answer.status_code, answer.content.replace(request_id.encode(), b"<id>"), headers


def without_counts(answer: httpx2.Response) -> tuple[int, bytes, dict[str, str]]:
    """Return an answer as it is seen, and of the rates' standing only that it was told."""
    status, content, headers = seen(answer)
    assert "ratelimit-policy" in headers
    return status, content, headers | {"ratelimit": headers["ratelimit"].partition(";")[0]}


@pytest.fixture
async def town(open_gateway_bed: OpenBed, clock: HeldClock) -> AsyncIterator[Town]:
    """Noon of a day, and everybody has done something; all of it is over or in doubt."""
    clock.advance_ms(DAY_MS - clock.now_ms() % DAY_MS + DAY_MS // 2)
    async with open_gateway_bed() as bed:
        town = Town(bed)
        for name in CALLERS:
            tenant, _, mode = name.partition(" in ")
            if mode:
                town.keys[name] = await bed.another_key(tenant, mode="test")
            else:
                town.keys[name] = await bed.key(tenant, **RATES, **CREDITS)
            ends = ("seconds:1", "outcome:failed,seconds:1", "seconds:1,credits:0.3")
            town.ids[name] = [await bed.created(town.keys[name], character(end)) for end in ends]
            if mode:
                continue
            bed.vendor.fault("commit_then_reset", times=1)
            town.ids[name].append(await bed.created(town.keys[name]))
        await bed.pass_time(30)
        town.vendor_ids = [entry["created_task_id"] for entry in bed.vendor.creates()]
        yield town


def test_the_neighbours_are_near_and_far() -> None:
    """Else a check that the store leaves out would never be missed."""
    assert shard_of("acme") == shard_of("hooli") != shard_of("globex")


def leaves(routes: Iterable[BaseRoute]) -> Iterator[Route]:
    """Return the routes that answer, also those that stand in a router of their own."""
    for route in routes:
        inner = getattr(route, "original_router", None) or getattr(route, "routes", None)
        if isinstance(route, Route):
            yield route
        elif inner is not None:
            yield from leaves(getattr(inner, "routes", inner))
        else:
            raise AssertionError(f"{route} is of a kind that is not known here")


def test_every_route_of_tenants_says_how_it_is_asked(bed: Bed) -> None:
    """A new route below /v1 without an entry in `ROUTES` is a route without these tests."""
    served = {
        (method, route.path)
        for route in leaves(bed.app.routes)
        if route.path.startswith("/v1")
        for method in route.methods or ()
        if method != "HEAD"
    }
    described = {
        (method.upper(), path)
        for path, item in bed.app.openapi()["paths"].items()
        if path.startswith("/v1")
        for method in item
    }

    assert ROUTES.keys() == served == described
    assert all(entry.with_id or entry.views or entry.elsewhere for entry in ROUTES.values())
    files = {entry.elsewhere for entry in ROUTES.values() if entry.elsewhere}
    assert [name for name in files if not (Path(__file__).parent / name).is_file()] == []
    for (_, path), entry in ROUTES.items():
        assert "{" not in path or entry.with_id or entry.elsewhere, f"{path} takes an id"


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize(
    ("method", "path"), [route for route, entry in ROUTES.items() if entry.with_id]
)
async def test_a_foreign_id_is_answered_like_an_unknown_one(
    town: Town, method: str, path: str, caller: str
) -> None:
    """Every task of everybody else, whatever has become of it, and the vendor's ids of all:

    not a byte and not a header apart, but for the request's id and the counts of the rates.
    """
    foreign = [each for name in CALLERS if name != caller for each in town.ids[name]]
    before = await town.views(caller)

    for way in ROUTES[method, path].with_id:
        unknown = without_counts(await town.send(caller, method, way(UNKNOWN_ID)))
        for task_id in (*foreign, *town.vendor_ids):
            answer = await town.send(caller, method, way(task_id))
            assert without_counts(answer) == unknown, way(task_id)

    after = await town.views(caller)
    assert [view[:2] for view in after] == [view[:2] for view in before]


@pytest.mark.parametrize(
    ("method", "path"),
    [route for route, entry in ROUTES.items() if entry.with_id and route[1] != "/v1/tasks"],
)
async def test_an_own_id_is_answered_otherwise(town: Town, method: str, path: str) -> None:
    """The other side of the comparison: these ways of asking do find what they ask for."""
    for caller in CALLERS:
        own = town.ids[caller][0]
        for way in ROUTES[method, path].with_id:
            unknown = await town.send(caller, method, way(UNKNOWN_ID))
            answer = await town.send(caller, method, way(own))

            assert answer.status_code == ROUTES[method, path].found, answer.text
            assert seen(answer)[:2] != seen(unknown)[:2]


async def live_it_up(town: Town, caller: str, victim: str) -> None:
    """Do all that a caller can do, as much as possible in the way of `victim`."""
    bed, key = town.bed, town.keys[caller]
    for task_id in (*town.ids[victim], *town.ids[caller]):
        for (method, _), entry in ROUTES.items():
            for way in entry.with_id:
                await town.send(caller, method, way(task_id))
    for scenario in ("seconds:1", "outcome:failed,seconds:1", "outcome:never"):
        await bed.created(key, character(scenario))
    bed.vendor.fault("status", status=400, times=1)
    await bed.create(key)
    await bed.create(key, character(timestamps="0,1"), idempotency_key="order-1")
    bed.vendor.heal()
    for path in (path for entry in ROUTES.values() for path in entry.views):
        await town.send(caller, "GET", Sent(path))
    await bed.pass_time(30)


@pytest.mark.parametrize("victim", CALLERS)
async def test_nothing_that_others_do_changes_what_one_sees(town: Town, victim: str) -> None:
    """Lists, tasks, batches, models, credits, use and rates: byte for byte as before."""
    first = await town.bed.create(
        town.keys[victim], character("seconds:1"), idempotency_key="order-1"
    )
    assert first.status_code == 200, first.text
    town.ids[victim].append(first.json()["id"])
    await town.bed.pass_time(60)
    before = await town.views(victim)

    for caller in CALLERS:
        if caller != victim:
            await live_it_up(town, caller, victim)

    assert await town.views(victim) == before
    again = await town.bed.create(
        town.keys[victim], character("seconds:1"), idempotency_key="order-1"
    )
    assert again.content == first.content


@pytest.mark.parametrize("victim", ["acme", "acme in test mode", "hooli", "globex"])
async def test_nothing_that_is_done_to_others_changes_what_one_sees(
    town: Town, victim: str
) -> None:
    """Their limits, their end and their keys' end are theirs."""
    bed, own = town.bed, victim.partition(" ")[0]
    before = await town.views(victim)

    for other in {"acme", "hooli", "globex"} - {own}:
        await bed.another_key(other, creates_per_minute=0, models=[])
        await bed.limit(other, credits_per_month="1", models=["sora-2"], reads_per_second=1)
        for key in await bed.gateway.store.keys.of_tenant(other):
            await bed.revoke(other, key.id)
        await bed.switch(other, disabled=True)
        await bed.gateway.store.manage_tenants.delete(other, force=True, by=GATEWAY)
    await bed.pass_time(60)

    assert await town.views(victim) == before


@pytest.mark.unaudited("tasks that were acknowledged are forgotten")
async def test_after_thirty_days_only_ones_own_is_forgotten(town: Town) -> None:
    """Forgetting a shard's tasks takes none of those that are not due."""
    await town.bed.pass_time(20 * 86_400)
    late = await town.bed.created(town.keys["hooli"], character("seconds:1"))
    await town.bed.pass_time(11 * 86_400)

    lists = {
        name: (await town.send(name, "GET", Sent("/v1/tasks"))).json()["data"] for name in CALLERS
    }

    doubtful = {name: ids[3:] for name, ids in town.ids.items()}
    assert {name: {entry["id"] for entry in found} for name, found in lists.items()} == {
        **{name: set(ids) for name, ids in doubtful.items()},
        "hooli": {late, *doubtful["hooli"]},
    }
