"""One account inside one transaction, with every subject of it."""

from __future__ import annotations

from etl.store.dates import DatesWriter
from etl.store.folding import FoldingWriter
from etl.store.past_usage import PastUsageReader, PastUsageWriter
from etl.store.polls import PollsWriter
from etl.store.versions import VersionsReader, VersionsWriter
from etl.store.windows import WindowsReader, WindowsWriter


class Reader(PastUsageReader, VersionsReader, WindowsReader):
    """Reader of all that a poll needs to know of an account."""


class Tx(
    PastUsageWriter, VersionsWriter, DatesWriter, WindowsWriter, PollsWriter, FoldingWriter, Reader
):
    """The only writer of an account."""
