"""Vendor keys: taken in turn, found again by a name that tells nothing."""

from __future__ import annotations

import re

import pytest

from app.upstream.keyring import Keyring, VendorKey

SECRETS = ["sk-first-0000000001", "sk-second-000000002", "sk-third-0000000003"]


def test_creates_take_the_keys_in_turn():
    """Every key carries its share, in the order configured, without end."""
    keyring = Keyring(SECRETS)

    picked = [keyring.pick() for _ in range(7)]

    assert [key and key.secret.get_secret_value() for key in picked] == [
        *SECRETS,
        *SECRETS,
        SECRETS[0],
    ]


def test_without_keys_there_is_none_to_pick():
    """The gateway starts without one and says so when asked to create."""
    keyring = Keyring([])

    assert len(keyring) == 0
    assert keyring.pick() is None
    assert keyring.by_id("vk_000000000000") is None


@pytest.mark.parametrize("secret", SECRETS)
def test_a_key_is_found_again_by_its_id(secret):
    """Also by another process, and after the others were reordered: the id follows from the key."""
    key_id = VendorKey.of(secret).id

    found = Keyring(SECRETS[::-1]).by_id(key_id)

    assert found is not None
    assert found.secret.get_secret_value() == secret


def test_a_key_that_was_taken_away_is_not_found():
    """Its tasks are read by nobody rather than with another key."""
    assert Keyring(SECRETS[1:]).by_id(VendorKey.of(SECRETS[0]).id) is None


def test_ids_are_short_and_differ():
    """They stand in records, logs and metrics."""
    ids = {VendorKey.of(secret).id for secret in SECRETS}

    assert len(ids) == len(SECRETS)
    assert all(re.fullmatch(r"vk_[0-9a-f]{12}", key_id) for key_id in ids)


@pytest.mark.parametrize(
    "show", [repr, str, "{}".format, "{!r}".format], ids=["repr", "str", "format", "format-repr"]
)
def test_a_key_is_never_printed(show):
    """Neither by itself nor within what holds it."""
    key, keyring = VendorKey.of(SECRETS[0]), Keyring(SECRETS)

    for holder in (key, keyring, [key], {"key": key}, keyring.pick()):
        assert "sk-" not in show(holder)
        assert SECRETS[0][3:] not in show(holder)
