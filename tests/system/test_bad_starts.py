"""A start that cannot succeed says why in one breath, and repeats no secret."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.processes import assert_no_secret
from tests.support.shell import Shell
from tests.support.vendor import VENDOR_KEY

PASSWORD = "hunter2-canary"


Serve = Callable[..., str]


@pytest.fixture
def refused_start(shell: Shell, tmp_path: Path) -> Serve:
    """Try to serve and return what was said; it must be a refusal, short and clean."""

    def serve(*options: str, **variables: str) -> str:
        environment = {
            "REELGATE_DATA_DIR": str(tmp_path),
            "REELGATE_VENDOR__KEYS": VENDOR_KEY,
            **{f"REELGATE_{name}": value for name, value in variables.items()},
        }
        said = shell.run("serve", "--port", "0", *options, environment=environment)
        assert (said.code, said.out) == (1, ""), said
        assert said.err.startswith("error: "), said.err
        assert said.err.count("error: ") == 1, said.err
        assert "Traceback" not in said.err, said.err
        assert len(said.err.splitlines()) <= 4, said.err
        assert_no_secret(said.err, where="the refusal")
        assert PASSWORD not in said.err
        return said.err

    return serve


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        (
            {"VENDOR__BASE_URL": f"https://user:{PASSWORD}@example.com", "POLL__LEASE_S": "0"},
            ["REELGATE_VENDOR__BASE_URL", "REELGATE_POLL__LEASE_S"],
        ),
        ({"REDIS_URL": f"https://user:{PASSWORD}@127.0.0.1:1"}, ["REELGATE_REDIS_URL"]),
        ({"REDIS_URL": f"redis://user:{PASSWORD}@127.0.0.1:1/0"}, ["store"]),
    ],
    ids=["broken rules", "not a Redis address", "nobody at the address"],
)
def test_settings_that_cannot_work_are_named(
    refused_start: Serve, variables: dict[str, str], named: list[str]
) -> None:
    """The message names the variable or the thing that is missing, never the value."""
    said = refused_start(**variables)

    assert [word for word in named if word not in said] == []


def test_a_taken_port_is_told_with_the_way_out(refused_start: Serve, redis_url: str) -> None:
    """Somebody else listens: the message names the address and the setting."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        said = refused_start("--port", str(port), REDIS_URL=redis_url)

    assert f"127.0.0.1:{port}" in said
    assert "REELGATE_PORT" in said


def test_a_store_that_was_emptied_is_not_taken_for_a_new_one(
    refused_start: Serve, tmp_path: Path, redis_url: str
) -> None:
    """Where an epoch is known outside the store, an empty store is refused, not initialised."""
    (tmp_path / "epoch").write_text("0" * 32, "ascii")

    said = refused_start(REDIS_URL=redis_url)

    assert "0" * 32 in said
    assert str(tmp_path / "epoch") in said
