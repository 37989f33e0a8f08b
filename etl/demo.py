"""The demo: a simulated cloud, polled over real HTTP at simulated times into a file of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from etl import polling, reports, simcloud, store
from etl.app import App
from etl.books.rule_files import import_rules
from etl.errors import SettingsError
from etl.reports.render import render
from etl.resources import INSTANCES, RESOURCES
from etl.samples.importing import SampleOptions, import_samples
from etl.settings import Account, Settings
from etl.store.schema import DEMO_MARK
from etl.texts import tr
from etl.units import DAY_S, HOUR_S, SAMPLE_S

ACCOUNT: Final = "simulated"
START: Final = 1_767_600_000
"""2026-01-05T08:00:00Z: a Monday's afternoon in Shanghai, so that the demo ends while people work."""
RULES: Final = """\
kind,title,owner,project,tag,until,max_hours,card_hours,carry_over
rule,*李雷*,李雷,vision,,,,,
rule,*韩梅梅*,韩梅梅,vision,,,,,
rule,*王芳*,王芳,vision,,,,,
rule,*张伟*,张伟,speech,,,,,
rule,*陈静*,陈静,speech,,,,,
rule,*alice*,alice,language,,,,,
rule,*bob*,bob,language,,,,,
tag,*train*,,,stage:training,,,,
tag,*训练*,,,stage:training,,,,
lease,,张伟,,,2026-01-16,,,
limit,,,vision,,,,2000,200
"""
"""Who pays for what, until when and how much; nobody has said so of the others, as in life."""
KEY: Final = "sim-key"
SAMPLED: Final = 6
"""Machines of which the demo has samples of load: of the others nobody knows, as in life."""
SAMPLED_S: Final = 2 * DAY_S
# money changes slowly, and asking for it takes its time
ALL_EVERY_S: Final = 6 * 3_600


