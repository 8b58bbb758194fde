"""One real way to every error on the closed list: nothing is faked but the vendor's mood."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import httpx2
from pydantic import SecretStr

from app import errors
from app.domain.catalogue import Catalogue
from app.domain.ids import mint_api_key
from app.wiring import built_in_catalogue
from tests.api import provoking_pages  # noqa: F401 - enters its ways
from tests.api.asking import UNKNOWN_ID, bearer, post_bytes
from tests.api.operating import DOUBTS, TENANTS, WITH_ADMIN, WRITTEN_OFF, Operator
from tests.api.subscribing import UNKNOWN_WEBHOOK, subscriber
from tests.api.ways import WAYS as WAYS
from tests.api.ways import Scene as Scene
from tests.api.ways import leads_to
from tests.support.bed import CREATE_PATH, character
from tests.support.wait import wait_until


@leads_to(errors.InvalidRequest)
async def leave_out_the_video(scene: Scene) -> httpx2.Response:
    """Send a create without the field that its model needs."""
    return await scene.bed.create(await scene.bed.key(), {"model": "sora-character"})


@leads_to(errors.MalformedJson)
async def send_half_a_body(scene: Scene) -> httpx2.Response:
    """Break off within the JSON."""
    return await post_bytes(scene.bed, await scene.bed.key(), b'{"model": "sora-')


@leads_to(errors.InvalidTaskId)
async def read_by_another_name(scene: Scene) -> httpx2.Response:
    """Ask for an id of another family."""
    return await scene.bed.read(await scene.bed.key(), "job-1767917446-abc123")


@leads_to(errors.InvalidKey)
async def use_a_key_nobody_issued(scene: Scene) -> httpx2.Response:
    """Call with a key whose checksum is right and which is unknown all the same."""
    await scene.bed.key()
    return await scene.bed.create(mint_api_key("live", lambda letters: letters[0]))


@leads_to(errors.InvalidAdminToken, **WITH_ADMIN)
async def administer_with_a_tenants_key(scene: Scene) -> httpx2.Response:
    """Take the key of a tenant for the token of an operator."""
    return await Operator(scene.bed, await scene.bed.key()).ask("GET", TENANTS)


@leads_to(errors.CreditExhausted)
async def spend_more_than_there_is(scene: Scene) -> httpx2.Response:
    """Ask for a task of 0.1 credits with 0.05 to spend."""
    return await scene.bed.create(await scene.bed.key(credits_per_day="0.05"))


@leads_to(errors.PriceUnknown)
async def ask_for_what_has_no_price(scene: Scene) -> httpx2.Response:
    """Let a tenant with a credit limit use a model the catalogue has no price for."""
    app, model = scene.bed.app, built_in_catalogue().model("sora-character")
    unpriced = Catalogue({model.name: model.model_copy(update={"price": "unknown"})})
    submit = replace(scene.bed.gateway.submit, catalogue=unpriced)
    app.state.gateway = replace(scene.bed.gateway, submit=submit)
    return await scene.bed.create(await scene.bed.key(credits_per_day="100"))


@leads_to(errors.TenantDisabled)
async def call_for_a_disabled_tenant(scene: Scene) -> httpx2.Response:
    """Switch the tenant off and go on calling."""
    key = await scene.bed.key("acme")
    await scene.bed.switch("acme", disabled=True)
    return await scene.bed.create(key)


@leads_to(errors.ModelNotAllowed)
async def ask_for_a_model_of_others(scene: Scene) -> httpx2.Response:
    """Use a model that is not on the tenant's list."""
    return await scene.bed.create(await scene.bed.key(models=["veo3.1-fast"]))


@leads_to(errors.UnknownPath)
async def ask_for_no_such_path(scene: Scene) -> httpx2.Response:
    """Call a route that there is not."""
    return await scene.bed.http.get("/v2/tasks")


@leads_to(errors.ModelNotFound)
async def ask_for_no_such_model(scene: Scene) -> httpx2.Response:
    """Name a model that the catalogue does not hold."""
    return await scene.bed.create(await scene.bed.key(), character(model="no-such-model"))


@leads_to(errors.TaskNotFound)
async def read_what_was_never_made(scene: Scene) -> httpx2.Response:
    """Ask for an id of the right shape."""
    return await scene.bed.read(await scene.bed.key(), UNKNOWN_ID)


@leads_to(errors.WebhookNotFound)
async def delete_a_webhook_there_is_not(scene: Scene) -> httpx2.Response:
    """Name an endpoint that nobody made."""
    return await (await subscriber(scene.bed)).ask("DELETE", f"/{UNKNOWN_WEBHOOK}")


