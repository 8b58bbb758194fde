"""The request body of a create: checked against the catalogue before any money is touched."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain import strict_json
from app.domain.catalogue import Catalogue, Model
from app.domain.pricing import Microcredits, quote
from app.domain.rules import check_fields
from app.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """A checked create: its model, its price, what goes to the vendor, and what makes it the same.

    `price` is None where none is known.
    """

    model: Model
    price: Microcredits | None
    vendor_body: str
    fingerprint: str


def check_create(raw: bytes, catalogue: Catalogue) -> CreateRequest:
    """Read and check a create body; unknown fields are kept, null means absent.

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
    if body.get("callback_url") is not None:
        raise InvalidRequest(
            "callback_url is not served by this version: leave it out and read the task",
            param="callback_url",
        )
    check_fields(body, model)
    forwarded = {field: value for field, value in body.items() if field != "callback_url"}
    return CreateRequest(
        model=model,
        price=quote(model, body),
        vendor_body=strict_json.dump(forwarded),
        fingerprint=strict_json.fingerprint(body),
    )
