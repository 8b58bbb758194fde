"""How an operator ends a doubt, puts a task right or calls it off, always with a reason."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, Field

from app.domain.task import FINAL, TaskState
from app.domain.tenant import LABEL_CHARACTER, CreditAmount, Refused, matching, parsed

Verb = Literal["accepted", "rejected", "written_off", "corrected"]

Reason = Annotated[
    str,
    matching(LABEL_CHARACTER + "{3,500}", "a reason of 3 to 500 characters of UTF-8, on one line"),
]
"""Why something is done, for the audit log."""

_NEEDS: Final[dict[str, str]] = {"accepted": "vendor_id", "corrected": "credits"}
"""The field that a way of resolving needs, and that no other may have."""

RESOLVABLE: Final = frozenset({TaskState.IN_DOUBT, TaskState.SUBMITTED, TaskState.WATCHING})
"""Where an operator may know better: of a doubt, and of a task followed under a wrong id, or under
one that the vendor has forgotten."""


class Resolution(BaseModel, frozen=True, extra="forbid"):
    """What an operator found out about a task, and why that is to be believed.

    `unseen`: the vendor is not asked about the id before it is believed.
    """

    how: Verb = Field(alias="as")
    reason: Reason
    vendor_id: (
        Annotated[
            str, matching(r"task-unified-[A-Za-z0-9_-]{1,187}", "the vendor's id of the task")
        ]
        | None
    ) = None
    unseen: Annotated[bool, Field(strict=True)] = False
    credits: CreditAmount | None = None

    @classmethod
    def read(cls, given: Any) -> Self:
        """Check a resolution that an operator wrote.

        Raises:
            Refused: a field is missing, is not for this way of resolving, or breaks its rule.
        """
        wanted = parsed(cls, _without_nulls(given))
        for verb, field in _NEEDS.items():
            is_given = getattr(wanted, field) is not None
            if is_given is not (wanted.how == verb):
                rule = f"{verb} needs it" if not is_given else f"only {verb} takes it"
                raise Refused(f"{field}: {rule}", param=field)
        if wanted.unseen and wanted.how != "accepted":
            raise Refused("unseen: only accepted takes it", param="unseen")
        return wanted


class CallingOff(BaseModel, frozen=True, extra="forbid"):
    """Why an operator cancels a task."""

    reason: Reason

    @classmethod
    def read(cls, given: Any) -> Self:
        """Check what an operator wrote.

        Raises:
            Refused: the reason is missing or breaks its rule, or something else is there.
        """
        return parsed(cls, _without_nulls(given))


def unfit(how: Verb, state: TaskState) -> str:
    """Say why a word does not fit a task in a state, and what to do; "" where it fits."""
    if how == "corrected":
        if state in FINAL:
            return ""
        return (
            f"as: the task is {state}, and only what has ended is corrected: wait for its end, or"
            " end it first"
        )
    if state in RESOLVABLE:
        return ""
    if state in FINAL:
        return (
            f"as: the task is {state} for good, not in doubt: what it has cost can still be"
            " corrected"
        )
    if state is TaskState.QUEUED:
        return f"as: the task is {state}, so the vendor cannot have it: cancel it"
    return f"as: the task is {state}: wait until the vendor has answered, or it is in doubt"


def _without_nulls(given: Any) -> Any:
    """Take a field that is null for one that is missing."""
    if not isinstance(given, dict):
        return given
    return {name: value for name, value in given.items() if value is not None}
