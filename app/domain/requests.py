"""The request body of a create: checked against the catalogue before any money is touched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from app.domain import strict_json
from app.domain.catalogue import Catalogue, Model
from app.domain.pricing import Microcredits, quote
from app.domain.rules import check_fields
from app.domain.targets import Target, TargetPolicy, check_target
from app.errors import InvalidRequest

EARLIER_TASK_FIELDS: Final = (
    "base_video_task_id",
    "source_task_id",
    "model_params.source_task_id",
)
"""Fields that name an earlier task, in whatever model's request (contract C3)."""

_PUBLIC_ONLY: Final = TargetPolicy()


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """A checked create: its model, its price, what goes to the vendor, and what makes it the same.

    `price` is None where none is known. `earlier_tasks` has the ids of tasks that the body names,
    by the path of the field; `body` is what `vendor_body` is written from. `callback` is where the
    caller wants the end to be told, which the vendor never learns (contract C8).
    """

    model: Model
    price: Microcredits | None
    vendor_body: str
    fingerprint: str
    earlier_tasks: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)
    callback: Target | None = None

    def naming(self, vendor_ids: Mapping[str, str]) -> CreateRequest:
        """Return the request with the vendor's ids in the fields that name earlier tasks."""
        body = dict(self.body)
        for path, vendor_id in vendor_ids.items():
            *outer, name = path.split(".")
            holder = body
            for part in outer:
                holder[part] = dict(holder[part])
                holder = holder[part]
            holder[name] = vendor_id
        return replace(self, vendor_body=strict_json.dump(body), body=body)


def check_create(
    raw: bytes, catalogue: Catalogue, targets: TargetPolicy = _PUBLIC_ONLY
) -> CreateRequest:
    """Read and check a create body; unknown fields are kept, null means absent.

    `targets` says which addresses may be called back.

    Raises:
        MalformedJson: the body is not strict JSON.
        InvalidRequest: a field breaks a rule; `param` names it.
        ModelNotFound: the catalogue does not hold the model.
    """
    body = strict_json.parse_object(raw)
    name = body.get("model")
    if not isinstance(name, str) or not name:
        raise InvalidRequest(
            "model is required: name a model, such as sora-character", param="model"
        )
    model = catalogue.model(name)
    given = body.get("callback_url")
    callback = None if given is None else check_target(given, targets, param="callback_url")
    check_fields(body, model)
    forwarded = {field: value for field, value in body.items() if field != "callback_url"}
    return CreateRequest(
        model=model,
        price=quote(model, body),
        vendor_body=strict_json.dump(forwarded),
        fingerprint=strict_json.fingerprint(body),
        earlier_tasks=_earlier_tasks(body, model),
        body=forwarded,
        callback=callback,
    )


def _earlier_tasks(body: Mapping[str, Any], model: Model) -> dict[str, str]:
    """Return the earlier tasks that a body names.

    Raises:
        InvalidRequest: such a field is not a string.
    """
    found: dict[str, str] = {}
    for path in dict.fromkeys((*EARLIER_TASK_FIELDS, *model.task_id_fields)):
        value: Any = body
        for part in path.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if value is None:
            continue
        if not isinstance(value, str):
            raise InvalidRequest(
                f"Invalid {path} parameter: it must be the id of an earlier task", param=path
            )
        found[path] = value
    return found
