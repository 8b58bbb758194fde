"""The vendor key stays between gateway and vendor, whatever goes wrong."""

from __future__ import annotations

import httpx2
import psutil
import pytest
from redis import Redis as BlockingRedis

from tests.support.bed import CREATE_PATH, character
from tests.support.fleet import Fleet
from tests.support.processes import GatewayProcess, assert_no_secret
from tests.support.vendor import VENDOR_KEY, Vendor
from tests.support.wait import wait_until

ECHO = f"Incorrect API key provided: {VENDOR_KEY}"
FAULTS = (
    {"mode": "status", "status": 401, "message": ECHO},
    {"mode": "status", "status": 400, "message": ECHO},
    {"mode": "commit_then_status", "status": 500, "message": ECHO},
    {"mode": "redirect", "location": f"http://127.0.0.1:9/?key={VENDOR_KEY}"},
    {"mode": "html"},
    {"mode": "malformed"},
    {"mode": "commit_then_reset"},
    {"mode": "close"},
    {"mode": "truncated"},
)


async def everything_said(gateway: GatewayProcess, key: str, vendor: Vendor) -> list[str]:
    """Ask for good and bad things, under every fault, and return all that was answered."""
    said: list[httpx2.Response] = []
    headers = {"authorization": f"Bearer {key}", "x-request-id": "req-of-the-caller"}
    async with httpx2.AsyncClient(base_url=gateway.url, headers=headers, trust_env=False) as http:
        for fault in ({}, *FAULTS):
            if fault:
                vendor.fault(**fault)
            said.append(await http.post(CREATE_PATH, json=character("seconds:0")))
            vendor.heal()
        vendor.fault("status", on="report", status=401, message=ECHO)
        said.append(await http.post(CREATE_PATH, json=character("outcome:failed,seconds:0")))
        read_before = len(vendor.reads())
        await wait_until(
            lambda: len(vendor.reads()) > read_before, describing="a read to be refused"
        )
        as_json = {"content-type": "application/json"}
        said.append(await http.post(CREATE_PATH, content=b"{", headers=as_json))
        said.append(await http.get(f"/v1/tasks/{said[0].json()['id']}"))
        said.append(await http.get("/v1/tasks/task-unified-0"))
        said.append(await http.get("/v1/tasks/none", headers={"authorization": "Bearer rg_live_x"}))
        said.extend([await http.get(path) for path in ("/metrics", "/readyz", "/openapi.json")])
    return [f"{answer.status_code} {answer.headers} {answer.text}" for answer in said]


async def test_the_vendor_key_is_in_no_answer_log_or_record(fleet: Fleet) -> None:
    """Good and faulty calls at debug level leave it in nothing a caller or operator can look at."""
    (gateway,) = await fleet.start("serve", REELGATE_LOG__LEVEL="debug")
    customer = await fleet.customer()

    said = await everything_said(gateway, customer.key, fleet.vendor)
    shown = psutil.Process(gateway.pid).cmdline()
    await fleet.stop()

    assert len(fleet.vendor.creates()) == len(FAULTS) + 2
    log = gateway.log.read_text("utf-8")
    for answer in said:
        assert_no_secret(answer, where="an answer")
    assert_no_secret(log, where="the log")
    assert_no_secret(" ".join(shown), where="the command line")
    with BlockingRedis.from_url(fleet.redis.url) as redis:
        stored = [redis.dump(name) for name in redis.scan_iter()]
    assert_no_secret(repr(stored), where="the store")
    assert customer.key not in log


@pytest.mark.parametrize("line", [VENDOR_KEY, f'{{"event": "x", "sent": "Bearer {VENDOR_KEY}"}}'])
def test_the_detector_sees_one_planted_line(line: str) -> None:
    """A single occurrence in a long log is enough to fail, and is not repeated in the failure."""
    log = "\n".join([*["quite harmless"] * 1000, line, *["harmless as well"] * 1000])

    with pytest.raises(AssertionError, match="the vendor key stands in the log") as failure:
        assert_no_secret(log, where="the log")

    assert VENDOR_KEY not in str(failure.value)
