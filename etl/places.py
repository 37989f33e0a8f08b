"""Where migrations and SQL are: beside the package in a checkout, inside it in an installed wheel;
and names of files."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final
from urllib.parse import quote

_PACKAGE: Final = Path(__file__).resolve().parent


def _folder(name: str) -> Path:
    packed = _PACKAGE / "_bundled" / name
    return packed if packed.is_dir() else _PACKAGE.parent / name


MIGRATIONS: Final = _folder("migrations")
VIEWS: Final = _folder("sql") / "views"
REPORTS: Final = _folder("sql") / "reports"

LONGEST_NAME: Final = 120


def file_name(account: str) -> str:
    """An account's name as a part of a file name that every file system takes."""
    name = quote(account, safe="")
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[:LONGEST_NAME]}~{hashlib.sha256(account.encode()).hexdigest()[:16]}"
