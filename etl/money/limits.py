"""Leases of instances, and limits of what accounts, projects and owners may use. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from etl.money.periods import BEGINNING, FOREVER
from etl.poll import Instant

Scope = Literal["account", "project", "owner"]


@dataclass(frozen=True, slots=True)
class UsageLimit:
    """What an account, a project or an owner may use while it is valid; None allows anything.

    `month_gpu_s` are card-seconds a month, of which at most `carry_s` are carried over into the next;
    `max_gpus` run at a time.
    """

    limit_no: int
    scope: Scope
    name: str
    month_gpu_s: int | None = None
    carry_s: int = 0
    max_gpus: int | None = None
    valid_from: Instant | None = None
    valid_to: Instant | None = None
    note: str | None = None

    def meets(self, other: UsageLimit) -> bool:
        """Tell whether two limits of one name allow the same thing at the same time."""
        is_same = (self.scope, self.name) == (other.scope, other.name)
        both = (self.month_gpu_s is not None and other.month_gpu_s is not None) or (
            self.max_gpus is not None and other.max_gpus is not None
        )
        return (
            is_same
            and both
            and (self.valid_from or BEGINNING) < (other.valid_to or FOREVER)
            and (other.valid_from or BEGINNING) < (self.valid_to or FOREVER)
        )
