"""`reelgate` commands as processes of their own, without a second of imports for each.

One process imports the program and waits; every command is a fork of it, with descriptors, exit
code and environment of its own.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.processes import clean_environment

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Said:
    """What a command left behind: its exit code and both outputs."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Return the JSON that a command printed which must have gone well."""
        assert self.code == 0, self.err
        return json.loads(self.out)


class Shell:
    """Runs commands one after the other; use it in a `with`."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from tests.support.shell import obey; obey()"],
            cwd=ROOT,
            env=clean_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str, environment: Mapping[str, str]) -> Said:
        """Run `reelgate` with `words` and, beyond a clean environment, these variables."""
        orders, answers = self._process.stdin, self._process.stdout
        assert orders is not None
        assert answers is not None
        orders.write(json.dumps([words, dict(environment)]) + "\n")
        orders.flush()
        return Said(*json.loads(answers.readline()))

    def __enter__(self) -> Self:
        """Use it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the waiting process by closing its ear."""
        self._process.communicate(timeout=10)


def obey() -> None:
    """Fork for every line of standard input, and answer with code and outputs: the other side."""
    from app.cli import COMMANDS, main

    for module in ("api.app", *(f"cli.{name}" for name in COMMANDS.values())):
        importlib.import_module(f"app.{module}")
    # What every fork inherits need not be walked and freed at the end of each.
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        words, variables = json.loads(line)
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            child = os.fork()
            if child == 0:
                os.dup2(out.fileno(), 1)
                os.dup2(err.fileno(), 2)
                os.environ.update(variables)
                sys.argv = ["reelgate", *words]
                main()
                sys.exit(0)
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            out.seek(0)
            err.seek(0)
            sys.stdout.write(json.dumps([code, out.read(), err.read()]) + "\n")
            sys.stdout.flush()
