"""Which requests go wrong, and how: declared over HTTP, drawn by lot, counted."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from app.sandbox.journal import key_fingerprint
from app.sandbox.modes import MODES, Mode

MOST_FAULTS: Final = 100
ROUTES: Final = ("create", "report", "any")


class FaultRefused(ValueError):
    """A fault was declared in a way that means nothing; none was set."""


@dataclass(slots=True)
class Fault:
    """One declared fault; `times` counts down, nothing means without end."""

    name: str
    on: str
    mode: Mode
    probability: float
    seed: int
    times: int | None
    key: str | None
    params: Mapping[str, Any]
    fired: int = 0
    chance: random.Random = field(default_factory=random.Random)

    def strikes(self, route: str, key: str | None) -> bool:
        """Whether it happens to this request; draws a lot only where it could."""
        if self.times == 0 or self.on not in ("any", route):
            return False
        if self.key is not None and self.key != key:
            return False
        return self.chance.random() < self.probability

    def shown(self) -> dict[str, Any]:
        """The fault as JSON."""
        hidden = ("chance", "mode")
        names = (name for name in self.__slots__ if name not in hidden)
        return {name: getattr(self, name) for name in names} | {"mode": self.mode.name}


class Faults:
    """The declared faults; of those that strike, the oldest happens."""

    def __init__(self) -> None:
        self._faults: dict[str, Fault] = {}

    def put(self, name: str, declared: Mapping[str, Any]) -> Fault:
        """Declare a fault, in place of one of the same name.

        Raises:
            FaultRefused: a member is unknown or out of range.
        """
        if name not in self._faults and len(self._faults) >= MOST_FAULTS:
            raise FaultRefused(f"at most {MOST_FAULTS} faults")
        fault = _read(name, declared)
        self._faults[name] = fault
        return fault

    def remove(self, name: str) -> bool:
        """Take a fault back; says whether there was one."""
        return self._faults.pop(name, None) is not None

    def clear(self) -> None:
        """Take all faults back."""
        self._faults.clear()

    def all(self) -> list[Fault]:
        """Every fault, oldest first."""
        return list(self._faults.values())

    def choose(self, route: str, key: str | None) -> Fault | None:
        """The fault that happens to a request of `route`, counted as having happened."""
        shown = None if key is None else key_fingerprint(key)
        for fault in self._faults.values():
            if fault.strikes(route, shown):
                fault.fired += 1
                fault.times = None if fault.times is None else fault.times - 1
                return fault
        return None


def _read(name: str, declared: Mapping[str, Any]) -> Fault:
    unknown = declared.keys() - _MEMBERS.keys() - {"mode", "params"}
    if unknown:
        raise FaultRefused(f"unknown members: {', '.join(sorted(unknown))}")
    mode = MODES.get(str(declared.get("mode")))
    if mode is None:
        raise FaultRefused(f"mode must be one of {', '.join(MODES)}")
    found = {member: _member(member, declared) for member in _MEMBERS}
    key = found.pop("key")
    return Fault(
        name=name,
        mode=mode,
        params=_params(mode, declared.get("params")),
        key=None if key is None else key_fingerprint(key),
        chance=random.Random(found["seed"]),
        **found,
    )


def _is_whole(value: Any) -> bool:
    return type(value) is int


def _is_share(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= 1


# Default, check, and what the refusal says.
_MEMBERS: Final[dict[str, tuple[Any, Callable[[Any], bool], str]]] = {
    "on": ("any", lambda value: value in ROUTES, f"one of {', '.join(ROUTES)}"),
    "probability": (1.0, _is_share, "a number from 0 to 1"),
    "seed": (0, _is_whole, "a whole number"),
    "times": (
        None,
        lambda value: value is None or (_is_whole(value) and value > 0),
        "a whole number above 0, or null",
    ),
    "key": (None, lambda value: value is None or isinstance(value, str), "a vendor key, or null"),
}


def _member(member: str, declared: Mapping[str, Any]) -> Any:
    default, check, expected = _MEMBERS[member]
    value = declared.get(member, default)
    if not check(value):
        raise FaultRefused(f"{member} must be {expected}")
    return value


def _params(mode: Mode, declared: Any) -> dict[str, Any]:
    if declared is None:
        declared = {}
    if not isinstance(declared, dict):
        raise FaultRefused("params must be an object")
    unknown = declared.keys() - mode.params.keys()
    if unknown:
        raise FaultRefused(f"{mode.name} does not know the params {', '.join(sorted(unknown))}")
    found = {}
    for name, param in mode.params.items():
        value = declared.get(name)
        if value is not None and not param.allows(value):
            raise FaultRefused(f"params.{name} must be {param.expected}")
        found[name] = param.default if value is None else value
    return found
