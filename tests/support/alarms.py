"""The alarm rules that operators are handed, judged against what a gateway shows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml
from prometheus_client import CollectorRegistry

RULES = Path(__file__).parents[2] / "deploy" / "alerts.yml"


@dataclass(frozen=True, slots=True)
class Alarm:
    """One rule of the form `max(metric) > limit`."""

    name: str
    metric: str
    limit: float

    @classmethod
    def read(cls, rule: dict[str, Any]) -> Self | None:
        """Return a rule, None where it is of another form."""
        found = re.fullmatch(r"max\((\w+)\) > (\d+)", rule["expr"])
        return cls(rule["alert"], found[1], float(found[2])) if found else None

    def goes_off(self, registry: CollectorRegistry) -> bool:
        """Say whether it would, at what is shown now."""
        shown = registry.get_sample_value(self.metric)
        assert shown is not None, f"{self.metric} is not shown"
        return shown > self.limit


def written() -> dict[str, Any]:
    """Return the one group of rules."""
    (group,) = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    assert isinstance(group, dict)
    return group


def alarms() -> list[Alarm]:
    """Return the rules about limits."""
    return [alarm for rule in written()["rules"] if (alarm := Alarm.read(rule)) is not None]


def going_off(registry: CollectorRegistry) -> set[str]:
    """Return the names of the alarms that go off at what is shown now."""
    return {alarm.name for alarm in alarms() if alarm.goes_off(registry)}
