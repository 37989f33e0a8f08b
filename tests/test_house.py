"""The rooms of the house, and that everything a user can name is written down."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest

from etl import paths, reports
from etl.alerts.rules import RULES
from etl.cli import main
from etl.settings import KEY_FILE_VARIABLE, KEY_VARIABLE, Settings, variable
from etl.settings import alerts as alert_settings
from etl.settings.variables import known_variables

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "etl").rglob("*.py"))
ROOMS = (
    "address errors texts steps names poll streams redact paths units simcloud history.codes history.days timing.cadence"
    " timing.clock timing.freshness timing.redating source.deadline source.proxies source.http",
    "source.answers source.instants money.periods money.tariffs money.amounts resources source.wholeness",
    "history.lengths history.absence history.starts history.ends history.stretches history.usage history.months timing.triggers dialect source.client settings archive money"
    " alerts.words alerts.options alerts.owners alerts.cause alerts.machines alerts.snapshot"
    " alerts.periods alerts.own_digest"
    " alerts.polling alerts.rules alerts.message alerts.charts",
    "books.documents books.entries books.grids books.spelling history.diff history.versions history.windows history.proofs source.reading source.fetching source.walk tables",
    "store alerts status reports",
    "repeats apply rebuild prune books samples exports",
    "replay repair",
    "sync",
    "app",
    "polling",
    "page demo figures service.logs service.watchdog service.ticks service.units service.jobs service.probe"
    " service.gauges service.hosts service.single service.children service.builds service.site service.access service.figures",
    "service.schedule service.metrics service.health service.installing service.first_config service.lookout doctor",
    "service.daemon",
    "cli",
    "start",
)
"""From the ground up: a room imports from those below it, and from those beside it. Of a package
with floors of its own, every module is a room."""
KNOWN = frozenset(" ".join(ROOMS).split())
ONLY_IN = {
    "httpx": ("etl/source/client.py", "etl/source/http.py", "etl/alerts/channels"),
    "httpcore": ("etl/source/deadline.py", "etl/source/http.py"),
    "apprise": ("etl/alerts/channels/apprise.py",),
    "sqlalchemy.dialects": ("etl/dialect",),
    "sqlalchemy": ("etl/tables", "etl/dialect", "etl/store", "etl/reports"),
    "click": ("etl/cli",),
    "apscheduler": ("etl/service/jobs.py", "etl/service/schedule.py"),
    "prometheus_client": ("etl/service/gauges.py", "etl/service/metrics.py"),
    "openpyxl": ("etl/books/grids.py",),
    "xlsxwriter": ("etl/reports/render/xlsx.py",),
    "jinja2": ("etl/page/build.py",),
    "resvg_py": ("etl/page/raster.py",),
    "rich": ("etl/cli/terminal.py", "etl/cli/progress.py", "etl/cli/watching.py"),
    "pyarrow": ("etl/reports/render/parquet.py", "etl/exports/targets.py"),
    "mcp": ("etl/figures/protocol.py",),
    "pydantic": ("etl/figures/protocol.py",),
    "duckdb": (),
}
PURE = (
    "history",
    "money",
    "timing",
    "source/instants",
    "poll",
    "redact",
    "reports/render",
    "samples/packed",
    "samples/values",
    "samples/gathered",
    "samples/matching",
    "alerts/rules",
    *(f"alerts/{name}" for name in ("words", "options", "owners", "cause", "machines", "snapshot")),
    *(
        f"alerts/{name}"
        for name in ("polling", "message", "plan", "channels/plain", "channels/answer")
    ),
    *(
        f"page/{name}"
        for name in ("shapes", "stacks", "timeline", "trends", "attention", "words", "amounts")
    ),
)
IO = {"sqlalchemy", "httpx", "os", "pathlib", "time", "socket", "subprocess", "sqlite3"}
CLOCKS = {"now", "utcnow", "today", "time", "time_ns"}
SETTINGS = set(Settings.__dataclass_fields__) - {"accounts", "others", "alerts"}
"""Each of them is also an environment variable."""
HAVE_A_CLOCK = ("etl/app.py", "etl/simcloud/server.py")


@cache
def imports(path: Path) -> frozenset[str]:
    """Modules that a file imports, `from etl import x` as `etl.x`; those for types alone not."""
    found: set[str] = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(found)


def place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def room(module: str) -> str:
    """`etl.cli.common` is in `cli`, `etl.service.ticks` in `service.ticks`; the package itself is in
    none."""
    names = module.split(".")[1:3] if module.startswith("etl.") else [""]
    return ".".join(names) if ".".join(names) in KNOWN else names[0]


def room_of(path: Path) -> str:
    return room(place(path).removesuffix(".py").removesuffix("/__init__").replace("/", "."))


def rooms_of(path: Path) -> Iterator[str]:
    """The rooms that a file imports from, its own not."""
    own = room_of(path)
    return (r for r in {room(module) for module in imports(path)} if r in KNOWN - {own})


def is_in(path: Path, homes: tuple[str, ...]) -> bool:
    return any(place(path) == home or place(path).startswith(f"{home}/") for home in homes)


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_is_known_in_one_room(library: str) -> None:
    knowing = [
        path for path in FILES if any(f"{m}.".startswith(f"{library}.") for m in imports(path))
    ]
    assert [place(path) for path in knowing if not is_in(path, ONLY_IN[library])] == []


def test_every_file_is_in_a_room() -> None:
    assert {room_of(path) for path in FILES if imports(path) or path.stem != "__init__"} <= KNOWN


def test_data_flows_one_way() -> None:
    floor = {name: number for number, names in enumerate(ROOMS) for name in names.split()}
    wrong = [
        f"{place(path)} imports from {other}"
        for path in FILES
        for other in rooms_of(path)
        if floor[other] > floor[room_of(path)]
    ]
    assert wrong == []


def test_errors_and_the_simulated_cloud_stand_alone() -> None:
    assert list(rooms_of(ROOT / "etl/errors.py")) == []
    beside = {r for path in FILES if "simcloud" in path.parts for r in rooms_of(path)}
    assert beside <= {"poll"}


@pytest.mark.parametrize("name", PURE)
def test_what_is_pure_imports_no_input_or_output(name: str) -> None:
    known = place(ROOT / "etl" / name)
    files = [p for p in FILES if f"{place(p).removesuffix('.py')}/".startswith(f"{known}/")]
    assert files
    for path in files:
        assert {module.split(".")[0] for module in imports(path)} & IO == set()


def test_time_enters_once() -> None:
    asked = [
        f"{place(path)}:{node.lineno} {ast.unparse(node)}"
        for path in FILES
        if place(path) not in HAVE_A_CLOCK
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and node.attr in CLOCKS
        and ast.unparse(node.value).split(".")[-1] in ("time", "datetime", "date")
    ]
    assert asked == []


def test_sql_asks_no_clock() -> None:
    for path in [*paths.VIEWS.glob("*.sql"), *paths.REPORTS.glob("*.sql")]:
        words = path.read_text(encoding="utf-8").lower()
        assert not any(clock in words for clock in ("now()", "current_", "'now'", "julianday("))


def test_help_loads_nothing_heavy() -> None:
    heavy = (
        "httpx",
        "sqlalchemy",
        "alembic",
        "apscheduler",
        "prometheus_client",
        "msgspec",
        "platformdirs",
        "xlsxwriter",
        "openpyxl",
        "pyarrow",
    )
    code = (
        "import sys\nfrom etl.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n"
        f"    print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_command_loads_no_other() -> None:
    code = (
        "import sys\nfrom etl.cli import COMMANDS, main\n"
        "try:\n    main(['sync', '--help'])\nexcept SystemExit:\n"
        "    print({name for name in COMMANDS.values() if f'etl.cli.{name}' in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "{'syncing'}"


def test_a_report_loads_no_library_that_it_does_not_need() -> None:
    code = (
        "import sys\nfrom etl import app, reports; import etl.exports.parquet\n"
        "print([name for name in ('xlsxwriter', 'pyarrow', 'duckdb', 'httpx') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


# what a user can name is in README.md or docs/


def written() -> str:
    files = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command by its words: `db upgrade`."""
    for name, command in main.commands.items():
        if isinstance(command, click.Group):
            yield from ((f"{name} {sub}", each) for sub, each in command.commands.items())
        else:
            yield name, command


