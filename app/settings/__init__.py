"""Every setting, read once: the only module that looks at the environment.

Variables carry the prefix `REELGATE_`; sections nest with a double underscore, as in
`REELGATE_POLL__MIN_INTERVAL_S`. `docs/configuration.md` and `deploy/reelgate.env.example` are held
against this file by tests.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app import failpoints

PREFIX = "REELGATE_"

LONGEST_S = 400 * 86_400
"""The figures of a task's day and month are kept this long, so nothing may take longer, seconds."""

MIN_ADMIN_TOKEN_CHARS = 16
"""Shorter ones can be guessed."""

Role = Literal["all", "api", "engine"]


class VendorSettings(BaseModel, frozen=True, validate_default=True):
    """Where the vendor is, how it is asked, and with which keys."""

    base_url: str = Field(
        "https://api.evolink.ai", description="Address of the vendor's API, without /v1."
    )
    keys: SecretStr = Field(
        SecretStr(""), description="Vendor keys, comma separated. Never shown, logged or stored."
    )
    keys_file: Path | None = Field(
        None,
        description="File with one vendor key a line, instead of `keys`; `#` begins a comment.",
    )
    connect_timeout_s: float = Field(
        3, gt=0, le=60, description="Longest wait for a connection to the vendor, seconds."
    )
    submit_timeout_s: float = Field(
        60, gt=0, le=600, description="Deadline of one create call at the vendor, seconds."
    )
    report_timeout_s: float = Field(
        10, gt=0, le=120, description="Deadline of one status read at the vendor, seconds."
    )
    trust_idempotency: bool = Field(
        False,
        description="Repeat a send of unknown outcome under its Idempotency-Key, at most 3 times.",
    )
    callbacks: Literal["documented", "always", "never"] = Field(
        "documented",
        description="For which models the vendor is told our callback address, if `public_url` is"
        " set.",
    )
    max_in_flight: int = Field(
        2000,
        ge=1,
        le=20_000,
        description="Create calls one process may have under way at the vendor.",
    )
    max_answer_bytes: int = Field(
        1_048_576, ge=1024, le=67_108_864, description="Longest vendor answer that is read, bytes."
    )

    @field_validator("base_url")
    @classmethod
    def _a_plain_http_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            raise ValueError("must be http(s)://host[:port] without user name")
        if parts.query or parts.fragment:
            raise ValueError("must not carry a query or fragment")
        return value.rstrip("/").removesuffix("/v1")

    @model_validator(mode="after")
    def _one_source_of_keys(self) -> Self:
        if self.keys_file is not None and self.keys.get_secret_value().strip():
            raise ValueError("give `keys` or `keys_file`, not both")
        return self

    def read_keys(self) -> tuple[str, ...]:
        """Return the vendor keys, from the setting or the file, without repetitions.

        Raises:
            SettingsRefused: the file cannot be read, or a key has characters no header can carry.
        """
        text = self.keys.get_secret_value().replace(",", "\n")
        if self.keys_file is not None:
            try:
                text = self.keys_file.read_text("utf-8")
            except (OSError, UnicodeDecodeError) as failure:
                raise SettingsRefused(
                    [f"{PREFIX}VENDOR__KEYS_FILE: {self.keys_file} cannot be read ({failure!s})"]
                ) from failure
        keys = [line.split("#", 1)[0].strip() for line in text.splitlines()]
        found = tuple(dict.fromkeys(key for key in keys if key))
        if any(not key.isascii() or not key.isprintable() or " " in key for key in found):
            raise SettingsRefused(
                [f"{PREFIX}VENDOR__KEYS: a key must be visible ASCII without blanks (not shown)"]
            )
        return found


class PollSettings(BaseModel, frozen=True, validate_default=True):
    """How often the vendor is asked about a task."""

    first_delay_s: float = Field(
        15,
        gt=0,
        le=3600,
        description="Wait between a task's acceptance and its first read, seconds.",
    )
    min_interval_s: float = Field(
        5, gt=0, le=3600, description="Shortest time between two reads of a task, seconds."
    )
    max_interval_s: float = Field(
        30, gt=0, le=3600, description="Longest time between two reads of a task, seconds."
    )
    lease_s: float = Field(
        30, ge=1, le=600, description="How long a process owns a task it is reading, seconds."
    )
    # The vendor publishes no limit: 50 read 1,500 tasks once in the longest interval, 30 s.
    per_second: int = Field(
        50,
        ge=0,
        le=100_000,
        description="Status reads a second with one vendor key, over all processes; 0: no limit.",
    )
    batch: bool = Field(
        False, description="Read up to 50 tasks in one call, by the vendor's undocumented batch."
    )
    deadline_s: float = Field(
        3600,
        gt=0,
        le=LONGEST_S,
        description="Age at which an unfinished task is only watched, seconds; five times its"
        " estimated time if that is longer.",
    )
    watch_interval_s: float = Field(
        900,
        gt=0,
        le=LONGEST_S,
        description="Time between two reads of a task that is watched, seconds.",
    )
    give_up_s: float = Field(
        604_800,
        gt=0,
        le=LONGEST_S,
        description="Age at which a task that is still watched is written off, seconds.",
    )
    concurrency: int = Field(
        64, ge=1, le=2000, description="Status reads one process may have under way at the vendor."
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_interval_s > self.max_interval_s:
            raise ValueError("min_interval_s must not be greater than max_interval_s")
        if self.min_interval_s > self.watch_interval_s:
            raise ValueError("min_interval_s must not be greater than watch_interval_s")
        if self.deadline_s > self.give_up_s:
            raise ValueError("deadline_s must not be greater than give_up_s")
        return self


class LogSettings(BaseModel, frozen=True, validate_default=True):
    """What is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe level that is written."
    )
    format: Literal["auto", "json", "console"] = Field(
        "auto", description="json, console, or auto: console on a terminal, json elsewhere."
    )


class TestingSettings(BaseModel, frozen=True, validate_default=True):
    """Hooks for fault tests; `doctor` reports them as an error when set."""

    failpoints: str = Field(
        "", description="Armed failpoints, as point=kill|raise|hang, comma separated."
    )
    hold_clock_ms: int | None = Field(
        None,
        ge=0,
        description="Instant at which the clock stands still, milliseconds since the epoch.",
    )

    @field_validator("failpoints")
    @classmethod
    def _known_points(cls, value: str) -> str:
        failpoints.parse(value)
        return value


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


class SettingsRefused(Exception):
    """The environment does not hold a usable configuration; `problems` has one line a cause."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


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
