"""Ids and keys: shapes others rely on, enough chance in them, and typing errors found offline."""

from __future__ import annotations

import base64
import hashlib
import math
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import ids
from tests.support.properties import checked

KEY = "rg_live_0123456789ABCDEFGHIJKLMNOPQRST3sH2vR"
"""A key as it was given out by the first release."""

CLIENT_PATTERNS = (
    r"task-unified-[a-z0-9-]+",
    r"task-unified-[A-Za-z0-9_-]{8,180}",
    r"[A-Za-z0-9._:-]{1,128}",
)
"""What clients of the vendor are known to demand of an id."""

seeds = st.integers(0, 2**32)


def chooser(seed: int) -> ids.Choose:
    """Return a repeatable source of characters."""
    return random.Random(seed).choice


def bits_in(mint: object) -> float:
    """Return how many bits of chance `mint` takes from its source."""
    taken = 0.0

    def first_letter(letters: str) -> str:
        nonlocal taken
        taken += math.log2(len(set(letters)))
        return letters[0]

    mint(first_letter)  # type: ignore[operator]
    return taken


@checked
@given(now_ms=st.integers(0, 9_999_999_999_999), seed=seeds)
def test_a_minted_task_id_is_one_and_holds_its_time(now_ms, seed):
    """Whenever it was made, its shape is right and the second can be read back."""
    minted = ids.mint_task_id(now_ms, chooser(seed))

    assert ids.is_task_id(minted)
    assert ids.created_s(minted) == now_ms // 1000


@pytest.mark.parametrize("pattern", CLIENT_PATTERNS)
def test_a_minted_task_id_passes_the_checks_of_known_clients(pattern):
    """Clients that test the id before they use it take ours for the vendor's."""
    minted = ids.mint_task_id(1767917446000, chooser(7))

    assert re.fullmatch(pattern, minted)


@pytest.mark.parametrize(
    ("mint", "least_bits"),
    [
        (lambda choose: ids.mint_task_id(0, choose), 128),
        (lambda choose: ids.mint_api_key("live", choose), 128),
        (ids.mint_key_id, 60),
    ],
    ids=["task id", "key", "key id"],
)
def test_nobody_guesses_an_id(mint, least_bits):
    """Every character comes from the source handed in, and there are enough of them."""
    assert bits_in(mint) >= least_bits


@pytest.mark.parametrize(
    "text",
    [
        "",
        "task-unified-",
        "task-unified-1767917446-5lqy8zzv",
        "task-unified-1767917446-0123456789abcdefghijklmn",
        "task-unified-1767917446-0123456789abcdefghijklmnop",
        "task-unified-176791744-0123456789abcdefghijklmno",
        "task-unified-17679174460-0123456789abcdefghijklmno",
        "task-unified-1767917446-0123456789ABCDEFGHIJKLMNO",
        "TASK-UNIFIED-1767917446-0123456789abcdefghijklmno",
        "task-unified-1767917446-0123456789abcdefghijklmno\n",
        " task-unified-1767917446-0123456789abcdefghijklmno",
        "task-unified-1767917446-0123456789abcdefghijk_mno",
        "task-unified-1767917446-../../v1/credits/////////",
        "task-unified-١٧٦٧٩١٧٤٤٦-0123456789abcdefghijklmno",
        "task-unified-1767917446-0123456789abcdefghijklmn\u0661",
    ],
)
def test_what_only_resembles_a_task_id_is_none(text):
    """The vendor's own ids are among what is refused."""
    assert not ids.is_task_id(text)


@pytest.mark.parametrize("text", ["a", "7", "acme", "a-b_c", "0" * 63, "x" + "-" * 61 + "x"])
def test_a_tenant_may_be_called_so(text):
    """Short lower-case names that need no escaping anywhere."""
    assert ids.is_tenant_id(text)


@pytest.mark.parametrize(
    "text",
    ["", "-a", "a-", "_a", "A", "a b", "a:b", "a{b}", "a.b", "ä", "a\n", "\na", "a" * 64, "a/b"],
)
def test_a_tenant_may_not_be_called_so(text):
    """Nothing that would mean something in a Redis key or a path."""
    assert not ids.is_tenant_id(text)


