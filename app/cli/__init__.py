"""The `reelgate` command. It works on the store, not over HTTP, and joins a running embedded one.

A command's module is loaded when the command is used: a health probe or `--help` need not wait for
the web framework.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_command

COMMANDS: Final = {
    "serve": "serve",
    "demo": "demo",
    "sandbox": "sandbox",
    "doctor": "doctor",
    "tenant": "tenants",
    "key": "keys",
    "task": "tasks",
    "webhook": "webhooks",
    "audit": "audit",
}
"""Module of each command, in the order of the help text."""


class _Commands(TyperGroup):
    """The commands by name, each loaded on its first use."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names, in the order of the help text."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Load a command, or a group of them, by name."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"app.cli.{COMMANDS[cmd_name]}")
        single = typer.Typer(pretty_exceptions_enable=False)
        if not hasattr(module, "commands"):
            single.command(cmd_name)(getattr(module, COMMANDS[cmd_name]))
            return get_command(single)
        single.add_typer(module.commands, name=cmd_name)
        group: Any = get_command(single)
        return group.commands[cmd_name]


cli = typer.Typer(
    name="reelgate",
    cls=_Commands,
    help="A self-hosted gateway for asynchronous video generation.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@cli.callback()
def _reelgate() -> None:
    """A self-hosted gateway for asynchronous video generation."""


def main() -> None:
    """Run the command; a failure is one clear message on standard error and exit code 1."""
    try:
        cli()
    except Exception as failure:
        from app.cli.console import explain

        if not explain(failure):
            raise
        sys.exit(1)
