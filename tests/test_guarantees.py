"""docs/guarantees.md claims nothing that no test shows."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs/guarantees.md").read_text("utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", TEXT)))


def rows() -> list[list[str]]:
    """Return the cells of every row whose table has a column of tests."""
    found: list[list[str]] = []
    shown = False
    for line in TEXT.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            shown = False
        elif cells[-1] == "Shown by":
            shown = True
        elif shown and not set(line) <= set("|-"):
            found.append(cells)
    return found


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_every_test_that_is_named_exists(file: str, name: str) -> None:
    """Under that name, in that file."""
    tree = ast.parse((ROOT / file).read_text("utf-8"))

    tests = {
        node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }

    assert name in tests


@pytest.mark.parametrize("cells", rows(), ids=lambda cells: cells[0][:40])
def test_every_promise_names_a_test(cells: list[str]) -> None:
    """In its last column, and nothing but tests stands there."""
    assert len(cells) == 3
    assert re.fullmatch(r"`tests/[\w/]+\.py::test_\w+`(, `tests/[\w/]+\.py::test_\w+`)*", cells[2])


def test_the_page_is_read_whole() -> None:
    """Each of the four promises has its table, and the rules above see them."""
    assert len(rows()) > 30
    assert len(NAMED) > 50