def sampled_lines(fleet: simcloud.Fleet, now: int) -> Iterator[str]:
    """Yield samples of what the first machines did in two days, each idle in other hours than the next."""
    for nth, life in enumerate(fleet.listed(now)[:SAMPLED]):
        for t in range(now - SAMPLED_S, now, SAMPLE_S):
            run = life.run_at(t)
            for gpu in range(run.gpu_nums if run else 0):
                percent = 91 - gpu if (t // HOUR_S + nth) % 5 > nth % 4 else gpu
                yield f"{t},{life.instance_uuid},{gpu},{percent}"


@dataclass
class Demo:
    """Simulation of `days` of a fleet of some `instances`, polled every `interval_min` minutes into
    `path`.
    """

    path: Path
    days: int
    instances: int
    seed: int
    interval_min: int
    app: App = field(init=False)
    now: float = field(init=False, default=START)

    @property
    def polls(self) -> int:
        return self.days * 1440 // self.interval_min

    def polls_done(self) -> Iterator[int]:
        """Yield polls, one after the other. Raises `SettingsError` if `path` is not a demo's
        database.
        """
        self._make_room()
        fleet = simcloud.Fleet.generate(
            self.seed, instances=self.instances, start=START, days=self.days
        )
        account = Account(ACCOUNT, key_env="CHENYU_API_KEY")
        with simcloud.serve(fleet, clock=self._clock, key=KEY) as server:
            self.app = App(
                Settings(
                    database_url=f"sqlite:///{self.path.absolute()}",
                    base_url=server.base_url,
                    accounts=(account,),
                ),
                environ={"CHENYU_API_KEY": KEY},
                clock=self._clock,
                # simulated too: with the real one every step of the other would be a clock that was
                # set
                monotonic=self._clock,
                sleep=lambda _: None,
            )
            self.app.database.create(with_folder=True)
            self.app.prepare()
            with store.writing(self.app.database) as tx:
                tx.mark_as_demo()
            for number in range(self.polls):
                self.now = START + number * self.interval_min * 60
                for result in polling.sync_all(self.app, self._wanted()):
                    if result.error is not None:
                        raise result.error
                yield number
            # at the end, as people write rules after the fact
            self._allocate()
            self._sample(list(sampled_lines(fleet, int(self.now))))

    def _allocate(self) -> None:
        with TemporaryDirectory() as folder:
            file = Path(folder) / "rules.csv"
            file.write_text(RULES, encoding="utf-8")
            import_rules(self.app.database, file, now=self.app.now())

    def _sample(self, lines: list[str]) -> None:
        # of a short demo perhaps nothing ran
        if not lines:
            return
        with TemporaryDirectory() as folder:
            file = Path(folder) / "samples.csv"
            file.write_text("\n".join(["time,instance,gpu,utilisation", *lines]), encoding="utf-8")
            import_samples(self.app.database, [file], SampleOptions(), self.app.now())

    def summary(self) -> Iterator[str]:
        """Yield a summary of the result, and how to go on."""
        yield f"SIMULATED: {self.days} days of an invented fleet, {self.polls} polls. No cloud was asked."
        yield from self._report("running now (the first 10)", "now", 10)
        yield from self._report("uptime by GPU model", "uptime", 10, by="gpu")
        yield from self._report("the last events", "events", 8)
        yield ""
        yield f"All of it is in {self.path}. Go on with, for example:"
        yield f"  chenyu-etl --database {self.path} page --from 2026-01-05 --to 2026-01-19 -o page.html"
        yield f"  chenyu-etl --database {self.path} report uptime --from 2026-01 --by instance --bounds"
        yield f"  chenyu-etl --database {self.path} report utilisation --from 2026-01-17 --to 2026-01-19"
        yield f"  chenyu-etl --database {self.path} status"
        yield f'  sqlite3 {self.path} "SELECT day, title, running_s/3600.0 AS hours FROM uptime_daily'
        yield '    WHERE running_s > 0 ORDER BY day DESC, hours DESC LIMIT 20"'

    def _report(self, title: str, name: str, limit: int, by: str | None = None) -> Iterator[str]:
        first, last = reports.day_range(f"{self.days + 1}d", None, self.app.today())
        arguments = {"from_day": first, "to_day": last, "by": by, "now": self.app.now()}
        columns, rows = reports.run(self.app.database, reports.load_report(name), arguments)
        hidden = {"instance_uuid", "account", "as_of", "image", "state"}
        kept = [i for i, column in enumerate(columns) if column not in hidden]
        yield ""
        yield f"-- {title}"
        # of the report on what there is only the machines that run
        since = columns.index("running_since") if "running_since" in columns else None
        running = (row for row in rows if since is None or row[since] is not None)
        cells = [[row[i] for i in kept] for row in islice(running, limit)]
        rows.close()
        yield from render("table", [columns[i] for i in kept], cells)

    def _wanted(self) -> list[str]:
        """Return the resources to poll now: instances every time, all others a few times a day."""
        return [INSTANCES.name] if self.now % ALL_EVERY_S else list(RESOURCES)

    def _clock(self) -> float:
        return self.now

    def _make_room(self) -> None:
        if self.path.exists():
            if not self._is_demo():
                raise SettingsError(
                    tr("{path} exists and is no demo database", path=self.path),
                    advice=tr("name another file: -o FILE"),
                )
            # a log that is left behind would be read into the new file
            for suffix in ("", "-wal", "-shm"):
                Path(f"{self.path}{suffix}").unlink(missing_ok=True)

    def _is_demo(self) -> bool:
        import sqlite3

        try:
            # read-only, or looking for a file would make one
            address = f"{self.path.absolute().as_uri()}?mode=ro"
            with closing(sqlite3.connect(address, uri=True)) as conn:
                marked = conn.execute(
                    "SELECT 1 FROM setting WHERE name = ?", (DEMO_MARK,)
                ).fetchone()
        except sqlite3.Error:
            return False
        return marked is not None
