"""The sections of the settings: one class each, named in variables before a double underscore."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, SecretStr, field_validator, model_validator

from app import failpoints

PREFIX: Final = "REELGATE_"

LONGEST_S: Final = 400 * 86_400
"""The figures of a task's day and month are kept this long, so nothing may take longer, seconds."""


class SettingsRefused(Exception):
    """The environment does not hold a usable configuration; `problems` has one line a cause."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


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


class WebhookSettings(BaseModel, frozen=True, validate_default=True):
    """Where notices of tenants may be delivered, and how."""

    allow_networks: str = Field(
        "",
        description="Internal networks that notices may be delivered to, on any port: CIDR,"
        " comma separated.",
    )
    allow_http: bool = Field(
        False, description="Deliver notices to http:// addresses too, not to https:// alone."
    )
    ca_file: Path | None = Field(
        None, description="PEM file of further authorities that receivers' certificates may be of."
    )
    timeout_s: float = Field(
        15, gt=0, le=60, description="Longest time that one delivery may take, seconds."
    )
    max_endpoints: int = Field(
        50, ge=1, le=1000, description="Webhook endpoints of a tenant, in each mode."
    )
    concurrency: int = Field(
        256, ge=8, le=5000, description="Deliveries that one process may have under way."
    )

    @field_validator("allow_networks")
    @classmethod
    def _networks(cls, value: str) -> str:
        for text in filter(None, (part.strip() for part in value.split(","))):
            try:
                ipaddress.ip_network(text)
            except ValueError as refusal:
                raise ValueError(f"{text!r} is no network such as 10.0.0.0/8") from refusal
        return value

    @field_validator("ca_file")
    @classmethod
    def _at_home(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser()


class LiveSettings(BaseModel, frozen=True, validate_default=True):
    """Event streams and waiting reads."""

    max_streams: int = Field(
        10_000,
        ge=1,
        le=100_000,
        description="Event streams and waiting reads that one process may have open.",
    )
    max_streams_per_tenant: int = Field(
        4_000, ge=1, le=100_000, description="The same for each tenant in one process."
    )
    heartbeat_s: float = Field(
        15, ge=1, le=60, description="Time between two signs of life on a quiet stream, seconds."
    )


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
