"""Reads a guide as a program: the commands in it, and the answers it promises."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

import httpx2

DOCS = Path(__file__).parents[2] / "docs"
GUIDE = DOCS / "api.md"
OPERATORS_GUIDE = DOCS / "admin-api.md"
BROWSERS_GUIDE = DOCS / "browsers.md"
WEBHOOKS_GUIDE = DOCS / "webhooks.md"

VOLATILE = (
    (r"task-unified-[0-9]{10}-[0-9a-z]+", "<task>"),
    (r"vk_[0-9a-z]+", "<vendor key>"),
    (r"we_[0-9a-z]{16}", "<webhook>"),
    (r"msg_[0-9a-z]{25}_", "msg_<task>_"),
    (r'"(disabled_at|next_attempt_at)": [0-9]{10}', r'"\1": <second>'),
    (r"req_[0-9a-f]{24}", "<request>"),
    (r'"(created|created_at)": ?[0-9]{10}', r'"\1": <second>'),
    (r'"(date|from|to)": ?"[0-9]{4}-[0-9]{2}-[0-9]{2}"', r'"\1": <day>'),
    (r"chr_\w{8}#", "<character>"),
    (r"media\.example\.com/[0-9a-f]{16}/", "media.example.com/<folder>/"),
    (r"key_[0-9a-z]{12}(~[0-9a-z]{12})?", "<key>"),
    (r'"expires_at": [0-9]{10}', '"expires_at": <second>'),
    (r"rgt_live_[0-9A-Za-z]{36}", "rgt_live_…"),
    (r"rg_live_[0-9A-Za-z]{36}", "rg_live_…"),
    (r"whsec_[A-Za-z0-9+/]{43}=", "whsec_…"),
    (r"\d{13}-\d+-\d+", "<entry>"),
    (r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", "<instant>"),
    (r'"20\d\d-\d\d-\d\d"', "<day>"),
    (r'_ms": \d{13}', '_ms": <instant>'),
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


def examples(guide: Path = GUIDE) -> Iterator[Example]:
    """Return the examples of a guide; each block of commands must be followed by its answer."""
    return examples_in(guide.read_text("utf-8"))


def section(text: str, title: str) -> str:
    """Return what stands below a heading of a guide, up to the next one of its rank."""
    rank = title.partition(" ")[0]
    found = re.search(
        rf"^{re.escape(title)}\n(.*?)(?=^#{{1,{len(rank)}}} |\Z)", text, re.DOTALL | re.MULTILINE
    )
    assert found is not None, f"there is no {title}"
    return found[1]


def examples_in(text: str) -> Iterator[Example]:
    """Return the examples of a part of a guide."""
    fences = re.findall(r"^```(sh|http)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
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
    method = ""
    for word in words:
        match word:
            case "-s" | "-i":
                continue
            case "-X":
                method = next(words)
            case "-H":
                name, _, value = next(words).partition(": ")
                sent.headers.append((name.lower(), value))
            case "-d":
                sent.method, sent.content = "POST", next(words)
            case _:
                assert not word.startswith("-"), f"the guide uses {word}, which is not known here"
                assert not sent.url, "a command with two addresses"
                sent.url = word
    sent.method = method or sent.method
    if sent.content is not None and "content-type" not in dict(sent.headers):
        sent.headers.append(("content-type", "application/x-www-form-urlencoded"))
    return sent


def told_routes(guide: Path) -> set[tuple[str, str]]:
    """Return the path and method of every route in the tables of a guide."""
    table = re.findall(r"^\| (`/.*?) \| (\w+) \|", guide.read_text("utf-8"), re.MULTILINE)
    return {(path, method) for paths, method in table for path in re.findall(r"`(.*?)`", paths)}


def assert_as_told(answer: httpx2.Response, example: Example) -> None:
    """Fail where status, a header that is shown, or the body is not as the guide has it."""
    head, _, body = steady(example.answer).partition("\n\n")
    first, *headers = head.splitlines()
    assert first == f"HTTP/1.1 {answer.status_code} {answer.reason_phrase}", answer.text
    for line in headers:
        name, _, value = line.partition(": ")
        assert steady(answer.headers[name]) == value, f"{name} in the answer to {example}"
    shown = json.dumps(answer.json(), indent=2, ensure_ascii=False)
    assert steady(shown) == body.rstrip("\n")


def steady(text: str) -> str:
    """Return `text` with all that is new in every run replaced."""
    for pattern, replacement in VOLATILE:
        text = re.sub(pattern, replacement, text)
    return text
