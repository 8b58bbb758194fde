"""The loader of the Lua scripts: a file's header is its signature, and a call runs it once."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from app.errors import StoreUnavailable
from app.store import scripts
from app.store.connect import connect
from app.store.scripts import Script, store_errors
from tests.support.redis_server import RedisServer, Relay

FOLDER = Path(scripts.__file__).with_name("lua")
VERBS = sorted(path.stem for path in FOLDER.glob("*.lua"))
SHARED = sorted(path.stem for path in (FOLDER / "shared").glob("*.lua"))
SCHEDULE = "rg:{s00}:polls"


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """A client of an empty store."""
    client = connect(redis_url)
    yield client
    await client.aclose()


def header(verb: str) -> dict[str, list[str]]:
    """Return the names of a script's keys and arguments, read from its first comment lines."""
    found: dict[str, list[str]] = {"USES": [], "KEYS": [], "ARGV": []}
    for line in (FOLDER / f"{verb}.lua").read_text("utf-8").splitlines():
        slot, _, names = line.removeprefix("-- ").partition(" ")
        if line.startswith("--") and slot in found:
            found[slot] += [name.removesuffix(":int").removesuffix("...") for name in names.split()]
    return found


@pytest.mark.parametrize("verb", VERBS)
def test_every_script_says_what_it_does_takes_and_returns(verb: str) -> None:
    """Purpose first, then keys, arguments and answers; no name twice, none that Lua knows."""
    lines = (FOLDER / f"{verb}.lua").read_text("utf-8").splitlines()
    names = header(verb)["KEYS"] + header(verb)["ARGV"]

    assert re.fullmatch(r"-- [A-Z].*\.", lines[0])
    assert any(line.startswith("-- RETURNS ") for line in lines[:8])
    assert header(verb)["KEYS"]
    assert len(set(names)) == len(names)
    assert not set(names) & {"redis", "string", "table", "math", "end", "local", "type"}


@pytest.mark.parametrize("verb", VERBS)
def test_no_script_leans_on_what_differs_between_runs(verb: str) -> None:
    """Time and chance come in as arguments, and every key is one of the header's."""
    source = (FOLDER / f"{verb}.lua").read_text("utf-8")

    assert not re.search(r"'(TIME|RANDOMKEY|SRANDMEMBER|KEYS|SCAN)'|math\.random|os\.", source)
    assert not re.search(r"'rg:(?!news')|\{s", source)


@pytest.mark.parametrize("piece", SHARED)
def test_a_shared_piece_says_what_it_is_and_is_used(piece: str) -> None:
    """It is local functions alone, each explained, and more than an idle file."""
    source = (FOLDER / "shared" / f"{piece}.lua").read_text("utf-8")
    lines = source.splitlines()

    assert lines[0].startswith("-- ")
    assert not re.search(r"'(TIME|RANDOMKEY|SRANDMEMBER|KEYS|SCAN)'|math\.random|os\.", source)
    assert not re.search(r"\b(KEYS|ARGV)\b|'rg:(?!news')|\{s", source)
    assert [line for line in lines if line.startswith("function")] == []
    assert any(piece in header(verb)["USES"] for verb in VERBS)


def shared(piece: str) -> str:
    """Return the source of a shared piece."""
    return (FOLDER / "shared" / f"{piece}.lua").read_text("utf-8")


def called_in(source: str) -> set[str]:
    """Return the shared pieces of which a source calls a function."""
    return {
        piece
        for piece in SHARED
        for name in re.findall(r"^local function (\w+)", shared(piece), re.MULTILINE)
        if re.search(rf"(?<!function )\b{name}\(", source)
    }


@pytest.mark.parametrize("verb", VERBS)
def test_a_script_uses_what_it_says_and_nothing_it_does_not(verb: str) -> None:
    """Each piece it names gives a function that it calls, or that another of its pieces does."""
    source, uses = (FOLDER / f"{verb}.lua").read_text("utf-8"), header(verb)["USES"]

    by_pieces = called_in("".join(map(shared, uses)))

    assert called_in(source) <= set(uses) <= called_in(source) | by_pieces


