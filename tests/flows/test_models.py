"""Creates of other models than the documented one: their rules, their prices, their names."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from app.domain import contract
from app.domain.catalogue import Model
from app.domain.field_rule import FieldRule
from app.settings import SettingsRefused
from app.wiring import load_catalogue
from tests.conftest import OpenBed
from tests.support.bed import Bed, settings_for

ROOT = Path(__file__).parents[2]
PREVIEW = {"model": "sora-2-preview", "prompt": "a fox", "duration": 8}
UNPRICED = {"model": "seedance-2.0-text-to-video", "prompt": "a fox", "duration": 5}
TASK_ID = "task-unified-1767917446-0123456789abcdefghijklmno"


def written(folder: Path, text: str) -> Path:
    """Write an operator's catalogue file."""
    path = folder / "models.toml"
    path.write_text(text, "utf-8")
    return path


def refusal_of(folder: Path, path: Path) -> list[str]:
    """Return why the gateway does not start with this file."""
    with pytest.raises(SettingsRefused) as caught:
        load_catalogue(settings_for("", folder, "http://example.com", catalogue_file=path))
    return caught.value.problems


async def test_the_price_of_a_table_is_held_and_settled(bed: Bed) -> None:
    """Eight seconds cost what the vendor's note says, whatever its answers show as usage."""
    key = await bed.key(credits_per_day="50")

    created = await bed.create(key, PREVIEW)
    held = await bed.usage()
    await bed.pass_time(10)
    settled = await bed.usage()

    assert created.json()["usage"]["credits_reserved"] == 46.08
    assert (held["held"], settled["held"]) == (46_080_000, 0)
    assert settled["settled"] == 46_080_000


async def test_what_is_not_named_is_held_at_its_dearest(bed: Bed) -> None:
    """Without a duration the hold is for twelve seconds, which this tenant cannot pay."""
    key = await bed.key(credits_per_day="50")

    refused = await bed.create(key, {"model": "sora-2-preview", "prompt": "a fox"})

    assert refused.status_code == 402
    assert refused.json()["error"]["reason"] == "credit_exhausted"
    assert bed.vendor.creates() == []


async def test_a_model_without_a_price_is_for_tenants_without_a_limit(bed: Bed) -> None:
    """Nothing is held for them; whoever has a limit is refused before anything is sent."""
    limited, free = await bed.key(credits_per_day="50"), await bed.key("studio")

    refused = await bed.create(limited, UNPRICED)
    created = await bed.create(free, UNPRICED)

    assert (refused.status_code, refused.json()["error"]["reason"]) == (402, "price_unknown")
    assert created.status_code == 200
    assert (await bed.usage("studio"))["held"] == 0
    assert len(bed.vendor.creates()) == 1


async def test_a_broken_rule_is_refused_before_money_is_touched(bed: Bed) -> None:
    """The vendor hears nothing of it, and no hold is left."""
    key = await bed.key(credits_per_day="50")

    refused = await bed.create(key, {**PREVIEW, "image_urls": ["https://example.com/a.jpg", "b"]})

    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "image_urls"
    assert await bed.usage() == {}
    assert bed.vendor.creates() == []


async def test_fields_go_to_the_vendor_as_they_were_spelled(bed: Bed) -> None:
    """Also those that have a rule, and those that have none."""
    body = {"model": "sora-2-preview", "prompt": "a fox", "duration": 4.0, "new": {"x": [1, None]}}

    await bed.created(await bed.key(), body)

    (sent,) = bed.vendor.creates()
    assert sent["body"] == body


async def test_an_alias_is_a_name_of_its_model(bed: Bed) -> None:
    """It is sent as written, and recorded, allowed and answered as the model."""
    key = await bed.key(models=["veo3.1-fast-beta"])

    created = await bed.create(key, {"model": "veo3.1-fast", "prompt": "a fox"})

    (sent,) = bed.vendor.creates()
    assert sent["body"]["model"] == "veo3.1-fast"
    assert created.json()["model"] == "veo3.1-fast-beta"
    assert (await bed.stored(created.json()["id"]))["model"] == "veo3.1-fast-beta"


async def test_a_model_nobody_knows_is_not_forwarded(bed: Bed) -> None:
    """Unless the operator says so."""
    refused = await bed.create(await bed.key(), {"model": "brand-new-1.0"})

    assert refused.status_code == 404
    assert refused.json()["error"]["reason"] == "model_not_found"
    assert bed.vendor.creates() == []


