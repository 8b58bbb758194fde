"""Webhooks of a gateway in pieces: one process is called, another delivers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx2
from standardwebhooks import Webhook

from tests.api.asking import bearer
from tests.support.bed import character
from tests.support.fleet import Fleet
from tests.support.receiver import open_receiver
from tests.support.wait import wait_until

LOOPBACK = {
    "REELGATE_WEBHOOK__ALLOW_NETWORKS": "127.0.0.0/8",
    "REELGATE_WEBHOOK__ALLOW_HTTP": "true",
    "REELGATE_POLL__FIRST_DELAY_S": "0.2",
}


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever holds a key, at one address."""

    http: httpx2.AsyncClient
    url: str
    key: str

    async def call(self, method: str, path: str, **body: Any) -> Any:
        """Send a request that must go well and return what is answered."""
        answer = await self.http.request(
            method, self.url + path, headers=[bearer(self.key)], json=body or None
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def delivered(self, webhook: str, task_id: str) -> list[dict[str, Any]]:
        """Return what has been delivered to an endpoint about a task."""
        page = await self.call("GET", f"{webhook}/deliveries?task_id={task_id}&status=delivered")
        found: list[dict[str, Any]] = page["data"]
        return found


async def test_an_endpoint_is_made_tried_told_and_told_again(fleet: Fleet) -> None:
    """Over sockets from end to end, with what a tenant is given and nothing else."""
    (api,) = await fleet.start("api", options=("--role", "api"), **LOOPBACK)
    await fleet.start("engine", options=("--role", "engine"), **LOOPBACK)
    acme = Caller(fleet.http, api.url, (await fleet.customer()).key)

    async with open_receiver() as receiver:
        made = await acme.call(
            "POST", "/v1/webhooks", url=receiver.url(), events=["task.completed"]
        )
        path = f"/v1/webhooks/{made['id']}"
        tried = await acme.call("POST", f"{path}/test")
        task = await acme.call("POST", "/v1/videos/generations", **character("seconds:0"))
        told = await wait_until(
            lambda: acme.delivered(path, task["id"]), describing="the task's end to be told"
        )
        count = await acme.call("POST", f"{path}/redeliver", id=told[0]["id"])
        again = await wait_until(
            lambda: acme.delivered(path, task["id"]), describing="it to be told again"
        )

    test, first, second = receiver.journal
    content = Webhook(made["secret"]).verify(second.body.decode(), second.headers)
    assert (tried["status"], tried["id"]) == ("delivered", test.message_id)
    assert (content["type"], content["data"]["id"]) == ("task.completed", task["id"])
    assert first.body == second.body
    assert first.message_id == second.message_id == again[0]["id"]
    assert count == {"redelivered": 1}
    assert [each["status_code"] for each in again[0]["attempts"]] == [200, 200]
