"""Environment of the daemon's own child processes: nothing in it is a key."""

from __future__ import annotations

import os
from typing import Final

from etl.alerts.channels.command import PASSED

_FAMILIES: Final = ("PG", "PYTHON", "LC_", "XDG_")
"""Beginnings of further variables that a child may need: those of libpq for the database, and of Python."""


def child_environ() -> dict[str, str]:
    """Return the variables that a child gets. By name, since keys may stand in variables of any name."""
    return {n: v for n, v in os.environ.items() if n in PASSED or n.startswith(_FAMILIES)}
