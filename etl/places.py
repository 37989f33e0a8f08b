"""Where migrations and SQL are: beside the package in a checkout, inside it in an installed wheel;
names of files, and files that are whole or not there."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import quote

from etl.errors import SettingsError

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


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write that takes the place of `path` once it is whole; else nothing changes.

    Raises `SettingsError` where it cannot be written.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with beside.open("wb") as file:
            yield file
        os.replace(beside, path)
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be written: {error.strerror}",
            advice="name a file in a folder that exists and that you may write to",
        ) from error
    finally:
        beside.unlink(missing_ok=True)
