"""An operator puts right a task that is followed in vain; the vendor is asked about its id."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import SecretStr

from app.domain.audit import Actor
from app.domain.resolution import Resolution
from app.errors import NotResolvable, NoVendorKey, VendorUnreachable
from tests.conftest import OpenBed
from tests.flows.doubting import doubted, made_past_the_gateway, movements
from tests.support.bed import Bed, character

OPERATOR = Actor("admin", "req-0001")
HELD = 100_000
NOBODYS = "task-unified-1767917446-typo"
"""Of the shape of the vendor's ids; it has no such task."""


async def resolve(bed: Bed, task_id: str, how: str, **more: Any) -> None:
    """Give an operator's word."""
    wanted = Resolution.read({"as": how, "reason": "seen in the console", **more})
    await bed.gateway.resolve(task_id, wanted, OPERATOR)


async def acts(bed: Bed) -> list[dict[str, Any]]:
    """Return what the audit log has of resolved tasks, newest first."""
    entries, _ = await bed.gateway.store.audit.page(tenant_id=None, before=None, limit=100)
    return [each["detail"] for each in entries if each["act"] == "task.resolved"]


async def followed(bed: Bed, key: str, state: str, scenario: str = "") -> str:
    """Return a task that is followed under an id of which the vendor knows nothing."""
    task_id = await doubted(bed, key, scenario)
    await resolve(bed, task_id, "accepted", vendor_id=NOBODYS, unseen=True)
    if state == "watching":
        await bed.pass_time(2 * 3600)
    assert (await bed.stored(task_id))["state"] == state
    return task_id


def made_by(bed: Bed) -> str:
    """Return the vendor's id of the task that it made first."""
    return str(bed.vendor.creates()[0]["created_task_id"])


@pytest.mark.parametrize("state", ["submitted", "watching"])
async def test_a_task_is_given_the_right_id_in_place_of_a_wrong_one(bed: Bed, state: str) -> None:
    """It comes to its end at its price, as if nobody had mistyped anything."""
    key = await bed.key()
    task_id = await followed(bed, key, state)

    await resolve(bed, task_id, "accepted", vendor_id=made_by(bed))
    await bed.pass_time(200)

    assert (await bed.read(key, task_id)).json()["status"] == "completed"
    assert await movements(bed, task_id) == [("hold", HELD), ("settle", HELD)]
    assert [act["vendor_id"] for act in await acts(bed)] == [made_by(bed), NOBODYS]
    assert len(bed.vendor.creates()) == 1


@pytest.mark.parametrize("state", ["submitted", "watching"])
@pytest.mark.parametrize(("how", "end"), [("rejected", "release"), ("written_off", "settle")])
async def test_a_task_that_is_followed_in_vain_is_ended(
    bed: Bed, state: str, how: str, end: str
) -> None:
    """Its hold, its slot and its reads with it."""
    key = await bed.key(tasks_in_flight=1)
    task_id = await followed(bed, key, state)

    await resolve(bed, task_id, how)
    reads = len(bed.vendor.reads())
    await bed.pass_time(3600)

    assert (await bed.stored(task_id))["state"] == how
    assert (await bed.read(key, task_id)).json()["status"] == "failed"
    assert await movements(bed, task_id) == [("hold", HELD), (end, HELD)]
    assert (await acts(bed))[0] == {"as": how, "reason": "seen in the console", "task": task_id}
    assert len(bed.vendor.reads()) == reads
    assert (await bed.create(key)).status_code == 200


async def test_a_task_that_never_was_in_doubt_is_given_an_id_too(bed: Bed) -> None:
    """Its vendor's task was made before it was known to be accepted."""
    key = await bed.key()
    task_id = await bed.created(key, character("seconds:1"))
    await resolve(bed, task_id, "accepted", vendor_id=NOBODYS, unseen=True)

    await resolve(bed, task_id, "accepted", vendor_id=made_by(bed))
    await bed.pass_time(60)

    assert (await bed.read(key, task_id)).json()["status"] == "completed"


async def test_a_task_that_the_vendor_has_forgotten_is_ended(bed: Bed) -> None:
    """One that it had accepted itself."""
    key = await bed.key()
    task_id = await bed.created(key, character("outcome:never"))
    bed.vendor.fault("status", on="report", status=404)
    await bed.pass_time(60)

    await resolve(bed, task_id, "rejected")

    assert await movements(bed, task_id) == [("hold", HELD), ("release", HELD)]


async def test_what_a_followed_task_showed_stays(bed: Bed) -> None:
    """Its progress does not fall back when it is followed under another id."""
    key = await bed.key()
    task_id = await bed.created(key, character("seconds:100"))
    await bed.pass_time(50)
    before = await bed.read(key, task_id)

    await resolve(bed, task_id, "accepted", vendor_id=NOBODYS, unseen=True)

    assert before.json()["progress"] > 0
    assert (await bed.read(key, task_id)).content == before.content


