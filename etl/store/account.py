"""Write transaction on one account, with every subject of it."""

from __future__ import annotations

from etl.store.dates import DatesWriter
from etl.store.instances import InstancesWriter
from etl.store.polls import PollsWriter
from etl.store.versions import VersionsWriter
from etl.store.windows import WindowsWriter


class Tx(InstancesWriter, VersionsWriter, WindowsWriter, PollsWriter, DatesWriter):
    """The only writer of an account."""