async def test_a_name_may_stand_for_many_keys(redis: Redis) -> None:
    """They come to the script in their order, none or a thousand, behind the named ones."""
    forget = Script(redis, "forget_task")
    lists = [f"rg:{{s00}}:list:{n}" for n in range(1000)]
    await redis.zadd(lists[0], {"t": 1})
    await redis.zadd(lists[999], {"t": 1, "other": 2})
    named = {name: f"rg:{{s00}}:{name}" for name in ("retires", "task", "ledger", "story")}

    none = await forget(**named, lists=[], member="m", task_id="t")
    all_of_them = await forget(**named, lists=lists, member="m", task_id="t")

    assert (none, all_of_them) == (0, 2)
    assert await redis.zrange(lists[999], 0, -1) == [b"other"]


async def test_many_keys_begin_behind_the_named_ones(redis: Redis) -> None:
    """A script that is given three finds three, and given none finds none."""
    read = Script(redis, "read_account")
    names = {name: f"rg:{{s00}}:{name}" for name in ("epoch", "tenant", "key")}
    await redis.set(names["epoch"], "e")
    for name in ("tenant", "key"):
        await redis.hset(names[name], mapping={"state": "active"})
    await redis.hset("rg:{s00}:w2", mapping={"tasks": 2})
    windows = [f"rg:{{s00}}:w{n}" for n in (1, 2, 3)]

    some = await read(**names, windows=windows, now_ms=1, epoch_id="e")
    none = await read(**names, windows=[], now_ms=1, epoch_id="e")

    assert some[3:] == [[], [b"tasks", b"2"], []]
    assert none[3:] == []


async def test_many_keys_have_to_be_given_by_their_name(redis: Redis) -> None:
    """Left out or misspelt, the call never reaches the server."""
    forget = Script(redis, "forget_task")
    named = {"retires": "r", "task": "t", "ledger": "l", "story": "s", "member": "m"}
    named["task_id"] = "t"

    with pytest.raises(TypeError, match="lists"):
        await forget(**named)
    with pytest.raises(TypeError, match="lists"):
        await forget(**named, list=[])


async def test_a_script_built_on_shared_pieces_keeps_its_line_numbers(redis: Redis) -> None:
    """What is put before it stands on its own first line."""
    name = "rg:{s00}:list:x"
    await redis.set("rg:{s00}:epoch", "e")
    await redis.hset("rg:{s00}:key:k", mapping={"state": "active"})
    await redis.hset("rg:{s00}:tenant:t", mapping={"state": "active"})
    await redis.set(name, "not a sorted set")
    lines = (FOLDER / "list_tasks.lua").read_text("utf-8").splitlines()
    faulty = next(n for n, line in enumerate(lines, 1) if "ZCARD" in line)

    with pytest.raises(ResponseError, match=rf"user_script:{faulty}\b"):
        await Script(redis, "list_tasks")(
            epoch="rg:{s00}:epoch",
            tenant="rg:{s00}:tenant:t",
            key="rg:{s00}:key:k",
            ids=name,
            now_ms=1,
            epoch_id="e",
            first=0,
            last=9,
        )


async def test_a_script_is_called_by_the_names_in_its_header(redis: Redis) -> None:
    """A name too many, too few or misspelt never reaches the server."""
    claim = Script(redis, "claim_due")

    with pytest.raises(TypeError, match=r"claim_due\.lua takes .*'schedule'"):
        await claim(schedule=SCHEDULE, now_ms=1, lease_ms=1)
    with pytest.raises(TypeError, match="most"):
        await claim(schedule=SCHEDULE, now_ms=1, lease_ms=1, most=1, more=1)
    with pytest.raises(TypeError, match="most"):
        await claim(schedule=SCHEDULE, now_ms=1, lease_ms=1, least=1)


async def test_names_reach_the_script_whatever_their_order(redis: Redis) -> None:
    """Numbers arrive as numbers, and the members come back."""
    claim = Script(redis, "claim_due")
    await redis.zadd(SCHEDULE, {"a": 9, "b": 10, "c": 11})

    taken = await claim(most=5, lease_ms=1000, now_ms=10, schedule=SCHEDULE)

    assert taken == [b"a", b"b"]
    assert await redis.zscore(SCHEDULE, "b") == 1010


