"""Nothing that is not the very token opens anything, and a malformed one costs no call."""

from __future__ import annotations

import random
import secrets
import string
from collections.abc import Iterator

from app.domain.ids import digest_of_api_key, mint_browser_token, mode_of_api_key
from tests.api.asking import bearer
from tests.api.browsing import minted
from tests.support.bed import Bed

ALTERED = 10_000
BASE_62 = string.digits + string.ascii_letters
PREFIXES = ("rg_live_", "rg_test_", "rgt_test_", "rgt-live-", "RGT_LIVE_", "rgtt_live_", "rgt_", "")


def altered(secret: str, token_id: str) -> Iterator[str]:
    """Yield spellings near a token: edits, other prefixes, pieces, what is stored of it."""
    yield from (prefix + secret.removeprefix("rgt_live_") for prefix in PREFIXES)
    yield from (secret[:length] for length in range(len(secret)))
    yield from (secret[start:] for start in range(1, len(secret)))
    digest = digest_of_api_key(secret)
    yield from (digest, f"rgt_live_{digest[:36]}", f"rgt_live_{digest[28:]}", token_id)
    yield from (secret + "A", secret * 2, secret.swapcase(), secret[::-1], secret.replace("_", "-"))
    for place in range(len("rgt_live_"), len(secret)):
        yield from (secret[:place] + each + secret[place + 1 :] for each in BASE_62)
    chance = random.Random(len(secret))
    while True:
        first, second = chance.sample(range(len("rgt_live_"), len(secret)), 2)
        letters = list(secret)
        letters[first] = chance.choice(BASE_62)
        letters[second] = chance.choice(BASE_62)
        yield "".join(letters)


async def test_ten_thousand_altered_tokens_open_nothing_and_ask_nothing(bed: Bed) -> None:
    """Their checksum tells, so whoever tries them in bulk does not reach the store."""
    told = await minted(bed, await bed.key())
    secret, tried = told["token"], set[str]()
    for each in altered(secret, told["id"]):
        if each != secret:
            tried.add(each)
        if len(tried) == ALTERED:
            break
    passed = [each for each in tried if mode_of_api_key(each) is not None]
    sample = [*random.Random(1).sample(sorted(tried), 300), *passed]
    redis = bed.gateway.store.redis
    await redis.config_resetstat()

    statuses = {
        (await bed.http.get("/v1/models", headers=[bearer(each)])).status_code for each in sample
    }

    stats = await redis.info("commandstats")
    assert passed == []
    assert statuses == {401}
    assert {name for name in stats if "config" not in name and "info" not in name} == set()


async def test_a_well_made_token_that_nobody_minted_opens_nothing(bed: Bed) -> None:
    """Its checksum is right; there is no such token, in either mode."""
    await bed.key()
    made_up = [mint_browser_token(mode, secrets.choice) for mode in ("live", "test") for _ in "12"]

    answers = [await bed.http.get("/v1/models", headers=[bearer(each)]) for each in made_up]

    assert [answer.status_code for answer in answers] == [401] * 4
