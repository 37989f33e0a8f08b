"""A month of a generated fleet in a database, polled without a network: for pages to be made of."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from etl.books.rule_files import import_rules
from etl.dialect import Database
from etl.poll import Poll
from etl.resources import INSTANCES, RESOURCES, Resource
from etl.simcloud import Fleet, Money
from etl.simcloud.desks import desks
from etl.store import schema
from tests.support import apply, poll_of

ZONE: Final = "Asia/Shanghai"
START: Final = 1_772_294_400
"""2026-02-28T16:00:00Z: midnight of 1 March in Shanghai."""
DAYS: Final = 31
DAY_S: Final = 86_400
OTHERS_EVERY_S: Final = DAY_S // 4
BILL_LISTINGS: Final = 4
OUTAGE: Final = range(START + 16 * DAY_S + 30_000, START + 18 * DAY_S + 20_000)
"""Two days in which nobody looked."""
RULES: Final = """
[[rule]]
title = "*张伟*"
project = "语音合成"
owner = "张伟"

[[rule]]
title = "*陈静*"
project = "语音合成"
owner = "陈静"

[[rule]]
title = "*alice*"
project = "language"
owner = "alice"

[[rule]]
title = "*李雷*"
project = "vision"
owner = "李雷"

[[rule]]
title = "*韩梅梅*"
project = "vision"
owner = "韩梅梅"

[[rule]]
title = "*王芳*"
project = "benchmark"
owner = "王芳"

[[budget]]
project = "vision"
amount = {vision}

[[budget]]
project = "语音合成"
amount = {speech}
"""


def _pages(desk: Callable[..., Any], resource: Resource[Any], t: int) -> Iterator[bytes]:
    """Yield the pages of a listing, as large as the source gives them."""
    size = resource.most_per_page or 1_000_000
    for number in itertools.count(1):
        body = desk(t, {"page": str(number), "page_size": str(size)})
        assert isinstance(body, bytes)
        yield body
        if len(resource.open(body).identities) < size:
            return


@dataclass(frozen=True, slots=True)
class Month:
    """A month of so many instances, polled every `every_s` seconds."""

    instances: int
    every_s: int = 1_800

    def fill(self, database: Database) -> None:
        """Create the database's tables and write the month, its rules and its budgets."""
        schema.upgrade(database, ZONE, date(2026, 3, 1))
        fleet = Fleet.generate(
            7, instances=self.instances, start=START, days=DAYS, images_saved=0.3, prepaid=0.05
        )
        # the bill last: before it there is nothing to judge anew after each poll of instances
        for poll in [*self._of_instances(fleet), *self._of_others(fleet)]:
            apply(database, poll)
        self._import_rules(database)

    def _of_instances(self, fleet: Fleet) -> Iterator[Poll]:
        for t in self._times():
            yield poll_of([fleet.body(t, 1, 100_000)], t, t + 2, resource=INSTANCES)

    def _of_others(self, fleet: Fleet) -> Iterator[Poll]:
        money = Money.usual(fleet)
        money.prices.change("RTX 4090", START + 11 * DAY_S, hour="2.08")
        routes = desks(money)
        times = [t for t in self._times() if (t - START) % OTHERS_EVERY_S < self.every_s]
        # each listing of the bill is that of the whole month until then
        of_bills = {*times[:: len(times) // BILL_LISTINGS], times[-1]}
        for t in times:
            for resource in RESOURCES.values():
                if resource.is_optional and (resource.name != "bills" or t in of_bills):
                    pages = list(_pages(routes[resource.path], resource, t))
                    yield poll_of(pages, t, t + 2, resource=resource)

    def _times(self) -> list[int]:
        # polls begin on the third day: what lies before is not known
        times = range(START + 2 * DAY_S, START + DAYS * DAY_S - 6 * 3_600, self.every_s)
        return [t for t in times if t not in OUTAGE]

    def _import_rules(self, database: Database) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "rules.toml"
            budgets = {"vision": self.instances * 1_000, "speech": self.instances * 150}
            file.write_text(RULES.format(**budgets), encoding="utf-8")
            import_rules(database, file)