async def test_a_model_nobody_knows_can_be_forwarded(open_gateway_bed: OpenBed) -> None:
    """Then it is the vendor who says that there is no such model; a limited tenant has no price."""
    async with open_gateway_bed(allow_unknown_models=True) as bed:
        limited = await bed.key(credits_per_day="50")
        passed = await bed.create(await bed.key("studio"), {"model": "brand-new-1.0", "n": "x"})
        unpriced = await bed.create(limited, {"model": "brand-new-1.0"})

        (sent,) = bed.vendor.creates()
        assert sent["body"] == {"model": "brand-new-1.0", "n": "x"}
        assert passed.json()["error"]["reason"] == "vendor_refused"
        assert unpriced.json()["error"]["reason"] == "price_unknown"


def test_an_answer_claims_nothing_that_is_not_known() -> None:
    """What the catalogue has no figure for is left to the vendor's answer."""
    answer = contract.pending_answer(TASK_ID, Model(name="new"), held=0, group="default")

    assert answer["task_info"] == {"can_cancel": False}
    assert answer["usage"] == {"credits_reserved": 0, "user_group": "default"}


async def test_an_operators_price_is_held(open_gateway_bed: OpenBed, tmp_path: Path) -> None:
    """One line of a file makes a model usable for tenants with a limit."""
    text = '[models."seedance-2.0-text-to-video"]\nprice_per_second = "3.4"\n'

    async with open_gateway_bed(catalogue_file=written(tmp_path, text)) as bed:
        created = await bed.create(await bed.key(credits_per_day="50"), UNPRICED)

        assert created.json()["usage"]["credits_reserved"] == 17
        assert (await bed.usage())["held"] == 17_000_000


def test_the_example_of_the_manual_is_a_catalogue(tmp_path: Path) -> None:
    """Whoever copies it starts, and gets what is written there."""
    manual = (ROOT / "docs" / "catalogue.md").read_text("utf-8")
    (example,) = re.findall(r"```toml\n(.*?)```", manual, re.DOTALL)

    path = written(tmp_path, example)
    catalogue = load_catalogue(
        settings_for("", tmp_path, "http://example.com", catalogue_file=path)
    )

    assert len(catalogue.models) == 65
    for name in tomllib.loads(example)["models"]:
        assert catalogue.model(name).tariff is not None, name


def test_the_manual_explains_every_key() -> None:
    """And no other: each is in a table of the manual, by its name."""
    manual = (ROOT / "docs" / "catalogue.md").read_text("utf-8")
    cells = re.findall(r"^\| (`.*?) \|", manual, re.MULTILINE)
    explained = {name for cell in cells for name in re.findall(r"`(\w+)(?:\.<field>)?`", cell)}

    assert explained == {*Model.model_fields, *FieldRule.model_fields} - {"name"}


@pytest.mark.parametrize(
    ("text", "complaints"),
    [
        ('[models."m"]\nprice = 1.5\n', ['models.m.price: write the amount in quotes: "1.5"']),
        ('[models."a.b"]\nunit = "x"\n', ['models."a.b".unit: ']),
        (
            "[models.sora-2.fields]\nprompt = { max_length = -1 }\n",
            ["models.sora-2.fields.prompt.max_length: "],
        ),
        ("[models.m]\nprice = 'x'\nunits = 'y'\n", ["models.m.price: ", "models.m.units: "]),
        ("[model.m]\n", ["model: only tables of models belong here"]),
        ("models = 1\n", ["models: write a table for each model"]),
        ("[models.m\n", ["cannot be read", "line 1"]),
    ],
    ids=["number", "key", "merged rule", "two", "table", "no table", "syntax"],
)
def test_a_mistake_in_the_file_stops_the_start(
    tmp_path: Path, text: str, complaints: list[str]
) -> None:
    """The message names the variable, the file, the model, the field and the rule."""
    path = written(tmp_path, text)

    told = refusal_of(tmp_path, path)

    assert all(line.startswith(f"REELGATE_CATALOGUE_FILE: {path}") for line in told)
    assert all(complaint in "\n".join(told) for complaint in complaints)


@pytest.mark.parametrize("content", [None, b"\xff\xfe"], ids=["missing", "no text"])
def test_a_file_that_cannot_be_read_stops_the_start(tmp_path: Path, content: bytes | None) -> None:
    """A misspelt path is not an empty catalogue."""
    path = tmp_path / "absent.toml"
    if content is not None:
        path.write_bytes(content)

    (told,) = refusal_of(tmp_path, path)

    assert told.startswith(f"REELGATE_CATALOGUE_FILE: {path} cannot be read")
