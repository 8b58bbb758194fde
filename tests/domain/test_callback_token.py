"""Tokens of callback addresses: read back, and worth nothing once a letter is changed."""

from __future__ import annotations

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.callback_token import CallbackToken
from app.domain.ids import mint_task_id
from tests.support.properties import checked

SECRET = b"a secret of the store"
NOW_MS = 1_767_917_446_000


def minted(shard: int = 3) -> CallbackToken:
    """Return a token's content for a new task."""
    return CallbackToken(shard, mint_task_id(NOW_MS, secrets.choice))


@pytest.mark.parametrize("shard", [0, 3, 15])
def test_a_token_is_read_back(shard: int) -> None:
    """Shard and task, as they were written."""
    token = minted(shard)

    assert CallbackToken.read(token.write(SECRET), SECRET) == token


def test_a_token_fits_into_an_address() -> None:
    """Nothing in it is changed on the way through a URL."""
    text = minted().write(SECRET)

    assert set(text) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-")
    assert len(text) < 120


def test_repeated_sends_carry_one_token() -> None:
    """Else the vendor would take the second send for another request."""
    token = minted()

    assert token.write(SECRET) == token.write(SECRET)


def test_a_token_of_another_secret_is_not_ours() -> None:
    """Another store's tokens are as good as made up."""
    assert CallbackToken.read(minted().write(b"another"), SECRET) is None


def test_no_letter_of_a_token_can_be_changed() -> None:
    """At any place, to any letter of the alphabet."""
    text = minted().write(SECRET)

    changed = {
        text[:place] + letter + text[place + 1 :]
        for place in range(len(text))
        for letter in "0a9f.-"
    } - {text}
    assert [each for each in changed if CallbackToken.read(each, SECRET) is not None] == []


def test_tokens_cannot_be_spliced() -> None:
    """The proof of one is none for another: neither for its task nor for its shard."""
    mine, other = minted(1).write(SECRET).split("."), minted(2).write(SECRET).split(".")

    spliced = [
        ".".join(pick[place] for place, pick in enumerate(picks))
        for picks in [
            (mine, mine, other),
            (mine, other, mine),
            (other, mine, mine),
            (other, other, mine),
            (mine, other, other),
            (other, mine, other),
        ]
    ]
    assert [CallbackToken.read(each, SECRET) for each in spliced] == [None] * 6


@pytest.mark.parametrize("cut", [1, 8, 20, 39, 40, 41])
def test_a_token_that_was_cut_short_is_not_ours(cut: int) -> None:
    """A shorter proof would be easier to guess."""
    assert CallbackToken.read(minted().write(SECRET)[:-cut], SECRET) is None


@pytest.mark.parametrize("more", ["\n", " ", ".", "0", "%00", "/", "é", "\u0663"])
def test_nothing_may_follow_or_precede_a_token(more: str) -> None:
    """Read as a whole or not at all."""
    text = minted().write(SECRET)

    assert CallbackToken.read(text + more, SECRET) is None
    assert CallbackToken.read(more + text, SECRET) is None


@checked
@given(st.text(max_size=150))
def test_no_text_is_taken_for_a_token(text: str) -> None:
    """Nor does any make it fail."""
    assert CallbackToken.read(text, SECRET) is None
