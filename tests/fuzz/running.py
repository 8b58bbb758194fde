"""One run of the fuzzer over all operations, and what came of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import schemathesis
from schemathesis import Case, HookContext, Response
from schemathesis.checks import CHECKS
from schemathesis.core.failures import Failure
from schemathesis.engine import StopReason, events, from_schema
from schemathesis.openapi.checks import AllowHeaderMismatch, UnsupportedMethodResponse

SLOWEST_ANSWER_S = 10
"""No answer here has a reason to take longer; a busy machine is no reason to fail."""

REFUSALS = ["400", "401", "404", "413", "415"]
"""How a request that breaks its description may be refused. A 409 would be no refusal of it."""

ALSO_RIGHT = {
    "create_task": ["404"],
    "read_task": ["304", "404"],
    "read_task_alias": ["304", "404"],
    "cancel_task": ["404", "409"],
    "cancel_any_task": ["404", "409"],
    "explain_task": ["404"],
    "resolve_doubt": ["404", "409"],
    "create_tenant": ["409"],
    "read_tenant": ["404"],
    "change_tenant": ["404"],
    "delete_tenant": ["404", "409"],
    "rotate_webhook_secret": ["404"],
    "issue_key": ["404"],
    "list_keys": ["404"],
    "rotate_key": ["404", "409"],
    "revoke_key": ["404"],
    "read_tenant_usage": ["404"],
    "mint_token": ["404"],
    "create_webhook": ["409"],
    "read_webhook": ["404"],
    "change_webhook": ["404"],
    "delete_webhook": ["404"],
    "rotate_webhook": ["404"],
    "test_webhook": ["404", "409"],
    "redeliver": ["404", "409"],
    "list_deliveries": ["404"],
}
"""Answers to requests that are as described, and speak of what there is not or is already."""

FEW_EXAMPLES = {"test_webhook": 10}
"""Of operations that wait for something: an engine looks every half second."""


@dataclass(slots=True)
class Findings:
    """What was sent, what was answered, and what is wrong with it."""

    requests: Counter[str] = field(default_factory=Counter)
    answers: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    checks: Counter[str] = field(default_factory=Counter)
    failures: dict[tuple[str, str, str], list[str]] = field(
        default_factory=lambda: defaultdict(list)
    )
    troubles: list[str] = field(default_factory=list)
    stopped: StopReason | None = None

    def take(self, event: events.EngineEvent) -> None:
        """Add what an event of the engine tells."""
        match event:
            case events.ScenarioFinished():
                self._take_scenario(event)
            case events.NonFatalError():
                self.troubles.append(f"{event.label}: {event.value!r}")
            case events.FatalError():
                self.troubles.append(repr(event.exception))
            case events.EngineFinished():
                self.stopped = event.stop_reason

    def _take_scenario(self, event: events.ScenarioFinished) -> None:
        recorder = event.recorder
        for case_id, interaction in recorder.interactions.items():
            operation = recorder.cases[case_id].value.operation.label
            self.requests[operation] += 1
            if interaction.response is None:
                self.troubles.append(f"{operation}: no answer")
            else:
                self.answers[operation][interaction.response.status_code] += 1
        for case_id, checks in recorder.checks.items():
            operation = recorder.cases[case_id].value.operation.label
            for check in checks:
                self.checks[check.name] += 1
                if check.failure_info is not None:
                    told = check.failure_info
                    found = (check.name, operation, told.failure.title)
                    answered = recorder.find_response(case_id=case_id)
                    answer = answered.content[:500] if answered else b""
                    self.failures[found].append(
                        f"{told.failure.message}\n{told.code_sample}\n{answer!r}"
                    )

    def report(self) -> str:
        """Return every kind of failure with its first example."""
        return "\n\n".join(
            f"{' | '.join(found)}: {len(examples)} times, such as\n{examples[0]}"
            for found, examples in self.failures.items()
        )


def fuzz(document: dict[str, Any], url: str, tokens: dict[str, str], *, examples: int) -> Findings:
    """Run every phase and every check over every operation of a document.

    The seed is fixed: what differs between two runs is what the gateway makes up, such as ids.
    """
    config = schemathesis.Config.from_dict(
        {
            "seed": 1,
            "cache": {"enabled": False},
            "base-url": url,
            "continue-on-failure": True,
            "auth": {"openapi": {name: {"bearer": token} for name, token in tokens.items()}},
            "generation": {
                "deterministic": True,
                "max-examples": examples,
                "database": "none",
                "no-shrink": True,
            },
            "checks": {
                "max_response_time": SLOWEST_ANSWER_S,
                "positive_data_acceptance": {"expected-statuses": ["200"]},
                "negative_data_rejection": {"expected-statuses": REFUSALS},
            },
            "operations": [
                {
                    "include-operation-id": operation_id,
                    "checks": {
                        "positive_data_acceptance": {"expected-statuses": ["200", *statuses]}
                    },
                    "generation": {"max-examples": FEW_EXAMPLES.get(operation_id, examples)},
                }
                for operation_id, statuses in ALSO_RIGHT.items()
            ],
        }
    )
    schema = schemathesis.openapi.from_dict(with_an_end(document), config=config)
    schema.hook("filter_failure")(_is_a_failure)
    findings = Findings()
    for event in from_schema(schema).execute():
        findings.take(event)
    return findings


def with_an_end(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document without event streams: their answers go on for as long as one listens."""
    paths = {path: item for path, item in document["paths"].items() if not _is_endless(path)}
    return {**document, "paths": paths}


def _is_endless(path: str) -> bool:
    return path.endswith("/events")


def _is_a_failure(context: HookContext, failure: Failure, case: Case, response: Response) -> bool:
    """Leave out what is another operation: a GET of the batch's path reads a task named `batch`."""
    about_methods = isinstance(failure, AllowHeaderMismatch | UnsupportedMethodResponse)
    return not (about_methods and case.operation.path == "/v1/tasks/batch")


def all_checks() -> Iterator[str]:
    """Return the name of every check there is."""
    yield from (name for name in CHECKS.get_all_names() if name != "all")
