"""The models this imitation knows, with the figures of the vendor's published examples.

The figures are those of the example answers on the vendor's model pages, not prices. The position
of a name is part of every task id that was ever made, so names are only ever added at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, Literal

ResultShape = Literal["video", "character", "element"]


@dataclass(frozen=True, slots=True)
class Model:
    """One model as the vendor's pages show it.

    `answers_as` is the name in answers where the vendor uses another than the one asked for.
    `leaves_out` are the members its page does not list for the answer to a creation.
    """

    name: str
    billing_rule: str = "per_call"
    estimated_s: int = 300
    duration_s: int | None = None
    credits: Decimal = Decimal(7)
    result: ResultShape = "video"
    answers_as: str = ""
    leaves_out: frozenset[str] = frozenset()

    @property
    def shown_name(self) -> str:
        """The name that stands in answers."""
        return self.answers_as or self.name


_SORA: Final = Model("", estimated_s=300, duration_s=9)
_CHARACTER: Final = Model(
    "", estimated_s=150, duration_s=8, credits=Decimal("0.1"), result="character"
)
_SEEDANCE_1: Final = Model("", estimated_s=165, duration_s=8, credits=Decimal(8))
_SEEDANCE_2: Final = Model("", "per_second", 165, 8, Decimal(50))
_KLING_3: Final = Model("", "per_second", 300, 9, Decimal(270000))
_VEO: Final = Model("", estimated_s=180, duration_s=8, credits=Decimal("25.7"))
_VEO_PREVIEW: Final = Model(
    "", leaves_out=frozenset({"object", "progress", "task_info", "type", "usage"})
)
_HAILUO: Final = Model("", leaves_out=frozenset({"task_info", "type", "usage"}))
_WAN_2: Final = Model("", estimated_s=120, credits=Decimal(5))
_HAPPYHORSE: Final = Model("", "per_second", 2400, 5, Decimal(607500))
_GROK: Final = Model("", estimated_s=120, credits=Decimal("4.8"))


def _called(pattern: Model, *names: str) -> Iterator[Model]:
    return (replace(pattern, name=name) for name in names)


MODELS: Final[tuple[Model, ...]] = (
    *_called(_CHARACTER, "sora-character"),
    *_called(_SORA, "sora-2", "sora-2-pro", "sora-2-pro-remix", "sora-2-preview"),
    *_called(replace(_SORA, billing_rule="per_second"), "sora-2-pro-preview"),
    *_called(_SORA, "sora-2-beta-max"),
    *_called(_SEEDANCE_1, "doubao-seedance-1.0-pro-fast"),
    replace(_SEEDANCE_1, name="seedance-1.5-pro", answers_as="doubao-seedance-1.5-pro"),
    *_called(
        _SEEDANCE_2,
        *(
            f"seedance-2.0{size}-{kind}-to-video"
            for size in ("", "-fast", "-mini")
            for kind in ("text", "image", "reference")
        ),
        *(f"seedance-2.5-{kind}-to-video" for kind in ("text", "image", "reference", "draft")),
        *(f"seedance-2.5-video-{kind}" for kind in ("edit", "extend")),
    ),
    *_called(_SORA, "kling-o1-image-to-video", "kling-o1-video-edit", "kling-o1-video-edit-fast"),
    *_called(_SORA, *(f"kling-o3-{kind}-to-video" for kind in ("text", "image", "reference"))),
    *_called(_SORA, "kling-o3-video-edit"),
    *_called(_KLING_3, "kling-v3-text-to-video", "kling-v3-image-to-video"),
    Model("kling-v3-motion-control", "per_second", 300, 8, Decimal(408240)),
    Model("kling-custom-element", estimated_s=600, credits=Decimal(1), result="element"),
    *_called(_VEO, "veo3.1-fast-beta", "veo3.1-pro-beta", "veo3.1-pro", "veo3.1-fast-extend"),
    replace(_VEO, name="veo3.1-fast", answers_as="veo3.1-fast-beta"),
    *_called(_VEO_PREVIEW, "veo-3.1-generate-preview", "veo-3.1-fast-generate-preview"),
    *_called(_HAILUO, "MiniMax-Hailuo-02", "MiniMax-Hailuo-2.3", "MiniMax-Hailuo-2.3-Fast"),
    *_called(
        _WAN_2,
        *(f"wan2.{minor}-{kind}-to-video" for minor in (5, 6, 7) for kind in ("text", "image")),
        *(f"wan2.{minor}-reference-video" for minor in (6, 7)),
    ),
    *_called(
        _SEEDANCE_2,
        *(
            f"wan3.0{line}-{kind}"
            for line in ("", "-prime")
            for kind in ("text-to-video", "image-to-video", "reference-video")
        ),
    ),
    *_called(
        _HAPPYHORSE,
        *(f"happyhorse-1.0-{kind}-to-video" for kind in ("text", "image", "reference")),
    ),
    *_called(_GROK, "grok-imagine-text-to-video-beta", "grok-imagine-image-to-video-beta"),
    replace(_GROK, name="grok-imagine-text-to-video", answers_as="grok-imagine-text-to-video-beta"),
    *_called(_GROK, "grok-imagine-image-to-video"),
    Model("omnihuman-1.5", "per_second", 120, 10, Decimal(10)),
    Model("videoretalk", "per_second", 90, 0, Decimal(480)),
)

_PLACE: Final = {model.name: place for place, model in enumerate(MODELS)}


def find(name: str) -> Model | None:
    """The model of that exact name, if there is one."""
    place = _PLACE.get(name)
    return None if place is None else MODELS[place]


def place_of(model: Model) -> int:
    """The number that stands for this model in a task id."""
    return _PLACE[model.name]


def at_place(place: int) -> Model | None:
    """The model a task id speaks of; nothing where the number means none."""
    return MODELS[place] if place < len(MODELS) else None
