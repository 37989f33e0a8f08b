"""One account inside one transaction, with every subject of it."""

from __future__ import annotations

from etl.store.dates import DatesWriter
from etl.store.polls import PollsWriter
from etl.store.settling import SettlingReader, SettlingWriter
from etl.store.versions import VersionsReader, VersionsWriter
from etl.store.windows import WindowsReader, WindowsWriter


class Reader(SettlingReader, VersionsReader, WindowsReader):
    """Reader of all that a poll needs to know of an account."""


class Tx(SettlingWriter, VersionsWriter, WindowsWriter, PollsWriter, DatesWriter, Reader):
    """The only writer of an account."""
