"""One Chromium, one gateway and the example's own server for all tests of this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from app.sandbox import SandboxOptions
from app.sandbox.server import running_sandbox
from tests.browser.chromium import Chromium, Tab, find_chromium
from tests.support.auditor import audit, read_books
from tests.support.bed import CREATE_PATH, character
from tests.support.examples import Running, serving
from tests.support.processes import GatewayProcess
from tests.support.redis_server import RedisServer, free_port
from tests.support.shell import Shell
from tests.support.vendor import Vendor


@dataclass(frozen=True)
class Site:
    """A tenant's gateway, and its application: a page on another origin, which holds the key."""

    gateway: GatewayProcess
    shell: Shell
    folder: Path
    key: str
    page: Running

    @classmethod
    def open(cls, gateway: GatewayProcess, shell: Shell, folder: Path) -> Site:
        """Add the tenant, whose page is not served yet."""
        page = Running(free_port(), folder)
        return cls(gateway, shell, folder, tenant(gateway, shell, "acme", page.origin), page)

    def tenant(self, tenant_id: str, *origins: str, limits: str = "{}") -> str:
        """Add a tenant whose pages have these origins; return a key of it."""
        return tenant(self.gateway, self.shell, tenant_id, *origins, limits=limits)

    def application(
        self, key: str, *options: str, port: int = 0, gateway: str = ""
    ) -> AbstractContextManager[Running]:
        """Serve the page of the tenant with this key, to the end of a block."""
        return serving(
            *("browser/server.py", self.folder, "--port", "{port}", *options),
            port=port,
            GATEWAY=gateway or self.gateway.url,
            KEY=key,
        )

    def create(self, key: str = "", scenario: str = "seconds:0") -> str:
        """Create a task without a browser; return its id."""
        headers = {"authorization": f"Bearer {key or self.key}"}
        answer = self.gateway.http.post(CREATE_PATH, headers=headers, json=character(scenario))
        return str(answer.raise_for_status().json()["id"])

    def read(self, task_id: str, **headers: str) -> httpx2.Response:
        """Ask for a task as a page does."""
        return self.gateway.http.get(f"/v1/tasks/{task_id}", headers=headers)

    def answered(self, status: int) -> list[dict[str, Any]]:
        """Return the log's lines about answers with a status."""
        return [each for each in self.gateway.events() if each.get("status") == status]


def tenant(
    gateway: GatewayProcess, shell: Shell, tenant_id: str, *origins: str, limits: str = "{}"
) -> str:
    """Add a tenant as an operator does, and return a key of it."""
    named = [word for origin in origins for word in ("--origin", origin)]
    environment = {
        name: value for name, value in gateway.environment.items() if name.startswith("REELGATE_")
    }
    add = ("tenant", "add", tenant_id, "--json", "--limits", limits, *named)
    shell.run(*add, environment=environment).json()
    issued = shell.run("key", "issue", tenant_id, "--json", environment=environment).json()
    return str(issued["key"])


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """The browser; without one the tests are skipped, and where that is forbidden they fail."""
    program = find_chromium()
    if program is None:
        pytest.skip("there is no Chromium; on Debian: apt-get install chromium")
    browser = Chromium(program, tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def site(chromium: Chromium, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A gateway whose tenant allows the page's origin; in the end the books are audited."""
    folder = tmp_path_factory.mktemp("site")
    quick = {"REELGATE_POLL__MAX_INTERVAL_S": "0.3"}
    with (
        Shell() as shell,
        RedisServer() as redis,
        running_sandbox(SandboxOptions(default_seconds=3)) as sandbox,
        closing(Vendor(sandbox.url)) as vendor,
        GatewayProcess(folder, redis.url, vendor.url, **quick) as gateway,
    ):
        opened = Site.open(gateway, shell, folder)
        with opened.application(opened.key, port=opened.page.port):
            yield opened
        assert audit(read_books(redis.url), vendor.journal()) == []


@pytest.fixture
async def tab(
    chromium: Chromium, site: Site, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Tab]:
    """A page in a fresh profile; whatever it did, it was never told a key, and called nobody else.

    What it looked like in the end is left in the test's folder.
    """
    async with chromium.tab() as opened:
        yield opened
        (tmp_path / "last.png").write_bytes(await opened.picture())
        shown = [str(tmp_path / "last.png"), *opened.complaints()]
        request.node.add_report_section("teardown", "the page", "\n".join(shown))
        assert "rg_live_" not in repr(opened.events)
        called = {each["url"] for each in opened.requests()}
        ours = ("http://127.0.0.1:", "data:")
        assert [url for url in called if not url.startswith(ours)] == []
