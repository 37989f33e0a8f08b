"""Read a file of samples, whichever of the known forms it has."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from etl.books.documents import STANDARD_INPUT, named_content
from etl.books.grids import decoded
from etl.errors import SettingsError
from etl.history.days import Zone
from etl.samples.clock import MachineClock
from etl.samples.gathered import Gathered
from etl.samples.prometheus import read_query, read_scrape
from etl.samples.sheets import read_sheet
from etl.texts import tr

_JSON: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s*[{\[]")
_SCRAPE: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:#|\w+\{)")


def read_samples(path: Path, zone: Zone) -> Gathered:
    """Return the samples of a file; times without a zone are of clocks in `zone`. `-` is standard input.

    Raises `SettingsError` for a file that holds none.
    """
    name, content = named_content(path)
    clock = MachineClock(zone)
    if _JSON.match(content):
        gathered = read_query(name, content.removeprefix(b"\xef\xbb\xbf"), clock)
    elif _SCRAPE.match(content):
        gathered = read_scrape(name, decoded(name, content), clock)
    else:
        gathered = read_sheet(name, content, clock)
    if not gathered.series and not gathered.without_value:
        reason = gathered.unread[0] if gathered.unread else tr("it is empty")
        raise SettingsError(
            tr("{name} holds no sample: {reason}", name=name, reason=reason),
            advice=tr("docs/utilisation.md says which files are read"),
        )
    return gathered


def file_word(path: Path) -> str:
    """Return what a file's name says of its instance: all before its last ending."""
    return "" if path == STANDARD_INPUT else path.stem
