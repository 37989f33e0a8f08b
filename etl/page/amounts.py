"""Write amounts and numbers for the page."""

from __future__ import annotations

from typing import Final

from etl.texts import Text, tr

HOURS_BELOW_DAYS: Final = 2
"""Days below which hours are more telling."""


def yuan_text(amount: float | None) -> str:
    """Write an amount as people do: `¥1,234.50`."""
    return tr("not known") if amount is None else f"¥{amount:,.2f}"


def lasting(days: float) -> Text:
    """Write how long a balance lasts: in hours if that is less than two days."""
    if days < HOURS_BELOW_DAYS:
        return tr("{hours} h", hours=thousands(days * 24))
    return tr("{days} days", days=thousands(days))


def thousands(value: float | None, digits: int = 1) -> str:
    """Write a number with its thousands separated; an empty text for None."""
    return "" if value is None else f"{value:,.{digits}f}"


def change(now: float, before: float) -> str:
    """Write how much larger or smaller it is in percent: `▲ 12 %`; nothing if there was nothing before."""
    # of nothing there is no percentage, and of a credit none that means anything
    if before <= 0:
        return ""
    percent = 100 * (now - before) / before
    # else ▲ 0 % would point somewhere
    if abs(percent) < 0.5:
        return "± 0 %"
    return f"{'▲' if percent > 0 else '▼'} {abs(percent):,.0f} %"
