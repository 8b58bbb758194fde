"""No secret leaves by the log, and the tests would notice if one did."""

from __future__ import annotations

import json
import logging
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog
from pydantic import SecretStr

from app import telemetry
from app.telemetry import REDACTED, Redactor
from tests.support.processes import GatewayProcess, assert_no_secret
from tests.support.vendor import VENDOR_KEY, Vendor

PLAIN_SECRET = "quite-another-form-of-key"
SHAPES = (
    "sk-1234567890abcdef",
    "sk-evo-abc_DEF-123",
    "rg_live_0123456789abcdefghijABCDEFGHIJ012345",
    "rgt_test_0123456789abcdefghijABCDEFGHIJ012345",
    "rg_test_0123456789abcdefghijABCDEFGHIJ012345",
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw==",
)

Logged = Callable[[Callable[[], object]], list[dict[str, Any]]]


@dataclass
class Order:
    """Something of the program, in the log by accident."""

    key: str


@pytest.fixture
def redactor() -> Redactor:
    """A redactor that knows one secret which has not the shape of a key."""
    made = Redactor()
    made.learn([PLAIN_SECRET])
    return made


@pytest.fixture
def logged(capsys: pytest.CaptureFixture[str]) -> Iterator[Logged]:
    """Do something with the program's own log, in JSON, and return the lines that came of it."""
    before, root = structlog.get_config(), logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def log(act: Callable[[], object]) -> list[dict[str, Any]]:
        telemetry.configure_logging("info", "json")
        telemetry.redactor.learn([PLAIN_SECRET])
        act()
        return [json.loads(line) for line in capsys.readouterr().err.splitlines()]

    yield log
    telemetry.redactor.learn([])
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**before)


def fail() -> None:
    """Fail as a call to the vendor might, with secrets in the message and in the cause."""
    try:
        {}[PLAIN_SECRET]
    except KeyError as cause:
        raise ValueError(f"with {SHAPES[0]}\nand {SHAPES[2]}") from cause


@pytest.mark.parametrize("secret", [PLAIN_SECRET, *SHAPES])
@pytest.mark.parametrize(
    "wrapped",
    [
        lambda secret: secret,
        lambda secret: f"Bearer {secret}",
        lambda secret: f'{{"authorization": "Bearer {secret}"}}',
        lambda secret: secret.encode(),
        lambda secret: bytearray(secret.encode()),
        lambda secret: [secret],
        lambda secret: (1, secret),
        lambda secret: {secret},
        lambda secret: frozenset({secret}),
        lambda secret: {"key": secret},
        lambda secret: {secret: 1},
        lambda secret: {"a": [{"b": ({"c": secret},)}]},
        lambda secret: deque([secret]),
        lambda secret: Order(secret),
        lambda secret: Path("/keys") / secret,
        lambda secret: ValueError(f"refused {secret}"),
        lambda secret: ExceptionGroup("all", [ValueError(secret)]),
    ],
)
def test_a_secret_is_removed_from_every_kind_of_value(
    redactor: Redactor, wrapped: Callable[[str], Any], secret: str
) -> None:
    """Texts, bytes, what holds others, names as well as values, and what only shows as text."""
    event = redactor(None, "info", {"event": "task.admitted", "value": wrapped(secret)})

    assert secret not in str(event)
    assert REDACTED in str(event)


def test_a_secret_in_the_name_of_the_event_is_removed(redactor: Redactor) -> None:
    """Also where somebody has built the name of text."""
    event = redactor(None, "info", {"event": f"call with {SHAPES[0]} failed"})

    assert event == {"event": f"call with {REDACTED} failed"}


@pytest.mark.parametrize(
    "value",
    [
        1,
        1.5,
        True,
        None,
        "task-unified-1767917446-0123456789abcdefghijklmno",
        "vk_be86a7d3739b",
        "key_0123456789ab",
        "key_0123456789ab.2",
        "req_0123456789abcdef01234567",
        "risk-assessment-of-the-year",
        "desk-1234567890",
    ],
)
def test_what_is_no_secret_stays(redactor: Redactor, value: Any) -> None:
    """Ids are what one looks for in a log; numbers stay numbers."""
    assert redactor(None, "info", {"value": value}) == {"value": value}


