"""Open the page in a real Chromium: `python -m bench.browser --folder DIR --axe axe.min.js`.

The demo, a generated month of 200 instances and an empty database, in both languages and themes, 390 and 1,440
pixels wide: no complaint of the browser, no request, charts with marks, filters and zoom that work, numbers
that equal the reports, and no serious finding of axe-core (`npm pack axe-core`). Pictures go to the folder:
look at them. Databases are kept there and made if they are not.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final

from bench.fleets import Month
from etl import reports
from etl.demo import Demo
from etl.dialect import Database, open_database
from etl.history.days import Zone
from etl.page import Choice
from etl.page.build import MOST_LINES, build
from etl.page.facts import report_queries
from etl.store import schema
from tests.chromium import DESK, PHONE, Tab, chromium

ZONE: Final = Zone("Asia/Shanghai")
TABLES: Final = {"cost_day": "cost-day", "gpu_day": "gpu-day", "cost_model": "cost-model"}
"""Tables whose name in the page differs from that of the question."""
SHOWN: Final = ("now", "cost_day", "gpu_day", "cost_model", "projects", "causes", "prices", "idle")
MARKS: Final = (
    "document.querySelectorAll('#page .bars rect, #page .track path, #page .whole path').length"
)
SERIOUS: Final = ("serious", "critical")
OPEN: Final = "document.querySelectorAll('details.data').forEach((each) => { each.open = true; })"
UNFOLD: Final = "document.querySelectorAll('.row').forEach((row) => { row.style.contentVisibility = 'visible'; })"


@dataclass(frozen=True, slots=True)
class Source:
    """A database, the period that is shown of it, and when."""

    name: str
    database: Database
    choice: Choice
    now: int

    def asked(self, key: str) -> list[tuple[Any, ...]]:
        """Return the rows of one of the page's reports."""
        question = report_queries(self.choice)[key]
        report = reports.load_report(question.report)
        known = {param.name for param in report.params}
        given = {
            "from_day": self.choice.from_day,
            "to_day": self.choice.to_day,
            "account": None,
            **question.arguments,
        }
        chosen = {name: value for name, value in given.items() if name in known}
        _, rows = reports.run(self.database, report, {**chosen, "now": self.now})
        return [tuple(row) for row in rows]


@dataclass
class Trial:
    """What is wrong with a page; nothing if all holds."""

    name: str
    wrong: list[str] = field(default_factory=list)

    def holds(self, condition: object, what: str) -> None:
        if not condition:
            self.wrong.append(what)


def sources(folder: Path) -> Iterator[Source]:
    """Yield the databases, made if they are not in the folder."""
    demo = folder / "demo.db"
    if not demo.exists():
        for _ in Demo(demo, days=14, instances=40, seed=1, interval_min=10).polls_done():
            pass
    month = folder / "month.db"
    if not month.exists():
        Month(200).fill(open_database(f"sqlite:///{month}"))
    empty = folder / "empty.db"
    empty.unlink(missing_ok=True)
    schema.upgrade(open_database(f"sqlite:///{empty}"), ZONE.name, date(2026, 3, 1))
    march = Choice("2026-03-01", "2026-03-31")
    yield _source("demo", demo, Choice("2026-01-05", "2026-01-19"))
    yield _source("month", month, march)
    yield _source("empty", empty, march)


def _source(name: str, file: Path, choice: Choice) -> Source:
    database = open_database(f"sqlite:///{file}")
    schema.upgrade(database, ZONE.name, date(2026, 3, 1))
    seen = reports.observed(database, None)
    return Source(name, database, choice, seen[1] + 600 if seen else 1_774_000_000)


