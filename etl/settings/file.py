"""Reader of the config file, which refuses unknown names and suggests the nearest known one."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from etl.errors import SettingsError
from etl.paths import read_whole
from etl.settings.text import clean
from etl.texts import tr

EXAMPLE: Final = tr("see docs/configuration.md for an example")


def config_path(environ: Mapping[str, str], given: Path | None = None) -> Path:
    """Return where the config file is, or would be."""
    if given is not None:
        return home_expanded(Path(clean(str(given), "--config")), "--config")
    if named := environ.get("CHENYU_CONFIG"):
        return home_expanded(Path(clean(named, "CHENYU_CONFIG")), "CHENYU_CONFIG")
    import platformdirs

    try:
        return platformdirs.user_config_path("chenyu-etl") / "config.toml"
    except RuntimeError:  # a user without a home, as in a container
        return Path("/etc/chenyu-etl/config.toml")


def home_expanded(path: Path, origin: str) -> Path:
    """Replace `~`. Raises `SettingsError` if that user has no home."""
    try:
        return path.expanduser()
    except RuntimeError:
        raise SettingsError(
            tr("{origin} is in the home of a user who has none", origin=origin),
            advice=tr("write the whole path"),
        ) from None


def is_there(path: Path) -> bool:
    """Tell whether there is such a file. One in a folder that is closed to this user may be there:
    whoever reads it then learns why that is refused.
    """
    try:
        return path.exists()
    except OSError:
        return True


def read_config(path: Path) -> dict[str, Any]:
    """Return the tables of a config file. Raises `SettingsError` if it cannot be read."""
    try:
        # editors of Windows write a byte order mark, which TOML refuses
        return tomllib.loads(read_whole(path).decode("utf-8-sig"))
    # ValueError: no UTF-8, no TOML, or a number of too many digits; RecursionError: endless brackets
    except (OSError, ValueError, RecursionError) as error:
        raise SettingsError(
            tr("config file {path} cannot be read: {reason}", path=path, reason=_reason(error)),
            advice=EXAMPLE,
        ) from None  # a syntax error may quote the line, and the line may hold a secret


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    if isinstance(error, UnicodeDecodeError):
        return tr("it is not UTF-8")
    at = re.search(r" \(at (line \d+, column \d+|end of document)\)$", str(error))
    is_double = re.match(r"Cannot (overwrite|declare|mutate)", str(error))
    place = at[0] if at else ""
    if is_double:
        return tr("it sets one name twice{place}", place=place)
    return tr("it is not TOML{place}", place=place)


def unknown_names(
    names: Collection[str], known: Collection[str], origin: str
) -> Iterator[SettingsError]:
    """Yield one error for each unknown name, with the nearest that is."""
    for name in names:
        # the config is copied and shared; that a key stands in it is said without repeating the key
        if name == "api_key":
            yield SettingsError(
                tr("{origin} holds an API key", origin=origin),
                advice=tr("put it into a file of its own: api_key_file"),
            )
        elif name not in known:
            yield SettingsError(
                tr("{origin} sets {name!r}, which is not a setting", origin=origin, name=name),
                advice=nearest(name, known),
            )


def nearest(name: str, known: Collection[str]) -> str:
    """Return advice for an unknown name."""
    near = difflib.get_close_matches(name.lower(), known, 1)
    return (
        tr("did you mean {value}?", value=near[0])
        if near
        else tr("known are: {known}", known=", ".join(sorted(known)))
    )


def table(value: Any, name: str, origin: str, advice: str = EXAMPLE) -> Mapping[str, Any]:
    """Return the table. Raises `SettingsError` if the value is anything else."""
    if not isinstance(value, dict):
        raise SettingsError(
            tr("{origin}: {name} must be a table", origin=origin, name=name), advice=advice
        )
    return value


def open_to_others(path: Path) -> bool:
    """Tell whether other users of this machine can read the file."""
    # Windows has no such bits
    try:
        return os.name == "posix" and bool(path.stat().st_mode & 0o044)
    except (OSError, ValueError):  # it is not there, or in a folder that this user cannot enter
        return False