def test_the_longest_secret_is_removed_whole(redactor: Redactor) -> None:
    """Where one key is the beginning of another, nothing of the longer one is left over."""
    redactor.learn(["alpha", "alpha-beta"])

    assert redactor.clean("with alpha-beta and alpha") == f"with {REDACTED} and {REDACTED}"


def test_learning_replaces_and_ignores_nothings(redactor: Redactor) -> None:
    """An empty setting is no secret, or every gap between two letters would be one."""
    redactor.learn(["", "fresh one"])

    assert redactor.clean("a fresh one") == f"a {REDACTED}"
    assert redactor.clean(PLAIN_SECRET) == PLAIN_SECRET


def test_what_is_learned_later_is_removed_beside_the_rest(redactor: Redactor) -> None:
    """A second source of secrets does not make the first one forgotten."""
    redactor.learn_more(["", "an-admin-token-0001"])

    cleaned = redactor.clean(f"{PLAIN_SECRET} and an-admin-token-0001")

    assert cleaned == f"{REDACTED} and {REDACTED}"


def test_an_event_is_one_line_whatever_is_in_it(logged: Logged) -> None:
    """Line breaks of every kind, quotes and control characters begin no line of their own."""
    hostile = 'a\nb\r\nc\u2028d\u0085e\x00"}\n{"event": "access.answered"}'
    log = structlog.get_logger("tests")

    [event] = logged(lambda: log.info("task.admitted", text=hostile, model={"x\n": ["y\n"]}))

    assert event["event"] == "task.admitted"
    assert event["level"] == "info"
    assert event["text"] == hostile


def test_an_exception_is_logged_on_one_line_without_its_secrets(logged: Logged) -> None:
    """The traceback with its causes, less what must not be in it."""

    def act() -> None:
        try:
            fail()
        except ValueError:
            structlog.get_logger("tests").exception("request.failed", request_id="req_1")

    [event] = logged(act)

    assert event["event"] == "request.failed"
    assert "Traceback" in event["exception"]
    assert event["exception"].count(REDACTED) >= 3
    assert [secret for secret in (PLAIN_SECRET, *SHAPES) if secret in str(event)] == []


def test_what_libraries_log_goes_the_same_way(logged: Logged) -> None:
    """A warning of a library is one of our events, cleaned like the rest."""

    def act() -> None:
        try:
            fail()
        except ValueError:
            logging.getLogger("some.library").warning("lost %s", SHAPES[1], exc_info=True)

    [event] = logged(act)

    assert event["event"] == "library.warned"
    assert event["level"] == "warning"
    assert event["text"] == f"lost {REDACTED}"
    assert PLAIN_SECRET not in event["exception"]


def test_less_than_the_level_is_not_written(logged: Logged) -> None:
    """The level is the operator's choice."""
    assert logged(lambda: structlog.get_logger("tests").debug("poll.stale")) == []


def test_a_masked_secret_shows_nothing_even_before_it_is_cleaned() -> None:
    """Keys travel through the program as `SecretStr`, whose text is stars."""
    assert VENDOR_KEY not in repr({"key": SecretStr(VENDOR_KEY)})


def test_the_leak_detector_finds_a_planted_key() -> None:
    """A log with the vendor key in it fails, and the failure does not repeat the key."""
    planted = json.dumps({"event": "task.admitted", "headers": f"Bearer {VENDOR_KEY}"})

    with pytest.raises(AssertionError, match="the vendor key stands in a log") as caught:
        assert_no_secret(planted, where="a log")

    assert VENDOR_KEY not in str(caught.value)


def test_a_process_that_logged_the_key_fails_its_test(
    tmp_path: Path, redis_url: str, vendor: Vendor
) -> None:
    """Whatever a test is about: a real gateway's output is looked over when the test is done."""
    gateway = GatewayProcess(tmp_path, redis_url, vendor.url)
    gateway.stop()
    with gateway.log.open("a", encoding="utf-8") as log:
        log.write(json.dumps({"event": "task.admitted", "key": VENDOR_KEY}) + "\n")

    with pytest.raises(AssertionError, match=r"stands in serve\.log"), gateway:
        pass
