"""What settings may be: every time has an end, and those that belong together fit together."""

from __future__ import annotations

import pytest

from app import settings
from app.settings import SettingsRefused

TIMES = sorted(name for name in settings.variables() if name.endswith("_S"))


def refused(monkeypatch: pytest.MonkeyPatch, **values: str) -> list[str]:
    """Return the problems that an environment with these values has."""
    for name, value in values.items():
        monkeypatch.setenv(f"REELGATE_{name}", value)
    try:
        settings.load()
    except SettingsRefused as refusal:
        return refusal.problems
    return []


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "1e300"])
@pytest.mark.parametrize("name", TIMES)
def test_no_time_is_endless(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """It would be a traceback somewhere else: times are reckoned in whole milliseconds."""
    (problem,) = refused(monkeypatch, **{name.removeprefix("REELGATE_"): value})

    assert problem.startswith(f"{name}: ")
    assert value not in problem


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"MIN_INTERVAL_S": "31"}, "min_interval_s must not be greater than max_interval_s"),
        ({"WATCH_INTERVAL_S": "4"}, "min_interval_s must not be greater than watch_interval_s"),
        ({"GIVE_UP_S": "3599"}, "deadline_s must not be greater than give_up_s"),
        ({"WATCH_INTERVAL_S": "5", "GIVE_UP_S": "3600"}, None),
    ],
)
def test_the_times_of_reads_fit_together(
    monkeypatch: pytest.MonkeyPatch, values: dict[str, str], problem: str | None
) -> None:
    """Watching is the slower way to read, and giving up comes last."""
    told = refused(monkeypatch, **{f"POLL__{name}": value for name, value in values.items()})

    assert told == ([] if problem is None else [f"REELGATE_POLL: {problem}"])
