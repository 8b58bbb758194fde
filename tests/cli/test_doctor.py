"""`reelgate doctor`: what the command prints, how it exits, and its probe."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

from app.cli.findings import KINDS, Notes, isolated
from app.upstream.keyring import VendorKey
from tests.cli.claiming import claim
from tests.support.processes import GatewayProcess, clean_environment, run_command
from tests.support.redis_server import RedisServer, free_port
from tests.support.vendor import VENDOR_KEY, Vendor

DOCS = Path(__file__).parents[2] / "docs" / "doctor.md"
KEY_ID = VendorKey.of(VENDOR_KEY).id
EVERYWHERE = "0.0.0.0"  # noqa: S104 - asked, not bound
PASSWORD = "canary-redis-password-0001"


def doctor(*options: str, **variables: str) -> tuple[int, str]:
    """Run the command; return its exit code and all it printed."""
    done = run_command("doctor", *options, environment=clean_environment(**variables))
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def test_every_identifier_is_explained_and_no_other() -> None:
    """What the page describes is what the command can find, with the same level."""
    written = re.findall(r"^### `([a-z-]+)` \((\w+)\)$", DOCS.read_text("utf-8"), re.MULTILINE)

    assert dict(written) == {name: str(kind.level) for name, kind in KINDS.items()}
    assert len(written) == len(KINDS)


def test_whatever_is_not_well_has_a_hint() -> None:
    """A warning or error says what to do, and good news does not."""
    assert [name for name, kind in KINDS.items() if bool(kind.hint) == (kind.level == "ok")] == []


async def test_a_healthy_installation_passes(
    server: RedisServer, vendor: Vendor, tmp_path: Path
) -> None:
    """With a durable store of our own and an accepted key, nothing is above ok."""
    epoch = await claim(server.url, tmp_path)

    code, printed = await asyncio.to_thread(
        doctor,
        "--json",
        REELGATE_REDIS_URL=server.url,
        REELGATE_DATA_DIR=str(tmp_path),
        REELGATE_VENDOR__BASE_URL=vendor.url,
        REELGATE_VENDOR__KEYS=VENDOR_KEY,
        REELGATE_TEST_OF_NO_CONCERN="1",
    )

    report = json.loads(printed)
    messages = {each["id"]: each["message"] for each in report["findings"]}
    assert (code, report["worst"]) == (0, "ok"), report["findings"]
    assert list(messages) == [
        *(
            "versions",
            "settings-ok",
            "admin-api-off",
            "store-ok",
            "store-known",
            "drift-none",
            "store-durable",
            "clock-ok",
        ),
        "vendor-key-ok",
    ]
    assert epoch in messages["store-known"]
    assert KEY_ID in messages["vendor-key-ok"]
    assert "credits left" in messages["vendor-key-ok"]


async def test_an_ailing_installation_fails_and_tells_no_secret(
    server: RedisServer, tmp_path: Path
) -> None:
    """Each ailment is a line with its hint below; passwords and keys are nowhere."""
    server.call("ACL", "SETUSER", "ops", "on", f">{PASSWORD}", "+@all", "~*")

    code, printed = await asyncio.to_thread(
        doctor,
        REELGATE_REDIS_URL=f"redis://ops:{PASSWORD}-wrong@127.0.0.1:{server.port}/0",
        REELGATE_DATA_DIR=str(tmp_path),
        REELGATE_VENDOR__BASE_URL=f"http://127.0.0.1:{free_port()}",
        REELGATE_VENDOR__KEYS=VENDOR_KEY,
        REELGATE_POL__LEASE_S="30",
        REELGATE_TESTING__HOLD_CLOCK_MS="1",
    )

    assert code == 1
    assert re.search(r"^error    store-unreachable   redis://127.0.0.1:\d+/0: ", printed, re.M)
    assert re.search(r"^error    vendor-unreachable  http://127.0.0.1:\d+: Connect", printed, re.M)
    assert re.search(r"^error    testing-hooks-on    \w", printed, re.M)
    assert "did you mean REELGATE_POLL__LEASE_S?\n" + " " * 29 + "correct its name" in printed
    assert printed.endswith("errors: 3, warnings: 1\n")
    assert PASSWORD not in printed
    assert VENDOR_KEY not in printed
    assert "\x1b" not in printed


def test_refused_settings_are_all_listed(tmp_path: Path) -> None:
    """Every variable that breaks a rule is named at once, and its value is not repeated."""
    code, printed = doctor(
        "--json",
        REELGATE_DATA_DIR=str(tmp_path),
        REELGATE_PORT="not-a-port-but-a-secret",
        REELGATE_POLL__LEASE_S="0",
    )

    refused = [each for each in json.loads(printed)["findings"] if each["id"] == "settings-refused"]
    assert code == 1
    assert [each["message"].split(":")[0] for each in refused] == [
        "REELGATE_PORT",
        "REELGATE_POLL__LEASE_S",
    ]
    assert "not-a-port" not in printed


async def test_a_check_that_breaks_becomes_a_finding() -> None:
    """Its failure is named by type alone, and what it had found before stays."""
    note = Notes()

    async def broken() -> None:
        note("store-ok", "so far")
        raise LookupError(VENDOR_KEY)

    await isolated("this check", note, broken())

    assert [each.id for each in note.findings] == ["store-ok", "check-failed"]
    assert note.findings[1].message == "this check: LookupError"


async def test_a_check_that_hangs_becomes_a_finding() -> None:
    """The doctor ends whatever does not."""
    note = Notes()

    await isolated("this check", note, never(), within_s=0.01)

    assert [each.id for each in note.findings] == ["check-failed"]


async def never() -> None:
    """Wait for what does not come."""
    await asyncio.Event().wait()


def test_the_probe_asks_the_local_gateway(redis_url: str, vendor: Vendor, tmp_path: Path) -> None:
    """Healthy while it runs, also as an engine and where it listens everywhere; then not."""
    with GatewayProcess(tmp_path, redis_url, vendor.url, REELGATE_ROLE="engine") as gateway:
        port = gateway.url.rpartition(":")[2]
        alive = doctor("--probe", REELGATE_HOST=EVERYWHERE, REELGATE_PORT=port)
        assert gateway.stop() == 0
        dead = doctor("--probe", REELGATE_PORT=port)

    assert alive == (0, f"healthy: http://127.0.0.1:{port}/healthz\n")
    assert dead[0] == 1
    assert dead[1].startswith(f"not healthy: http://127.0.0.1:{port}/healthz gave no answer")
