"""Numbers that are rules: Python imports them from here, and SQL writes `{NAME}` for them."""

from __future__ import annotations

from typing import Final

MICRO: Final = 1_000_000
"""Millionths of a yuan in a yuan."""
FEN: Final = 10_000
"""Millionths of a yuan in the smallest coin."""
HOUR_S: Final = 3_600
DAY_S: Final = 86_400
# eight hours: written once, since views and rollups must agree on it
NIGHT_S: Final = 28_800
"""Length of the night: it begins with the local day."""
NIGHT_RUN_S: Final = 14_400
"""An instance that runs as long within a night has run in that night."""
GAP_S: Final = 600
"""Complete polls this far apart, or less, leave no gap in what was observed."""
# by minutes alone, an account polled every quarter of an hour would never be observed
GAP_STEPS: Final = 3
"""Nor do polls that are at most so many times the usual distance apart."""
RECENT_ATTEMPTS: Final = 20
"""Newest attempts to poll that are looked at: enough for three readings of the source's clock, and for
a row of refused ones."""
BALANCE: Final = 1
"""Charge channel of a bill line that the balance pays."""
CARD: Final = 2
"""Charge channel of a bill line that a compute card pays."""
# a day of so many at the highest price still fits 64 bits, in millionths of a yuan
MOST_GPUS: Final = 64
"""More are taken for a wrong number: their cost is not known."""
