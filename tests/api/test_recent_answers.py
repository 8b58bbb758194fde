"""While the store is away, what this process told lately is told again, to those it was told to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx2
import pytest

from app.api.recent import LIFE_MS, RecentAnswers
from app.domain.tenant import Caller
from app.errors import InvalidKey, RateLimited, StoreForeign, TenantDisabled
from app.store.task_reads import TaskRead
from tests.api.asking import bearer
from tests.api.operating import WITH_ADMIN, Operator
from tests.conftest import OpenBed
from tests.support.answers import error_of
from tests.support.bed import CREATE_PATH, Bed, character
from tests.support.redis_server import RedisServer

CALLER = Caller(tenant_id="acme", key_id="k1", mode="live")
NOW_MS = 1_795_368_418_000


pytestmark = pytest.mark.unaudited("the store is killed or emptied")


@pytest.fixture
def own_server() -> Iterator[RedisServer]:
    """A Redis that only this test uses, for it is killed."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis_url(own_server: RedisServer) -> str:
    """Let the gateways of these tests use it."""
    return own_server.url


@pytest.fixture
async def bed(open_gateway_bed: OpenBed) -> AsyncIterator[Bed]:
    """A gateway whose store is gone when the test ends."""
    async with open_gateway_bed() as opened:
        yield opened


def told(text: str = "{}", state: str = "submitted") -> TaskRead:
    """Return what the store says of a task."""
    return TaskRead(body=text.encode(), state=state, vendor_id="")  # type: ignore[arg-type]


def reason(answer: httpx2.Response) -> str:
    """Return the reason of a refusal, or "" where it is none."""
    return "" if answer.status_code == 200 else str(error_of(answer)["reason"])


async def test_a_task_is_told_again_with_the_age_of_what_is_told(
    bed: Bed, own_server: RedisServer
) -> None:
    """The same bytes on both paths, finished or not, and `Age` only now."""
    key = await bed.key()
    done, running = [await bed.created(key, character(f"seconds:{n}")) for n in (1, 600)]
    await bed.pass_time(5)
    before = [await bed.read(key, each) for each in (done, running)]
    own_server.kill()
    bed.clock.advance_ms(7_900)

    after = [await bed.read(key, each) for each in (done, running)]
    alias = await bed.http.get(f"{CREATE_PATH}/{done}", headers=[bearer(key)])

    assert [answer.status_code for answer in [*after, alias]] == [200] * 3
    assert [answer.content for answer in after] == [answer.content for answer in before]
    assert [answer.headers.get("age") for answer in [*before, *after]] == [None, None, "7", "7"]
    assert [answer.headers.get("retry-after") for answer in after] == [None, "1"]
    assert {answer.headers["cache-control"] for answer in after} == {"private, no-cache"}
    assert alias.content == after[0].content


@pytest.mark.parametrize(("passed_ms", "expected"), [(LIFE_MS, ""), (LIFE_MS + 1, "away")])
async def test_what_was_told_more_than_a_minute_ago_is_not_told_again(
    bed: Bed, own_server: RedisServer, passed_ms: int, expected: str
) -> None:
    """To the millisecond; then the caller is told to come back."""
    key = await bed.key()
    task_id = await bed.created(key)
    await bed.read(key, task_id)
    own_server.kill()
    bed.clock.advance_ms(passed_ms)

    answer = await bed.read(key, task_id)

    assert reason(answer) == ("store_unavailable" if expected else "")
    assert ("age" in answer.headers) == (not expected)


async def test_only_a_caller_the_store_let_read_is_told(bed: Bed, own_server: RedisServer) -> None:
    """A colleague who has read lately is; one who has not, the other mode and strangers are not."""
    owner, stranger = await bed.key(), await bed.key("globex")
    colleague, newcomer = [await bed.another_key("acme") for _ in range(2)]
    other_mode = await bed.another_key("acme", mode="test")
    task_id, another, unread = [await bed.created(owner) for _ in range(3)]
    foreign = await bed.created(stranger)
    tested = await bed.created(other_mode)
    for key, each in ((owner, task_id), (colleague, another), (stranger, foreign)):
        await bed.read(key, each)
    await bed.read(other_mode, tested)
    await bed.create(newcomer)
    own_server.kill()

    asked = [(owner, task_id), (colleague, task_id), (owner, another)]
    kept_from = [(stranger, task_id), (other_mode, task_id), (newcomer, task_id), (owner, unread)]
    answers = [await bed.read(key, each) for key, each in asked]
    refusals = [await bed.read(key, each) for key, each in kept_from]

    assert [reason(answer) for answer in answers] == [""] * 3
    assert [reason(answer) for answer in refusals] == ["store_unavailable"] * 4


@pytest.mark.parametrize("seen_by", ["read", "create"])
async def test_a_key_that_was_seen_to_have_ended_is_forgotten_at_once(
    bed: Bed, own_server: RedisServer, seen_by: str
) -> None:
    """Whatever it was refused; its tenant's other keys are told as before."""
    ended, other = await bed.key(), await bed.another_key("acme")
    task_id = await bed.created(ended)
    for key in (ended, other):
        await bed.read(key, task_id)
    bed.clock.advance_ms(1_500)
    await bed.revoke("acme", await key_of(bed, ended))
    refused = await (bed.read(ended, task_id) if seen_by == "read" else bed.create(ended))
    own_server.kill()

    answers = [await bed.read(key, task_id) for key in (ended, other)]

    assert reason(refused) == "invalid_key"
    assert [reason(answer) for answer in answers] == ["store_unavailable", ""]


async def key_of(bed: Bed, secret: str) -> str:
    """Return the id of a key."""
    caller = await bed.gateway.store.keys.find_caller(secret, "live")
    assert caller is not None
    return caller.key_id