def check(tab: Tab, source: Source, trial: Trial, url: str) -> None:
    trial.holds(tab.complaints == [], f"complaints {tab.complaints[:3]}")
    trial.holds(tab.requests == [url], f"requests {tab.requests[:3]}")
    wide = tab.asks("document.documentElement.scrollWidth - innerWidth")
    trial.holds(wide <= 0, f"{wide} pixels too wide")
    cut = tab.asks(_OVERLAPS)
    trial.holds(not cut, f"overlaps {cut}")
    if source.name == "empty":
        trial.holds(tab.asks("document.querySelectorAll('.empty').length") >= 5, "no empty states")
        return
    trial.holds(tab.asks(MARKS) > 100, "charts have no marks")
    _check_numbers(tab, source, trial)
    _check_filter(tab, source, trial)
    _check_zoom(tab, trial)
    _check_details(tab, source, trial, url)


_OVERLAPS: Final = """(() => {
  const boxes = [...document.querySelectorAll('.plot > .tick, .labels > .tick')]
    .filter((each) => each.checkVisibility() && each.getBoundingClientRect().width)
    .map((each) => [each.parentNode, each.getBoundingClientRect(), each.textContent]);
  for (let n = 1; n < boxes.length; n++) {
    const [one, two] = [boxes[n - 1], boxes[n]];
    if (one[0] === two[0] && one[1].right > two[1].left + 0.5 && one[1].left < two[1].left) return `${one[2]} ${two[2]}`;
  }
  return '';
})()"""


def _check_numbers(tab: Tab, source: Source, trial: Trial) -> None:
    for key in SHOWN:
        table = TABLES.get(key, key)
        cells = tab.asks(
            f"[...document.querySelectorAll('#{table}-table tbody tr')]"
            ".map((row) => [...row.cells].map((cell) => cell.textContent.trim()))"
        )
        rows = source.asked(key)[:MOST_LINES]
        trial.holds(len(cells) == len(rows), f"{key}: {len(cells)} rows of {len(rows)}")
        for shown, row in zip(cells, rows, strict=False):
            for cell, value in zip(shown, row, strict=True):
                if isinstance(value, float):
                    trial.holds(cell == f"{value:,.2f}", f"{key}: {cell} for {value}")
                elif isinstance(value, int):
                    trial.holds(cell == str(value), f"{key}: {cell} for {value}")
    cost = sum(row[4] or 0 for row in source.asked("cost"))
    trial.holds(_figure(tab, "cost_yuan") == f"¥{cost:,.2f}", "the figure of the cost")


def _figure(tab: Tab, name: str) -> str:
    return str(tab.asks(f"document.querySelector('[data-figure={name}]').textContent"))


def _check_filter(tab: Tab, source: Source, trial: Trial) -> None:
    before = _figure(tab, "cost_yuan")
    tab.asks(_choose("project", "vision"))
    daily = [row for row in source.asked("daily") if row[3] == "vision"]
    cost = sum(row[7] or 0 for row in daily)
    shown = float(_figure(tab, "cost_yuan").replace("¥", "").replace(",", ""))
    trial.holds(abs(shown - cost) <= 0.011, f"filtered cost {shown} for {cost}")
    trial.holds(tab.asks("location.hash") == "#project=vision", "the filter is not in the address")
    rows = tab.asks(
        "[...document.querySelectorAll('#page .row')].filter((row) => !row.hidden).length"
    )
    trial.holds(rows == len({(row[1], row[-1]) for row in daily}), f"{rows} rows are filtered")
    trial.holds(not tab.asks("document.querySelector('#page .bill')"), "the bill is still drawn")
    tab.asks(_choose("project", ""))
    trial.holds(_figure(tab, "cost_yuan") == before, "the figure does not come back")
    trial.holds(bool(tab.asks("!!document.querySelector('#page .bill')")), "the bill is lost")


def _choose(name: str, value: str) -> str:
    return (
        f"{{ const field = document.querySelector('select[name={name}]');"
        f" field.value = {json.dumps(value)}; field.dispatchEvent(new Event('input', {{bubbles: true}})); }}"
    )


