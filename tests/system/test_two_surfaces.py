"""The command line and the admin API are two doors to one room."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.api.operating import ADMIN_TOKEN, AUDIT, TENANTS
from tests.support.fleet import Fleet
from tests.support.processes import GatewayProcess
from tests.support.shell import Shell

Ask = Callable[..., Any]
LIMITS = '{"credits_per_day": "12.50", "models": ["sora-2"]}'


@pytest.fixture
async def gateway(fleet: Fleet) -> GatewayProcess:
    """A started gateway whose admin API is on."""
    (started,) = await fleet.start("serve", REELGATE_ADMIN_TOKEN=ADMIN_TOKEN)
    return started


@pytest.fixture
def command(gateway: GatewayProcess, shell: Shell) -> Ask:
    """Run a command beside the gateway and return its JSON."""
    return lambda *words: shell.run(*words, "--json", environment=gateway.environment).json()


@pytest.fixture
def api(gateway: GatewayProcess) -> Ask:
    """Ask the admin API of the gateway and return its JSON."""

    def ask(method: str, path: str, **more: Any) -> Any:
        headers = {"authorization": f"Bearer {ADMIN_TOKEN}"}
        answer = gateway.http.request(method, path, headers=headers, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return ask


def test_what_the_command_line_writes_the_admin_api_shows(command: Ask, api: Ask) -> None:
    """Tenant, secrets, keys and acts, member for member."""
    added = command("tenant", "add", "acme", "--name", "Acme", "--limits", LIMITS)
    first = command("key", "issue", "acme", "--name", "web", "--expires-at", "2099-01-01T00:00:00Z")
    second = command("key", "rotate", "acme", first["id"])
    command("key", "revoke", "acme", first["id"])

    tenant, secrets = api("GET", f"{TENANTS}/acme"), api("GET", f"{TENANTS}/acme?secrets=true")
    keys, acts = api("GET", f"{TENANTS}/acme/keys")["data"], api("GET", AUDIT)["data"]

    assert secrets == added
    assert tenant == command("tenant", "show", "acme")
    assert api("GET", TENANTS)["data"] == command("tenant", "list") == [tenant]
    assert keys == command("key", "list", "acme")
    assert [key["state"] for key in keys] == ["revoked", "active"]
    assert keys[1] == {name: value for name, value in second.items() if name != "key"}
    assert [act["actor"] for act in acts] == ["admin", *["cli"] * (len(acts) - 1)]
    assert api("GET", f"{TENANTS}/acme/usage") == command("tenant", "usage", "acme")


def test_what_the_admin_api_writes_the_command_line_shows(command: Ask, api: Ask) -> None:
    """And the other way round."""
    wish = {"id": "acme", "group": "vip", "limits": {"creates_per_minute": 5}}
    made = api("POST", TENANTS, json=wish)
    issued = api("POST", f"{TENANTS}/acme/keys", json={"mode": "test"})
    rotated = api("POST", f"{TENANTS}/acme/webhook-secret/rotate")
    changed = api("PATCH", f"{TENANTS}/acme", json={"disabled": True})

    assert command("tenant", "show", "acme") == changed
    assert command("tenant", "show", "acme", "--secrets") == changed | {
        "webhook_secret": rotated["webhook_secret"]
    }
    assert rotated["webhook_secret"] != made["webhook_secret"]
    assert command("key", "list", "acme") == [
        {name: value for name, value in issued.items() if name != "key"}
    ]
    acts = command("audit", "list")
    assert [(act["actor"], act["act"]) for act in acts] == [
        ("cli", "tenant.secrets_shown"),
        ("admin", "tenant.changed"),
        ("admin", "webhook_secret.rotated"),
        ("admin", "key.issued"),
        ("admin", "tenant.created"),
    ]
    assert acts == api("GET", AUDIT)["data"]


def test_a_limit_set_by_one_is_lifted_by_the_other(command: Ask, api: Ask) -> None:
    """Both merge, and neither loses what the other wrote."""
    command("tenant", "add", "acme", "--limits", '{"tasks_in_flight": 1, "max_queued": 2}')

    api("PATCH", f"{TENANTS}/acme", json={"limits": {"creates_per_minute": 3}})
    command("tenant", "limit", "acme", "--limits", '{"tasks_in_flight": null}')
    api("PATCH", f"{TENANTS}/acme", json={"limits": {"max_queued": None, "models": []}})

    limits = command("tenant", "show", "acme")["limits"]
    found = {
        name: value for name, value in limits.items() if value not in (None, "reject", "charge")
    }
    assert found == {"creates_per_minute": 3, "models": []}


def test_a_key_of_one_is_ended_by_the_other(
    command: Ask, api: Ask, gateway: GatewayProcess
) -> None:
    """From the moment that the command has ended."""
    command("tenant", "add", "acme")
    key = api("POST", f"{TENANTS}/acme/keys")
    headers = {"authorization": f"Bearer {key['key']}"}
    before = gateway.http.get("/v1/models", headers=headers).status_code

    command("key", "revoke", "acme", key["id"])

    assert before == 200
    assert gateway.http.get("/v1/models", headers=headers).status_code == 401