async def test_a_tenant_that_was_seen_to_be_disabled_is_forgotten_with_all_its_keys(
    bed: Bed, own_server: RedisServer
) -> None:
    """One key's refusal is enough; who is let in again is remembered again."""
    keys = [await bed.key(), await bed.another_key("acme")]
    task_id = await bed.created(keys[0])
    for key in keys:
        await bed.read(key, task_id)
    bed.clock.advance_ms(1_500)
    await bed.switch("acme", disabled=True)
    refused = await bed.create(keys[1])
    bed.clock.advance_ms(1_500)
    await bed.switch("acme", disabled=False)
    await bed.read(keys[1], task_id)
    own_server.kill()

    answers = [await bed.read(key, task_id) for key in keys]

    assert reason(refused) == "tenant_disabled"
    assert [reason(answer) for answer in answers] == ["store_unavailable", ""]


async def test_an_emptied_store_is_not_answered_for(bed: Bed, own_server: RedisServer) -> None:
    """Neither while it answers, nor when it goes away afterwards."""
    key = await bed.key()
    task_id = await bed.created(key)
    await bed.read(key, task_id)
    own_server.flush()

    emptied = await bed.read(key, task_id)
    own_server.kill()
    bed.clock.advance_ms(1_500)
    gone = await bed.read(key, task_id)

    assert [reason(answer) for answer in (emptied, gone)] == ["store_foreign", "store_unavailable"]


async def test_nothing_but_the_read_of_one_task_is_answered_from_memory(
    open_gateway_bed: OpenBed, own_server: RedisServer
) -> None:
    """Creates, changes, lists and all that operators ask are refused, and sent nowhere."""
    async with open_gateway_bed(**WITH_ADMIN) as bed:
        key, operator = await bed.key(), Operator(bed)
        task_id = await bed.created(key)
        await bed.read(key, task_id)
        asked = [("GET", path) for path in ("tasks", "models", "credits", "usage")]
        asked += [("POST", "tasks/batch"), ("POST", f"tasks/{task_id}/cancel")]
        own_server.kill()

        answers = [await bed.create(key)]
        for method, path in asked:
            body = {"task_ids": [task_id]} if path.endswith("batch") else None
            request = bed.http.request(method, f"/v1/{path}", json=body, headers=[bearer(key)])
            answers.append(await request)
        answers.append(await operator.ask("GET", "/admin/v1/tenants"))

    assert {reason(answer) for answer in answers} == {"store_unavailable"}
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers)
    assert len(bed.vendor.creates()) == 1


async def test_reads_stay_limited(bed: Bed, own_server: RedisServer) -> None:
    """In each second as many as the caller's limit says, by this process alone."""
    key = await bed.key(reads_per_second=5)
    task_id = await bed.created(key)
    await bed.read(key, task_id)
    own_server.kill()
    bed.clock.advance_ms(2_000)

    first = [reason(await bed.read(key, task_id)) for _ in range(7)]
    bed.clock.advance_ms(1_000)
    second = reason(await bed.read(key, task_id))

    assert first == [""] * 5 + ["rate_limited"] * 2
    assert second == ""


def test_memory_is_bounded_and_the_least_recently_told_goes_first() -> None:
    """By bytes, whatever the sizes; telling a task again makes it young and counts it once."""
    recent = RecentAnswers(most_bytes=10_000)
    for number in range(50):
        recent.keep(f"t{number}", told("x" * 100), CALLER, None, began_ms=NOW_MS)
        recent.keep("often", told("x" * 300), CALLER, None, began_ms=NOW_MS)
        assert recent.size_bytes <= 10_000

    kept = [each for each in range(50) if recent.find(f"t{each}", CALLER, now_ms=NOW_MS)]

    assert kept == list(range(50 - len(kept), 50))
    assert len(kept) >= 10
    assert recent.find("often", CALLER, now_ms=NOW_MS)


@pytest.mark.parametrize("refusal", [InvalidKey(), TenantDisabled()])
def test_a_read_that_began_before_a_refusal_brings_nobody_back(
    refusal: InvalidKey | TenantDisabled,
) -> None:
    """Its reply was on the way when the key ended; a read begun later counts."""
    recent = RecentAnswers()
    recent.heed(refusal, CALLER, now_ms=NOW_MS + 5)

    recent.keep("t", told(), CALLER, None, began_ms=NOW_MS)
    late = recent.find("t", CALLER, now_ms=NOW_MS + 6)
    recent.keep("t", told(), CALLER, None, began_ms=NOW_MS + 10)

    assert late is None
    assert recent.find("t", CALLER, now_ms=NOW_MS + 11)


def test_a_clock_that_was_set_back_makes_nothing_young() -> None:
    """What seems to be of the future is not told."""
    recent = RecentAnswers()
    recent.keep("t", told(), CALLER, None, began_ms=NOW_MS)

    assert recent.find("t", CALLER, now_ms=NOW_MS - 1) is None


def test_a_refused_caller_without_a_name_changes_nothing() -> None:
    """A wrong key is nobody's; an exchanged store is everybody's."""
    recent = RecentAnswers()
    recent.keep("t", told(), CALLER, 1, began_ms=NOW_MS)
    recent.heed(InvalidKey(), None, now_ms=NOW_MS)
    assert recent.find("t", CALLER, now_ms=NOW_MS)
    with pytest.raises(RateLimited):
        recent.find("t", CALLER, now_ms=NOW_MS)

    recent.heed(StoreForeign(), None, now_ms=NOW_MS)

    assert recent.find("t", CALLER, now_ms=NOW_MS + 1_000) is None
    assert recent.size_bytes == 0
