"""`reelgate task …`: an operator at a terminal looks into a task, and ends a doubt."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.bed import Bed, character
from tests.support.shell import Said, Shell
from tests.support.vendor import VENDOR_KEY
from tests.system.conftest import Run

UNKNOWN_ID = "task-unified-1767917446-0123456789abcdefghijklmno"
WRONG_ID = "task-unified-1767917446-typo"
REASON = ("--reason", "asked their support")


async def doubted(bed: Bed, tenant_id: str = "acme") -> str:
    """Return a task whose answer was lost."""
    key = await bed.key(tenant_id)
    bed.vendor.fault("commit_then_reset", times=1)
    return await bed.created(key, character("seconds:900"))


async def test_a_task_is_explained_on_one_screen(bed: Bed, reelgate: Run) -> None:
    """Every step with its instant, every credit with what it leaves; in JSON, the same."""
    task_id = await bed.created(await bed.key(), character("seconds:1"))
    await bed.pass_time(20)

    said = reelgate("task", "explain", task_id)
    story = reelgate("task", "explain", task_id, "--json").json()

    heading, *lines = said.out.splitlines()
    steps, ledger = _below(lines, "steps"), _below(lines, "ledger")
    assert heading == task_id
    assert len(lines) < 24
    assert [line.split()[2] for line in steps] == ["sending", "submitted", "completed"]
    assert [line.split()[2:] for line in ledger] == [
        ["hold", "0.1", "0.1", "0"],
        ["settle", "0.1", "0", "0.1"],
    ]
    assert "  credits       0 held, 0.1 charged" in lines
    assert "NOT BALANCED" not in said.out
    assert story["balanced"] is True
    assert [step["step"] for step in story["steps"]] == ["sending", "submitted", "completed"]
    assert story["answer"]["status"] == "completed"


@pytest.mark.unaudited("the record is spoilt")
async def test_a_task_that_does_not_add_up_is_told(bed: Bed, reelgate: Run) -> None:
    """In capitals: somebody has to look."""
    task_id = await bed.created(await bed.key())
    redis = bed.gateway.store.redis
    (name,) = [each async for each in redis.scan_iter(match=f"*:task:{task_id}")]
    await redis.hincrby(name, "charged", 5)

    said = reelgate("task", "explain", task_id)

    assert "NOT BALANCED" in said.out
    assert reelgate("task", "explain", task_id, "--json").json()["balanced"] is False


async def test_doubts_are_listed(bed: Bed, reelgate: Run) -> None:
    """A table with the oldest first, JSON for programs, and a word where there is none."""
    nothing = reelgate("task", "doubt", "list")
    first = await doubted(bed, "hooli")
    await bed.pass_time(30)
    second = await doubted(bed, "acme")

    table = reelgate("task", "doubt", "list").out.splitlines()
    listed = reelgate("task", "doubt", "list", "--json").json()

    assert (nothing.code, nothing.out, nothing.err) == (0, "", "no task is in doubt\n")
    assert table[0].split() == ["ID", "TENANT", "MODEL", "SINCE", "HELD", "RESENDS"]
    assert [row.split()[:3] for row in table[1:]] == [
        [first, "hooli", "sora-character"],
        [second, "acme", "sora-character"],
    ]
    assert [each["id"] for each in listed] == [first, second]
    assert reelgate("task", "doubt", "list", "--json").json()[0]["credits_held"] == "0.1"


@pytest.mark.parametrize(
    ("how", "state"),
    [("accepted", "submitted"), ("rejected", "rejected"), ("written_off", "written_off")],
)
async def test_a_doubt_is_resolved_with_a_reason(
    bed: Bed, reelgate: Run, how: str, state: str
) -> None:
    """The story as it is now; the audit log has who, what and why."""
    task_id = await doubted(bed)
    vendor_id = bed.vendor.creates()[0]["created_task_id"]
    more = ("--vendor-id", vendor_id) if how == "accepted" else ()

    said = reelgate("task", "doubt", "resolve", task_id, "--as", how, *REASON, *more, "--json")

    blind = "no vendor key is set here: the vendor was not asked about that id\n"
    assert said.err.endswith(blind) is bool(more)
    (act, *_) = reelgate("audit", "list", "--json").json()
    assert said.json()["state"] == state
    assert (act["actor"], act["act"], act["tenant"]) == ("cli", "task.resolved", "acme")
    assert act["detail"] == {
        "as": how,
        "reason": "asked their support",
        "task": task_id,
        **({"vendor_id": vendor_id, "unseen": True} if more else {}),
    }


async def test_a_cost_is_corrected(bed: Bed, reelgate: Run) -> None:
    """As a further line of the ledger, on the screen that comes back."""
    task_id = await bed.created(await bed.key(), character("seconds:1"))
    await bed.pass_time(20)

    said = reelgate(
        *("task", "doubt", "resolve", task_id, "--as", "corrected", "--credits", "0.04", *REASON)
    )

    ledger = _below(said.out.splitlines(), "ledger")
    assert said.code == 0
    assert ledger[-1].split()[2:] == ["correction", "-0.06", "0", "0.04"]
    assert "  credits       0 held, 0.04 charged" in said.out.splitlines()


async def test_the_vendor_is_asked_about_an_id(
    bed: Bed, shell: Shell, redis_url: str, tmp_path: Path
) -> None:
    """Where a vendor key is set; what it does not know is taken only unseen."""
    task_id = await doubted(bed)
    vendor_id = bed.vendor.creates()[0]["created_task_id"]
    environment = {
        "REELGATE_REDIS_URL": redis_url,
        "REELGATE_DATA_DIR": str(tmp_path),
        "REELGATE_VENDOR__KEYS": VENDOR_KEY,
        "REELGATE_VENDOR__BASE_URL": bed.vendor.url,
    }

    def resolve(*words: str) -> Said:
        words = ("task", "doubt", "resolve", task_id, "--as", "accepted", *REASON, *words)
        return shell.run(*words, environment=environment)

    wrong = resolve("--vendor-id", WRONG_ID)
    unseen = resolve("--vendor-id", WRONG_ID, "--unseen")
    right = resolve("--vendor-id", vendor_id, "--json")

    assert (wrong.code, wrong.out, wrong.err.count("\n")) == (1, "", 1)
    assert "vendor_id: the vendor has no task of that id" in wrong.err
    assert (unseen.code, "not asked" in unseen.err) == (0, False)
    assert (right.json()["state"], right.json()["vendor_id"]) == ("submitted", vendor_id)
    assert VENDOR_KEY not in wrong.out + wrong.err + right.out + right.err


async def test_a_queued_task_is_cancelled(bed: Bed, reelgate: Run) -> None:
    """Its hold comes back; one that has left cannot be called off."""
    key = await bed.key(tasks_in_flight=1, when_full="queue")
    sent, queued = await bed.created(key), await bed.created(key)

    cancelled = reelgate("task", "cancel", queued, *REASON)
    again = reelgate("task", "cancel", queued, *REASON, "--json").json()
    refused = reelgate("task", "cancel", sent, *REASON)
    unreasoned = reelgate("task", "cancel", queued)
    acts = reelgate("audit", "list", "--json").json()

    assert (cancelled.code, cancelled.out) == (0, "")
    assert cancelled.err == f"task {queued} is cancelled; its hold is released\n"
    assert (again["state"], again["credits_held"], again["balanced"]) == ("cancelled", "0", True)
    assert (refused.code, refused.err.count("\n")) == (1, 1)
    assert "cannot be cancelled" in refused.err
    assert "--reason" in unreasoned.err
    assert [(act["actor"], act["detail"]) for act in acts if act["act"] == "task.cancelled"] == [
        ("cli", {"task": queued, "reason": "asked their support"})
    ]
    assert (await bed.read(key, queued)).json()["error"]["code"] == "request_cancelled"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--as", "corrected", "--credits", "1"), "only what has ended"),
        (("--as", "accepted"), "vendor_id"),
        (("--as", "corrected", "--credits", "1,5"), "credits"),
        (("--as", "rejected", "--credits", "1"), "credits"),
        (("--as", "rejected", "--unseen"), "unseen"),
        (("--as", "rejected", "--reason", "half of a pair \udc80"), "reason"),
    ],
)
async def test_what_cannot_be_resolved_is_refused_in_one_line(
    bed: Bed, reelgate: Run, words: tuple[str, ...], complaint: str
) -> None:
    """With the reason, and nothing changed."""
    task_id = await bed.created(await bed.key(), character("seconds:900"))
    before = await bed.stored(task_id)

    said = reelgate("task", "doubt", "resolve", task_id, *REASON, *words)

    assert (said.code, said.out, said.err.count("\n")) == (1, "", 1)
    assert complaint in said.err
    assert await bed.stored(task_id) == before


@pytest.mark.parametrize(
    "words",
    [
        ("show", UNKNOWN_ID),
        ("explain", UNKNOWN_ID),
        ("cancel", UNKNOWN_ID, *REASON),
        ("doubt", "resolve", UNKNOWN_ID, "--as", "rejected", *REASON),
    ],
    ids=lambda words: words[0],
)
def test_a_task_that_there_is_not_is_told(reelgate: Run, words: tuple[str, ...]) -> None:
    """With its id, in one line."""
    said = reelgate("task", *words)

    assert (said.code, said.out) == (1, "")
    assert said.err == f"error: there is no task {UNKNOWN_ID}, or its record has expired\n"


def _below(lines: list[str], heading: str) -> list[str]:
    """Return the lines that stand indented under a heading."""
    start = next(n for n, line in enumerate(lines) if line.split()[:1] == [heading]) + 1
    found = []
    for line in lines[start:]:
        if not line.startswith("    "):
            break
        found.append(line)
    return found
