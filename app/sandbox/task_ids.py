"""Vendor task ids that carry the whole task.

`task-unified-<unix seconds>-<suffix>`, as the vendor writes them. The suffix is six random
characters and then, in lower-case base 32, a check sum, the milliseconds, the model and the
scenario. So any process can say how a task stands, and an id that was tampered with is unknown.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from app.sandbox import catalogue
from app.sandbox.catalogue import Model
from app.sandbox.problems import VendorRefusal
from app.sandbox.scenario import OUTCOMES, Scenario

PREFIX: Final = "task-unified-"
LONGEST: Final = 180

_RANDOM_CHARACTERS: Final = 6
_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz0123456789"
_SHAPE: Final = re.compile(rf"{PREFIX}([0-9]{{10}})-([a-z0-9]{{{_RANDOM_CHARACTERS}}})([a-z2-7]+)")
# Milliseconds within the second, place of the model, place of the outcome, run time in ms.
_HEAD: Final = struct.Struct(">HBBI")
_CHECK_BYTES: Final = 5
# Guards against slips, not against attackers: the key is public.
_CHECK_KEY: Final = b"sandbox vendor task"
_BETWEEN: Final = "\x1f"


@dataclass(frozen=True, slots=True)
class Ticket:
    """All there is to know about one task of the sandbox."""

    created_ms: int
    model: Model
    scenario: Scenario

    @property
    def created_s(self) -> int:
        """Unix seconds, as they stand in the id and in `created`."""
        return self.created_ms // 1000

    @property
    def end_ms(self) -> int | None:
        """When it is over; never for one that never ends."""
        if self.scenario.outcome == "never":
            return None
        return self.created_ms + self.scenario.run_ms


def mint(ticket: Ticket) -> str:
    """Write a new id for `ticket`; no two calls give the same.

    Raises:
        VendorRefusal: the scenario is too long to be carried in an id.
    """
    chance = "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_CHARACTERS))
    start = f"{PREFIX}{ticket.created_s:010d}-{chance}"
    payload = _packed(ticket)
    task_id = start + _text(_check(start, payload) + payload)
    if len(task_id) > LONGEST:
        raise VendorRefusal(400, "Sandbox word 'message' is too long for a task id")
    return task_id


def read(task_id: str) -> Ticket | None:
    """The ticket inside an id; nothing where this sandbox did not write it."""
    match = _SHAPE.fullmatch(task_id)
    if match is None or len(task_id) > LONGEST:
        return None
    seconds, _, text = match.groups()
    packed = _bytes(text)
    check, payload = packed[:_CHECK_BYTES], packed[_CHECK_BYTES:]
    start = task_id[: len(task_id) - len(text)]
    if check != _check(start, payload) or text != _text(packed):
        return None
    return _unpacked(int(seconds), payload)


def _packed(ticket: Ticket) -> bytes:
    scenario = ticket.scenario
    head = _HEAD.pack(
        ticket.created_ms % 1000,
        catalogue.place_of(ticket.model),
        OUTCOMES.index(scenario.outcome),
        scenario.run_ms,
    )
    return head + _BETWEEN.join(_parts(scenario)).encode()


def _parts(scenario: Scenario) -> Iterator[str]:
    fields = {
        "c": scenario.code,
        "m": scenario.message,
        "u": scenario.credits,
        "s": scenario.status_word,
        "l": scenario.lost_ms,
        "r": scenario.regress_ms,
    }
    return (f"{letter}{value}" for letter, value in fields.items() if value is not None)


def _unpacked(created_s: int, payload: bytes) -> Ticket | None:
    millis, place, outcome, run_ms = _HEAD.unpack_from(payload)
    model = catalogue.at_place(place)
    if model is None:
        return None
    parts = {part[0]: part[1:] for part in payload[_HEAD.size :].decode().split(_BETWEEN) if part}
    scenario = Scenario(
        run_ms=run_ms,
        outcome=OUTCOMES[outcome],
        code=parts.get("c"),
        message=parts.get("m"),
        credits=parts.get("u"),
        status_word=parts.get("s"),
        lost_ms=int(parts["l"]) if "l" in parts else None,
        regress_ms=int(parts["r"]) if "r" in parts else None,
    )
    return Ticket(created_s * 1000 + millis, model, scenario)


def _check(start: str, payload: bytes) -> bytes:
    return hashlib.blake2s(
        start.encode() + payload, digest_size=_CHECK_BYTES, key=_CHECK_KEY
    ).digest()


def _text(packed: bytes) -> str:
    return base64.b32encode(packed).decode().rstrip("=").lower()


def _bytes(text: str) -> bytes:
    """Undo `_text`; empty where the text is not base 32, which no check sum matches."""
    try:
        return base64.b32decode(text.upper() + "=" * (-len(text) % 8))
    except binascii.Error:
        return b""
