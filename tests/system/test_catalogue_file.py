"""A catalogue file with a mistake, as whoever starts the gateway meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.processes import clean_environment, run_command

COMPLAINT = "models.sora-2.price: write the amount in quotes"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Settings that name a file with a price that is no text."""
    path = tmp_path / "models.toml"
    path.write_text("[models.sora-2]\nprice = 4.5\n", "utf-8")
    return clean_environment(
        REELGATE_CATALOGUE_FILE=str(path), REELGATE_DATA_DIR=str(tmp_path / "state")
    )


def test_the_gateway_does_not_start(environment: dict[str, str], tmp_path: Path) -> None:
    """It says what is wrong in one breath, and has not touched the store yet."""
    done = run_command("serve", "--port", "0", environment=environment)

    assert (done.returncode, done.stdout) == (1, "")
    assert COMPLAINT in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "state").exists()


def test_the_doctor_tells_it(environment: dict[str, str]) -> None:
    """Before anything is started."""
    done = run_command("doctor", "--json", environment=environment)

    findings = {each["id"]: each for each in json.loads(done.stdout)["findings"]}
    assert done.returncode == 1
    assert COMPLAINT in findings["settings-refused"]["message"]
