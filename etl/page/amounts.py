"""Write amounts and numbers for the page."""

from __future__ import annotations

from etl.page.words import Words


def yuan(amount: float | None, words: Words) -> str:
    """Write an amount as people do: `¥1,234.50`."""
    return words("not known") if amount is None else f"¥{amount:,.2f}"


def number(value: float | None, digits: int = 1) -> str:
    """Write a number with its thousands separated; an empty text for None."""
    return "" if value is None else f"{value:,.{digits}f}"
