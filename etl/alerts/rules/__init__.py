"""The rules: a file for each, named as the rule is, and a line here."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from etl.alerts.rules.base import AlertRule

RULES: Final = (
    "long_run",
    "roll_call",
    "stopped",
    "balance",
    "card_expiry",
    "budget",
    "limit",
    "cost_day",
    "odd_day",
    "idle_gpu",
    "sync_stale",
    "key_refused",
    "unknown_code",
    "image_failed",
    "digest",
)
"""Names of the rules, in the order in which a message lists causes of one severity."""


@cache
def rule(name: str) -> AlertRule[Any, Any]:
    """Return the rule of a name; its file is loaded only now, since every command reads settings."""
    made: AlertRule[Any, Any] = import_module(f"{__name__}.{name}").RULE
    return made
