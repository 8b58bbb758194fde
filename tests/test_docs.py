"""What is written for people agrees with the program: errors, settings, links, log, routes."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from starlette.routing import BaseRoute

from app import errors, settings, telemetry
from app.api.app import create_app
from app.errors import TYPE_BY_STATUS, GatewayError, VendorRefused, closed_list
from app.settings import Settings
from app.telemetry import Metrics
from tests.support.answers import FOR_THE_VENDOR, PAGES

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PUBLISHED = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"]
PUBLISHED += sorted(
    str(path.relative_to(ROOT))
    for folder in ("docs", "examples")
    for path in (ROOT / folder).rglob("*.md")
)
EACH_ERROR = pytest.mark.parametrize("error", closed_list(), ids=lambda error: error.reason)
LOG_CALLS = {"debug", "info", "warning", "error", "exception", "critical"}


def text_of(name: str) -> str:
    """Return a document, or say plainly that it is missing."""
    path = ROOT / name
    assert path.is_file(), f"{name} is missing"
    return path.read_text("utf-8")


@dataclass(frozen=True, slots=True)
class Entry:
    """One error as docs/errors.md describes it."""

    statuses: list[int]
    types: list[str]
    retry_after: bool
    explanation: str
    advice: str


def documented_errors() -> list[tuple[str, Entry]]:
    """Read docs/errors.md: one section a reason."""
    found = []
    for section in re.split(r"^### ", text_of("docs/errors.md"), flags=re.MULTILINE)[1:]:
        section = re.split(r"^## ", section, flags=re.MULTILINE)[0]
        title, facts, explanation, advice = section.strip().split("\n\n")
        statuses, types, retry_after = facts.split(" · ")
        assert retry_after in ("`Retry-After`", "no `Retry-After`"), title
        entry = Entry(
            statuses=[int(status) for status in statuses.split(", ")],
            types=[each.strip("`") for each in types.split(", ")],
            retry_after=retry_after == "`Retry-After`",
            explanation=" ".join(explanation.split()),
            advice=advice,
        )
        found.append((title.strip("`"), entry))
    return found


def test_every_error_is_documented_once_and_nothing_else() -> None:
    """A reason that callers meet is in the document, and one in the document can be met."""
    documented = [reason for reason, _ in documented_errors()]

    assert sorted(documented) == sorted(error.reason for error in closed_list())


def test_no_two_errors_share_a_reason() -> None:
    """One word, one cause."""
    reasons = [error.reason for error in closed_list()]

    assert len(reasons) == len(set(reasons))


@EACH_ERROR
def test_an_error_is_documented_as_it_is_answered(error: type[GatewayError]) -> None:
    """Status, type and whether there is a `Retry-After`."""
    entry = dict(documented_errors())[error.reason]
    statuses = {error.status}
    if error is VendorRefused:
        statuses = set(VendorRefused.SHOWN_AS.values())

    assert entry.statuses == sorted(statuses)
    assert entry.types == list(dict.fromkeys(TYPE_BY_STATUS[status] for status in entry.statuses))
    assert entry.retry_after == (error.default_retry_after_s is not None)


@EACH_ERROR
def test_an_error_is_explained_in_the_words_of_its_class(error: type[GatewayError]) -> None:
    """The first sentence of the docstring is the published explanation; then comes what to do."""
    entry = dict(documented_errors())[error.reason]
    first = " ".join((inspect.getdoc(error) or "").partition("\n\n")[0].split())

    assert entry.explanation == first
    assert re.match(r"\*\*When:\*\* .+\n\*\*What to do:\*\* .+", entry.advice, re.DOTALL)


def test_the_tree_of_errors_is_drawn_whole() -> None:
    """The picture at the head of app/errors.py holds every class with its status."""
    drawn = re.findall(r"[├└]── (\w+) +([\d, ]+?)  ", inspect.getdoc(errors) or "")
    expected = {error.__name__: [error.status] for error in closed_list()}
    expected["VendorRefused"] = sorted(set(VendorRefused.SHOWN_AS.values()))

    found = {name: [int(status) for status in statuses.split(", ")] for name, statuses in drawn}
    assert found == expected


def documented_settings() -> list[list[str]]:
    """Return the rows of every table of docs/configuration.md that begins with a variable."""
    rows = re.findall(r"^\| `REELGATE_.*\|$", text_of("docs/configuration.md"), re.MULTILINE)
    cells = [re.split(r"(?<!\\)\|", row.strip("|")) for row in rows]
    return [[cell.strip().replace("\\|", "|") for cell in row] for row in cells]


def fields(model: type[BaseModel] = Settings, *path: str) -> Iterator[tuple[str, FieldInfo]]:
    """Return every setting with all that is known about it."""
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from fields(inner, *path, name)
        else:
            yield settings.variable_of((*path, name)), field


def shown_default(default: Any) -> str:
    """Return a default as the tables write it."""
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    if isinstance(default, Path):
        default = str(default).replace(str(Path.home()), "~")
    return "empty" if default in ("", None) else f"`{default}`"


def shown_range(field: FieldInfo) -> str | None:
    """Return what a setting may be as the tables write it, or None where words must say it."""
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{word}`" for word in get_args(field.annotation))
    bounds = {
        name: getattr(each, name)
        for each in field.metadata
        for name in ("gt", "ge", "le")
        if hasattr(each, name)
    }
    match bounds:
        case {"gt": least, "le": most}:
            return f"above {least}, up to {most}"
        case {"ge": least, "le": most}:
            return f"{least} to {most}"
        case {"ge": least}:
            return f"{least} or more"
        case {"gt": least}:
            return f"above {least}"
        case _:
            assert bounds == {}
            return None


def test_every_setting_is_documented_once_and_nothing_else() -> None:
    """No variable is hidden, and none is promised that nothing reads."""
    documented = [row[0].strip("`") for row in documented_settings()]

    assert sorted(documented) == sorted(settings.variables())


def test_the_tables_say_what_the_program_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Default, range and meaning of every setting."""
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    known = dict(fields())

    for name, default, allowed, meaning in documented_settings():
        field = known[name.strip("`")]
        assert default == shown_default(field.get_default(call_default_factory=True)), name
        assert allowed == (shown_range(field) or allowed), name
        assert meaning == field.description, name
        assert allowed, name


