"""Numbers that are rules: Python imports them from here, and SQL writes `{NAME}` for them."""

from __future__ import annotations

from typing import Final

MICRO: Final = 1_000_000
"""Millionths of a yuan in a yuan."""
FEN: Final = 10_000
"""Millionths of a yuan in the smallest coin."""
HOUR_S: Final = 3_600
FOREVER_S: Final = 253_402_300_800
"""An end that never comes: the year 10000, in epoch seconds. A null would not join on `<`."""
DAY_S: Final = 86_400
# eight hours: written once, since views and rollups must agree on it
NIGHT_S: Final = 28_800
"""Length of the night: it begins with the local day."""
NIGHT_RUN_S: Final = 14_400
"""Seconds of a night from which on an instance counts as running in it."""
GAP_S: Final = 600
"""The longest distance between complete polls that leaves no gap in what was observed."""
# by minutes alone, an account polled every quarter of an hour would never be observed
GAP_STEPS: Final = 3
"""Multiple of the usual distance up to which two polls leave no gap, either."""
RECENT_ATTEMPTS: Final = 20
"""Newest attempts to poll that are looked at: enough for three readings of the source's clock, and for
a row of refused ones."""
ERA_POLLS: Final = 500
"""Which distance is usual says the median of at least so many successive polls."""
SAMPLE_STEP: Final = 19
"""Among more polls than one such era, only every so-manieth counts for the median."""
FOLD_S: Final = 900
"""Time whose polls are folded into one count: offsets of time zones are whole quarters of an hour."""
BALANCE: Final = 1
"""Charge channel of a bill line that the balance pays."""
CARD: Final = 2
"""Charge channel of a bill line that a compute card pays."""
# far from every code: a source that sends -2 one day must not meet them
OFFERED_HOUR: Final = -1_000_001
"""Stands in `price_period` for the charging code of usage if it were charged by the hour."""
OFFERED_DAY: Final = -1_000_002
"""Likewise by the day."""
OFFERED_WEEK: Final = -1_000_003
"""Likewise by the week."""
OFFERED_MONTH: Final = -1_000_004
"""Likewise by the month."""
WEEK_DAYS: Final = 7
MONTH_DAYS: Final = 30
"""Days of a prepaid month: the source does not say how long it is."""
STOPPED_ABNORMALLY: Final = 23
"""Status of an instance that stopped abnormally: seen right after a start, its boot failed."""
# a day of so many at the highest price still fits 64 bits, in millionths of a yuan
MOST_GPUS: Final = 64
"""The most GPUs that are believed: the cost of more is not known."""
FORECAST_DAYS: Final = 56
"""Days of history that a forecast goes by: eight weeks, so that each weekday is there eight times."""
FORECAST_LEVEL_DAYS: Final = 14
"""Newest days whose mean is the level that a forecast continues; with fewer there is no band."""
# 1.4 times the spread, where a normal distribution would take 1.28: levels wander, see bench/forecasts.py
FORECAST_WIDTH: Final = 140
"""Half of the band that holds four of five, in millionths of a yuan for each thousandth of a tenth of a yuan."""
SAMPLE_S: Final = 300
"""A sample of a GPU's load speaks for so many seconds of the clock; days of UTC hold them whole."""
# as the vendor counts: its planned shutdown of idle machines takes less for idle
BUSY_PERCENT: Final = 10
"""Utilisation from which on a GPU counts as busy, unless another is set."""
