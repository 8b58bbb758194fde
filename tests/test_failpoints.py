"""Failpoints: named, few, harmless unarmed, and each at one place of the program."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from pydantic import ValidationError

import app
from app import failpoints
from app.failpoints import ACTIONS, POINTS, FailpointHit
from app.settings import Settings
from tests.conftest import OpenBed

FOLDER = Path(app.__file__).parent


@pytest.fixture(autouse=True)
def _disarmed() -> None:
    """Whatever was armed before is not any more."""
    failpoints.arm({})


def test_every_point_is_at_one_place_of_the_program() -> None:
    """What can be armed is reached, and what is reached can be armed."""
    paths = [path for path in FOLDER.rglob("*.py") if path.name != "failpoints.py"]
    sources = "\n".join(path.read_text("utf-8") for path in paths)
    named = Counter(name for name in re.findall(r'"([a-z.]+)"', sources) if name in POINTS)
    reached = set(re.findall(r'failpoints\.reach\("([a-z.]+)"\)', sources))

    assert named == dict.fromkeys(POINTS, 1)
    assert reached <= POINTS


@pytest.mark.parametrize(
    ("text", "armed"),
    [
        ("", {}),
        (" , ", {}),
        ("submit.sent=kill", {"submit.sent": "kill"}),
        (
            " poll.claimed=raise ,submit.sent=hang",
            {"poll.claimed": "raise", "submit.sent": "hang"},
        ),
        ("submit.sent=kill,submit.sent=hang", {"submit.sent": "hang"}),
    ],
)
def test_points_are_armed_by_name(text: str, armed: dict[str, str]) -> None:
    """Point and action, as many as wished."""
    assert failpoints.parse(text) == armed


@pytest.mark.parametrize(
    "text", ["submit.send=kill", "submit.sent", "submit.sent=", "submit.sent=boom", "=kill"]
)
def test_a_misspelt_point_is_refused_with_what_there_is(text: str) -> None:
    """A test that arms nothing by mistake would prove nothing; so would a setting."""
    with pytest.raises(ValueError, match=r"points: .*submit\.sent.*; actions: .*kill"):
        failpoints.parse(text)
    with pytest.raises(ValidationError):
        Settings(testing={"failpoints": text})  # type: ignore[arg-type]


async def test_an_unarmed_point_is_passed() -> None:
    """Every one of them, also while another is armed."""
    failpoints.arm({"submit.sent": "raise"})

    for point in POINTS - {"submit.sent"}:
        await failpoints.reach(point)


async def test_an_armed_point_raises_each_time_until_it_is_disarmed() -> None:
    """Arming anew replaces what was armed before."""
    failpoints.arm({"submit.sent": "raise"})
    for _ in range(2):
        with pytest.raises(FailpointHit, match=r"submit\.sent"):
            await failpoints.reach("submit.sent")

    failpoints.arm({"submit.answered": "raise"})

    await failpoints.reach("submit.sent")


async def test_an_armed_point_hangs_until_it_is_cut_off() -> None:
    """As a call does that never comes back."""
    failpoints.arm({"submit.sent": "hang"})

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(failpoints.reach("submit.sent"), 0.02)


def test_an_armed_point_kills_the_process() -> None:
    """Without a last word: nothing is flushed, closed or said."""
    program = (
        "import asyncio, atexit\n"
        "from app import failpoints\n"
        "atexit.register(print, 'said')\n"
        "failpoints.arm({'submit.sent': 'kill'})\n"
        "asyncio.run(failpoints.reach('submit.sent'))\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=FOLDER.parent,
        capture_output=True,
        timeout=30,
        check=False,
    )

    assert done.returncode == -signal.SIGKILL
    assert done.stdout == b""


async def test_a_gateway_arms_what_its_settings_say_and_nothing_else(
    open_gateway_bed: OpenBed,
) -> None:
    """A point armed for one gateway is not left armed for the next."""
    async with open_gateway_bed(testing={"failpoints": "submit.arrived=raise"}) as bed:
        assert (await bed.create(await bed.key())).status_code == 500

    async with open_gateway_bed() as bed:
        assert (await bed.create(await bed.key())).status_code == 200


def test_there_are_three_actions() -> None:
    """Death, failure and silence: what a process can do to the one that waits for it."""
    assert {"kill", "raise", "hang"} == ACTIONS
