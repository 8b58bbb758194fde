"""A key that cannot be one costs the store nothing, however many of them come."""

from __future__ import annotations

import json
import random
import re
import secrets
import string
from collections import Counter
from collections.abc import Callable, Iterator

from app.clock import StoreClock
from app.domain.ids import mint_api_key
from tests.api.wire import Line, Received
from tests.support.bed import CREATE_PATH
from tests.support.fleet import Fleet
from tests.support.redis_server import RedisServer

KEYS = 10_000
AT_ONCE = 50
BASE_62 = string.digits + string.ascii_letters
ROUTES = (
    ("POST", CREATE_PATH),
    ("POST", "/v1/tasks/batch"),
    ("GET", "/v1/tasks"),
    ("GET", "/v1/models"),
    ("GET", "/v1/credits"),
    ("GET", "/v1/usage"),
    ("GET", "/v1/tasks/task-unified-1767917446-0123456789abcdefghijklmno"),
    ("GET", f"{CREATE_PATH}/task-unified-1767917446-0123456789abcdefghijklmno"),
)

Header = list[bytes]
"""The Authorization headers of one request."""


def _replaced(chance: random.Random, key: str) -> str:
    """Exchange one character behind the prefix for another of the alphabet."""
    place = chance.randrange(len("rg_live_"), len(key))
    other = chance.choice([letter for letter in BASE_62 if letter != key[place]])
    return key[:place] + other + key[place + 1 :]


def _of_another_length(chance: random.Random, key: str) -> str:
    return key[: chance.randrange(len(key))] if chance.random() < 0.5 else key + key[-1]


def _of_other_letters(chance: random.Random, key: str) -> bytes:
    place = chance.randrange(len(key))
    odd = bytes([chance.choice([0x80, 0xC3, 0xE9, 0xFF, *b"-_+/=.:;@#%&*()[]{}'\"\\|~^`<>?!,"])])
    written = key.encode()
    return (
        written[:place]
        + (odd if odd != written[place : place + 1] else b"~")
        + written[place + 1 :]
    )


def _bearer(token: str | bytes) -> Header:
    return [b"Bearer " + (token.encode() if isinstance(token, str) else token)]


def _with_prefix(chance: random.Random, key: str) -> str:
    wrong = chance.choice(["rg_test_", "rg_prod_", "RG_LIVE_", "rg-live-", "sk-", "rg_live", ""])
    return wrong + key.removeprefix("rg_live_")


KINDS: dict[str, Callable[[random.Random, str], Header]] = {
    "checksum": lambda chance, key: _bearer(_replaced(chance, key)),
    "prefix": lambda chance, key: _bearer(_with_prefix(chance, key)),
    "length": lambda chance, key: _bearer(_of_another_length(chance, key)),
    "letters": lambda chance, key: _bearer(_of_other_letters(chance, key)),
    "two headers": lambda chance, key: _bearer(key) * 2,
    "two words": lambda chance, key: _bearer(f"{key} {key}"),
    "scheme": lambda chance, key: [
        f"{chance.choice(['Basic', 'Token', 'Key', ''])} {key}".encode()
    ],
    "no scheme": lambda chance, key: [key.encode()],
    "empty": lambda chance, key: [chance.choice([b"", b"Bearer", b"Bearer "])],
    "nothing": lambda chance, key: [],
    "long": lambda chance, key: _bearer(key * chance.randrange(2, 40)),
}
"""Ways to spoil a key; the key itself is well-formed, and nobody's but where it is sent twice."""


def requests() -> Iterator[tuple[str, bytes]]:
    """Return ten thousand requests, each with the kind of its key; the same ones in every run."""
    chance = random.Random(20_261_122)
    kinds = list(KINDS)
    for number in range(KEYS):
        kind = kinds[number % len(kinds)]
        method, path = ROUTES[number % len(ROUTES)]
        key = mint_api_key("live", chance.choice)
        lines = [f"{method} {path} HTTP/1.1".encode(), b"Host: gateway"]
        lines += [b"Authorization: " + value for value in KINDS[kind](chance, key)]
        if method == "POST":
            lines += [b"Content-Type: application/json", b"Content-Length: 0"]
        yield kind, b"\r\n".join([*lines, b"", b""])


def asked_of(redis: RedisServer) -> Counter[str]:
    """Return what commands a server has run since its count was reset, but for this one."""
    told = redis.call("INFO", "commandstats").decode()
    found = Counter(
        {name: int(calls) for name, calls in re.findall(r"cmdstat_(\S+?):calls=(\d+)", told)}
    )
    return Counter(
        {name: n for name, n in found.items() if name not in ("info", "config|resetstat")}
    )


def is_refused(answer: Received) -> bool:
    """Say whether an answer is the one refusal there is, in the one envelope."""
    error = answer.error()
    wanted = {"code": 401, "type": "authentication_error", "reason": "invalid_key"}
    return (
        answer.status == 401
        and {name: error[name] for name in wanted} == wanted
        and answer.header("www-authenticate") == "Bearer"
        and answer.header("ratelimit") is None
        and error.keys() == {*wanted, "message", "request_id"}
    )


async def test_ten_thousand_malformed_keys_cost_no_command(fleet: Fleet) -> None:
    """Each is refused in the envelope, on every route; Redis hears of none of them."""
    held = str(StoreClock().now_ms())
    [gateway] = await fleet.start("api", REELGATE_ROLE="api", REELGATE_TESTING__HOLD_CLOCK_MS=held)
    everything = list(requests())
    refused: Counter[str] = Counter()
    fleet.redis.call("CONFIG", "RESETSTAT")

    with Line(gateway.url) as line:
        for start in range(0, KEYS, AT_ONCE):
            batch = everything[start : start + AT_ONCE]
            line.send(b"".join(content for _, content in batch))
            for kind, content in batch:
                answer = line.receive()
                assert is_refused(answer), (kind, content, answer)
                refused[kind] += 1

    assert refused.total() == KEYS
    assert refused.keys() == KINDS.keys()
    assert asked_of(fleet.redis) == {}


async def test_the_count_of_these_tests_sees_a_well_formed_key(fleet: Fleet) -> None:
    """The other side: one whose checksum is right is looked up, once, and refused all the same."""
    held = str(StoreClock().now_ms())
    [gateway] = await fleet.start("api", REELGATE_ROLE="api", REELGATE_TESTING__HOLD_CLOCK_MS=held)
    fleet.redis.call("CONFIG", "RESETSTAT")
    key = mint_api_key("live", secrets.choice)

    with Line(gateway.url) as line:
        line.send(
            f"GET /v1/tasks HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer {key}\r\n\r\n".encode()
        )
        answer = line.receive()

    assert is_refused(answer)
    assert asked_of(fleet.redis)["hgetall"] == 1
    assert key not in json.dumps(answer.error())
