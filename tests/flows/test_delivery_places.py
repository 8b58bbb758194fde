"""Shares of a process: nobody takes what others need, and receivers get what they can bear."""

from __future__ import annotations

from app.flows.delivery_places import DeliveryPlaces, Widths


def test_one_receiver_alone_may_have_all_places() -> None:
    """As many as it wants and there are."""
    places = DeliveryPlaces(8)
    places.begin()

    assert places.take(32, 0, is_failing=False) == 8
    assert places.take(1, 8, is_failing=False) == 0


def test_beside_others_each_has_an_even_share() -> None:
    """Whoever holds more takes no more; whoever comes has a place as soon as one is free."""
    places = DeliveryPlaces(8)
    places.begin()
    assert places.take(8, 0, is_failing=False) == 8
    places.begin()

    assert places.take(1, 0, is_failing=False) == 0
    places.give_back(2, is_failing=False)
    assert places.take(1, 6, is_failing=False) == 0
    assert places.take(4, 0, is_failing=False) == 2


def test_those_that_fail_share_a_quarter() -> None:
    """The rest stays free for those that do not."""
    places = DeliveryPlaces(8)
    places.begin()

    assert places.take(5, 0, is_failing=True) == 2
    assert places.room_for_failing == 0
    assert places.take(5, 0, is_failing=True) == 0
    assert places.take(8, 0, is_failing=False) == 6
    places.give_back(1, is_failing=True)
    assert places.room_for_failing == 1


def test_there_is_room_for_as_many_receivers_as_places() -> None:
    """Each of them must be able to have one."""
    places = DeliveryPlaces(8)
    for _ in range(8):
        places.begin()

    assert places.room == 0
    places.end()
    assert places.room == 1


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
