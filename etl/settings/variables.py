"""Checks for mistyped environment variables, which would otherwise be ignored silently."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from etl.settings import (
    KEY_FILE_VARIABLE,
    KEY_VARIABLE,
    Settings,
    config_path,
    read_config,
    variable,
)
from etl.settings.file import is_there
from etl.texts import tr

OPTION_VARIABLES: Final = ("CHENYU_CONFIG", "CHENYU_ACCOUNT", "CHENYU_DEBUG")
"""Variables of options that are not settings."""
UNWRITTEN_VARIABLES: Final = ("CHENYU_PING_URL", "CHENYU_PAGE_TOKEN", "CHENYU_SCHEDULE")
"""Variables that `init` leaves where they are: secrets, and one that is a table in the config file."""
_OF_A_CLUSTER: Final = re.compile(r"_SERVICE_(HOST|PORT)|_PORT(_\d+_|$)")
"""Pattern in names that Kubernetes sets for a service called chenyu-etl."""


def known_variables() -> set[str]:
    """Return every variable of ours that is read regardless of the config file."""
    # these tables have no variable: a shell has no good way to write them
    names = {f.name for f in fields(Settings)} - {"accounts", "others", "alerts"}
    return {*map(variable, names), KEY_VARIABLE, KEY_FILE_VARIABLE, *OPTION_VARIABLES}


def plain_settings() -> list[str]:
    """Return the settings that are one value and, except the database's address, hold no secret."""
    tables = {"accounts", "others", "alerts", "schedule", "ping_url", "page_token"}
    return [f.name for f in fields(Settings) if f.name not in tables]


def unread_variables(environ: Mapping[str, str], config: Path | None = None) -> list[str]:
    """Yield one warning for each variable that looks like ours and that nothing reads.

    The config file may name variables that hold secrets: those are read.
    """
    path = config_path(environ, config)
    known = known_variables() | set(named_variables(read_config(path) if is_there(path) else {}))
    warnings: list[str] = []
    for name in sorted(environ):
        if name.startswith("CHENYU_") and name not in known and not _OF_A_CLUSTER.search(name):
            near = difflib.get_close_matches(name, sorted(known), 1)
            warnings.append(
                tr("{name} is not read; did you mean {near}?", name=name, near=near[0])
                if near
                else tr("{name} is not read", name=name)
            )
    return warnings


def named_variables(written: Mapping[str, Any]) -> Iterator[str]:
    """Return the variables that a config file names: `api_key_env`, `url_env`, …"""
    for name, value in written.items():
        if isinstance(value, dict):
            yield from named_variables(value)
        elif name.endswith("_env") and isinstance(value, str):
            yield value
