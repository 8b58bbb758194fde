"""The alarm rules for operators are about metrics that exist, and are quick enough."""

from __future__ import annotations

import re

import pytest

from app.telemetry import Metrics
from app.wiring import DOUBTS_EVERY_S
from tests.support.alarms import RULES, alarms, written

SCRAPED_EVERY_S = 15
"""What the head of the file asks for."""


def test_every_rule_is_about_a_metric_that_exists() -> None:
    """A misspelt name is an alarm that never goes off."""
    shown = {sample.name for family in Metrics().registry.collect() for sample in family.samples}

    named = {
        name for rule in written()["rules"] for name in re.findall(r"reelgate_\w+", rule["expr"])
    }
    assert named <= shown
    assert {"reelgate_doubts", "reelgate_doubt_oldest_seconds"} <= named


def test_a_doubt_is_alarmed_within_a_minute() -> None:
    """It is counted, scraped and judged one after the other, each as late as can be."""
    (rule,) = [each for each in written()["rules"] if each["alert"] == "ReelgateTasksInDoubt"]

    assert f"every {SCRAPED_EVERY_S} seconds" in RULES.read_text("utf-8")
    assert "for" not in rule
    judged_every_s = int(written()["interval"].removesuffix("s"))
    assert DOUBTS_EVERY_S + SCRAPED_EVERY_S + judged_every_s <= 60


@pytest.mark.parametrize("alarm", alarms(), ids=lambda alarm: alarm.name)
def test_a_rule_goes_off_above_its_limit_alone(alarm) -> None:  # type: ignore[no-untyped-def]
    """At its limit it does not."""
    metrics = Metrics()
    (gauge,) = [
        each for each in vars(metrics).values() if getattr(each, "_name", "") == alarm.metric
    ]

    assert not alarm.goes_off(metrics.registry)
    gauge.set(alarm.limit)
    assert not alarm.goes_off(metrics.registry)
    gauge.set(alarm.limit + 1)
    assert alarm.goes_off(metrics.registry)