def _check_zoom(tab: Tab, trial: Trial) -> None:
    box = "document.querySelector('#page svg.track').getAttribute('viewBox')"
    trial.holds(tab.asks(box).startswith("0 0 1000"), "the timeline does not begin whole")
    tab.asks("document.querySelector('[data-zoom=\"0.5\"]').click()")
    trial.holds(tab.asks(box).startswith("250 0 500"), f"zoomed to {tab.asks(box)}")
    tab.asks("document.querySelector('[data-zoom=\"2\"]').click()")
    trial.holds(tab.asks(box).startswith("0 0 1000"), f"zoomed back to {tab.asks(box)}")


def _check_details(tab: Tab, source: Source, trial: Trial, url: str) -> None:
    uuid = source.asked("runs")[0][-1]
    tab.asks(f"location.hash = 'i-{uuid}'")
    tab.asks("new Promise((done) => setTimeout(done, 50))")
    trial.holds(tab.asks("!document.getElementById('detail').hidden"), "no page of the instance")
    trial.holds(tab.asks("document.querySelectorAll('#detail .bars rect').length") > 0, "no bars")
    trial.holds(tab.asks("document.querySelectorAll('#detail tbody tr').length") > 2, "no runs")
    tab.asks("location.hash = 'p-vision'")
    tab.asks("new Promise((done) => setTimeout(done, 50))")
    cost = sum(row[7] or 0 for row in source.asked("daily") if row[3] == "vision")
    shown = tab.asks("document.querySelector('#detail dd').textContent")
    gap = abs(float(shown.replace("¥", "").replace(",", "")) - cost)
    trial.holds(gap <= 0.011, f"the project's page says {shown} for {cost}")
    tab.asks("location.hash = ''")
    tab.asks("new Promise((done) => setTimeout(done, 50))")
    trial.holds(tab.asks("!document.getElementById('page').hidden"), "no way back")
    trial.holds(tab.complaints == [], f"complaints {tab.complaints[:3]}")


def findings(tab: Tab, axe: str) -> list[str]:
    """Return the serious findings of axe-core, everything unfolded."""
    tab.asks(axe)
    tab.asks(OPEN)
    violations = tab.asks(
        "axe.run(document, {resultTypes: ['violations']}).then((r) => r.violations)"
    )
    return [
        f"{violation['id']} ({violation['impact']}): {violation['nodes'][0]['target']} of {len(violation['nodes'])}:"
        f" {violation['nodes'][0].get('failureSummary', '')[:160]}"
        for violation in violations
        if violation["impact"] in SERIOUS
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--axe", type=Path, help="axe.min.js, of `npm pack axe-core`")
    parser.add_argument("--only", default="", help="only pages whose name holds this")
    given = parser.parse_args()
    axe = given.axe.read_text(encoding="utf-8") if given.axe else ""
    wrong = 0
    with chromium() as browser:
        tab = browser.tab()
        for source in sources(given.folder):
            for lang in ("en", "zh"):
                file = given.folder / f"{source.name}-{lang}.html"
                html = build(source.database, source.choice, zone=ZONE, now=source.now, lang=lang)
                file.write_text(html, encoding="utf-8")
                for theme in ("light", "dark"):
                    for width in (DESK, PHONE):
                        name = f"{source.name}-{lang}-{theme}-{width}"
                        if given.only in name:
                            wrong += look(tab, source, file, name, (width, theme), axe)
    print(f"{wrong} pages with something wrong")


def look(
    tab: Tab, source: Source, file: Path, name: str, as_seen: tuple[int, str], axe: str
) -> bool:
    """Check a page and take its picture; tell whether something is wrong."""
    width, theme = as_seen
    trial = Trial(name)
    url = f"file://{file}"
    tab.opens(url, width=width, theme=theme)
    tab.asks(UNFOLD)
    tab.screenshot(file.with_name(f"{name}.png"))
    check(tab, source, trial, url)
    if axe:
        trial.wrong += findings(tab, axe)
    print(f"{name}: {'; '.join(trial.wrong) or 'well'}", flush=True)
    return bool(trial.wrong)


if __name__ == "__main__":
    main()
