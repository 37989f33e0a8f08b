"""Environment of the program's child processes: nothing in it is a key."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from etl.address import LIBPQ
from etl.alerts.channels.command import PASSED

_USER: Final = r"LC_[A-Z]+|XDG_[A-Z]+_(?:HOME|DIRS?|ID|TYPE|CLASS|DESKTOP)"
# whole names: `PYTHON_INDEX_TOKEN` and `TERMINUS_KEY` belong to others
PYTHON: Final = re.compile(rf"PYTHON[A-Z0-9]*|{_USER}")
"""Further variables that a child of Python may need."""
PAGERS: Final = re.compile(
    r"PAGER|LESS[A-Z]*|LESSKEY_SYSTEM|LESS_TERMCAP_[a-z]{2}|TERM|TERMCAP|TERMINFO(?:_DIRS)?|COLORTERM"
    rf"|COLUMNS|LINES|MORE|MOST_(?:EDITOR|HELP|INITFILE|SWITCHES)|LV|{_USER}"
)
"""Variables that a pager may need."""
SYSTEMD: Final = re.compile(
    rf"DBUS_(?:SESSION|SYSTEM)_BUS_ADDRESS|SYSTEMD_(?:[A-Z]+_PATH|LOG_[A-Z]+|COLORS|OFFLINE)|{_USER}"
)
"""Variables by which systemctl finds the user's manager."""


def child_environ(further: re.Pattern[str] = PYTHON) -> dict[str, str]:
    """Return the variables that a child gets: a few, those of libpq, and `further` ones. By name, since keys may
    stand in variables of any name.
    """
    passed = PASSED | LIBPQ
    return {n: v for n, v in os.environ.items() if n in passed or further.fullmatch(n)}


@contextmanager
def lean_environ(further: re.Pattern[str]) -> Iterator[None]:
    """Give the processes that are started meanwhile by others no more than `child_environ` has."""
    before = dict(os.environ)
    kept = child_environ(further)
    try:
        for name in before.keys() - kept.keys():
            del os.environ[name]
        yield
    finally:
        os.environ.update(before)
