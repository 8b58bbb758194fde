"""The catalogue: the shipped models, with an operator's own laid over them."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from app.domain.catalogue import Catalogue, CatalogueRefused, read_catalogue
from app.settings import PREFIX, Settings, SettingsRefused


@cache
def built_in_catalogue() -> Catalogue:
    """Return the catalogue that ships with the gateway; read once, for it never changes."""
    return read_catalogue(_shipped_models())


def load_catalogue(settings: Settings) -> Catalogue:
    """Return the shipped catalogue with the operator's file, if there is one, laid over it.

    Raises:
        SettingsRefused: the file cannot be read or breaks the catalogue's rules.
    """
    path, allow_unknown = settings.catalogue_file, settings.allow_unknown_models
    if path is None and not allow_unknown:
        return built_in_catalogue()
    own = {} if path is None else _read_own_models(path)
    try:
        return read_catalogue(_shipped_models(), own, allow_unknown=allow_unknown)
    except CatalogueRefused as refusal:
        raise SettingsRefused(
            [f"{PREFIX}CATALOGUE_FILE: {path}: {problem}" for problem in refusal.problems]
        ) from refusal


def _shipped_models() -> dict[str, Any]:
    text = resources.files("app.domain").joinpath("catalogue.toml").read_text("utf-8")
    return tomllib.loads(text)


def _read_own_models(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as failure:
        raise SettingsRefused(
            [f"{PREFIX}CATALOGUE_FILE: {path} cannot be read ({failure!s})"]
        ) from failure
