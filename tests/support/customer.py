"""A caller of real gateways: keeps every answer, and asks again under the same name."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx2

from tests.support.auditor import Answered
from tests.support.bed import CREATE_PATH, character
from tests.support.processes import GatewayProcess

_NUMBERS = itertools.count()


@dataclass
class Customer:
    """One key, what was sent with it and what was answered; `http` is shared by many."""

    http: httpx2.AsyncClient
    key: str
    tenant_id: str = ""
    answers: list[Answered] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)

    @property
    def acknowledged(self) -> dict[str, str]:
        """The task ids that were given with a 200, by the name of the request."""
        return {answer.name: answer.task_id for answer in self.answers if answer.status == 200}

    async def create(
        self, gateway: GatewayProcess, name: str = "", scenario: str = ""
    ) -> Answered | None:
        """Send a create under an Idempotency-Key, if one is given; None where no answer came."""
        headers = {"idempotency-key": name} if name else {}
        if name and name not in self.sent:
            self.sent.append(name)
        try:
            answer = await self.ask(
                "POST", gateway.url + CREATE_PATH, json=character(scenario), headers=headers
            )
        except httpx2.TransportError:
            return None
        kind = answer.headers.get("content-type", "")
        assert kind == "application/json", f"{answer.status_code} is no JSON: {answer.text!r}"
        shown = answer.json()
        kept = Answered(
            name=name or f"unnamed {next(_NUMBERS)}",
            status=answer.status_code,
            body=answer.content,
            task_id=str(shown.get("id", "")),
            reason=str(shown.get("error", {}).get("reason", "")),
            tenant_id=self.tenant_id,
        )
        self.answers.append(kept)
        return kept

    async def create_many(self, *gateways: GatewayProcess, count: int, scenario: str = "") -> None:
        """Send `count` creates at once, spread over the gateways."""
        await asyncio.gather(
            *(self.create(gateways[i % len(gateways)], "", scenario) for i in range(count))
        )

    async def read(self, gateway: GatewayProcess, task_id: str) -> httpx2.Response:
        """Send a status read."""
        return await self.ask("GET", f"{gateway.url}/v1/tasks/{task_id}")

    async def read_many(self, *gateways: GatewayProcess, count: int) -> Counter[int]:
        """Send `count` reads at once, of all kinds and spread over the gateways.

        Returns how often each status was answered; that a task is not there is a read like others.
        """
        paths = ("/v1/models", "/v1/credits", "/v1/usage", "/v1/tasks", "/v1/tasks/task-unified-x")

        async def read(number: int) -> int:
            url = gateways[number % len(gateways)].url + paths[number % len(paths)]
            status = (await self.ask("GET", url)).status_code
            return 200 if status == 404 else status

        return Counter(await asyncio.gather(*(read(number) for number in range(count))))

    async def status(self, gateway: GatewayProcess, task_id: str) -> str:
        """Return a task's public status."""
        answer = await self.read(gateway, task_id)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["status"])

    def counted(self) -> Counter[tuple[int, str]]:
        """Return how often each status and reason was answered to a create."""
        return Counter((answer.status, answer.reason) for answer in self.answers)

    async def ask(self, method: str, url: str, **more: Any) -> httpx2.Response:
        """Send any request with the key."""
        headers = {"authorization": f"Bearer {self.key}", **more.pop("headers", {})}
        return await self.http.request(method, url, headers=headers, **more)
