"""Every setting, read once: the only module that looks at the environment.

Variables carry the prefix `REELGATE_`; sections nest with a double underscore, as in
`REELGATE_POLL__MIN_INTERVAL_S`. `docs/configuration.md` and `deploy/reelgate.env.example` are held
against this file by tests.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.settings.sections import LONGEST_S as LONGEST_S
from app.settings.sections import PREFIX as PREFIX
from app.settings.sections import LiveSettings as LiveSettings
from app.settings.sections import LogSettings as LogSettings
from app.settings.sections import PollSettings as PollSettings
from app.settings.sections import SettingsRefused as SettingsRefused
from app.settings.sections import TestingSettings as TestingSettings
from app.settings.sections import VendorSettings as VendorSettings
from app.settings.sections import WebhookSettings as WebhookSettings

MIN_ADMIN_TOKEN_CHARS = 16
"""Shorter ones can be guessed."""

Role = Literal["all", "api", "engine"]


def check_admin_token(token: str) -> None:
    """Let a token pass that a header can carry and nobody can guess.

    Raises:
        ValueError: it is none; the message does not repeat it.
    """
    is_visible = token.isascii() and token.isprintable() and " " not in token
    if len(token) < MIN_ADMIN_TOKEN_CHARS or not is_visible:
        raise ValueError(
            f"must be at least {MIN_ADMIN_TOKEN_CHARS} visible ASCII characters without blanks"
        )


def _default_data_dir() -> Path:
    """The per-user data directory of the XDG convention; a container sets the variable instead."""
    return Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser() / "reelgate"


class Settings(BaseSettings):
    """The whole tree, frozen."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        frozen=True,
        extra="ignore",
        env_ignore_empty=True,
        validate_default=True,
    )

    vendor: VendorSettings = Field(default_factory=VendorSettings)
    redis_url: SecretStr = Field(
        SecretStr(""),
        description="redis://, rediss://, unix://, redis+sentinel:// or redis+cluster:// address;"
        " empty: embedded.",
    )
    redis_timeout_s: float = Field(
        1.0, gt=0, le=10, description="Deadline of one Redis call, seconds."
    )
    admin_token: SecretStr = Field(
        SecretStr(""),
        description="Token of the admin API; empty: off, or with the embedded store a generated"
        " one in the data directory's file `admin-token`.",
    )
    data_dir: Path = Field(
        default_factory=_default_data_dir,
        description="Directory of the embedded store and of the epoch file.",
    )
    store_epoch: str = Field(
        "", description="Epoch the store must carry, where the data directory is not kept."
    )
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    role: Role = Field("all", description="all, api (no engine) or engine (no tenant routes).")
    workers: int = Field(1, ge=1, le=64, description="Processes that serve the port.")
    drain_s: float = Field(
        10,
        ge=0,
        le=300,
        description="Longest wait for running work when the process stops, seconds.",
    )
    max_body_bytes: int = Field(
        16_777_216, ge=1024, le=67_108_864, description="Longest request body, bytes."
    )
    create_answer_s: float = Field(
        20, gt=0, le=25, description="Longest wait for the vendor before a create answers, seconds."
    )
    retention_days: int = Field(
        30, ge=2, le=365, description="How long a finished task can be read, days."
    )
    doubt_deadline_s: float = Field(
        86_400,
        ge=60,
        le=LONGEST_S,
        description="How long the outcome of a send may stay unknown before it is written off,"
        " seconds.",
    )
    public_url: str = Field(
        "", description="Where the vendor reaches this gateway with its callbacks; empty: nowhere."
    )
    catalogue_file: Path | None = Field(
        None, description="TOML file with models, prices and rules of your own; docs/catalogue.md."
    )
    allow_unknown_models: bool = Field(
        False, description="Forward models that the catalogue does not hold, unchecked, unpriced."
    )
    poll: PollSettings = Field(default_factory=PollSettings)
    webhook: WebhookSettings = Field(default_factory=WebhookSettings)
    live: LiveSettings = Field(default_factory=LiveSettings)
    log: LogSettings = Field(default_factory=LogSettings)
    testing: TestingSettings = Field(default_factory=TestingSettings)

    @field_validator("public_url")
    @classmethod
    def _a_public_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in ("http", "https") or not parts.hostname):
            raise ValueError("must be http(s)://host[:port][/path]")
        if parts.username or parts.query or parts.fragment:
            raise ValueError("must not carry a user name, query or fragment")
        return value.rstrip("/")

    @field_validator("admin_token")
    @classmethod
    def _fit_for_a_header(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value():
            check_admin_token(value.get_secret_value())
        return value

    @field_validator("data_dir", "catalogue_file")
    @classmethod
    def _at_home(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser()


def variable_of(location: Iterable[str | int]) -> str:
    """Return the environment variable of a place in the tree, such as `("poll", "lease_s")`."""
    return PREFIX + "__".join(str(part).upper() for part in location)


def load(overrides: Mapping[str, Any] | None = None) -> Settings:
    """Read the environment; `overrides` (command-line options) win over it.

    Raises:
        SettingsRefused: a value breaks a rule. Values are not repeated: they may be secrets.
    """
    try:
        return Settings(**(dict(overrides) if overrides else {}))
    except ValidationError as refusal:
        raise SettingsRefused(
            [
                f"{variable_of(problem['loc'])}: {problem['msg'].removeprefix('Value error, ')}"
                for problem in refusal.errors(include_input=False, include_url=False)
            ]
        ) from None


def pass_on(overrides: Mapping[str, Any]) -> None:
    """Write top-level `overrides` into the environment, for worker processes to read."""
    for name, value in overrides.items():
        os.environ[variable_of([name])] = str(value)


def variables() -> dict[str, tuple[str, Any]]:
    """Return every variable with its description and default, in the order of this file."""
    found: dict[str, tuple[str, Any]] = {}

    def walk(model: type[BaseModel], path: tuple[str, ...]) -> None:
        for name, field in model.model_fields.items():
            inner = field.annotation
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                walk(inner, (*path, name))
            else:
                default = field.get_default(call_default_factory=True)
                if isinstance(default, SecretStr):
                    default = default.get_secret_value()
                found[variable_of((*path, name))] = (field.description or "", default)

    walk(Settings, ())
    return found


def unknown_variables() -> list[str]:
    """Return variables with our prefix that no setting reads: misspelt, or of another version."""
    known = variables()
    return sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known)


def child_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment with `extra` added, for commands it starts."""
    return {**os.environ, **extra}