@leads_to(errors.DeliveryNotFound)
async def redeliver_what_was_never_told(scene: Scene) -> httpx2.Response:
    """Name a message that was never made."""
    asking = await subscriber(scene.bed)
    made = await asking.webhook()
    return await asking.ask("POST", f"/{made['id']}/redeliver", json={"id": "msg_1"})


@leads_to(errors.TooManyWebhooks, webhook={"max_endpoints": 1})
async def make_a_webhook_too_many(scene: Scene) -> httpx2.Response:
    """Make a second one where one is allowed."""
    asking = await subscriber(scene.bed)
    made = await asking.webhook()
    return await asking.ask("POST", json={"url": made["url"]})


@leads_to(errors.WebhookDisabled)
async def try_a_disabled_webhook(scene: Scene) -> httpx2.Response:
    """Ask for a test of an endpoint that is told nothing."""
    asking = await subscriber(scene.bed)
    made = await asking.webhook(disabled=True)
    return await asking.ask("POST", f"/{made['id']}/test")


@leads_to(errors.TenantNotFound, **WITH_ADMIN)
async def look_for_a_tenant_there_is_not(scene: Scene) -> httpx2.Response:
    """Ask the admin API for an id that nobody created."""
    return await Operator(scene.bed).ask("GET", f"{TENANTS}/acme")


@leads_to(errors.KeyNotFound, **WITH_ADMIN)
async def end_a_key_there_is_not(scene: Scene) -> httpx2.Response:
    """Revoke by an id that no key of the tenant has."""
    await Operator(scene.bed).tenant()
    return await Operator(scene.bed).ask("DELETE", f"{TENANTS}/acme/keys/key-1")


@leads_to(errors.TenantExists, **WITH_ADMIN)
async def create_a_tenant_twice(scene: Scene) -> httpx2.Response:
    """Give two tenants one id."""
    await Operator(scene.bed).tenant()
    return await Operator(scene.bed).ask("POST", TENANTS, json={"id": "acme"})


@leads_to(errors.TasksOpen, tasks_made=1, **WITH_ADMIN)
async def delete_a_tenant_at_work(scene: Scene) -> httpx2.Response:
    """Delete a tenant one of whose tasks is unfinished."""
    await scene.bed.created(await scene.bed.key())
    return await Operator(scene.bed).ask("DELETE", f"{TENANTS}/acme")


@leads_to(errors.KeyEnded, **WITH_ADMIN)
async def rotate_what_has_ended(scene: Scene) -> httpx2.Response:
    """Rotate a key that was revoked."""
    operator = Operator(scene.bed)
    await operator.tenant()
    key = await operator.key()
    place = f"{TENANTS}/acme/keys/{key['id']}"
    await operator.done("DELETE", place)
    return await operator.ask("POST", f"{place}/rotate")


@leads_to(errors.MethodNotAllowed)
async def use_another_method(scene: Scene) -> httpx2.Response:
    """Put where one can only post."""
    return await scene.bed.http.put(CREATE_PATH)


@leads_to(errors.IdempotencyConflict, tasks_made=1)
async def reuse_a_name_for_something_else(scene: Scene) -> httpx2.Response:
    """Send two bodies with one Idempotency-Key."""
    key = await scene.bed.key()
    await scene.bed.created(key, idempotency_key="order-1")
    return await scene.bed.create(key, character(timestamps="0,1"), idempotency_key="order-1")


@leads_to(errors.IdempotencyInFlight, tasks_made=1)
async def repeat_before_the_answer(scene: Scene) -> httpx2.Response:
    """Repeat a create while the vendor still thinks about the first."""
    return await _while_one_is_sent(scene, idempotency_key="order-1")


@leads_to(errors.RequestTooLarge, max_body_bytes=1024)
async def send_too_much(scene: Scene) -> httpx2.Response:
    """Send more than the gateway reads."""
    return await scene.bed.create(await scene.bed.key(), character(note="x" * 1024))


@leads_to(errors.UnsupportedMediaType)
async def call_it_text(scene: Scene) -> httpx2.Response:
    """Declare the body as something else than it is."""
    return await post_bytes(scene.bed, await scene.bed.key(), b"{}", ("content-type", "text/plain"))


@leads_to(errors.RateLimited, tasks_made=1)
async def create_too_often(scene: Scene) -> httpx2.Response:
    """Create twice in the minute that allows one."""
    key = await scene.bed.key(creates_per_minute=1)
    await scene.bed.created(key)
    return await scene.bed.create(key)


@leads_to(errors.TooManyInFlight, tasks_made=1)
async def create_beside_an_open_task(scene: Scene) -> httpx2.Response:
    """Create while the only slot is taken."""
    key = await scene.bed.key(tasks_in_flight=1)
    await scene.bed.created(key)
    return await scene.bed.create(key)


