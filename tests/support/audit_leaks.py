"""Whether anything stands where it must not: ids of others, of the vendor, and secrets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from tests.support.books import Books
from tests.support.vendor import VENDOR_KEY

TASK_ID: Final = re.compile(r"task-unified-[A-Za-z0-9_-]+")
API_KEY: Final = re.compile(r"rgt?_(?:live|test)_[A-Za-z0-9]{36}")


def leaked(books: Books, answers: Iterable[Any]) -> Iterator[str]:
    """Return a line for everything that somebody could read and must not."""
    yield from _foreign(books, answers)
    yield from _secret(books, answers)


def _foreign(books: Books, answers: Iterable[Any]) -> Iterator[str]:
    """No caller's answer names a task of somebody else, or one by the vendor's id."""
    of_vendor = {task["vendor_id"] for task in books.tasks.values() if task.get("vendor_id")}
    for task_id, task in books.tasks.items():
        shown = set(TASK_ID.findall(task["body"])) - {task_id}
        foreign = {
            each for each in shown & books.tasks.keys() if _owner(books, each) != task["tenant"]
        }
        if found := foreign | (shown & of_vendor):
            yield f"task {task_id} shows its caller {sorted(found)}"
    for answer in answers:
        text = answer.body.decode("utf-8", "replace")
        if found := set(TASK_ID.findall(text)) & of_vendor:
            yield f"request {answer.name} was shown {sorted(found)} of the vendor"
        owner = books.tasks.get(answer.task_id, {}).get("tenant", answer.tenant_id)
        if answer.tenant_id and owner != answer.tenant_id:
            yield f"{answer.tenant_id} was given task {answer.task_id} of {owner}"


def _owner(books: Books, task_id: str) -> str:
    return books.tasks[task_id]["tenant"]


def _secret(books: Books, answers: Iterable[Any]) -> Iterator[str]:
    """The vendor key is in no answer and not in the store, keys of callers are not there either."""
    for name, found in books.raw.items():
        text = f"{name} {found}"
        if VENDOR_KEY in text:
            yield f"the vendor key stands in {name}"
        if API_KEY.search(text):
            yield f"a caller's key stands in {name}"
    for answer in answers:
        if VENDOR_KEY.encode() in answer.body:
            yield f"request {answer.name} was shown the vendor key"
