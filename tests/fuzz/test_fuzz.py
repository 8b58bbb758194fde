"""Thousands of requests made from the document: none breaks the gateway or what it promises.

All checks of the fuzzer are on. What it cannot know is taught in `aiming.py`; which answers are
right for which operation stands in `running.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from app.sandbox import SandboxOptions
from app.sandbox.server import running_sandbox
from tests.fuzz.aiming import KEPT_TENANT, Targets, aimed, teach_formats
from tests.fuzz.running import Findings, all_checks, fuzz, with_an_end
from tests.support.bed import CREATE_PATH, character
from tests.support.processes import GatewayProcess
from tests.support.redis_server import RedisServer

pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(170)]

ADMIN_TOKEN = "fuzzing-admin-token-0001"
LEAST_REQUESTS = 5_000
EXAMPLES = 45
"""Random requests for each operation, beside those that go to each border of its description."""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A started gateway with a store and a vendor of its own; tasks are over when first read."""
    folder = tmp_path_factory.mktemp("fuzz")
    paces = dict.fromkeys(["FIRST_DELAY_S", "MIN_INTERVAL_S"], "1")
    settings = {f"REELGATE_POLL__{name}": pace for name, pace in paces.items()}
    # Nothing but loopback is ever called. A few endpoints more than are made below: each of them
    # is told of each of thousands of tasks.
    settings |= {
        "REELGATE_WEBHOOK__ALLOW_NETWORKS": "127.0.0.0/8,::1/128",
        "REELGATE_WEBHOOK__ALLOW_HTTP": "true",
        "REELGATE_WEBHOOK__MAX_ENDPOINTS": "28",
    }
    with (
        RedisServer() as redis,
        running_sandbox(SandboxOptions(default_seconds=0)) as vendor,
        GatewayProcess(
            folder, redis.url, vendor.url, REELGATE_ADMIN_TOKEN=ADMIN_TOKEN, **settings
        ) as started,
    ):
        yield started


class Client:
    """A caller whose requests must succeed."""

    def __init__(self, http: httpx2.Client, token: str) -> None:
        self.http, self._token = http, token

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to a POST."""
        return self.send("POST", path, body)

    def send(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to a request."""
        headers = {"authorization": f"Bearer {self._token}"}
        answer = self.http.request(method, path, json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def tenant(self, tenant_id: str, **limits: Any) -> str:
        """Make a tenant and return its id."""
        return str(self.post("/admin/v1/tenants", {"id": tenant_id, "limits": limits})["id"])

    def key(self, tenant_id: str, what: str = "id") -> str:
        """Issue a key and return its id, or the key itself."""
        return str(self.post(f"/admin/v1/tenants/{tenant_id}/keys", {})[what])


def cancelled_task(operator: Client) -> str:
    """Return a task of the caller's that waited in the queue, and can be cancelled again."""
    path = f"/admin/v1/tenants/{KEPT_TENANT}"
    caller = Client(operator.http, operator.key(KEPT_TENANT, "key"))
    operator.send("PATCH", path, {"limits": {"tasks_in_flight": 0, "when_full": "queue"}})
    task_id = str(caller.post(CREATE_PATH, character())["id"])
    caller.post(f"/v1/tasks/{task_id}/cancel", {})
    operator.send("PATCH", path, {"limits": {"tasks_in_flight": None, "when_full": None}})
    return task_id


def webhook_of(caller: Client) -> str:
    """Make an endpoint at an address where nobody listens, for an event that comes seldom here."""
    wish = {"url": "http://127.0.0.1:9/hook", "events": ["task.processing"]}
    return str(caller.post("/v1/webhooks", wish)["id"])


@pytest.fixture(scope="module")
def findings(gateway: GatewayProcess) -> Findings:
    """One run; the tests look at it from several sides."""
    operator = Client(gateway.http, ADMIN_TOKEN)
    # Limits that are never reached, so that every answer tells of them.
    operator.tenant(KEPT_TENANT, creates_per_minute=1_000_000, reads_per_second=1_000_000)
    key = operator.key(KEPT_TENANT, "key")
    caller = Client(gateway.http, key)
    scenarios = ["seconds:0", "outcome:failed,seconds:0", "seconds:3600"]
    tasks = [caller.post(CREATE_PATH, character(each))["id"] for each in scenarios]
    tasks.append(cancelled_task(operator))
    targets = Targets(
        caller_key=key,
        tenant=operator.tenant("acme"),
        doomed=tuple(operator.tenant(f"doomed-{number}") for number in range(20)),
        keys=tuple(operator.key("acme") for _ in range(100)),
        task_ids=tuple(tasks),
        webhooks=tuple(webhook_of(caller) for _ in range(3)),
        doomed_webhooks=tuple(webhook_of(caller) for _ in range(20)),
    )
    teach_formats(targets)
    document = gateway.http.get("/openapi.json").json()
    with aimed(targets):
        tokens = {"ApiKey": key, "AdminToken": ADMIN_TOKEN}
        return fuzz(document, gateway.url, tokens, examples=EXAMPLES)


def test_no_promise_of_the_document_is_broken(findings: Findings) -> None:
    """No check fails: no server error, no answer that is not described, nothing let in or out."""
    assert not findings.failures, findings.report()


def test_the_run_was_a_whole_one(findings: Findings) -> None:
    """So many requests, to every operation, with every check, and nothing went wrong in it."""
    assert findings.troubles == []
    assert findings.stopped == "completed"
    assert findings.requests.total() >= LEAST_REQUESTS
    assert findings.checks.keys() >= set(all_checks())


def test_every_operation_was_got_to_work(findings: Findings, gateway: GatewayProcess) -> None:
    """A run of nothing but refusals would find nothing."""
    document = with_an_end(gateway.http.get("/openapi.json").json())
    labels = {
        f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item
    }

    assert findings.requests.keys() == labels
    assert [label for label in sorted(labels) if not findings.answers[label][200]] == []


def test_the_gateway_is_as_well_as_before(findings: Findings, gateway: GatewayProcess) -> None:
    """It is ready, and has logged no defect."""
    assert gateway.http.get("/readyz").status_code == 200
    assert [event for event in gateway.events() if event["event"] == "request.failed"] == []
