"""Webhook endpoints: what a tenant may write, what is stored, and what is shown of one."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self, get_args

from pydantic import AfterValidator, BaseModel, Field

from app.domain.api_key import Grace
from app.domain.ids import Choose, Mode
from app.domain.tenant import LABEL_CHARACTER, Refused, matching, parsed

EventName = Literal["task.processing", "task.completed", "task.failed"]
EVENTS: Final[tuple[EventName, ...]] = get_args(EventName)
"""All there is to be told of, in the order of a task's life."""

TEST_EVENT: Final = "webhook.test"
"""The type of a message that a tenant asks for to try an endpoint; no endpoint filters it."""

TestedName = Literal["webhook.test", "task.processing", "task.completed", "task.failed"]
"""What a test can look like."""

OffReason = Literal["requested", "gone", "failing"]
"""Why an endpoint is disabled: by its tenant, by its own 410, or after days without a success."""

MAX_URL_CHARS: Final = 2048
MIN_SECRET_BYTES: Final = 24
"""Standard Webhooks 1.0: a signing secret has 24 to 64 random bytes."""

MAX_SECRET_BYTES: Final = 64
NEW_SECRET_BYTES: Final = 32

MAX_GRACE_S: Final = 7 * 86_400
DEFAULT_GRACE_S: Final = 86_400
"""How long a secret that was replaced signs along, unless its tenant says otherwise."""

_ID_CHARACTERS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"


def mint_webhook_id(choose: Choose) -> str:
    """Return a new endpoint id, which is no secret: `we_` and 16 characters."""
    return "we_" + "".join(choose(_ID_CHARACTERS) for _ in range(16))


def mint_test_message_id(choose: Choose) -> str:
    """Return the id of a new test message."""
    return f"msg_{''.join(choose(_ID_CHARACTERS) for _ in range(25))}_test"


def signing_key(secret: str) -> bytes:
    """Return the bytes that a `whsec_` secret stands for.

    Raises:
        ValueError: it is none, or shorter than 24 bytes; the message does not repeat it.
    """
    kind, _, text = secret.partition("_")
    try:
        found = base64.b64decode(text, validate=True) if kind == "whsec" else b""
    except ValueError:
        found = b""
    if len(found) < MIN_SECRET_BYTES:
        raise ValueError(f"a webhook secret is whsec_ and at least {MIN_SECRET_BYTES} bytes")
    return found


def _fit_to_sign(secret: str) -> str:
    rule = (
        f"it must be whsec_ and {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} bytes in base64,"
        " or leave it out to be given one"
    )
    try:
        found = signing_key(secret)
    except ValueError:
        # Without its cause, lest what was written shows in a trace.
        raise ValueError(rule) from None
    if len(found) > MAX_SECRET_BYTES:
        raise ValueError(rule)
    return secret


def _in_order(events: list[EventName]) -> list[EventName]:
    if not events:
        raise ValueError(f"name at least one of {', '.join(EVENTS)}")
    return [event for event in EVENTS if event in events]


WebhookUrl = Annotated[
    str,
    matching(
        rf"[!-~]{{1,{MAX_URL_CHARS}}}",
        f"an address of at most {MAX_URL_CHARS} visible ASCII characters",
    ),
]
"""The mere shape; whether notices may go there is for `domain/targets.py` to say."""

WebhookEvents = Annotated[list[EventName], AfterValidator(_in_order)]
Description = Annotated[
    str,
    matching(
        LABEL_CHARACTER + "{0,200}", "at most 200 characters of UTF-8 without control characters"
    ),
]
Switch = Annotated[bool, Field(strict=True)]
OwnSecret = Annotated[str, AfterValidator(_fit_to_sign), Field(repr=False)]


class WebhookWish(BaseModel, frozen=True, extra="forbid"):
    """An endpoint to be made, as a tenant writes it."""

    url: WebhookUrl
    events: WebhookEvents = Field(default_factory=lambda: list(EVENTS))
    description: Description = ""
    disabled: Switch = False
    secret: OwnSecret = ""
    """One that the tenant has made itself; "" for a new one."""

    @classmethod
    def read(cls, given: Any) -> Self:
        """Check a wish; missing and null mean the default, which of `events` is all.

        Raises:
            Refused: a name is unknown or a value breaks its rule.
        """
        if isinstance(given, dict):
            given = {name: value for name, value in given.items() if value is not None}
        return parsed(cls, given)

    def public(self) -> dict[str, Any]:
        """Return what was wished, without the secret."""
        return self.model_dump(mode="json", exclude={"secret"})


