"""Formulas of charging, written once: Python calls them, and SQL calls the macros made of them.

Every function is one `return` of whole numbers that are not below 0, so that `//` is the `/` of SQL.
`None` is NULL. See `etl/dialect/formulas.py` for the syntax that is allowed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from etl.units import MOST_GPUS


def clamped(at: int, low: int, high: int) -> int:
    """Move a moment into [low, high]."""
    return max(low, min(at, high))


def stepped(seconds: int, step_s: int) -> int:
    """Round up to whole steps, never below 0."""
    # guarded, as `//` of SQL rounds towards zero and that of Python downwards
    return (seconds + step_s - 1) // step_s * step_s if seconds > 0 else 0


def chargeable_gpus(gpu_nums: int | None) -> int | None:
    """Return the number of GPUs, None if it cannot be right."""
    # None, not 0: an unknown cost must not be added up as nothing
    return gpu_nums if gpu_nums is not None and 0 <= gpu_nums <= MOST_GPUS else None


def step_of(kind: str, evidence: str, step_s: int) -> int:
    """Return the step by which the estimate is charged; a run that is only possible has none."""
    return 1 if kind == "held" or evidence == "possible_run" else step_s


def most_step_of(kind: str, step_s: int) -> int:
    """Return the step by which bounds are charged."""
    return 1 if kind == "held" else step_s


def knows_steps(kind: str, evidence: str, step_s: int) -> bool:
    """Tell whether the steps of a stretch begin with it: not if its run may have begun earlier."""
    return (
        kind != "held" and step_s > 1 and evidence not in ("possible_run", "unknown_start", "gone")
    )


def boot_of(kind: str, evidence: str, boot_s: int) -> int:
    """Return how much of a stretch is not charged as its boot: nothing if it was seen up."""
    return 0 if kind == "held" or evidence in ("possible_run", "unknown_start") else boot_s


def charged(begins: int, ends: int, boot_s: int, step_s: int) -> int:
    """Return the seconds charged between two ages of a stretch, by the best estimate."""
    return stepped(ends - boot_s, step_s) - stepped(begins - boot_s, step_s)


def charged_min(begins: int, ends: int, boot_s: int, step_s: int, is_certain: bool) -> int:
    """Return the seconds surely charged; `is_certain` if the stretch begins with a step."""
    return (
        max(0, stepped(ends - boot_s, step_s) - stepped(begins, step_s))
        if is_certain
        # if not, its steps may begin anywhere: whole ones surely fit
        else max(0, ends - max(begins, boot_s)) // step_s * step_s
    )


def charged_max(begins: int, ends: int, boot_s: int, step_s: int, is_certain: bool) -> int:
    """Return the most seconds that can be charged; `is_certain` if the stretch begins with a step."""
    return (
        stepped(ends, step_s) - stepped(begins - boot_s, step_s)
        if is_certain
        # if not, it may touch one more than it fills
        else stepped(ends - begins, step_s)
    )


def rate(gpus: int, price_microcny: int, flat_microcny: int) -> int:
    """Return the cost of a unit of time: a price for each GPU, and a flat part."""
    return gpus * price_microcny + flat_microcny


def amount(seconds: int, rate: int, per_s: int) -> int:
    """Return the cost of seconds at a rate for `per_s` seconds, rounded."""
    # in whole numbers: floats of Python and of the databases would differ in the last digit
    return (seconds * rate + per_s // 2) // per_s


def amount_min(seconds: int, rate: int, per_s: int) -> int:
    """Return the cost of seconds at a rate for `per_s` seconds, rounded down."""
    return seconds * rate // per_s


def amount_max(seconds: int, rate: int, per_s: int) -> int:
    """Return the cost of seconds at a rate for `per_s` seconds, rounded up."""
    return (seconds * rate + per_s - 1) // per_s


FORMULAS: Final[tuple[Callable[..., Any], ...]] = (
    clamped,
    stepped,
    chargeable_gpus,
    step_of,
    most_step_of,
    knows_steps,
    boot_of,
    charged,
    charged_min,
    charged_max,
    rate,
    amount,
    amount_min,
    amount_max,
)
"""Functions that are also SQL macros of the same name."""