@leads_to(errors.QueueFull, tasks_made=1)
async def create_behind_a_full_queue(scene: Scene) -> httpx2.Response:
    """Create while the only slot is taken, for a tenant in whose queue nobody may wait."""
    key = await scene.bed.key(tasks_in_flight=1, when_full="queue", max_queued=0)
    await scene.bed.created(key)
    return await scene.bed.create(key)


@leads_to(errors.CannotCancel, tasks_made=1)
async def cancel_what_has_left(scene: Scene) -> httpx2.Response:
    """Cancel a task that the vendor has."""
    key = await scene.bed.key()
    task_id = await scene.bed.created(key)
    return await scene.bed.http.post(f"/v1/tasks/{task_id}/cancel", headers=[bearer(key)])


@leads_to(errors.NotResolvable, tasks_made=1, **WITH_ADMIN)
async def resolve_what_nobody_doubts(scene: Scene) -> httpx2.Response:
    """Give an operator's word on a task that has ended."""
    task_id = await scene.bed.created(await scene.bed.key(), character("seconds:1"))
    await scene.bed.pass_time(20)
    return await Operator(scene.bed).ask("POST", f"{DOUBTS}/{task_id}/resolve", json=WRITTEN_OFF)


@leads_to(errors.VendorRefused)
async def displease_the_vendor(scene: Scene) -> httpx2.Response:
    """Have the vendor find fault with the request."""
    return await _refused_by_the_vendor(scene, status=400)


@leads_to(errors.UpstreamRejected)
async def meet_a_conflict_of_others(scene: Scene) -> httpx2.Response:
    """Have the vendor reject the call over something the caller has no part in."""
    return await _refused_by_the_vendor(scene, status=409)


@leads_to(errors.InternalError, testing={"failpoints": "submit.arrived=raise"})
async def meet_a_defect(scene: Scene) -> httpx2.Response:
    """Let the program fail where nobody foresaw it."""
    return await scene.bed.create(await scene.bed.key())


@leads_to(errors.NoVendorKey, vendor={"keys": SecretStr("")})
async def create_without_a_vendor_key(scene: Scene) -> httpx2.Response:
    """Use a live key of a gateway that has nothing to pay with."""
    return await scene.bed.create(await scene.bed.key())


@leads_to(errors.NoVendorCapacity)
async def have_the_vendor_key_refused(scene: Scene) -> httpx2.Response:
    """Have the vendor accept no key of the gateway."""
    return await _refused_by_the_vendor(scene, status=401)


@leads_to(errors.VendorUnreachable, vendor={"base_url": "http://127.0.0.1:1"})
async def call_where_nobody_listens(scene: Scene) -> httpx2.Response:
    """Have every connection to the vendor refused."""
    return await scene.bed.create(await scene.bed.key())


@leads_to(errors.Overloaded, tasks_made=1, vendor={"max_in_flight": 1})
async def create_beside_a_full_house(scene: Scene) -> httpx2.Response:
    """Create while as many calls wait for the vendor as may."""
    return await _while_one_is_sent(scene)


@leads_to(errors.StoreUnavailable, redis_timeout_s=0.2)
async def call_while_the_store_is_frozen(scene: Scene) -> httpx2.Response:
    """Call a gateway whose Redis accepts commands and answers none."""
    key = await scene.bed.key()
    scene.server.freeze()
    try:
        return await scene.bed.create(key)
    finally:
        scene.server.thaw()


@leads_to(errors.StoreForeign)
async def call_after_the_store_was_emptied(scene: Scene) -> httpx2.Response:
    """Call a gateway whose Redis has lost everything."""
    key = await scene.bed.key()
    await scene.bed.read(key, UNKNOWN_ID)
    scene.server.flush()
    return await scene.bed.create(key)


@leads_to(errors.NotReady)
async def probe_an_emptied_store(scene: Scene) -> httpx2.Response:
    """Ask whether a gateway can work whose Redis has lost everything."""
    scene.server.flush()
    return await scene.bed.http.get("/readyz")


@leads_to(errors.Stopping)
async def come_too_late(scene: Scene) -> httpx2.Response:
    """Call a process that has begun to stop."""
    key = await scene.bed.key()
    await scene.bed.gateway.running.drain(0)
    return await scene.bed.create(key)


async def _refused_by_the_vendor(scene: Scene, status: int) -> httpx2.Response:
    scene.bed.vendor.fault("status", status=status)
    return await scene.bed.create(await scene.bed.key())


async def _while_one_is_sent(scene: Scene, **headers: str) -> httpx2.Response:
    """Create, and create again once the vendor has the first and before it answers."""
    bed, key = scene.bed, await scene.bed.key()
    bed.vendor.fault("delay", ms=300)
    async with asyncio.TaskGroup() as group:
        group.create_task(bed.create(key, **headers))
        await wait_until(bed.vendor.creates, describing="the first create to reach the vendor")
        return await bed.create(key, **headers)
