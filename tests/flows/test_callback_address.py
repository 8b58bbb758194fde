"""Whom the vendor is told to call back: by the setting, for live tasks, and seen by no tenant."""

from __future__ import annotations

from typing import Any

import pytest

from app.store.keys import Shard
from tests.conftest import OpenBed
from tests.flows.doubting import called_back
from tests.support.bed import Bed, character
from tests.support.dictated_vendor import TASK, DictatedVendor, words
from tests.support.vendor import Vendor

URL = "https://gateway.example.com/behind/a/path"
DOCUMENTED = {"model": "veo3.1-fast-beta", "prompt": "a lighthouse in a storm"}
UNDOCUMENTED = character()


async def address_told(bed: Bed, body: dict[str, Any]) -> str | None:
    """Return the callback address in the create that the vendor got for a body."""
    await bed.created(await bed.key(), body)
    (create,) = bed.vendor.creates()
    told: str | None = create["body"].get("callback_url")
    return told


@pytest.mark.parametrize(
    ("policy", "body", "public_url", "is_told"),
    [
        ("documented", DOCUMENTED, URL, True),
        ("documented", UNDOCUMENTED, URL, False),
        ("always", DOCUMENTED, URL, True),
        ("always", UNDOCUMENTED, URL, True),
        ("never", DOCUMENTED, URL, False),
        ("never", UNDOCUMENTED, URL, False),
        *((policy, DOCUMENTED, "", False) for policy in ("documented", "always", "never")),
    ],
    ids=str,
)
async def test_the_setting_says_for_which_models_an_address_is_told(
    open_gateway_bed: OpenBed, policy: str, body: dict[str, Any], public_url: str, is_told: bool
) -> None:
    """And without a public address there is none to tell."""
    async with open_gateway_bed(public_url=public_url, vendor={"callbacks": policy}) as bed:
        told = await address_told(bed, body)

    assert (told is not None) is is_told
    assert told is None or told.startswith(f"{URL}/vendor/callback/")


async def test_by_default_no_address_is_told(bed: Bed) -> None:
    """Whoever sets nothing up is called by nobody."""
    assert await address_told(bed, DOCUMENTED) is None


async def test_the_rest_of_the_body_is_what_the_tenant_sent(open_gateway_bed: OpenBed) -> None:
    """The address is added to it, and nothing else is touched."""
    async with open_gateway_bed(public_url=URL, vendor={"callbacks": "always"}) as bed:
        sent = character(note="ä", weight=1.50, nested={"callback_url": "x"})
        await bed.created(await bed.key(), sent)
        (create,) = bed.vendor.creates()

    assert create["body"] == sent | {"callback_url": create["body"]["callback_url"]}


async def test_every_task_has_an_address_of_its_own(open_gateway_bed: OpenBed) -> None:
    """It tells the gateway which task is meant, although the answer was lost."""
    async with open_gateway_bed(public_url=URL, vendor={"callbacks": "always"}) as bed:
        key = await bed.key()
        ids = [await bed.created(key) for _ in range(3)]
        told = [create["body"]["callback_url"] for create in bed.vendor.creates()]

    assert [task_id in address for task_id, address in zip(ids, told, strict=True)] == [True] * 3


async def test_all_gateways_of_a_store_know_each_others_addresses(
    open_gateway_bed: OpenBed,
) -> None:
    """The vendor may reach another process than the one that sent."""
    async with called_back(open_gateway_bed) as one, called_back(open_gateway_bed) as two:
        task_id = await one.bed.created(await one.bed.key(), character("seconds:900"))

        assert (await two.notify(one.token(task_id))).status_code == 200


async def test_a_test_key_has_no_address(open_gateway_bed: OpenBed, vendor: Vendor) -> None:
    """Its tasks go to the sandbox inside, which has nobody to call."""
    async with called_back(open_gateway_bed) as called:
        bed = called.bed
        key = await bed.key(mode="test")
        task_id = await bed.created(key, character("seconds:1"))
        (task,) = await bed.gateway.store.tasks.load(Shard.of("acme"), [task_id])
        send, model = bed.gateway.submit.send, bed.gateway.catalogue.known(task.model)
        await bed.pass_time(20)

        assert send.callbacks.added_to('{"a":1}', task, model) == '{"a":1}'
        assert (await bed.read(key, task_id)).json()["status"] == "completed"
        assert (called.office.statuses, vendor.journal()) == ([], [])


async def test_no_tenant_ever_sees_the_address(open_gateway_bed: OpenBed) -> None:
    """Not even from a vendor that repeats what it was sent, wherever it puts it."""
    async with (
        DictatedVendor() as vendor,
        open_gateway_bed(
            public_url=URL, vendor={"callbacks": "always", "base_url": vendor.url}
        ) as bed,
    ):
        key = await bed.key()
        told = {"callback_url": f"{URL}/vendor/callback/00.x.y"}
        echo = {**told, "task_info": TASK["task_info"] | told}
        vendor.of_create = words(TASK | echo)
        created = await bed.create(key)
        vendor.say(TASK | echo, status="completed", results=["https://example.com/v.mp4"])
        await bed.pass_time(20)
        answers = [created, await bed.read(key, created.json()["id"])]
        listed = await bed.http.get("/v1/tasks", headers={"authorization": f"Bearer {key}"})

    seen = "".join(answer.text for answer in (*answers, listed))
    assert "gateway.example.com" not in seen
    assert "callback" not in seen


@pytest.mark.parametrize("policy", ["documented", "always", "never"])
@pytest.mark.parametrize("body", [DOCUMENTED, UNDOCUMENTED], ids=["documented", "undocumented"])
async def test_a_tenants_own_address_is_never_passed_on(
    open_gateway_bed: OpenBed, policy: str, body: dict[str, Any]
) -> None:
    """Whatever the vendor is told, it is ours; the tenant's is for the gateway alone."""
    async with open_gateway_bed(public_url=URL, vendor={"callbacks": policy}) as bed:
        mine = body | {"callback_url": "https://example.com/hook"}
        told = await address_told(bed, mine)

        assert told is None or told.startswith(URL)
