"""Targets of an export: a folder of this machine, or one that a URL names."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import unquote, urlsplit

from etl import paths
from etl.errors import Busy, SettingsError
from etl.redact import remember_url
from etl.reports.render.parquet import pyarrow
from etl.texts import tr

STAGE: Final = ".chenyu-etl-new"
LOCK: Final = ".lock"


class Target(Protocol):
    """A folder of files, named by their paths in it with slashes."""

    location: str
    """The folder for messages: nothing secret."""

    def sizes(self) -> dict[str, int]:
        """Map the name of each file to its size in bytes; empty if there is no folder."""

    def read(self, name: str) -> bytes: ...

    def put(self, staged: Path, name: str) -> None:
        """Write a file in one step: readers see the old one or the whole new one."""

    def remove(self, name: str) -> None: ...

    def staging(self) -> AbstractContextManager[Path]:
        """Return a folder of this machine for files to `put`, empty, and removed at the end."""


def open_target(value: str | Path, spared: Iterable[Path]) -> Target:
    """Return the target that a path or a URL names. Raises `SettingsError`."""
    if "://" not in str(value):
        return Folder(Path(value), spared)
    # before it is read: an error about it must not show its password
    remember_url(str(value))
    parts = urlsplit(str(value))
    if parts.scheme == "file":
        return Folder(Path(unquote(parts.path)), spared)
    return Bucket(*file_system(str(value)), location_of(value))


def file_system(url: str) -> tuple[Any, str]:
    """Return the file system of a URL, and the path in it. Raises `SettingsError` if none is known."""
    arrow = pyarrow()
    from pyarrow.fs import FileSystem

    try:
        return tuple(FileSystem.from_uri(url))
    except (arrow.ArrowInvalid, arrow.ArrowNotImplementedError) as error:
        raise SettingsError(
            tr("{location} is on no file system that is known", location=location_of(url)),
            advice=tr("name a folder, or a URL such as s3://bucket/folder"),
        ) from error


def location_of(value: str | Path) -> str:
    """Return a path or URL for messages, without its user and its options."""
    if "://" not in str(value):
        return str(value)
    parts = urlsplit(str(value))
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


class Folder:
    """A folder of this machine. A process that is killed leaves a stage, which the next one clears."""

    def __init__(self, folder: Path, spared: Iterable[Path]) -> None:
        paths.refuse_spared(folder, spared)
        if folder.exists() and not folder.is_dir():
            raise SettingsError(
                tr("{folder} is no folder", folder=folder), advice=tr("name another one")
            )
        self._folder = folder
        self.location = str(folder)

    def sizes(self) -> dict[str, int]:
        files = (path for path in self._folder.rglob("*") if not path.is_dir())
        sizes = {path.relative_to(self._folder).as_posix(): path.lstat().st_size for path in files}
        return {name: size for name, size in sizes.items() if not name.startswith(f"{STAGE}/")}

    def read(self, name: str) -> bytes:
        return (self._folder / name).read_bytes()

    def put(self, staged: Path, name: str) -> None:
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        os.replace(staged, path)

    def remove(self, name: str) -> None:
        path = self._folder / name
        path.unlink(missing_ok=True)
        # a partition without rows is no partition
        with suppress(OSError):
            for parent in path.relative_to(self._folder).parents[:-1]:
                (self._folder / parent).rmdir()

    @contextmanager
    def staging(self) -> Iterator[Path]:
        from filelock import FileLock, Timeout

        is_new, stage = not self._folder.exists(), self._folder / STAGE
        # within the folder, so that to put a file is to rename it
        stage.mkdir(parents=True, exist_ok=True)
        lock = FileLock(stage / LOCK, preserve_lock_file=True)
        try:
            lock.acquire(blocking=False)
        except Timeout as error:
            raise Busy(
                tr("another export into {folder} is at work", folder=self._folder),
                advice=tr("wait for it, or name another folder"),
            ) from error
        try:
            # of a process that was killed
            for left in stage.iterdir():
                if left.name != LOCK:
                    shutil.rmtree(left) if left.is_dir() else left.unlink()
            yield stage
        finally:
            lock.release()
            shutil.rmtree(stage, ignore_errors=True)
            if is_new:
                with suppress(OSError):  # it holds the export
                    self._folder.rmdir()


class Bucket:
    """A folder of a file system that the library for Parquet reaches, such as S3. Two exports into it at
    once are not noticed.
    """

    def __init__(self, files: Any, root: str, location: str) -> None:
        self._files = files
        self._root = root.rstrip("/")
        self.location = location

    def sizes(self) -> dict[str, int]:
        from pyarrow.fs import FileSelector

        below = FileSelector(self._root, recursive=True, allow_not_found=True)
        begins = len(self._root) + 1
        listed: Iterable[Any] = self._files.get_file_info(below)
        return {info.path[begins:]: info.size for info in listed if info.is_file}

    def read(self, name: str) -> bytes:
        with self._files.open_input_stream(self._path(name)) as file:
            return bytes(file.read())

    def put(self, staged: Path, name: str) -> None:
        # whole or not at all: an object is there once its stream is closed
        with staged.open("rb") as file, self._files.open_output_stream(self._path(name)) as out:
            shutil.copyfileobj(file, out, 1 << 20)

    def remove(self, name: str) -> None:
        self._files.delete_file(self._path(name))

    @contextmanager
    def staging(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="chenyu-etl-") as stage:
            yield Path(stage)

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"
