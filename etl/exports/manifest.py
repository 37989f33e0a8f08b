"""The manifest of an export: what marks a folder as ours, and names each file with its digest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from etl.errors import SettingsError
from etl.exports.targets import Target
from etl.texts import tr

MARK: Final = "chenyu-etl.json"
"""File that marks a folder as an export of ours."""


class ExportedFile(msgspec.Struct, frozen=True):
    """A file of an export as it was written."""

    rows: int
    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """Facts about an export. `is_whole` is false while its files are being replaced."""

    program: str
    # days without their zone could not be told apart from those of another
    timezone: str
    partitioned_by: str
    is_whole: bool = True
    tables: Mapping[str, int] = {}
    files: Mapping[str, ExportedFile] = {}

    def encoded(self) -> bytes:
        """Return the manifest as JSON for people and programs."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"


def read_manifest(target: Target, sizes: Mapping[str, int]) -> Manifest | None:
    """Return the manifest of an older export, None if there is no file yet. Raises `SettingsError` if the
    folder holds something else.
    """
    if not sizes:
        return None
    if MARK not in sizes:
        raise SettingsError(
            tr("{folder} holds something else", folder=target.location),
            advice=tr("name an empty folder, or one that is not there"),
        )
    try:
        return msgspec.json.decode(target.read(MARK), type=Manifest)
    except msgspec.MsgspecError:
        # of a version that wrote less into it: all files are written anew
        return Manifest(program="", timezone="", partitioned_by="")


def described(file: Path, rows: int) -> ExportedFile:
    """Return the facts about a written file."""
    with file.open("rb") as written:
        digest = hashlib.file_digest(written, "sha256").hexdigest()
    return ExportedFile(rows, file.stat().st_size, digest)
