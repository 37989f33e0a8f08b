"""Prices, rules, budgets and closed months, as people enter them."""

from __future__ import annotations

from etl.store.subject import Subject


class BooksReader(Subject):
    """Reads them; writes nothing."""


class BooksWriter(BooksReader):
    """Writes them, in a write transaction."""
