"""Budgets: the most that a project or an account may cost in a month. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class MonthlyBudget:
    """A budget in millionths of a yuan. `month` is '' for every month without one of its own."""

    scope: Literal["project", "account"]
    name: str
    month: str
    amount_microcny: int
