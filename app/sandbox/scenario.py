"""What a request asks to happen to its task.

The words stand in the query of `video_url`, separated by commas
(`?sandbox=outcome:failed,code:service_error,seconds:3`), or in a prompt, separated by blanks
(`[sandbox outcome:failed seconds:3]`). A word that is not understood is refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from app.sandbox.problems import VendorRefusal, invalid

OUTCOMES: Final = ("completed", "failed", "cancelled", "never")
CALLBACKS: Final = ("true", "lost", "twice", "late", "early", "forged")
LONGEST_S: Final = 30 * 86_400
REGRESS_S: Final = 2.0

_IN_PROMPT: Final = re.compile(r"\[sandbox\s+([^\]]*)\]")
_SECONDS: Final = re.compile(r"[0-9]{1,7}(?:\.[0-9]{1,3})?")
_CREDITS: Final = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,4})?")
_STATUS: Final = re.compile(r"[A-Za-z_-]{1,16}")
_CODE: Final = re.compile(r"[a-z0-9_]{1,40}")


@dataclass(frozen=True, slots=True)
class Scenario:
    """The course of one task, in milliseconds from its creation.

    `run_ms`: until the end. `status_word`: shown while it runs, in place of the documented words.
    `lost_ms`: from then on the id is unknown. `regress_ms`: how long after the end it goes back
    to `processing`. `credits`: what it costs in the end, if not what was reserved.
    `callback`: what becomes of the notice.
    """

    run_ms: int
    outcome: str = "completed"
    code: str | None = None
    message: str | None = None
    credits: str | None = None
    status_word: str | None = None
    lost_ms: int | None = None
    regress_ms: int | None = None
    callback: str = "true"


class _NotUnderstood(ValueError):
    """The value of a scenario word has the wrong form."""


def _milliseconds(text: str) -> int:
    if not _SECONDS.fullmatch(text) or float(text) > LONGEST_S:
        raise _NotUnderstood(f"needs seconds from 0 to {LONGEST_S}, at most three decimals")
    return round(float(text) * 1000)


def _after_the_end(text: str) -> int:
    return _milliseconds(text or str(REGRESS_S))


def _one_of(allowed: tuple[str, ...], text: str) -> str:
    if text not in allowed:
        raise _NotUnderstood(f"must be one of {', '.join(allowed)}")
    return text


def _like(pattern: re.Pattern[str], text: str) -> str:
    if not pattern.fullmatch(text):
        raise _NotUnderstood(f"must match {pattern.pattern}")
    return text


def _message(text: str) -> str:
    if not text.isprintable() or not text:
        raise _NotUnderstood("needs printable text")
    return text


_WORDS: Final[Mapping[str, tuple[str, Callable[[str], Any]]]] = {
    "outcome": ("outcome", partial(_one_of, OUTCOMES)),
    "seconds": ("run_ms", _milliseconds),
    "code": ("code", partial(_like, _CODE)),
    "message": ("message", _message),
    "credits": ("credits", partial(_like, _CREDITS)),
    "status": ("status_word", partial(_like, _STATUS)),
    "lost": ("lost_ms", _milliseconds),
    "regress": ("regress_ms", _after_the_end),
    "callback": ("callback", partial(_one_of, CALLBACKS)),
}


def scenario_of(body: Mapping[str, Any], *, default_seconds: float) -> Scenario:
    """Read the scenario out of a creation's body; without one the task just completes.

    Raises:
        VendorRefusal: a word is unknown, was given twice, or has a value that makes no sense.
    """
    found: dict[str, Any] = {}
    for param, word, value in _words_of(body):
        if word not in _WORDS:
            raise VendorRefusal(400, f"Unknown sandbox word: {word!r}", param)
        field, read = _WORDS[word]
        if field in found:
            raise VendorRefusal(400, f"Sandbox word given twice: {word!r}", param)
        try:
            found[field] = read(value)
        except _NotUnderstood as reason:
            raise VendorRefusal(400, f"Sandbox word {word!r} {reason}", param) from reason
    return _sensible(Scenario(**{"run_ms": round(default_seconds * 1000), **found}))


def _sensible(scenario: Scenario) -> Scenario:
    """Refuse words that could have no effect together, rather than ignore one of them."""
    if scenario.outcome != "failed" and (scenario.code or scenario.message):
        raise VendorRefusal(400, "Sandbox words 'code' and 'message' need 'outcome:failed'")
    if scenario.outcome == "never" and scenario.regress_ms is not None:
        raise VendorRefusal(400, "Sandbox word 'regress' needs an outcome other than 'never'")
    return scenario


def _words_of(body: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Every word with the field it came from and its value, in the order written."""
    url, prompt = body.get("video_url"), body.get("prompt")
    for text in _in_query(url) if isinstance(url, str) else ():
        yield from (("video_url", *_split(word)) for word in text.split(",") if word)
    for text in _IN_PROMPT.findall(prompt) if isinstance(prompt, str) else ():
        yield from (("prompt", *_split(word)) for word in text.replace(",", " ").split())


def _in_query(url: str) -> Iterator[str]:
    try:
        query = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    except ValueError as reason:
        raise invalid("video_url") from reason
    return (value for name, value in query if name == "sandbox")


def _split(word: str) -> tuple[str, str]:
    name, _, value = word.strip().partition(":")
    return name, value
