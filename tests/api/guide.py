"""Reads docs/api.md as a program: the commands in it, and the answers it promises."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

GUIDE = Path(__file__).parents[2] / "docs" / "api.md"

VOLATILE = (
    (r"task-unified-[0-9]{10}-[0-9a-z]{25}", "<task>"),
    (r"req_[0-9a-f]{24}", "<request>"),
    (r'"created": ?[0-9]{10}', '"created": <second>'),
    (r"chr_\w{8}#", "<character>"),
    (r"media\.example\.com/[0-9a-f]{16}/", "media.example.com/<folder>/"),
)
"""What differs from one run to the next, and what it is replaced by before a comparison."""


@dataclass(frozen=True, slots=True)
class Pause:
    """A `sleep`."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Call:
    """A `curl`, with its words as the shell would hand them over."""

    words: tuple[str, ...]


@dataclass(slots=True)
class HttpCall:
    """What a curl command sends."""

    method: str = "GET"
    url: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    content: str | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """Commands that belong together, and the answer to the last of them."""

    commands: tuple[Pause | Call, ...]
    answer: str


def examples() -> Iterator[Example]:
    """Return the examples of the guide; each block of commands must be followed by its answer."""
    fences = re.findall(
        r"^```(\w+)\n(.*?)^```$", GUIDE.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    assert [kind for kind, _ in fences] == ["sh", "http"] * (len(fences) // 2)
    for (_, commands), (_, answer) in zip(fences[::2], fences[1::2], strict=True):
        yield Example(tuple(_commands(commands)), answer)


def _commands(block: str) -> Iterator[Pause | Call]:
    for line in block.replace("\\\n", " ").splitlines():
        program, *words = shlex.split(line)
        assert program in ("curl", "sleep"), line
        yield Call(tuple(words)) if program == "curl" else Pause(float(words[0]))


def http_call(call: Call, variables: Mapping[str, str]) -> HttpCall:
    """Read a command as curl does, as far as the guide uses it; an unknown option is an error."""
    sent, words = HttpCall(), iter(Template(word).substitute(variables) for word in call.words)
    for word in words:
        match word:
            case "-s" | "-i":
                continue
            case "-X":
                sent.method = next(words)
            case "-H":
                name, _, value = next(words).partition(": ")
                sent.headers.append((name.lower(), value))
            case "-d":
                sent.method, sent.content = "POST", next(words)
            case _:
                assert not word.startswith("-"), f"the guide uses {word}, which is not known here"
                assert not sent.url, "a command with two addresses"
                sent.url = word
    if sent.content is not None and "content-type" not in dict(sent.headers):
        sent.headers.append(("content-type", "application/x-www-form-urlencoded"))
    return sent


def steady(text: str) -> str:
    """Return `text` with all that is new in every run replaced."""
    for pattern, replacement in VOLATILE:
        text = re.sub(pattern, replacement, text)
    return text
