"""Browser tokens: never more than their key, in any respect."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import ids
from app.domain.browser_token import BrowserToken, TokenWish, narrowed
from app.domain.tenant import Caller, Limits, Refused
from app.errors import ModelNotAllowed, ModelNotFound
from tests.domain.samples import CATALOGUE

MODELS = sorted(CATALOGUE.models)[:6]
SOME_MODELS = st.lists(st.sampled_from(MODELS), min_size=1, unique=True)


def made(**wish: Any) -> BrowserToken:
    """Return a token of a key."""
    return BrowserToken(
        id="key_0123456789ab~0123456789ab",
        mode="live",
        created_ms=1_767_917_446_500,
        wish=TokenWish.read(wish),
        limits=Limits(creates_per_minute=5, models=["sora-character"]),
    )


@given(st.none() | SOME_MODELS, st.none() | SOME_MODELS, st.none() | SOME_MODELS)
def test_the_models_of_a_token_are_among_those_of_its_key(
    of_key: list[str] | None, of_tenant: list[str] | None, wished: list[str] | None
) -> None:
    """Or it is not minted; all other limits are its key's."""
    parent, tenant = Limits(models=of_key, creates_per_minute=5), Limits(models=of_tenant)
    permitted = set(of_key or MODELS) & set(of_tenant or MODELS)
    try:
        found = narrowed(parent, TokenWish.read({"models": wished}), CATALOGUE, tenant)
    except ModelNotAllowed:
        assert set(wished or ()) - permitted
        return

    assert found.creates_per_minute == 5
    assert found.models == (of_key if wished is None else wished)
    assert set(wished or ()) <= permitted


def test_a_model_is_kept_under_its_own_name() -> None:
    """Limits know no aliases, and an unknown name is one that was mistyped."""
    model = next(each for each in CATALOGUE.models.values() if each.aliases)

    found = narrowed(Limits(), TokenWish.read({"models": [model.aliases[0]]}), CATALOGUE)

    assert found.models == [model.name]
    with pytest.raises(ModelNotFound):
        narrowed(Limits(), TokenWish.read({"models": ["sora-charakter"]}), CATALOGUE)


def test_a_token_is_stored_as_a_key_with_what_binds_it() -> None:
    """Its caps in whole numbers, its limits like those of keys, its secret as a digest."""
    stored = made(max_tasks=3, max_credits="0.5", origin="https://a.example", name="tab").fields(
        "d"
    )

    assert stored == {
        "id": "key_0123456789ab~0123456789ab",
        "name": "tab",
        "mode": "live",
        "state": "active",
        "digest": "d",
        "created_ms": "1767917446500",
        "scopes": "create,read",
        "subject": "key_0123456789ab~0123456789ab",
        "origin": "https://a.example",
        "tasks_left": "3",
        "credits_left": "500000",
        "creates_per_minute": "5",
        "models": ",sora-character,",
    }


def test_a_token_without_caps_stores_none() -> None:
    """What is not there is not counted."""
    assert {"tasks_left", "credits_left"}.isdisjoint(made().fields("d"))


def test_an_end_is_told_in_whole_seconds_that_it_surely_lives() -> None:
    """Never later than it is."""
    assert made(ttl_s=60).ends_ms == 1_767_917_506_500
    assert made().public("s", ends_ms=1_767_917_506_500)["expires_at"] == 1_767_917_506


@pytest.mark.parametrize("given", [[], "x", None, 3, {"ttl_s": 901}, {"nobody": 1}])
def test_a_wish_that_is_none_is_refused(given: Any) -> None:
    """As is one that asks for more than there is."""
    with pytest.raises(Refused):
        TokenWish.read(given)


@given(st.integers(), st.sampled_from(["live", "test"]))
def test_a_token_has_a_shape_of_its_own(seed: int, mode: ids.Mode) -> None:
    """Like a key's but for the prefix, which whoever scans for leaks can tell apart."""
    choose = random.Random(seed).choice
    token, key = ids.mint_browser_token(mode, choose), ids.mint_api_key(mode, choose)

    assert re.fullmatch(rf"rgt_{mode}_[0-9A-Za-z]{{36}}", token)
    assert ids.mode_of_api_key(token) == mode
    assert ids.mode_of_api_key(token.replace("rgt_", "rg_")) is None
    assert ids.mode_of_api_key(key.replace("rg_", "rgt_")) is None


@pytest.mark.parametrize(
    ("key_id", "parent", "family", "is_token"),
    [
        ("key_a", "key_a", "key_a", False),
        ("key_a.3", "key_a.3", "key_a", False),
        ("key_a~t", "key_a", "key_a", True),
        ("key_a.3~t", "key_a.3", "key_a", True),
    ],
)
def test_a_token_counts_in_the_family_of_its_key(
    key_id: str, parent: str, family: str, *, is_token: bool
) -> None:
    """Its id leads to its key, and the key's to the family."""
    caller = Caller(tenant_id="acme", key_id=key_id, mode="live")

    assert ids.parent_of(key_id) == parent
    assert caller.family == ids.family_of(key_id) == family
    assert caller.is_token == is_token
