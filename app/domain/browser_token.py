"""Browser tokens: what the holder of a key may wish of one, and what it is told.

A token is a child of the key it was minted with. It can do less than its parent in every respect,
for a quarter of an hour at most, and only with tasks of its own subject.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, Self, get_args

from pydantic import AfterValidator, BaseModel, Field

from app.domain.api_key import KeyLabel
from app.domain.catalogue import Catalogue
from app.domain.ids import Mode
from app.domain.origins import OriginText
from app.domain.pricing import Microcredits, format_credits
from app.domain.tenant import CreditAmount, Limits, ModelName, matching, parsed
from app.errors import ModelNotAllowed

TokenScopeName = Literal["create", "read"]
"""What a token may be for: to create and cancel tasks, or to read them and the list of models."""

ALL_SCOPES: Final[tuple[TokenScopeName, ...]] = get_args(TokenScopeName)

MAX_TTL_S: Final = 900
MAX_MODELS: Final = 100

Subject = Annotated[
    str,
    matching(r"[\x21-\x7e]{1,128}", "1 to 128 visible ASCII characters without blanks"),
]
"""Whoever the application minted the token for; its own word, such as a user's id."""


def _once_each(names: list[str]) -> list[str]:
    if not names or len(set(names)) < len(names):
        raise ValueError("it must name at least one, and none twice")
    return names


class TokenWish(BaseModel, frozen=True, extra="forbid", strict=True):
    """A token as the holder of a key wishes it."""

    ttl_s: int = Field(MAX_TTL_S, ge=1, le=MAX_TTL_S)
    scopes: Annotated[list[TokenScopeName], AfterValidator(_once_each)] = list(ALL_SCOPES)
    models: (
        Annotated[list[ModelName], Field(max_length=MAX_MODELS), AfterValidator(_once_each)] | None
    ) = None
    max_tasks: int | None = Field(None, ge=1, le=1_000_000)
    max_credits: Annotated[CreditAmount, Field(gt=0)] | None = None
    origin: OriginText | None = None
    subject: Subject | None = None
    name: KeyLabel = ""

    @classmethod
    def read(cls, given: Any) -> Self:
        """Check a wish; missing and null mean the default.

        Raises:
            Refused: a name is unknown or a value breaks its rule.
        """
        if isinstance(given, dict):
            given = {name: value for name, value in given.items() if value is not None}
        return parsed(cls, given)


def narrowed(parent: Limits, wish: TokenWish, catalogue: Catalogue, *others: Limits) -> Limits:
    """Return the limits of a token: its parent's, and of the models only those wished for.

    `others` are further limits that the models must be within, those of the tenant.

    Raises:
        ModelNotFound: the catalogue does not hold a model.
        ModelNotAllowed: the parent may not use it.
    """
    if wish.models is None:
        return parent
    models = []
    for place, named in enumerate(wish.models):
        model = catalogue.model(named).name
        if not all(limits.permits(model) for limits in (parent, *others)):
            raise ModelNotAllowed(
                f"Access denied for the model {named}: a token may use what its key may,"
                " see GET /v1/models",
                param=f"models[{place}]",
            )
        models.append(model)
    return parent.model_copy(update={"models": models})


@dataclass(frozen=True, slots=True)
class BrowserToken:
    """A token that is to be minted; its end may come sooner than wished, with its parent's."""

    id: str
    mode: Mode
    created_ms: int
    wish: TokenWish
    limits: Limits

    @property
    def ends_ms(self) -> int:
        """When it ends at the latest."""
        return self.created_ms + self.wish.ttl_s * 1000

    @property
    def subject(self) -> str:
        """Whose tasks it sees and makes; itself where the wish names nobody."""
        return self.wish.subject or self.id

    def fields(self, digest: str) -> dict[str, str]:
        """Return the stored form, but for the end; `digest` is the SHA-256 of the secret."""
        found = {
            "id": self.id,
            "name": self.wish.name or "browser token",
            "mode": self.mode,
            "state": "active",
            "digest": digest,
            "created_ms": str(self.created_ms),
            "scopes": ",".join(self.wish.scopes),
            "subject": self.subject,
            "origin": self.wish.origin or "",
        }
        if self.wish.max_tasks is not None:
            found["tasks_left"] = str(self.wish.max_tasks)
        if self.wish.max_credits is not None:
            found["credits_left"] = str(self.wish.max_credits)
        return found | self.limits.fields()

    def public(self, secret: str, *, ends_ms: int) -> dict[str, Any]:
        """Return what its minter is told, this once."""
        credits: Microcredits | None = self.wish.max_credits
        return {
            "token": secret,
            "id": self.id,
            "expires_at": ends_ms // 1000,
            "scopes": list(self.wish.scopes),
            "models": self.limits.models,
            "max_tasks": self.wish.max_tasks,
            "max_credits": None if credits is None else format_credits(credits),
            "origin": self.wish.origin,
            "subject": self.subject,
        }
