"""Steps of work that takes long, told to whoever watches: a terminal's progress bar, or nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

Watcher = Callable[[int, int | None], None]
"""Takes how many steps are done, and of how many; None if nobody knows."""
_watcher: Final[ContextVar[Watcher | None]] = ContextVar("watcher", default=None)


def report_steps(done: int, total: int | None) -> None:
    """Tell whoever watches this thread's work how far it is."""
    # a context variable, not a parameter: five layers lie between a bar and a batch of rows
    watcher = _watcher.get()
    if watcher is not None:
        watcher(done, total)


@contextmanager
def watched_steps(watcher: Watcher) -> Iterator[None]:
    """Let `watcher` see the steps of a block."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)
