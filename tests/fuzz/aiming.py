"""What is said to the generator beyond the document: values of our formats, and what is unfair.

A schema cannot say that a host is public, an instant is to come, or a task is one's own. Without
being told, the generator would call every refusal of such a thing a broken promise.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import cycle
from typing import Any, get_args

import schemathesis
from hypothesis import strategies as st
from schemathesis import Case, HookContext
from schemathesis.generation.meta import TestPhase
from schemathesis.hooks import GLOBAL_HOOK_DISPATCHER

from app.domain.resolution import Verb

KEPT_TENANT = "caller"
"""The tenant whose key the fuzzer uses: deleting or disabling it would end the run."""


@dataclass(frozen=True)
class Targets:
    """What there is to be hit: a tenant, keys of it, tenants to delete, and what the caller has."""

    caller_key: str
    tenant: str
    doomed: tuple[str, ...]
    keys: tuple[str, ...]
    task_ids: tuple[str, ...]
    webhooks: tuple[str, ...]
    doomed_webhooks: tuple[str, ...]


DELETE_WEBHOOK = ("DELETE", "/v1/webhooks/{webhook_id}")
DELETE_TENANT = ("DELETE", "/admin/v1/tenants/{tenant}")

TASK_ID_PREFIX = "task-unified-"

FAR_OFF_S = 4_102_444_800
"""The year 2100, unix seconds."""

LONGEST_WAIT_S, SHORT_WAIT_S = 60, 0.01
"""What the document permits, and what is enough here."""

_VERBS = get_args(Verb)
_A_COST = ("credits", "0.1")

_CREATE_NAME = re.compile(r'"[!-~]{1,255}"|[!#-~][!-~]{0,254}|"[!-~]{0,253}[!#-~]|"')
"""The names that the document permits; others are sent as they are, to be refused."""

_HOSTS = ("example.com", "media.example.com:8443", "bücher.example", "8.8.8.8", "[2606:4700::1111]")
_PATHS = ("", "/", "/clip", "/a/b.mp4", "/A.MOV?x=1,2#f", "/%C3%BC.webm")
_NOWHERE = ("http://127.0.0.1:9/hook", "HTTP://127.0.0.1:9", "http://[::1]:9/?a=1,2&b=%2F")
"""Where notices may go: the gateway allows loopback, and nobody listens there."""

_OTHER_URIS = ("data:image/png;base64,iVBORw0KGgo=", "asset://asset-20260101", "urn:x:y")


def teach_formats(targets: Targets) -> None:
    """Teach the generator the formats of the document."""
    urls = st.builds(
        "{}://{}{}".format,
        st.sampled_from(["http", "https", "HTTPS"]),
        st.sampled_from(_HOSTS),
        st.sampled_from(_PATHS),
    )
    seconds = st.lists(st.integers(0, 2000), min_size=1, max_size=6).map(
        lambda thousandths: ", ".join(f"{each // 1000}.{each % 1000:03}" for each in thousandths)
    )
    days = st.dates(date(2025, 1, 1), date(2027, 12, 31))
    taught = {
        "media-url": urls,
        "uri": urls | st.sampled_from(_OTHER_URIS),
        "time-points": seconds | st.sampled_from(["0,2", "1", "0.25 ,2"]),
        # The last of them was never sent, so nothing can be built on it.
        "task-id": st.sampled_from([*targets.task_ids[:-1], "task-unified-1767917446-" + "0" * 25]),
        "callback-url": st.sampled_from(_NOWHERE),
        "instant": st.sampled_from(["2026-01-09T00:00:00Z", "2099-12-31T23:59:59.5+05:30"]),
        "signing-secret": st.sampled_from(["whsec_" + "A" * 32, "whsec_" + "A" * 86 + "=="]),
        "origin": st.sampled_from(["https://app.example.com", "http://localhost:3000"]),
        "date": days.map(date.isoformat),
        "date-time": st.sampled_from(["2099-01-01T00:00:00Z", "2099-12-31T23:59:59.5+05:30"]),
    }
    for name, strategy in taught.items():
        schemathesis.openapi.format(name, strategy)


@contextmanager
def aimed(targets: Targets) -> Iterator[None]:
    """Mend every request that would be refused, or taken, for a reason no schema can tell.

    What is mended here is judged anew: a request that has become right by it must be accepted.
    """
    aim = _Aim(targets)

    def before_call(context: HookContext, case: Case, kwargs: dict[str, Any]) -> None:
        aim.at_what_there_is(case)
        _leave_out_empty_values(case)
        _look_at_few_days(case)
        _wait_little(case)
        _let_keys_live(case)
        _make_new_tenants(case)
        _resolve_with_what_is_needed(case)
        _redeliver_one_or_many(case)
        aim.name_each_create(case)

    schemathesis.hook(before_call)
    try:
        yield
    finally:
        GLOBAL_HOOK_DISPATCHER.unregister(before_call)


class _Aim:
    """Puts what there is into two of three requests that the generator made without knowing it."""

    def __init__(self, targets: Targets) -> None:
        self._targets = targets
        self._doomed = iter(targets.doomed)
        self._doomed_webhooks = iter(targets.doomed_webhooks)
        self._webhooks = cycle(targets.webhooks)
        self._keys, self._tasks = cycle(targets.keys), cycle(targets.task_ids)

    def at_what_there_is(self, case: Case) -> None:
        """Choose the tenant, the key, the webhook or the task of the path."""
        place = case.path_parameters
        # What one request has made and the next one uses must stay as it is.
        is_free = case.meta is None or case.meta.phase.name is not TestPhase.STATEFUL
        if (case.method, case.operation.path) == DELETE_TENANT:
            if is_free or place["tenant"] in (KEPT_TENANT, self._targets.tenant):
                place["tenant"] = next(self._doomed, "nobody")
        elif "tenant" in place:
            if place["tenant"] == KEPT_TENANT or (is_free and _in_two_of_three(place)):
                place["tenant"] = self._targets.tenant
                place |= {"key": next(self._keys)} if "key" in place else {}
        elif (case.method, case.operation.path) == DELETE_WEBHOOK:
            # Those that are kept were made before: no request of the run knows them otherwise.
            place["webhook_id"] = next(self._doomed_webhooks, "we_0123456789abcdef")
        elif "webhook_id" in place and is_free and _in_two_of_three(place):
            place["webhook_id"] = next(self._webhooks)
        elif str(place.get("task_id", "")).startswith(TASK_ID_PREFIX) and _in_two_of_three(place):
            place["task_id"] = next(self._tasks)

    def name_each_create(self, case: Case) -> None:
        """Give equal bodies equal names and others others; a name that loses is left out.

        Where the generator has made a key up as well, that is what the request is refused for.
        """
        headers, key = case.headers, f"Bearer {self._targets.caller_key}"
        named = [name for name in ("Idempotency-Key", "X-Evo-Run-Id") if name in headers]
        if not named or headers.get("Authorization", key) != key:
            return
        for name in named[1:]:
            del headers[name]
        if _CREATE_NAME.fullmatch(str(headers[named[0]])):
            body = repr(case.body).encode("utf-8", "backslashreplace")
            headers[named[0]] = hashlib.sha256(body).hexdigest()


def _in_two_of_three(place: dict[str, Any]) -> bool:
    """Draw a lot from what the generator drew, so that runs of one seed are alike."""
    return zlib.crc32(repr(sorted(place.items())).encode("utf-8", "backslashreplace")) % 3 > 0


def _leave_out_empty_values(case: Case) -> None:
    """An empty value in a query is no value; the schema of the value does not apply to it."""
    if case.query:
        case.query = {name: value for name, value in case.query.items() if value not in ("", [""])}


def _look_at_few_days(case: Case) -> None:
    """Days stand in order, at most 400 of them: two parameters, of which no schema knows both."""
    try:
        first, last = sorted(date.fromisoformat(case.query[name]) for name in ("from", "to"))
    except (KeyError, TypeError, ValueError):
        pass
    else:
        first = max(first, last - timedelta(days=399))
        case.query = {**case.query, "from": first.isoformat(), "to": last.isoformat()}
    if case.query and "to" not in case.query and "from" in case.query:
        case.query = {**case.query, "to": case.query["from"]}


def _wait_little(case: Case) -> None:
    """A time that can be waited for is cut to one that a run of thousands has, in plain digits."""
    waited = case.query.get("wait") if case.query else None
    match waited:
        case [one]:
            waited = one
    if type(waited) in (int, float) or re.fullmatch(r"[0-9]{1,2}(\.[0-9]{1,20})?", str(waited)):
        seconds = float(waited)
        if 0 <= seconds <= LONGEST_WAIT_S:
            # Other names are ignored, which nobody has told the generator.
            case.query = {"wait": f"{min(seconds, SHORT_WAIT_S):.6f}"}


def _let_keys_live(case: Case) -> None:
    """A key's end lies in the future."""
    body = case.body if isinstance(case.body, dict) else {}
    end = body.get("expires_at")
    if type(end) in (int, float) and 0 <= end < FAR_OFF_S and end == int(end):
        case.body = {**body, "expires_at": FAR_OFF_S}


