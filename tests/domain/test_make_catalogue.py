"""The script that writes the catalogue: every word of the vendor's list has one meaning."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from app.domain.catalogue import read_catalogue

SCRIPT = Path(__file__).parents[2] / "scripts" / "make_catalogue.py"

ENTRY: dict[str, Any] = {
    "name": "painter-1.0",
    "required": ["model", "prompt"],
    "required_fields": {
        "model": {"type": "string", "enum": ["painter-1.0"]},
        "prompt": {"type": "string", "max_length": 2000},
    },
    "optional": {},
    "required_basis": "schema",
    "billing_rule": "per_call",
    "estimated_time_s": 165,
    "video_duration_s": None,
    "credits_reserved_example": 7,
    "callback_url_documented": None,
    "error_format": None,
    "aliases": [],
    "availability": "listed",
    "price_notes": None,
    "task_id_fields": [],
    "notes": None,
    "source": ["https://example.com/painter"],
    "source_page_address": "seen",
}


def run(path: Path, *models: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """Run the script on a list of models."""
    path.write_text(json.dumps(models), "utf-8")
    command = [sys.executable, str(SCRIPT), str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """A place for the list."""
    return tmp_path / "models.json"


def made(path: Path, **changes: Any) -> dict[str, Any]:
    """Return what the script makes of one model; the gateway must be able to read it."""
    finished = run(path, {**ENTRY, **changes})
    assert finished.returncode == 0, finished.stderr
    document = tomllib.loads(finished.stdout)
    read_catalogue(document)
    entry: dict[str, Any] = document["models"][changes.get("name", ENTRY["name"])]
    return entry


def test_a_model_is_written_with_all_that_is_known(listed: Path) -> None:
    """What is unknown is left out, or says so."""
    assert made(listed) == {
        "status": "active",
        "status_source": "listed in the vendor's model list of October 2026",
        "object": "video.generation.task",
        "type": "video",
        "billing_rule": "per_call",
        "price": "unknown",
        "price_source": "no price with a source",
        "units": "unknown",
        "estimated_time_s": 165,
        "callback_url_documented": False,
        "error_format": "unknown",
        "source": ["https://example.com/painter"],
        "fields": {
            "prompt": {"type": "string", "required": True, "enforced": True, "max_length": 2000}
        },
    }


def test_the_same_list_gives_the_same_bytes(listed: Path) -> None:
    """A change of the file is a change of the list, or of the script."""
    models = [ENTRY, ENTRY | {"name": "painter-2.0"}]

    assert run(listed, *models).stdout == run(listed, *models).stdout


def test_no_path_gets_into_the_file(listed: Path) -> None:
    """Where the list lay is nobody's business."""
    assert str(listed.parent) not in run(listed, ENTRY).stdout


@pytest.mark.parametrize(
    ("availability", "status", "source"),
    [
        ("listed", "active", "listed in"),
        ("absent from the list", "unknown", "absent from the list"),
        ("provider_shut_down_2026-09-24; still listed", "retired", "on 2026-09-24; still listed"),
        ("provider_shut_down_2026-09-24", "retired", "on 2026-09-24"),
    ],
)
def test_a_status_follows_from_the_availability(
    listed: Path, availability: str, status: str, source: str
) -> None:
    """A provider that has gone outweighs a list that still shows the model."""
    entry = made(listed, availability=availability)

    assert entry["status"] == status
    assert source in entry["status_source"]


@pytest.mark.parametrize(
    ("note", "prices"),
    [
        ("69 credits per video", {"price": "69"}),
        (
            "23.04 / 46.08 credits for 4 / 8 s",
            {"price_by": {"duration": {"4": "23.04", "8": "46.08"}}},
        ),
        (
            "40 credits for 5 s, 80 for 10 s",
            {"price_by": {"duration": {"5": "40", "10": "80"}}},
        ),
        (
            "0.4 / 0.9 credits per second at 480p / 720p, although the example says per_call",
            {"price_per_second_by": {"quality": {"480p": "0.4", "720p": "0.9"}}},
        ),
        ("2.3 to 5.175 credits per video by duration and watermark", {"price": "unknown"}),
        ("18 / 36 / 36 credits", {"price": "unknown"}),
        ("0.818 to 7.932 credits per second", {"price": "unknown"}),
    ],
)
def test_a_price_is_taken_only_from_a_note_that_leaves_nothing_open(
    listed: Path, note: str, prices: dict[str, Any]
) -> None:
    """The note itself is kept either way."""
    optional = {
        "duration": {"type": "integer", "enum": [4, 5, 8, 10]},
        "quality": {"type": "string", "enum": ["480p", "720p"]},
    }

    entry = made(listed, price_notes=note, optional=optional)

    assert {
        key: entry[key] for key in entry if key.startswith("price") and key != "price_source"
    } == prices
    assert note in entry["price_source"]


