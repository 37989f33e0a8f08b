"""Meanings of the source's codes: the lookups that the pure modules use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

UP_STATES: Final = frozenset({"running", "restarting"})
BOOTING_STATES: Final = frozenset({"creating", "starting"})
STATES: Final = (
    "creating",
    "starting",
    "running",
    "restarting",
    "stopping",
    "stopped",
    "destroyed",
    "unknown",
)
UNITS: Final = ("hour", "day", "week", "month", "year")
PREPAID_UNITS: Final = frozenset(UNITS) - {"hour"}


@dataclass(frozen=True, slots=True)
class Codes:
    """Lookups of codes. `states`: status code -> state; `units`: charging code -> unit (None:
    unknown).
    """

    states: Mapping[int, str] = field(default_factory=dict)
    units: Mapping[int, str | None] = field(default_factory=dict)

    def is_up(self, status: int) -> bool:
        # an unknown code is down: time that nobody understands is in no sure minimum
        return self.states.get(status) in UP_STATES

    def is_booting(self, status: int) -> bool:
        return self.states.get(status) in BOOTING_STATES

    def is_prepaid(self, charging_type: int | None) -> bool:
        # an unknown code is not prepaid: nothing is held on terms that nobody understands
        return charging_type is not None and self.units.get(charging_type) in PREPAID_UNITS

    def fingerprint(self) -> bytes:
        """Return bytes that differ if any meaning differs."""
        # sorted: the databases return rows in different orders
        return repr((sorted(self.states.items()), sorted(self.units.items()))).encode()


SEED_STATUS: Final = (
    (0, "creating", "created", "已创建"),
    (1, "starting", "starting", "启动中"),
    (2, "running", "running", "运行中"),
    (3, "stopping", "stopping", "停止中"),
    (4, "stopped", "stopped", "已停止"),
    (9, "destroyed", "destroyed", "已销毁"),
    (21, "stopping", "shutting down", "关机中"),
    (22, "stopped", "shut down", "已关机"),
    (23, "stopped", "stopped abnormally", "异常关机"),
    (24, "starting", "starting", "开机中"),
    (27, "restarting", "restarting", "重启中"),
)
"""(status, state, name_en, name_zh). 2, 21, 22, 24, 27 are documented, the rest seen in clients."""

SEED_CHARGING: Final = ((1, "hour", "hourly (assumed)", "按小时(推定)"),)
"""(charging_type, unit, name_en, name_zh). The codes are not published; 1 is the example's."""

SEEDED: Final = Codes(
    states={status: state for status, state, _, _ in SEED_STATUS},
    units={code: unit for code, unit, _, _ in SEED_CHARGING},
)
