"""`reelgate doctor` and the vendor: keys are judged by what a real sandbox answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.cli.doctor_vendor import check_vendor, judge_credits
from app.cli.findings import Notes
from app.sandbox import SandboxOptions
from app.sandbox.server import running_sandbox
from app.upstream.keyring import VendorKey
from tests.support.bed import settings_for
from tests.support.vendor import VENDOR_KEY, Vendor

KEY_ID = VendorKey.of(VENDOR_KEY).id
NOWHERE = "http://127.0.0.1:1"


async def found_at_vendor(url: str, folder: Path, **changes: Any) -> dict[str, str]:
    """Check one vendor and return the messages by identifier."""
    chosen = settings_for("", folder, url, vendor=changes)
    note = Notes()
    await check_vendor(chosen, note)
    return {each.id: each.message for each in note.findings}


async def test_without_a_key_the_vendor_is_not_asked(vendor: Vendor, tmp_path: Path) -> None:
    """Nothing leaves for the vendor, and the operator is told what does not work."""
    found = await found_at_vendor(vendor.url, tmp_path, keys="")

    assert list(found) == ["vendor-no-key"]
    assert vendor.journal() == []


async def test_unreadable_keys_are_a_finding(tmp_path: Path) -> None:
    """A key file that is not there is told like any other setting that cannot be used."""
    missing = tmp_path / "keys"

    found = await found_at_vendor(NOWHERE, tmp_path, keys="", keys_file=missing)

    assert str(missing) in found["settings-refused"]


async def test_a_refused_key_is_named_by_its_id(tmp_path: Path) -> None:
    """Of two keys the bad one is pointed out, and neither is shown."""
    other = "sk-canary-of-yesterday-0001"
    with running_sandbox(SandboxOptions(keys=(VENDOR_KEY,))) as sandbox:
        found = await found_at_vendor(sandbox.url, tmp_path, keys=f"{VENDOR_KEY},{other}")

    assert KEY_ID in found["vendor-key-ok"]
    assert VendorKey.of(other).id in found["vendor-key-refused"]
    assert other not in str(found)
    assert VENDOR_KEY not in str(found)


async def test_the_vendors_words_are_not_repeated(vendor: Vendor, tmp_path: Path) -> None:
    """A vendor that quotes the key in its refusal does not get it printed."""
    vendor.fault("status", on="any", status=401, message=f"bad key {VENDOR_KEY}")

    found = await found_at_vendor(vendor.url, tmp_path)

    assert found == {"vendor-key-refused": f"the vendor refuses key {KEY_ID} with status 401"}


@pytest.mark.parametrize(
    ("mode", "params"),
    [
        ("status", {"status": 503}),
        ("redirect", {}),
        ("html", {}),
        ("wrong_type", {}),
        ("huge", {"mib": 2}),
    ],
)
async def test_a_strange_answer_leaves_a_key_unclear(
    vendor: Vendor, tmp_path: Path, mode: str, params: dict[str, int]
) -> None:
    """Neither accepted nor refused: a warning, and no traceback."""
    vendor.fault(mode, on="any", **params)

    found = await found_at_vendor(vendor.url, tmp_path)

    assert list(found) == ["vendor-key-unclear"]


@pytest.mark.parametrize("mode", ["hang", "reset", "truncated"])
async def test_a_vendor_that_breaks_off_is_unreachable(
    vendor: Vendor, tmp_path: Path, mode: str
) -> None:
    """However the answer is lost, it is told within the deadline of a status read."""
    vendor.fault(mode, on="any")

    found = await found_at_vendor(vendor.url, tmp_path, report_timeout_s=0.3)

    assert list(found) == ["vendor-unreachable"]


@pytest.mark.parametrize(
    ("account", "expected"),
    [
        ({"token": {"remaining_credits": 0}}, "vendor-key-empty"),
        (
            {"token": {"unlimited_credits": True}, "user": {"remaining_credits": -1}},
            "vendor-key-empty",
        ),
        ({"token": {"remaining_credits": 12.5}, "user": {"remaining_credits": 7}}, "vendor-key-ok"),
        ({"token": {"remaining_credits": "plenty"}}, "vendor-key-ok"),
        ({}, "vendor-key-ok"),
        (None, "vendor-key-unclear"),
    ],
)
def test_credits_are_read_with_care(account: dict[str, Any] | None, expected: str) -> None:
    """The smaller of key and account counts, and an unknown form is no catastrophe."""
    note = Notes()

    judge_credits(json.dumps({"data": account}).encode(), "vk_1", note)

    assert [each.id for each in note.findings] == [expected]
