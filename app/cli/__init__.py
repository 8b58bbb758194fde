"""The `reelgate` command. It works on the store, not over HTTP, and joins a running one."""

from __future__ import annotations

import sys

import typer

from app.cli import demo, doctor, keys, sandbox, serve, tasks, tenants
from app.cli.console import CommandFailed, complain
from app.errors import GatewayError
from app.settings import SettingsRefused
from app.store.embedded import EmbeddedStoreUnavailable

cli = typer.Typer(
    name="reelgate",
    help="A self-hosted gateway for asynchronous video generation.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
cli.command()(serve.serve)
cli.command()(demo.demo)
cli.command()(sandbox.sandbox)
cli.command()(doctor.doctor)
cli.add_typer(tenants.commands, name="tenant")
cli.add_typer(keys.commands, name="key")
cli.add_typer(tasks.commands, name="task")


def main() -> None:
    """Run the command; a failure is one clear message on standard error and exit code 1."""
    try:
        cli()
    except SettingsRefused as refused:
        complain("the settings cannot be used:", *refused.problems)
        sys.exit(1)
    except (CommandFailed, EmbeddedStoreUnavailable) as failed:
        complain(str(failed))
        sys.exit(1)
    except GatewayError as failed:
        complain(f"{failed.message} ({failed.reason})", "`reelgate doctor` says more")
        sys.exit(1)
