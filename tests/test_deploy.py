"""What operators are handed agrees with the program: settings, image, compose file, lock files."""

from __future__ import annotations

import re
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from app import settings

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "deploy" / "reelgate.env.example"
LOCKS = sorted((ROOT / "requirements").glob("*.lock"))
NOT_SETTINGS = ("REELGATE_TEST_",)  # read by the test suite, not by the program


def as_written(default: Any) -> str:
    """Return a default as it stands in an environment file."""
    match default:
        case None | Path():  # an empty value is the default; a path depends on the machine
            return ""
        case bool():
            return str(default).lower()
        case list() | tuple():
            return ",".join(map(str, default))
        case _:
            return str(default)


def example_entries() -> dict[str, tuple[str, str]]:
    """Read the example: every variable with the comment above it and its value."""
    lines = EXAMPLE.read_text("utf-8").splitlines()
    entries: dict[str, tuple[str, str]] = {}
    for above, line in pairwise(lines):
        if found := re.fullmatch(r"#(REELGATE_\w+)=(.*)", line):
            assert found[1] not in entries, f"{found[1]} stands there twice"
            entries[found[1]] = (above.removeprefix("# "), found[2])
    return entries


def compose() -> dict[str, Any]:
    """Read the compose file."""
    loaded = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def dockerfile() -> str:
    """Read the Dockerfile."""
    return (ROOT / "Dockerfile").read_text("utf-8")


def test_the_example_lists_every_setting_and_nothing_else() -> None:
    """Each variable stands there once, in the program's order, with its meaning and its default."""
    expected = {
        name: (meaning, as_written(default))
        for name, (meaning, default) in settings.variables().items()
    }

    assert list(example_entries().items()) == list(expected.items())


def test_the_example_changes_nothing_until_it_is_edited() -> None:
    """Copying the file as it is starts the same gateway as no file at all."""
    active = [line for line in EXAMPLE.read_text("utf-8").splitlines() if not line.startswith("#")]

    assert [line for line in active if line.strip()] == []


def test_every_value_of_the_example_can_be_used_as_it_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Taking every `#` away gives the same settings as an empty environment."""
    for name in settings.variables():
        monkeypatch.delenv(name, raising=False)
    defaults = settings.load()
    for name, (_, value) in example_entries().items():
        monkeypatch.setenv(name, value)

    assert settings.load() == defaults


@pytest.mark.parametrize("name", ["Dockerfile", "docker-compose.yml", "Makefile", ".ci/run"])
def test_only_settings_that_exist_are_used(name: str) -> None:
    """A misspelt variable would be ignored without a word."""
    used = set(re.findall(r"\bREELGATE_[A-Z0-9_]+", (ROOT / name).read_text("utf-8")))

    assert {one for one in used if not one.startswith(NOT_SETTINGS)} <= settings.variables().keys()


def test_the_stores_of_the_compose_file_keep_every_write() -> None:
    """The flags are the ones the guarantees need, and the records lie on a volume."""
    redis = compose()["services"]["redis"]
    command = redis["command"]
    flags = dict(zip(command[1::2], command[2::2], strict=True))

    assert flags == {
        "--appendonly": "yes",
        "--appendfsync": "always",
        "--maxmemory-policy": "noeviction",
    }
    assert redis["volumes"] == ["redis:/data"]


def test_every_container_runs_without_privileges() -> None:
    """Nothing is writable but volumes and /tmp, and nobody can become root."""
    for name, service in compose()["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["tmpfs"] == ["/tmp"], name


def test_gateway_and_engine_wait_for_the_store_and_share_its_epoch() -> None:
    """They differ in their role, and in who publishes a port and builds the image."""
    services = compose()["services"]
    gateway, engine = dict(services["gateway"]), dict(services["engine"])

    assert gateway.pop("command") == ["serve", "--role", "api"]
    assert engine.pop("command") == ["serve", "--role", "engine"]
    assert (gateway.pop("build"), gateway.pop("ports")) == (".", ["127.0.0.1:8080:8080"])
    assert gateway == engine
    assert gateway["depends_on"] == {"redis": {"condition": "service_healthy"}}
    assert gateway["volumes"] == [f"state:{gateway['environment']['REELGATE_DATA_DIR']}"]


def test_containers_are_given_longer_than_the_drain() -> None:
    """A container is not killed while its running work may still end in good order."""
    _, drain_s = settings.variables()["REELGATE_DRAIN_S"]

    for name in ("gateway", "engine"):
        assert int(compose()["services"][name]["stop_grace_period"].removesuffix("s")) > drain_s


def test_every_named_volume_is_declared_and_used() -> None:
    """A volume that is not declared stops the start; one that is not used holds nothing."""
    loaded = compose()
    mounts = [mount for one in loaded["services"].values() for mount in one.get("volumes", [])]

    assert {mount.split(":")[0] for mount in mounts} == loaded["volumes"].keys()


def test_the_image_runs_as_a_numeric_user_and_listens_where_it_says() -> None:
    """An orchestrator can see that the user is not root; the exposed port is the default."""
    _, port = settings.variables()["REELGATE_PORT"]

    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", dockerfile(), re.MULTILINE)
    assert re.search(rf"^EXPOSE {port}$", dockerfile(), re.MULTILINE)
    assert f"REELGATE_PORT={port}" in dockerfile()


def test_the_data_directory_of_the_image_is_its_volume() -> None:
    """What must survive the container lies outside it."""
    volume = re.search(r"^VOLUME (\S+)$", dockerfile(), re.MULTILINE)

    assert volume is not None
    assert f"REELGATE_DATA_DIR={volume[1]} " in dockerfile()


def test_the_image_installs_nothing_unlocked() -> None:
    """Each installation names a lock file with hashes, or is our own wheel without dependencies."""
    commands = re.findall(r"pip (?:install|wheel) .*", dockerfile())

    assert len(commands) == 4
    for command in commands:
        assert "--require-hashes -r requirements/" in command or "--no-deps" in command


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_pins_hashes_and_names_no_index(lock: Path) -> None:
    """Every package is one exact version with hashes; whence it comes is not said."""
    text = lock.read_text("utf-8")
    pinned = re.compile(r"[a-z0-9._-]+==\S+ .*--hash=sha256:[0-9a-f]{64}")
    entries = text.replace("\\\n", " ").splitlines()

    assert entries
    assert [entry for entry in entries if not pinned.match(entry)] == []
    assert not re.search(r"://|--(extra-)?index-url|--find-links", text)


def pins(lock: str) -> set[str]:
    """Return `name==version` of every package in a lock file."""
    text = (ROOT / "requirements" / lock).read_text("utf-8")
    return set(re.findall(r"^[a-z0-9._-]+==\S+", text, re.MULTILINE))


def test_the_locks_agree() -> None:
    """What runs, what builds and what is tested are the same versions."""
    assert pins("runtime.lock") | pins("build.lock") <= pins("dev.lock")


def test_every_declared_package_is_locked() -> None:
    """A dependency added without `make lock` would be missing from the image."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]

    def names(requirements: list[str]) -> set[str]:
        return {re.split(r"[\[<>=~!; ]", one)[0].lower() for one in requirements}

    def locked(lock: str) -> set[str]:
        return {pin.split("==")[0] for pin in pins(lock)}

    assert names(project["dependencies"]) | names(extras["embedded"]) <= locked("runtime.lock")
    assert names(extras["dev"]) <= locked("dev.lock")
    assert len(project["dependencies"]) <= 12