async def test_a_server_that_does_not_know_the_script_is_taught_it(redis: Redis) -> None:
    """After a restart or SCRIPT FLUSH the call works, and the next one needs no lesson."""
    claim = Script(redis, "claim_due")
    await redis.script_flush()
    await redis.zadd(SCHEDULE, {"a": 1})
    await redis.config_resetstat()

    taken = [
        await claim(schedule=SCHEDULE, now_ms=now_ms, lease_ms=1, most=1) for now_ms in (1, 2, 3)
    ]

    ran = await redis.info("commandstats")
    assert taken == [[b"a"]] * 3
    assert ran["cmdstat_eval"]["calls"] == 1
    assert ran["cmdstat_evalsha"]["calls"] == 3


async def test_a_lost_reply_is_not_asked_for_again(redis_server: RedisServer, redis: Redis) -> None:
    """The script ran and its reply was cut off: it ran once, and its caller knows nothing."""
    await redis.zadd(SCHEDULE, {"a": 1})
    await Script(redis, "claim_due")(schedule=SCHEDULE, now_ms=0, lease_ms=1, most=1)
    async with Relay(redis_server) as relay:
        client = connect(f"unix://{relay.socket_path}")
        relay.fatal_word = SCHEDULE.encode()

        with pytest.raises(StoreUnavailable):
            await Script(client, "claim_due")(schedule=SCHEDULE, now_ms=1, lease_ms=9, most=1)

        await client.aclose()
    assert await redis.zscore(SCHEDULE, "a") == 10


async def test_a_server_that_is_away_is_a_store_unavailable() -> None:
    """With the library's failure as its cause, for the log."""
    client = connect("unix:///nonexistent/socket")

    with pytest.raises(StoreUnavailable) as away:
        await Script(client, "claim_due")(schedule=SCHEDULE, now_ms=1, lease_ms=1, most=1)

    assert away.value.__cause__ is not None


async def test_a_scripts_own_error_is_a_defect_and_names_the_line(redis: Redis) -> None:
    """It is no outage that passes: it is shown as it is, with the line number of the file."""
    await redis.set(SCHEDULE, "not a sorted set")
    lines = (FOLDER / "claim_due.lua").read_text("utf-8").splitlines()
    faulty = next(n for n, line in enumerate(lines, 1) if "ZRANGEBYSCORE" in line)

    with pytest.raises(ResponseError, match=rf"user_script:{faulty}\b"):
        await Script(redis, "claim_due")(schedule=SCHEDULE, now_ms=1, lease_ms=1, most=1)


@pytest.mark.parametrize(
    "refusal",
    [
        "OOM command not allowed when used memory > 'maxmemory'.",
        "READONLY You can't write against a read only replica.",
        "MISCONF Errors writing to the AOF file",
        "NOREPLICAS Not enough good replicas to write.",
        "CLUSTERDOWN The cluster is down",
        "MASTERDOWN Link with MASTER is down",
        "BUSY Redis is busy running a script.",
    ],
)
async def test_a_server_that_cannot_serve_now_is_a_store_unavailable(
    redis: Redis, refusal: str
) -> None:
    """What passes by itself, or when the operator makes room, is answered with `try again`."""
    with pytest.raises(StoreUnavailable), store_errors():
        await redis.eval("return redis.error_reply(ARGV[1])", 0, refusal)


async def test_a_full_server_refuses_and_changes_nothing(redis: Redis) -> None:
    """Out of memory, a change is answered with `try again`; it is not half done."""
    claim = Script(redis, "claim_due")
    await redis.zadd(SCHEDULE, {"a": 1})
    await claim(schedule=SCHEDULE, now_ms=0, lease_ms=1, most=1)
    await redis.config_set("maxmemory", 1)

    with pytest.raises(StoreUnavailable):
        await claim(schedule=SCHEDULE, now_ms=1, lease_ms=9, most=1)

    await redis.config_set("maxmemory", 0)
    assert await redis.zscore(SCHEDULE, "a") == 1


def test_other_failures_pass_unchanged() -> None:
    """A defect of ours is not dressed up as an outage."""
    with pytest.raises(KeyError), store_errors():
        raise KeyError("ours")