def test_an_example_is_a_price_for_one_model_alone(listed: Path) -> None:
    """All other examples show placeholders."""
    character = made(listed, name="sora-character", credits_reserved_example=0.1)

    assert (character["price"], character["units"]) == ("0.1", "credit")
    assert (made(listed)["price"], made(listed)["units"]) == ("unknown", "unknown")


@pytest.mark.parametrize(("basis", "enforced"), [("schema", True), ("prose of the page", False)])
def test_only_a_schema_is_enforced(listed: Path, basis: str, enforced: bool) -> None:
    """Prose is written down and refuses nothing."""
    assert made(listed, required_basis=basis)["fields"]["prompt"]["enforced"] is enforced


@pytest.mark.parametrize(
    ("rule", "written"),
    [
        ({"type": "string", "max_length": 9, "note": "longer text is cut"}, {"cut_at": 9}),
        ({"type": "string", "max_tokens": 9}, {"max_tokens": 9}),
        ({"type": "string", "format": "uri"}, {"format": "uri"}),
        (
            {"type": "string", "format": "uri", "formats": [".mp4"]},
            {"format": "media_url", "extensions": [".mp4"]},
        ),
        (
            {
                "type": "string",
                "format": "comma separated seconds",
                "note": "span between the chosen points must not exceed 2 seconds",
            },
            {"format": "time_points", "max_span_s": "2"},
        ),
        (
            {"type": "integer", "default": 5, "any_of": [{"min": 4, "max": 30}, {"enum": [-1]}]},
            {"any_of": [{"min": 4, "max": 30}, {"enum": [-1]}], "default": 5},
        ),
        (
            {"type": "array", "max_items": 2, "items": {"type": "string", "format": "uri"}},
            {"max_items": 2, "items": {"type": "string", "format": "uri"}},
        ),
        ({"type": "object", "properties": {}}, {}),
        (
            {
                "type": "object",
                "required": ["a b"],
                "properties": {
                    "a b": {"type": "string"},
                    "list": {
                        "type": "array",
                        "items": {"type": "object", "properties": {"n": {"type": "integer"}}},
                    },
                },
            },
            {
                "properties": {
                    "a b": {"type": "string", "required": True},
                    "list": {
                        "type": "array",
                        "items": {"type": "object", "properties": {"n": {"type": "integer"}}},
                    },
                }
            },
        ),
    ],
    ids=str,
)
def test_a_rule_keeps_its_meaning(
    listed: Path, rule: dict[str, Any], written: dict[str, Any]
) -> None:
    """In the words of the catalogue; a length that is cut is no limit."""
    found = made(listed, optional={"f": rule})["fields"]["f"]

    found.pop("note", None)
    assert found == {"type": rule["type"], "enforced": True, **written}


def test_text_survives_being_written(listed: Path) -> None:
    """Quotes, line ends and letters of any script."""
    note = 'say "é"\n\\ 视频 \u2028 end'

    entry = made(listed, optional={"f": {"type": "string", "note": note}})

    assert entry["fields"]["f"]["note"] == note


@pytest.mark.parametrize(
    "changes",
    [
        {"availability": "perhaps"},
        {"required": ["model", "seed"]},
        {"optional": {"f": {"type": "string", "pattern": "a+"}}},
        {"optional": {"f": {"type": "string", "format": "date"}}},
        {"optional": {"f": {"type": "string", "format": "comma separated seconds"}}},
    ],
    ids=str,
)
def test_what_the_script_does_not_know_stops_it(listed: Path, changes: dict[str, Any]) -> None:
    """No rule is lost without a word."""
    finished = run(listed, {**ENTRY, **changes})

    assert finished.returncode == 1
    assert finished.stderr.startswith(f"{listed}: painter-1.0: no ")
    assert finished.stdout == ""
