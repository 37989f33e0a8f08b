"""Both databases, for real: SQLite files, and a Postgres server of the tests' own."""

from __future__ import annotations

import gc
import itertools
import os
import re
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import create_engine, text

from etl.dialect import Database, open_database, sqlite
from etl.redact.known import known
from etl.store import schema
from etl.texts import ENGLISH, speaking

for profile, examples in (("tests", 60), ("slow", 120)):
    settings.register_profile(
        profile,
        max_examples=examples,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )

TODAY = date(2026, 11, 24)
ZONE = "Asia/Shanghai"
_numbers = itertools.count()
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
"""Workers share one Postgres server: names of databases and roles have the worker's in them."""

FreshDatabase = Callable[[], Database]
FilledOnce = Callable[[str, Callable[[Database], None]], Callable[[str], Database]]
SHARED = {
    **dict.fromkeys(("cookbook", "daily_views", "export_focus", "export_parquet"), "golden"),
    **dict.fromkeys(
        ("assistant", "figures", "golden", "page", "report_meaning", "reports"), "golden"
    ),
    **dict.fromkeys(("glance", "progress", "terminal_doc", "bi", "contract", "browser"), "golden"),
    "billing_truth": "told",
    "days": "watched days",
    "demo": "small",
    "doc_commands": "folder",
    "fleet_by_hand": "watched",
    "foreign_bill": "charged",
    "wheel": "wheel",
    "workbook": "lived",
}
"""Modules by the fixture that takes long to make and serves many of their tests."""
SLOW = re.compile(
    r"test_extremes\.py::test_whatever_is_accepted.*-(?!instances\])"
    r"|test_canaries_of_commands\.py::test_no_command_shows_a_password.*\[(?!password|socket|a slash)"
    r"|test_canaries_of_commands\.py::test_no_secret_of_the_settings.*\[(?!password)"
    r"|test_settled\.py::test_any_other_provider.*\[(?!amounts in tenths)"
    r"|test_settled\.py::test_a_provider_that_settles_at_stops.*\[(?!begun hours|own hours)"
    r"|test_settled\.py::test_any_order_of_resources.*\[postgres"
    r"|test_truth\.py::test_the_bill_brings.*\[(?!5\])"
    r"|test_(instants|repair)\.py::test_(whatever_becomes_of_the_clocks|bounds_hold_after).*\[postgres"
    r"|test_billing_gaps\.py::.*\[postgres-(?!15\])"
    r"|test_(cost|alert_digest|side_resources)\.py::test_(the_true_cost|a_healthy_fleet|the_balance_equation).*\[postgres"
    r"|test_live_equals_replay\.py::test_a_replay_of_a_days_archive.*\[postgres-(?!1\])"
    r"|test_bounds\.py::test_the_truth_lies_within.*\[[1-9]-"
    r"|test_cost\.py::test_(views_and_reports_by|what_is_closed).*-[34]0[4-7]\]"
    r"|test_live_equals_replay\.py::test_a_replay_of_a_days_archive.*\[sqlite-(?!1\])"
    r"|test_settled\.py::test_(such_a_provider.*begun minutes|runs_that_no_poll_saw.*[\[-]2[\]-])"
    r"|test_side_resources\.py::test_an_optional_resource_that_is_not_there.*fail(1|3|5|6|7|8|10)\]"
    r"|test_streams\.py::test_a_daemon_polls.*\[(?!2>&-\]|>/dev/full)"
    r"|test_terminal\.py::test_(a_report_fits_the_terminal.*\[(100|120)\]|a_pipe_gets_the_same.*\[json\])"
    r"|test_figures\.py::test_the_bytes_are_those.*\[csv-(?!by=)"
    r"|test_bounds\.py::test_the_bounds_hold_for_fleets.*\[(1|15)-"
    r"|test_sync\.py::test_a_bad_day.*\[postgres-(?!a code in the middle|a wrong key|a list half)"
    r"|test_sync\.py::test_no_secret_is_in.*\[postgres"
    r"|test_kill\.py::test_a_sync_killed.*\[archived-postgres"
    r"|test_live_equals_replay\.py::test_a_restored_backup.*\[(postgres-replay|sqlite-sync)"
    r"|test_export_parquet\.py::test_duckdb_gives_every_report.*\[postgres"
    r"|test_libreoffice\.py::test_lists_that_it_saves.*\[(?!GBK)"
    r"|test_views\.py::test_a_users_own_view.*\[postgres-instance_now"
    r"|test_alert_digest\.py::test_a_healthy_fleet"
    r"|test_bi\.py::test_questions_for_metabase.*\[(?!forgotten)"
    r"|test_billing_gaps\.py::.*\[sqlite-(2|15)\]"
    r"|test_export_parquet\.py::test_(duckdb_answers_the_cookbook|an_empty_database_can_be).*\[postgres"
    r"|test_browser\.py::test_a_browser_complains_of_nothing.*\[(?!1440-light)"
)
"""Further cases of tests of which others run always: `pytest --slow` runs them, too."""
ON_BOTH = {
    *("daemon", "earlier", "golden", "kill", "laws", "live_equals_replay", "locks", "many_at_once"),
    *(
        "model",
        "months",
        "overlaps",
        "postgres_as_run",
        "postgres_server",
        "schema",
        "sync",
        "usage",
        "views",
    ),
}
"""Modules of which every case on Postgres runs always: what depends on the database itself."""
ONE_IN = 6
"""Of all other modules one case of so many runs on Postgres by default: they ask the store by the same words."""


