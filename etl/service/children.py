"""Environment of the program's child processes: nothing in it is a key."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from etl.address import LIBPQ
from etl.alerts.channels.command import PASSED

_FAMILIES: Final = ("PYTHON", "LC_", "XDG_")
"""Beginnings of further variables that a child of Python may need."""


PAGERS: Final = ("LESS", "TERM", "COLOR", "COLUMNS", "LINES", "MORE", "MOST", "LC_", "XDG_")
"""Beginnings of the variables that a pager may need."""


SYSTEMD: Final = ("XDG_", "DBUS_", "SYSTEMD_", "LC_")
"""Beginnings of the variables by which systemctl finds the user's manager."""


def child_environ(families: tuple[str, ...] = _FAMILIES) -> dict[str, str]:
    """Return the variables that a child gets: a few, those of libpq, and those whose names begin so. By name,
    since keys may stand in variables of any name.
    """
    passed = PASSED | LIBPQ
    return {n: v for n, v in os.environ.items() if n in passed or n.startswith(families)}


@contextmanager
def lean_environ(families: tuple[str, ...]) -> Iterator[None]:
    """Give the processes that are started meanwhile by others no more than `child_environ` has."""
    before = dict(os.environ)
    kept = child_environ(families)
    try:
        for name in before.keys() - kept.keys():
            del os.environ[name]
        yield
    finally:
        os.environ.update(before)
