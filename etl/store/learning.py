"""The bill's settlement windows beside the usage in them, for learning how time is charged."""

from __future__ import annotations

from etl.store.subject import Subject


class LearningReader(Subject):
    """Reads them; nothing about learning is written here, an accepted model goes to the books."""
