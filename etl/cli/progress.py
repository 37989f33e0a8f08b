"""Progress bars: on standard error, only on a terminal, and only for work that takes a moment."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from etl.cli.common import is_terminal
from etl.steps import Watcher, watched_steps
from etl.texts import localized

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

WAIT_S: Final = 0.5
"""Work that is over sooner needs no bar, and loads no rich."""
PER_SECOND: Final = 8
"""How often a bar is drawn at most, however often work says how far it is."""


@contextmanager
def progress_bar(label: str) -> Iterator[Watcher]:
    """Draw a bar for the work of a block, as far as that says; it is wiped at the end.

    The block may say so itself by what this gives, or anywhere below it by `report_steps`.
    """
    if not is_terminal():
        yield _ignore
        return
    bar = _Bar(label)
    try:
        with watched_steps(bar.show):
            yield bar.show
    finally:
        bar.end()


def _ignore(done: int, total: int | None) -> None:
    """Draw nothing."""


class _Bar:
    """A bar that appears once the work has taken a moment."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._began = time.monotonic()
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def show(self, done: int, total: int | None) -> None:
        if self._progress is None:
            if time.monotonic() - self._began < WAIT_S:
                return
            self._start(total)
        assert self._progress is not None
        assert self._task is not None
        # this draws nothing: rich does, so many times a second
        self._progress.update(self._task, completed=done, total=total)

    def _start(self, total: int | None) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            # the result follows, and a log of the terminal keeps no bar
            transient=True,
            refresh_per_second=PER_SECOND,
        )
        self._task = self._progress.add_task(localized(self._label), total=total)
        self._progress.start()

    def end(self) -> None:
        if self._progress is not None:
            self._progress.stop()
