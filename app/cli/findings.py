"""What `reelgate doctor` can find: the closed list, and the checks that ask nobody.

`docs/doctor.md` has an entry for each identifier and is held against `KINDS` by a test.
"""

from __future__ import annotations

import asyncio
import difflib
import importlib.metadata
import platform
from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple

from app import __version__, settings
from app.settings import Settings, SettingsRefused
from app.store.admin_token import FILE_NAME
from app.wiring import load_catalogue

_PACKAGES: Final = ("aiohttp", "fastapi", "httpx2", "redis", "uvicorn")


class Level(StrEnum):
    """How bad it is; an error makes the command fail."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


class Kind(NamedTuple):
    """One identifier's level, and what to do about it."""

    level: Level
    hint: str = ""


KINDS: Final[Mapping[str, Kind]] = {
    "versions": Kind(Level.OK),
    "settings-ok": Kind(Level.OK),
    "settings-refused": Kind(Level.ERROR, "correct the variable; docs/configuration.md lists all"),
    "unknown-setting": Kind(Level.WARNING, "correct its name, or remove it: it has no effect"),
    "testing-hooks-on": Kind(
        Level.ERROR, "remove REELGATE_TESTING__*: these hooks make the gateway fail on purpose"
    ),
    "admin-api-on": Kind(Level.OK),
    "admin-api-off": Kind(Level.OK),
    "store-ok": Kind(Level.OK),
    "store-unreachable": Kind(
        Level.ERROR, "check that Redis runs, that the address is right, and the login"
    ),
    "store-too-old": Kind(Level.ERROR, "use Redis 7.0 or newer, or Valkey 7.2 or newer"),
    "store-read-only": Kind(
        Level.ERROR, "point REELGATE_REDIS_URL at the primary, or at its sentinels"
    ),
    "store-new": Kind(Level.OK),
    "store-known": Kind(Level.OK),
    "store-not-pinned": Kind(
        Level.WARNING,
        "make sure that it is the store you mean; the first start keeps its epoch in"
        " REELGATE_DATA_DIR, or set REELGATE_STORE_EPOCH",
    ),
    "store-foreign": Kind(
        Level.ERROR, "connect or restore the right store; do not let the gateway begin anew on it"
    ),
    "store-durable": Kind(Level.OK),
    "store-not-persistent": Kind(
        Level.WARNING, "start Redis with --appendonly yes --appendfsync always"
    ),
    "store-evicts": Kind(Level.ERROR, "start Redis with --maxmemory-policy noeviction"),
    "store-config-hidden": Kind(
        Level.WARNING, "allow CONFIG GET and INFO to this user, or ask whoever runs Redis"
    ),
    "clock-ok": Kind(Level.OK),
    "clock-skewed": Kind(Level.WARNING, "let both machines keep their time with NTP"),
    "drift-none": Kind(Level.OK),
    "drift-found": Kind(
        Level.ERROR, "look into it with `reelgate task explain`; keep the store as it is, report it"
    ),
    "balance-compared": Kind(Level.OK),
    "balance-differs": Kind(
        Level.WARNING,
        "find out who else uses the vendor keys; look at `reelgate task doubt list` and at prices",
    ),
    "vendor-key-missing": Kind(
        Level.WARNING,
        "configure that key until its tasks have ended; without it they are written off in the end",
    ),
    "deliveries-late": Kind(
        Level.WARNING, "start an engine (role all or engine), or more of them, and read its log"
    ),
    "vendor-no-key": Kind(
        Level.WARNING, "set REELGATE_VENDOR__KEYS or REELGATE_VENDOR__KEYS_FILE for live tasks"
    ),
    "vendor-unreachable": Kind(
        Level.ERROR, "check REELGATE_VENDOR__BASE_URL, name resolution, firewall and TLS"
    ),
    "vendor-key-ok": Kind(Level.OK),
    "vendor-key-empty": Kind(Level.WARNING, "buy credits, or raise the key's limit, at the vendor"),
    "vendor-key-refused": Kind(
        Level.ERROR, "replace the key: it was mistyped, has expired or was revoked"
    ),
    "vendor-key-unclear": Kind(
        Level.WARNING, "try again later; check that REELGATE_VENDOR__BASE_URL is the vendor's API"
    ),
    "check-failed": Kind(Level.ERROR, "try again; if it stays, report it with this line"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found, of one kind."""

    id: str
    kind: Kind
    message: str

    def shown(self) -> dict[str, str]:
        """Return it as JSON shows it."""
        level, hint = self.kind
        return {"id": self.id, "level": level, "message": self.message, "hint": hint}


class Notes:
    """Collects findings in the order they are made."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def __call__(self, identifier: str, message: str) -> None:
        """Note a finding of one of `KINDS`."""
        self.findings.append(Finding(identifier, KINDS[identifier], message))


def worst_of(findings: Iterable[Finding]) -> Level:
    """Return the worst level among findings."""
    return max((each.kind.level for each in findings), key=list(Level).index, default=Level.OK)


async def isolated(
    what: str, note: Notes, work: Coroutine[Any, Any, None], *, within_s: float | None = None
) -> None:
    """Run one check; its failure or lateness becomes a finding, and what it noted before stays.

    A failure is named by its type alone: its text may hold what must not be shown.
    """
    try:
        async with asyncio.timeout(within_s):
            await work
    except TimeoutError:
        note("check-failed", f"{what}: no end within {within_s} s")
    except Exception as failure:  # noqa: BLE001 - a check must not take the others with it
        note("check-failed", f"{what}: {type(failure).__name__}")


def check_versions(note: Notes) -> None:
    """Note what is running here."""
    packages = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES)
    note("versions", f"reelgate {__version__}, Python {platform.python_version()}, {packages}")


def check_settings(note: Notes) -> Settings | None:
    """Note how the environment reads; return the settings, or None where they cannot be used."""
    for name in settings.unknown_variables():
        if not name.startswith(f"{settings.PREFIX}TEST_"):
            note("unknown-setting", f"{name} is not a setting{_guess(name)}")
    try:
        chosen = settings.load()
        load_catalogue(chosen)
    except SettingsRefused as refused:
        for problem in refused.problems:
            note("settings-refused", problem)
        return None
    note("settings-ok", "all variables were read")
    _check_admin_token(chosen, note)
    testing = chosen.testing
    if testing.failpoints or testing.hold_clock_ms is not None:
        note("testing-hooks-on", "hooks for fault tests are set")
    return chosen


def _check_admin_token(chosen: Settings, note: Notes) -> None:
    if chosen.admin_token.get_secret_value():
        note("admin-api-on", f"its token is that of {settings.variable_of(['admin_token'])}")
    elif not chosen.redis_url.get_secret_value():
        path = chosen.data_dir / FILE_NAME
        made = "is" if path.exists() else "will be, once the gateway has started,"
        note("admin-api-on", f"its token {made} in {path}")
    else:
        note("admin-api-off", f"{settings.variable_of(['admin_token'])} is not set")


def _guess(name: str) -> str:
    near = difflib.get_close_matches(name, settings.variables(), n=1, cutoff=0.8)
    return f"; did you mean {near[0]}?" if near else ""