def _make_new_tenants(case: Case) -> None:
    """The tenant of the document's example can be made but once: ask for others instead."""
    body = case.body if isinstance(case.body, dict) else {}
    if case.operation.path == "/admin/v1/tenants" and body.get("id") == "acme":
        case.body = {**body, "id": f"t-{zlib.crc32(repr(body).encode('utf-8', 'replace'))}"}


def _resolve_with_what_is_needed(case: Case) -> None:
    """Each word on a doubt has a field that it needs and no other may have."""
    body = case.body if isinstance(case.body, dict) else {}
    if case.operation.path != "/admin/v1/doubts/{task_id}/resolve" or "as" not in body:
        return
    needs = {"accepted": ("vendor_id", TASK_ID_PREFIX + "1767917446-abc"), "corrected": _A_COST}
    word = body["as"] if isinstance(body["as"], str) else ""
    for verb, (name, value) in needs.items():
        if verb != word and word in _VERBS:
            body = {field: each for field, each in body.items() if field != name}
        elif verb == word and body.get(name) is None:
            body = {**body, name: value}
    if word != "accepted" and body.get("unseen") is True:
        body = {field: each for field, each in body.items() if field != "unseen"}
    case.body = body


def _redeliver_one_or_many(case: Case) -> None:
    """One message by its id alone, or those of a time, whose ends stand in order."""
    body = case.body if isinstance(case.body, dict) else {}
    if case.operation.path != "/v1/webhooks/{webhook_id}/redeliver":
        return
    if isinstance(body.get("id"), str):
        body = {"id": body["id"]}
    elif isinstance(case.body, dict) and body.get("since") is None:
        body = {**body, "since": 0}
    if "until" in body:
        body = {name: value for name, value in body.items() if name != "until"}
    if isinstance(case.body, dict):
        case.body = body
