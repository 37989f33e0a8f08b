"""Simulated answers about money, one file for each resource of the source, and the registry of them."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from etl.simcloud.behaviour import Fail
from etl.simcloud.desk import Desk, Query
from etl.simcloud.desks import (
    balance,
    bills,
    cards,
    gpu_prices,
    images,
    recharges,
    workflow_runs,
)
from etl.simcloud.money import Money

MODULES: Final[tuple[Any, ...]] = (
    gpu_prices,
    bills,
    balance,
    cards,
    recharges,
    workflow_runs,
    images,
)
"""Each has a `PATH` and an `answer`. A further resource is one name here."""


def desks(money: Money) -> dict[str, Desk]:
    """Map each path to its handler: (time, query) -> the answer, or an error about the query."""
    return {module.PATH: partial(_asked, module, money) for module in MODULES}


def _asked(module: Any, money: Money, t: float, query: Query) -> bytes | Fail:
    # the source dates its facts in whole seconds
    answer: bytes | Fail = module.answer(money, int(t), query)
    return answer