async def test_an_id_that_the_vendor_does_not_know_is_refused(bed: Bed) -> None:
    """Before anything is changed; and what would mend it is told."""
    task_id = await doubted(bed, await bed.key())
    before = await bed.stored(task_id)

    with pytest.raises(NotResolvable, match=r"has no task of that id.*look it up") as refusal:
        await resolve(bed, task_id, "accepted", vendor_id=NOBODYS)

    assert refusal.value.param == "vendor_id"
    assert bed.vendor.reads()[-1]["path"] == f"/v1/tasks/{NOBODYS}"
    assert await bed.stored(task_id) == before
    assert await acts(bed) == []


@pytest.mark.parametrize(
    ("later_s", "body"),
    [
        (3600, character()),
        (0, {"model": "sora-2-preview", "prompt": "a heron"}),
    ],
    ids=["another time", "another model"],
)
async def test_an_id_of_another_task_is_refused(
    bed: Bed, later_s: float, body: dict[str, Any]
) -> None:
    """Of another model, or made when this one was not being sent."""
    task_id = await doubted(bed, await bed.key())
    await bed.pass_time(later_s)
    vendor_id = await made_past_the_gateway(bed, body)

    with pytest.raises(NotResolvable, match="another model, or was made at another time"):
        await resolve(bed, task_id, "accepted", vendor_id=vendor_id)

    assert (await bed.stored(task_id))["state"] == "in_doubt"
    assert await acts(bed) == []


@pytest.mark.parametrize(
    ("mode", "params"), [("status", {"status": 500}), ("reset", {}), ("malformed", {})]
)
async def test_a_vendor_that_does_not_tell_is_no_yes(
    bed: Bed, mode: str, params: dict[str, int]
) -> None:
    """Nothing is changed until it does, or until it is not to be asked."""
    task_id = await doubted(bed, await bed.key())
    vendor_id = made_by(bed)
    bed.vendor.fault(mode, on="report", **params)

    with pytest.raises(VendorUnreachable, match=r"vendor_id: .*unseen"):
        await resolve(bed, task_id, "accepted", vendor_id=vendor_id)
    state = (await bed.stored(task_id))["state"]
    await resolve(bed, task_id, "accepted", vendor_id=vendor_id, unseen=True)

    assert state == "in_doubt"
    assert (await bed.stored(task_id))["vendor_id"] == vendor_id
    assert [act["unseen"] for act in await acts(bed)] == [True]


async def test_without_the_key_of_the_send_nothing_can_be_asked(
    bed: Bed, open_gateway_bed: OpenBed
) -> None:
    """Another key of the vendor would be told that there is no such task."""
    task_id = await doubted(bed, await bed.key())
    vendor_id = made_by(bed)
    reads = len(bed.vendor.reads())

    async with open_gateway_bed(vendor={"keys": SecretStr("sk-another-key-000001")}) as other:
        with pytest.raises(NoVendorKey, match="not configured"):
            await resolve(other, task_id, "accepted", vendor_id=vendor_id)

    assert len(bed.vendor.reads()) == reads
    assert (await bed.stored(task_id))["state"] == "in_doubt"


async def test_reads_for_operators_count_with_the_others(open_gateway_bed: OpenBed) -> None:
    """A vendor that allows one read a second is not asked twice in one."""
    async with open_gateway_bed(poll={"per_second": 1}) as bed:
        task_id = await doubted(bed, await bed.key())

        with pytest.raises(NotResolvable):
            await resolve(bed, task_id, "accepted", vendor_id=NOBODYS)
        with pytest.raises(VendorUnreachable, match="at this moment"):
            await resolve(bed, task_id, "accepted", vendor_id=made_by(bed))

        assert len(bed.vendor.reads()) == 1


async def test_of_two_doubts_that_are_given_one_id_at_once_one_is_followed(bed: Bed) -> None:
    """The vendor has made one task, and that is what is paid for."""
    tasks = [await doubted(bed, await bed.key(tenant)) for tenant in ("acme", "globex")]
    vendor_id = made_by(bed)

    outcomes = await asyncio.gather(
        *(resolve(bed, each, "accepted", vendor_id=vendor_id) for each in tasks),
        return_exceptions=True,
    )

    assert sorted(type(each).__name__ for each in outcomes) == ["NoneType", "NotResolvable"]
    assert len(await acts(bed)) == 1


async def test_of_two_ids_given_at_once_one_is_refused(bed: Bed) -> None:
    """What the second operator says was said of a task that has changed since."""
    task_id = await followed(bed, await bed.key(), "submitted")

    outcomes = await asyncio.gather(
        *(
            resolve(bed, task_id, "accepted", vendor_id=f"{NOBODYS}{each}", unseen=True)
            for each in (1, 2)
        ),
        return_exceptions=True,
    )

    assert sorted(type(each).__name__ for each in outcomes) == ["NoneType", "NotResolvable"]
    assert len(await acts(bed)) == 2
