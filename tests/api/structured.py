"""A reader of structured header fields, as far as rates are told in them (RFC 9651)."""

from __future__ import annotations

import re
from dataclasses import dataclass

import httpx2

_ITEM = re.compile(r'"([a-z]+)"((?:;[a-z]+=(?:0|[1-9][0-9]{0,14}))*)')


@dataclass(frozen=True, slots=True)
class Policy:
    """One member of RateLimit-Policy: `quota` calls in `window_s`."""

    quota: int
    window_s: int


@dataclass(frozen=True, slots=True)
class Standing:
    """RateLimit: what is `left` of a policy, and for how many seconds that is all there is."""

    policy: str
    left: int
    for_s: int


def members(field: str) -> dict[str, dict[str, int]]:
    """Return the members of a list of names with whole numbers as parameters.

    Fails where the syntax is broken, or a name stands twice.
    """
    found: dict[str, dict[str, int]] = {}
    for written in field.split(", "):
        item = _ITEM.fullmatch(written)
        assert item is not None, f"{written!r} is no item of a structured list"
        pairs = [each.split("=") for each in item[2].split(";")[1:]]
        assert len(dict(pairs)) == len(pairs), f"{written!r} has a parameter twice"
        assert item[1] not in found, f"{field!r} names {item[1]} twice"
        found[item[1]] = {name: int(value) for name, value in pairs}
    return found


def policies(answer: httpx2.Response) -> dict[str, Policy]:
    """Return the policies that an answer tells; none where the header is missing."""
    lines = answer.headers.get_list("ratelimit-policy")
    assert len(lines) <= 1, "it is sent as one line"
    found = {}
    for name, parameters in members(lines[0]).items() if lines else ():
        assert parameters.keys() == {"q", "w"}
        found[name] = Policy(parameters["q"], parameters["w"])
    return found


def standing(answer: httpx2.Response) -> Standing | None:
    """Return how the caller stands, or None where the header is missing."""
    lines = answer.headers.get_list("ratelimit")
    if not lines:
        return None
    assert len(lines) == 1, "it is sent as one line"
    [(name, parameters)] = members(lines[0]).items()
    assert parameters.keys() == {"r", "t"}
    return Standing(name, parameters["r"], parameters["t"])
