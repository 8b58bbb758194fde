"""Shares of a process: nobody takes what others need, and receivers get what they can bear."""

from __future__ import annotations

import pytest

from app.flows.delivery_places import DeliveryPlaces, Widths


def at_work(
    places: DeliveryPlaces, tenant_id: str, *, receivers: int = 1, failing: bool = False
) -> int:
    """Let receivers of a tenant take all that they may, one after the other; returns how many."""
    places.begin(tenant_id, receivers)
    return sum(places.take(tenant_id, 32, 0, is_failing=failing) for _ in range(receivers))


def test_a_tenant_alone_widens_to_a_third() -> None:
    """While others hold nothing; a single receiver is held by its own width first."""
    places = DeliveryPlaces(256)
    places.begin("acme")

    assert places.take("acme", 1_000, 0, is_failing=False) == 86
    assert places.take("acme", 1, 86, is_failing=False) == 0


def test_receivers_of_a_tenant_share_evenly() -> None:
    """Whoever holds more takes no more; whoever comes has a place at once."""
    places = DeliveryPlaces(256)
    assert at_work(places, "acme", receivers=2) == 64
    places.begin("acme", 18)

    assert places.take("acme", 1, 32, is_failing=False) == 0
    assert places.take("acme", 32, 0, is_failing=False) == 4


def test_a_tenant_holds_half_at_the_most() -> None:
    """However many receivers it has: one place each, as soon as there is no room to widen."""
    places = DeliveryPlaces(256)

    assert at_work(places, "acme", receivers=300) == 128
    assert places.room_of("acme", is_failing=False) == 0
    assert places.room_of("globex", is_failing=False) > 0


@pytest.mark.parametrize("receivers", [1, 10, 100])
def test_many_tenants_that_hang_leave_room_for_another(receivers: int) -> None:
    """The last quarter is for tenants that hold next to nothing: four places each."""
    places = DeliveryPlaces(256)
    for number in range(10):
        at_work(places, f"hangs-{number}", receivers=receivers)

    assert places.room_of("another", is_failing=False) > 0
    assert places.room_of("another", is_failing=True) > 0


def test_those_that_fail_share_a_quarter_and_no_tenant_has_all_of_it() -> None:
    """The rest stays free for those that do not."""
    places = DeliveryPlaces(256)

    assert at_work(places, "acme", receivers=100, failing=True) == 32
    assert places.room_of("acme", is_failing=True) == 0
    assert at_work(places, "globex", receivers=100, failing=True) == 16
    assert places.room_for_failing == 16
    assert places.room_of("acme", is_failing=False) > 0
    places.give_back("acme", 17, is_failing=True)
    assert places.room_for_failing == 33
    assert places.room_of("acme", is_failing=True) == 1


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_few_places_serve_everybody(count: int) -> None:
    """One after the other, where there are no more; and none is lost."""
    places = DeliveryPlaces(count)
    for tenant_id in ("acme", "globex"):
        for is_failing in (False, True):
            places.begin(tenant_id)
            took = places.take(tenant_id, 4, 0, is_failing=is_failing)
            assert took >= 1
            places.give_back(tenant_id, took, is_failing=is_failing)
            places.end(tenant_id)


def test_there_is_room_for_as_many_receivers_as_places() -> None:
    """Each of them must be able to have one; those that are about to begin count, too."""
    places = DeliveryPlaces(8)
    places.begin("acme", 4)
    places.begin(count=4)

    assert places.room == 0
    places.end("acme")
    places.end(count=4)
    assert places.room == 5


def test_a_receiver_begins_at_four_and_after_a_failure_at_one() -> None:
    """Also where the failure was another process's; what this one knows itself counts for more."""
    widths = Widths()
    assert widths.of("well", is_failing=False) == 4
    assert widths.of("failing", is_failing=True) == 1
    assert widths.fails("failing")

    widths.note("well", delivered=False)
    widths.note("failing", delivered=True)

    assert widths.of("well", is_failing=False) == 1
    assert widths.of("failing", is_failing=True) == 2
    assert not widths.fails("failing", is_failing=True)
