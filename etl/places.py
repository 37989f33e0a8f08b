"""Where migrations and SQL are: beside the package in a checkout, inside it in an installed wheel."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).resolve().parent


def _folder(name: str) -> Path:
    packed = _PACKAGE / "_bundled" / name
    return packed if packed.is_dir() else _PACKAGE.parent / name


MIGRATIONS: Final = _folder("migrations")
VIEWS: Final = _folder("sql") / "views"
REPORTS: Final = _folder("sql") / "reports"