@checked
@given(mode=st.sampled_from(["live", "test"]), seed=seeds)
def test_a_minted_key_tells_its_mode(mode, seed):
    """Mode and checksum are readable without asking the store."""
    key = ids.mint_api_key(mode, chooser(seed))

    assert re.fullmatch(rf"rg_{mode}_[0-9A-Za-z]{{36}}", key)
    assert ids.mode_of_api_key(key) == mode


@checked
@given(seed=seeds, at=st.integers(0, 43), letter=st.characters(codec="ascii"))
def test_one_wrong_character_in_a_key_is_noticed(seed, at, letter):
    """Wherever it stands, the checksum or the shape gives it away."""
    key = ids.mint_api_key("live", chooser(seed))
    mistyped = key[:at] + letter + key[at + 1 :]

    assert (ids.mode_of_api_key(mistyped) is None) == (mistyped != key)


@checked
@given(seed=seeds, at=st.integers(0, 42))
def test_two_swapped_characters_in_a_key_are_noticed(seed, at):
    """The commonest typing error never costs a look-up."""
    key = ids.mint_api_key("test", chooser(seed))
    swapped = key[:at] + key[at + 1] + key[at] + key[at + 2 :]

    assert (ids.mode_of_api_key(swapped) is None) == (swapped != key)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "rg_live_",
        KEY[:-1],
        KEY + "0",
        KEY + "\n",
        " " + KEY,
        KEY.replace("live", "test"),
        KEY.replace("live", "prod"),
        KEY.upper(),
        "sk-evo-0123456789",
        "rg_live_" + "é" * 36,
        "rg_live_" + "0" * 36,
    ],
)
def test_what_only_resembles_a_key_is_none(text):
    """A key of the other mode with the same letters is none either."""
    assert ids.mode_of_api_key(text) is None


def test_keys_of_the_first_release_stay_valid():
    """The checksum is part of keys that are in use: it cannot change."""
    assert ids.mode_of_api_key(KEY) == "live"


@pytest.mark.parametrize(
    ("key_id", "following"),
    [
        ("key_0a1b2c3d4e5f", "key_0a1b2c3d4e5f.2"),
        ("key_0a1b2c3d4e5f.2", "key_0a1b2c3d4e5f.3"),
        ("key_0a1b2c3d4e5f.9", "key_0a1b2c3d4e5f.10"),
        ("key_0a1b2c3d4e5f.999", "key_0a1b2c3d4e5f.1000"),
    ],
)
def test_a_key_is_rotated_to_the_next_generation(key_id, following):
    """The first has no number."""
    assert ids.next_key_id(key_id) == following


@checked
@given(seed=seeds, generations=st.integers(0, 30))
def test_all_generations_are_one_family(seed, generations):
    """The first key's id, however often it was rotated; each generation has an id of its own."""
    first = ids.mint_key_id(chooser(seed))
    line = [first]
    for _ in range(generations):
        line.append(ids.next_key_id(line[-1]))

    assert {ids.family_of(key_id) for key_id in line} == {first}
    assert len(set(line)) == generations + 1


@checked
@given(raw=st.binary(min_size=24, max_size=64))
def test_a_webhook_secret_is_its_random_bytes(raw):
    """In the form of Standard Webhooks: a prefix and base64, all of the chance in it."""
    secret = ids.mint_webhook_secret(raw)

    assert base64.b64decode(secret.removeprefix("whsec_"), validate=True) == raw
    assert secret.startswith("whsec_")


def test_only_the_digest_of_a_key_is_stored():
    """It is the plain SHA-256, so that any release finds the key again."""
    digest = ids.digest_of_api_key(KEY)

    assert digest == hashlib.sha256(KEY.encode()).hexdigest()
    assert KEY not in digest


def test_a_key_id_is_no_part_of_the_key():
    """It may be shown in lists and logs."""
    assert re.fullmatch(r"key_[0-9a-z]{12}", ids.mint_key_id(chooser(1)))
