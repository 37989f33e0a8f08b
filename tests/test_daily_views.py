"""Daily views of usage group closed and open parts apart; together they are all parts of usage."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from etl.dialect import Database
from tests.support import rows

Golden = Callable[[str], Database]

SUMS = {
    "running_s": "running_s",
    "running_min_s": "running_min_s",
    "running_max_s": "running_max_s",
    "gpu_s": "running_s * gpu_nums",
    "gpu_min_s": "running_min_s * gpu_nums",
    "gpu_max_s": "running_max_s * gpu_nums",
}
ESTIMATES = ("running_s", "gpu_s")
VIEWS = {
    "uptime_daily": (("day", "instance_uuid"), (*ESTIMATES, "running_min_s", "gpu_min_s")),
    "night_weekend_daily": (("day", "instance_uuid"), ESTIMATES),
    "gpu_usage_instance_daily": (("day", "instance_uuid", "gpu_uuid", "gpu_name"), tuple(SUMS)),
    "gpu_usage_daily": (("day", "gpu_uuid", "gpu_name"), tuple(SUMS)),
}
"""What a row is about, and what it adds up."""


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
@pytest.mark.parametrize("view", VIEWS)
def test_a_daily_view_adds_up_all_parts(view: str, kind: str, golden: Golden) -> None:
    keys, sums = VIEWS[view]
    database = golden(kind)
    # an instance that stopped and runs again, on one day, once without facts of its GPUs
    both = rows(
        database,
        "SELECT o.day, o.instance_uuid FROM _usage_open_part o JOIN usage_day u"
        " ON u.account_id = o.account_id AND u.instance_uuid = o.instance_uuid AND u.day = o.day"
        " WHERE o.kind = 'running' AND u.kind = 'running'",
    )
    assert both
    added = ", ".join(f"CAST(SUM({SUMS[name]}) AS BIGINT)" for name in sums)
    by = ", ".join(keys)
    expected = rows(
        database,
        f"SELECT account_id, {by}, {added} FROM _usage_part WHERE kind = 'running' GROUP BY account_id, {by}",
    )
    found = rows(
        database,
        f"SELECT a.account_id, {', '.join((*keys, *sums))} FROM {view} v JOIN account a ON a.name = v.account",
    )
    assert sorted(found, key=str) == sorted(expected, key=str)