class WebhookChange(BaseModel, frozen=True, extra="forbid"):
    """What is to be changed of an endpoint: what is not named stays."""

    url: WebhookUrl = ""
    events: WebhookEvents = Field(default_factory=list)
    description: Description = ""
    disabled: Switch = False

    @classmethod
    def read(cls, given: Any) -> Self:
        """Check a change.

        Raises:
            Refused: a name is unknown, a value breaks its rule, or nothing is to be changed.
        """
        change = parsed(cls, given)
        if not change.model_fields_set:
            raise Refused(
                f"nothing to change: give one of {', '.join(cls.model_fields)}", param="body"
            )
        return change

    @property
    def switch(self) -> Literal["on", "off", ""]:
        """Whether the endpoint is to be enabled or disabled; "" leaves it as it is."""
        if "disabled" not in self.model_fields_set:
            return ""
        return "off" if self.disabled else "on"

    def fields(self) -> dict[str, str]:
        """Return the stored form of what is set, the switch apart."""
        named = self.model_fields_set
        found = {name: getattr(self, name) for name in ("url", "description") if name in named}
        return found | ({"events": listed(self.events)} if "events" in named else {})

    def public(self) -> dict[str, Any]:
        """Return what was named, as it was written."""
        return self.model_dump(mode="json", exclude_unset=True)


class Rotation(Grace, frozen=True, extra="forbid"):
    """How long the secret that is replaced signs along, seconds; 0 ends it at once."""

    grace_s: Annotated[int, Field(strict=True, ge=0, le=MAX_GRACE_S)] = DEFAULT_GRACE_S


class WebhookTest(BaseModel, frozen=True, extra="forbid"):
    """Which event a test looks like; by default one of its own, that no task has."""

    event: TestedName = TEST_EVENT

    @classmethod
    def read(cls, given: Any) -> Self:
        """Check a wish; missing and null mean the default.

        Raises:
            Refused: a name is unknown or the event is none.
        """
        if isinstance(given, dict):
            given = {name: value for name, value in given.items() if value is not None}
        return parsed(cls, given)


class Webhook(BaseModel, frozen=True):
    """A webhook endpoint; its secret is no part of it.

    `failing_ms` is the first failure since the last success, None while there is none.
    """

    id: str
    tenant_id: str
    mode: Mode
    url: str
    events: list[EventName]
    description: str = ""
    created_ms: int
    off_reason: OffReason | None = None
    off_ms: int | None = None
    failing_ms: int | None = None
    failures: int = 0
    last_ms: int | None = None
    secret_before_until_ms: int | None = None

    @classmethod
    def made(
        cls, wish: WebhookWish, webhook_id: str, *, tenant_id: str, mode: Mode, now_ms: int
    ) -> Self:
        """Return the endpoint that a wish is for."""
        return cls(
            id=webhook_id,
            tenant_id=tenant_id,
            mode=mode,
            url=wish.url,
            events=wish.events,
            description=wish.description,
            created_ms=now_ms,
            off_reason="requested" if wish.disabled else None,
            off_ms=now_ms if wish.disabled else None,
        )

    @property
    def disabled(self) -> bool:
        """Whether nothing is sent to it."""
        return self.off_reason is not None

    def fields(self, secret: str) -> dict[str, str]:
        """Return the stored form of a new endpoint."""
        found = {
            "id": self.id,
            "tenant": self.tenant_id,
            "mode": self.mode,
            "url": self.url,
            "events": listed(self.events),
            "description": self.description,
            "created_ms": str(self.created_ms),
            "state": "off" if self.disabled else "on",
            "secret": secret,
        }
        if self.off_reason is not None:
            found |= {"off_reason": self.off_reason, "off_ms": str(self.off_ms)}
        return found

    @classmethod
    def of_fields(cls, fields: Mapping[str, str]) -> Self:
        """Read the stored form back."""
        numbers = ("off_ms", "failing_ms", "last_ms", "before_ms")
        found = {name: int(fields[name]) for name in numbers if name in fields}
        return cls.model_validate(
            {
                "id": fields["id"],
                "tenant_id": fields["tenant"],
                "mode": fields["mode"],
                "url": fields["url"],
                "events": [event for event in fields["events"].split(",") if event],
                "description": fields["description"],
                "created_ms": int(fields["created_ms"]),
                "off_reason": fields.get("off_reason"),
                "failures": int(fields.get("failures", 0)),
                "secret_before_until_ms": found.pop("before_ms", None),
                **found,
            }
        )

    def public(self, *, now_ms: int) -> dict[str, Any]:
        """Return the form that its tenant reads at an instant; instants are unix seconds."""
        until_ms = self.secret_before_until_ms
        return {
            "id": self.id,
            "object": "webhook",
            "url": self.url,
            "events": list(self.events),
            "description": self.description,
            "disabled": self.disabled,
            "disabled_reason": self.off_reason,
            "disabled_at": _seconds(self.off_ms),
            "created": self.created_ms // 1000,
            "failing_since": _seconds(self.failing_ms),
            "failures": self.failures,
            "last_delivered_at": _seconds(self.last_ms),
            "previous_secret_until": _seconds(
                until_ms if until_ms is not None and now_ms < until_ms else None
            ),
        }


def listed(events: list[EventName]) -> str:
    """Return the stored form of a filter: each event between commas."""
    return "," + "".join(f"{event}," for event in events)


def _seconds(at_ms: int | None) -> int | None:
    return None if at_ms is None else at_ms // 1000