def variables() -> set[str]:
    settings = {variable(name) for name in SETTINGS}
    options = {
        str(param.envvar)
        for command in (main, *(each for _, each in commands()))
        for param in command.params
        if param.envvar
    }
    return settings | options | {KEY_VARIABLE, KEY_FILE_VARIABLE, "STATE_DIRECTORY"}


def unwritten(names: Iterator[str] | set[str]) -> list[str]:
    text = written()
    return sorted(name for name in names if f"`{name}" not in text and f"${name}" not in text)


def test_every_command_is_written_down() -> None:
    assert unwritten(name for name, _ in commands()) == []


def test_every_variable_is_written_down() -> None:
    assert unwritten(variables()) == []


def test_every_variable_is_known_to_be_ours() -> None:
    assert known_variables() == variables() - {"STATE_DIRECTORY"}


def test_every_setting_of_the_config_file_is_written_down() -> None:
    assert unwritten(SETTINGS | {"alerts"}) == []
    assert unwritten(set(alert_settings.names())) == []
    assert unwritten(set(RULES)) == []


def test_every_option_is_written_down() -> None:
    text = written()
    options = {
        f"{name} {opt}"
        for name, command in commands()
        for param in command.params
        if isinstance(param, click.Option)
        for opt in param.opts
        if opt.startswith("--") and opt not in text
    }
    assert sorted(options) == []


def test_every_metric_is_written_down() -> None:
    files = [ROOT / f"etl/service/{name}.py" for name in ("gauges", "metrics")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    gauges = re.findall(r'"(chenyu_etl_\w+)"', text)
    counters = re.findall(r'_counter\(\s*"(\w+)"', text)
    assert (len(gauges), len(counters)) == (16, 6)
    assert unwritten({*gauges, *(f"chenyu_etl_{name}_total" for name in counters)}) == []


def test_every_view_and_report_is_written_down() -> None:
    assert unwritten({path.stem for path in paths.VIEWS.glob("*.sql")}) == []
    assert unwritten(set(reports.report_names())) == []


def test_every_promise_of_reliability_names_tests_that_exist() -> None:
    tests = {
        name
        for path in (ROOT / "tests").glob("*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    page = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    # tables of trials follow, each made by one run
    promises, _, _ = page.partition("\n# ")
    table = promises.partition("|---|")[2].splitlines()[1:]
    rows = [row for row in table if row.startswith("|")]
    named = [set(re.findall(r"`(test_\w+)`", row.rpartition(" | ")[2])) for row in rows]
    assert [row for row, names in zip(rows, named, strict=True) if not names] == []
    assert set().union(*named) - tests == set()
