"""Alerts that hold, messages on their way, and the facts that alert rules judge."""

from __future__ import annotations

from etl.store.subject import Subject


class AlertsReader(Subject):
    """Reads them; writes nothing."""


class AlertsWriter(AlertsReader):
    """Writes them, in a write transaction."""
