"""Where migrations and SQL are: beside the package in a checkout, inside it in an installed wheel;
names of files, and files that are whole or not there."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
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
MACROS: Final = _folder("sql") / "macros.sql"

LONGEST_NAME: Final = 120


def file_name(account: str) -> str:
    """An account's name as a part of a file name that every file system takes."""
    name = quote(account, safe="")
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[:LONGEST_NAME]}~{hashlib.sha256(account.encode()).hexdigest()[:16]}"


@contextmanager
def replacing(path: Path, spared: Iterable[Path] = ()) -> Iterator[BinaryIO]:
    """A file to write that takes the place of `path` once it is whole; else nothing changes.

    Raises `SettingsError` where it cannot be written, or is one of those that are to be `spared`.
    """
    refuse_spared(path, spared)
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


def refuse_spared(path: Path, spared: Iterable[Path]) -> None:
    """Raises `SettingsError` where `path` is one of the files `spared`, by whatever name."""
    if any(_is_same(path, each) for each in spared):
        raise SettingsError(
            f"{path} is the database itself, which the output would destroy",
            advice="name another file",
        )


def _is_same(path: Path, other: Path) -> bool:
    try:
        return path.resolve() == other.resolve() or path.samefile(other)
    except (OSError, RuntimeError):  # one of them is not there, or a link leads to itself
        return False
