"""What is synced, how fresh it is and what was not understood."""

from __future__ import annotations

from etl.store.subject import Subject


class StatusReader(Subject):
    """Reads them; writes nothing."""