# each command that a test starts would compile the program again
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# whoever is started in the background may ignore Ctrl-C, and so would each program that a test starts
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# no test needs to survive a power cut, and each commit would wait for the disk
SYNCHRONOUS = sqlite.SYNCHRONOUS
sqlite.SYNCHRONOUS = "NORMAL"  # type: ignore[misc]


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("slow" if config.getoption("--slow") else "tests")


def pytest_collection_finish() -> None:
    """Collect rarely: imports and test items live as long as the run, and looking through them
    again and again takes a tenth of it."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the further cases that take minutes")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the slow cases, unless they are asked for, by the option or by name."""
    if config.getoption("--slow") or any("::" in arg for arg in config.args):
        return
    slow = [item for item in items if _is_slow(item.nodeid)]
    config.hook.pytest_deselected(items=slow)
    items[:] = [item for item in items if not _is_slow(item.nodeid)]


def _is_slow(nodeid: str) -> bool:
    name, _, case = nodeid.partition("[")
    if (
        "postgres" in case.rstrip("]").split("-")
        and _module(name) not in ON_BOTH
        and crc32(nodeid.encode()) % ONE_IN
    ):
        return True
    return SLOW.search(nodeid) is not None


def _module(nodeid: str) -> str:
    return Path(nodeid.partition("::")[0]).stem.removeprefix("test_")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """One worker runs all tests that share such a fixture, so that it is made once; every other
    test goes to whichever worker is free."""
    from xdist.scheduler import LoadScopeScheduling

    class Sharing(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return SHARED.get(_module(nodeid), nodeid)

    return Sharing(config, log)


@pytest.fixture(autouse=True)
def nothing_known() -> Iterator[None]:
    """Let no test see the secrets that another one made the process remember."""
    known.clear()
    yield
    known.clear()


@pytest.fixture(autouse=True)
def english_spoken() -> Iterator[None]:
    """Let no test speak the language that another one chose for the process's screen."""
    with speaking(ENGLISH):
        yield


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The Postgres server of this run, for its superuser; tests make databases in it."""
    from tests.postgres_server import shared_server, url_of

    mine = tmp_path_factory.getbasetemp()
    folder = shared_server(mine.parent if WORKER else mine)
    return url_of(folder).replace("postgresql://", "postgresql+psycopg://")


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "template.db"
    database = open_database(f"sqlite:///{path}")
    schema.upgrade(database, ZONE, TODAY)
    database.engine.dispose()
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres_url: str) -> str:
    name = f"template_etl{WORKER}"
    _create(postgres_url, name, None)
    database = open_database(_beside(postgres_url, name))
    schema.upgrade(database, ZONE, TODAY)
    database.engine.dispose()
    return name


@pytest.fixture(params=["sqlite", "postgres"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def fresh_url(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Callable[[], str]]:
    """URLs of new databases, up to date and empty."""

    def copied() -> str:
        path = tmp_path / f"t{next(_numbers)}.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        return f"sqlite:///{path}"

    if kind == "sqlite":
        yield copied
    else:
        server = request.getfixturevalue("postgres_url")
        with made_on(server, request.getfixturevalue("postgres_template")) as make:
            yield make


@contextmanager
def made_on(server: str, template: str) -> Iterator[Callable[[], str]]:
    """Makes databases like `template`, and drops them at the end, whoever is connected."""
    names: list[str] = []

    def make() -> str:
        names.append(f"t{next(_numbers)}{WORKER}")
        _create(server, names[-1], template)
        return _beside(server, names[-1])

    yield make
    _execute(server, *(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)" for name in names))


@pytest.fixture(scope="module")
def read_by_column() -> Iterator[None]:
    """Pages of few records are read by column, as those of many are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("etl.resources.instances.FEW", 0)
        yield


@pytest.fixture
def fresh_database(fresh_url: Callable[[], str]) -> Iterator[FreshDatabase]:
    """New databases, up to date and empty, closed at the end of the test."""
    opened: list[Database] = []

    def make() -> Database:
        opened.append(open_database(fresh_url()))
        return opened[-1]

    yield make
    for database in opened:
        database.engine.dispose()


@pytest.fixture
def database(fresh_database: FreshDatabase) -> Database:
    return fresh_database()


@pytest.fixture(scope="session")
def filled_once(
    postgres_url: str,
    postgres_template: str,
    sqlite_template: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[FilledOnce]:
    """Databases for many tests that read: `filled_once(name, fill)` returns them by their kind; one is
    made and filled when it is first asked for."""
    opened: list[Database] = []

    def by_kind(name: str, fill: Callable[[Database], None]) -> Callable[[str], Database]:
        @cache
        def get(kind: str) -> Database:
            if kind == "sqlite":
                path = tmp_path_factory.mktemp(name) / f"{name}.db"
                shutil.copy(sqlite_template, path)
                url = f"sqlite:///{path}"
            else:
                _create(postgres_url, f"{name}{WORKER}", postgres_template)
                url = _beside(postgres_url, f"{name}{WORKER}")
            opened.append(open_database(url))
            fill(opened[-1])
            return opened[-1]

        return get

    yield by_kind
    for database in opened:
        database.engine.dispose()


@pytest.fixture(scope="session")
def golden(filled_once: FilledOnce) -> Callable[[str], Database]:
    """The golden fleet on either kind of database, filled once; days are of `ZONE`."""
    from tests.golden_fleet import fill

    return filled_once("golden", fill)


@pytest.fixture
def golden_copy(
    kind: str, golden: Callable[[str], Database], request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Database]:
    """The golden fleet in a database of the test's own, to be written to."""
    original = golden(kind)
    with ExitStack() as stack:
        if kind == "sqlite":
            url = f"sqlite:///{tmp_path / 'copy.db'}"
            with closing(sqlite3.connect(str(original.engine.url.database))) as conn:
                conn.execute("VACUUM INTO ?", (str(tmp_path / "copy.db"),))
        else:
            original.engine.dispose()  # nobody may be connected to what is copied
            server = request.getfixturevalue("postgres_url")
            url = stack.enter_context(made_on(server, f"golden{WORKER}"))()
        database = open_database(url)
        stack.callback(database.engine.dispose)
        yield database


def _create(server: str, name: str, template: str | None) -> None:
    like = f" TEMPLATE {template} STRATEGY FILE_COPY" if template else ""
    _execute(server, f"CREATE DATABASE {name} OWNER etl{like}")


def _execute(server: str, *statements: str) -> None:
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as conn:
        for statement in statements:
            conn.execute(text(statement))
    engine.dispose()


def _beside(server: str, name: str) -> str:
    """The URL of another database on the server, for the plain role that owns it."""
    return server.replace("+psycopg://postgres@/postgres?", f"://etl@/{name}?")
