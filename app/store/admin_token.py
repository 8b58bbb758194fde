"""The admin API's token, made for installations that keep their store in the data directory."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

FILE_NAME: Final = "admin-token"

_TOKEN_BYTES: Final = 32


def kept_admin_token(data_dir: Path) -> str:
    """Return the token in the data directory's file, which is made if there is none (mode 0600).

    Of processes that start at once, all return the same token.

    Raises:
        OSError: the file can be neither read nor written.
    """
    path = data_dir / FILE_NAME
    if not path.exists():
        fresh = path.with_name(f"{FILE_NAME}.{os.getpid()}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"rga_{secrets.token_urlsafe(_TOKEN_BYTES)}\n")
        try:
            # A link, unlike a rename, never replaces what another process was faster to make.
            os.link(fresh, path)
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    return path.read_text("ascii").strip()
