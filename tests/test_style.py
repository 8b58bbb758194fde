"""The house rules that a machine can hold: sizes, names, docstrings, one method a Lua script.

`make check` runs this file too, so it needs neither Redis nor the application.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("app", "bench", "examples", "scripts", "tests")
LIMITS = {"file": 400, "class": 250, "function": 50, "lua": 80}
# Each also as a plural.
BANNED_WORDS = frozenset(
    ["util", "helper", "common", "base", "manager", "handler", "service", "impl", "data", "info"]
)

Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def files(pattern: str, root: Path = ROOT) -> list[Path]:
    """Return our own files of one kind, in a stable order."""
    return sorted(path for folder in FOLDERS for path in (root / folder).rglob(pattern))


def definitions(tree: ast.AST) -> Iterator[Definition]:
    """Walk over every class and function, nested ones too."""
    return (node for node in ast.walk(tree) if isinstance(node, Definition))


def oversized(root: Path) -> Iterator[str]:
    """Name every file, class, function and script below `root` that is too long."""

    def over(kind: str, lines: int, where: str) -> Iterator[str]:
        if lines > LIMITS[kind]:
            yield f"{where}: {kind} of {lines} lines, at most {LIMITS[kind]}"

    for path in files("*.lua", root):
        lines = len(path.read_text("utf-8").splitlines())
        yield from over("lua", lines, str(path.relative_to(root)))
    for path in files("*.py", root):
        source, where = path.read_text("utf-8"), str(path.relative_to(root))
        yield from over("file", len(source.splitlines()), where)
        for node in definitions(ast.parse(source)):
            kind = "class" if isinstance(node, ast.ClassDef) else "function"
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            yield from over(kind, lines, f"{where}:{node.lineno} {node.name}")


def words(name: str) -> set[str]:
    """Split a snake_case or CamelCase name into lower-case words, plurals into singulars."""
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)
    return {part.lower() for part in parts} | {part.lower().removesuffix("s") for part in parts}


def names() -> Iterator[tuple[str, str]]:
    """Return where each folder, file and class of ours stands, and what it is called."""
    for path in (*files("*.lua"), *files("*.py")):
        where = path.relative_to(ROOT)
        yield str(where), " ".join((*where.parent.parts, where.stem))
    for path in files("*.py"):
        for node in definitions(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                yield f"{path.relative_to(ROOT)}:{node.lineno}", node.name


def undocumented(path: Path) -> Iterator[str]:
    """Name what has no docstring but needs one: the module, public classes, tests."""
    where, tree = path.relative_to(ROOT), ast.parse(path.read_text("utf-8"))
    if ast.get_docstring(tree) is None:
        yield f"{where}: the module"
    for node in definitions(tree):
        is_public_class = isinstance(node, ast.ClassDef) and not node.name.startswith("_")
        is_test = path.is_relative_to(ROOT / "tests") and node.name.startswith("test_")
        if (is_public_class or is_test) and ast.get_docstring(node) is None:
            yield f"{where}:{node.lineno} {node.name}"


def bound_scripts(owner: ast.ClassDef) -> dict[str, str]:
    """Return the attributes of a store class that hold a script, with the script's verb."""
    bound = {}
    for node in ast.walk(owner):
        match node:
            case ast.Assign(
                targets=[ast.Attribute(value=ast.Name(id="self"), attr=attribute)],
                value=ast.Call(func=ast.Name(id="Script"), args=[_, ast.Constant(value=str(verb))]),
            ):
                bound[attribute] = verb
    return bound


def script_callers() -> dict[str, set[str]]:
    """Return the methods that run each script, by the script's verb."""
    callers: dict[str, set[str]] = defaultdict(set)
    for path in sorted((ROOT / "app" / "store").glob("*.py")):
        for owner in ast.parse(path.read_text("utf-8")).body:
            if not isinstance(owner, ast.ClassDef):
                continue
            bound = bound_scripts(owner)
            for method in (node for node in owner.body if isinstance(node, Definition)):
                for node in ast.walk(method):
                    match node:
                        case ast.Call(
                            func=ast.Attribute(value=ast.Name(id="self"), attr=attribute)
                        ) if attribute in bound:
                            callers[bound[attribute]].add(f"{owner.name}.{method.name}")
    return callers


def test_nothing_is_too_long() -> None:
    """A file, class, function or script that outgrows its limit is split, not excused."""
    assert list(oversized(ROOT)) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("app/long.py", "x = 1\n" * 401),
        ("app/tall.py", "class Tall:\n" + "    x = 1\n" * 250),
        ("tests/deep.py", "class A:\n    async def deep(self):\n" + "        x = 1\n" * 50),
        ("app/store/lua/long.lua", "return 1\n" * 81),
    ],
)
def test_the_size_gate_sees_one_line_too_many(tmp_path: Path, name: str, text: str) -> None:
    """Each kind of thing is measured, wherever it lies."""
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    path.write_text(text, "utf-8")

    assert len(list(oversized(tmp_path))) == 1


def test_names_say_what_a_thing_is() -> None:
    """No file, folder or class has a name that would fit anything."""
    assert [f"{where} {name}" for where, name in names() if words(name) & BANNED_WORDS] == []


def test_modules_public_classes_and_tests_have_docstrings() -> None:
    """Whoever opens a file is told what it is for, and whoever reads a test what it promises."""
    assert [line for path in files("*.py") for line in undocumented(path)] == []


def test_every_folder_of_the_program_is_a_package() -> None:
    """Without its `__init__.py` a folder would escape the check of import layers."""
    folders = {path.parent for path in (ROOT / "app").rglob("*.py")}

    assert [folder.name for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_every_script_belongs_to_one_method() -> None:
    """One change, one script, one method: a script with two callers hides two changes."""
    callers = script_callers()
    scripts = {path.stem for path in (ROOT / "app" / "store" / "lua").glob("*.lua")}

    assert {verb: sorted(callers[verb]) for verb in scripts if len(callers[verb]) != 1} == {}
    assert callers.keys() <= scripts