def test_only_settings_that_exist_are_spoken_of() -> None:
    """A variable named in any document is one that the program reads."""
    known = settings.variables().keys()
    spoken = {
        (name, variable)
        for name in PUBLISHED
        for variable in re.findall(r"\bREELGATE_[A-Z][A-Z0-9_]*[A-Z0-9]", text_of(name))
    }

    strangers = {(name, each) for name, each in spoken if each not in known}
    assert {(n, e) for n, e in strangers if not e.startswith("REELGATE_TEST")} == set()


def anchors(markdown: str) -> set[str]:
    """Return the anchors of a document's headings, as the usual renderers make them."""
    prose = re.sub(r"^```.*?^```$", "", markdown, flags=re.DOTALL | re.MULTILINE)
    titles = re.findall(r"^#+ (.*)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_link_leads_somewhere(name: str) -> None:
    """Relative links name files that exist, and headings in them that exist."""
    place = ROOT / name
    prose = re.sub(r"^```.*?^```$", "", text_of(name), flags=re.DOTALL | re.MULTILINE)
    broken = []
    for target in re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", prose):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (place.parent / path) if path else place
        if not found.exists() or (anchor and anchor not in anchors(found.read_text("utf-8"))):
            broken.append(target)
    assert broken == []


def test_every_document_can_be_found_from_the_readme() -> None:
    """A page that nothing leads to is read by nobody."""
    seen, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        targets = re.findall(r"\]\(([^)\s#]+)[^)]*\)", page.read_text("utf-8"))
        linked = [(page.parent / each).resolve() for each in targets if ":" not in each]
        waiting += [path for path in linked if path.exists()]
        waiting += [each for path in linked if path.is_dir() for each in path.glob("*.md")]

    unseen = [name for name in PUBLISHED if ROOT / name not in seen]
    assert [name for name in unseen if not re.match(r"docs/adr/\d", name)] == []


def logged_events() -> set[str]:
    """Return the name of every event that some line of the program logs."""
    found = set()
    for path in (ROOT / "app").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Attribute(attr=level), args=[ast.Constant(value=str(event)), *_]
                ) if level in LOG_CALLS:
                    found.add(event)
                case ast.Call(
                    func=ast.Attribute(attr="log"), args=[_, ast.Constant(value=str(event)), *_]
                ):
                    found.add(event)
    return found


def test_every_log_event_is_listed_and_used() -> None:
    """Whoever reads the log finds its events in one place, and no others."""
    indented = re.findall(r"^ {4}.*$", inspect.getdoc(telemetry) or "", re.MULTILINE)
    listed = re.findall(r"\b[a-z]+\.[a-z_]+\b", "\n".join(indented))

    assert logged_events() == set(listed)
    assert len(listed) == len(set(listed))


def test_every_metric_is_listed_and_exists() -> None:
    """With its labels, which are what queries and alerts are made of."""
    listed = re.findall(r"(reelgate_\w+[a-z])(?:\{([a-z,_]+)\})?", inspect.getdoc(telemetry) or "")
    existing = {
        f"{each._name}_total" if each._type == "counter" else each._name: each._labelnames
        for each in vars(Metrics()).values()
        if hasattr(each, "_labelnames")
    }

    assert {name: tuple(filter(None, labels.split(","))) for name, labels in listed} == existing


def test_every_metric_is_counted_somewhere() -> None:
    """A figure that is always nought would be taken for good news."""
    sources = [path.read_text("utf-8") for path in (ROOT / "app").rglob("*.py")]
    program = "".join(text for text in sources if "class Metrics" not in text)

    names = [name for name in vars(Metrics()) if name != "registry"]
    assert [name for name in names if f"metrics.{name}" not in program] == []


def templates(routes: list[BaseRoute]) -> Iterator[str]:
    """Return the path of every route, those of included routers too."""
    for route in routes:
        if (included := getattr(route, "original_router", None)) is not None:
            yield from templates(included.routes)
        else:
            yield getattr(route, "path")  # noqa: B009 - a base route promises none


def test_every_route_is_described_or_named_as_a_page() -> None:
    """What is served is in /openapi.json, or on the short list of what is not for its readers."""
    app = create_app(Settings())
    hidden = {*PAGES, FOR_THE_VENDOR + "{token}"}

    assert set(templates(app.routes)) == app.openapi()["paths"].keys() | hidden
