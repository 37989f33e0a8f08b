"""Many accounts, and readers, in one database at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from etl import rebuild
from etl.dialect import Database, open_database
from etl.simcloud import Story, serve
from tests.conftest import _beside, _create
from tests.live import KEY, Living, closing, environment, living, real_cloud, start
from tests.support import rows

ACCOUNTS = 20
PROCESSES = 6
BUSY = 7
"""Exit code."""


@pytest.fixture
def live(fresh_url: Callable[[], str]) -> Iterator[Living]:
    with living(fresh_url) as make:
        yield make


# twenty accounts


def empty_url(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """A database without tables."""
    if kind == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    server = request.getfixturevalue("postgres_url")
    name = f"empty_{abs(hash(tmp_path)) % 10**9}"
    _create(server, name, None)
    return _beside(server, name)


def sync_at_once(accounts: int, url: str, home: Path) -> int:
    """Sync each account in a process of its own; return how many have a complete poll."""
    config = home / "accounts.toml"
    # all of them list the same instances: unless the settings name them all, that is one renamed
    tables = (f'[accounts.a{n}]\napi_key_env = "CHENYU_API_KEY"\n' for n in range(accounts))
    config.write_text("".join(tables))
    with serve(real_cloud(7).fleet, key=KEY) as server:
        words = {"CHENYU_PAGE_SIZE": "5", "CHENYU_CONFIG": str(config)}
        environ = environment(server.base_url, url, home, **words)
        waiting = {f"a{n}" for n in range(accounts)}
        while waiting:
            syncs = {name: start(environ, "sync", "--account", name) for name in waiting}
            ended = {name: (one.communicate(), one.returncode) for name, one in syncs.items()}
            assert [said for said, code in ended.values() if code not in (0, BUSY)] == []
            # on a busy machine one may wait too long for its turn: the next sync is made, as by cron
            waiting = {name for name, (_, code) in ended.items() if code == BUSY}
            assert len(waiting) < accounts, "one of them gets its turn"
    database = open_database(url)
    with closing(database):
        assert rows(database, "SELECT count(*) FROM instance") == [(7 * accounts,)]
        assert list(rebuild.differences(database)) == []
        complete = "SELECT count(DISTINCT account_id) FROM sync_run WHERE outcome = 'complete'"
        return int(rows(database, complete)[0][0])


def test_accounts_in_processes_of_their_own_share_one_database(
    fresh_url: Callable[[], str], tmp_path: Path
) -> None:
    assert sync_at_once(PROCESSES, fresh_url(), tmp_path) == PROCESSES


def test_processes_that_find_an_empty_database_make_it_once(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    assert sync_at_once(4, empty_url(kind, tmp_path, request), tmp_path) == 4


def test_twenty_accounts_in_threads_share_one_database(live: Living, kind: str) -> None:
    first = live(Story(), page_size=5)
    others = [
        live(Story(), url=first.app.settings.database_url, page_size=5) for _ in range(ACCOUNTS - 1)
    ]
    lives = [first, *others]
    for number, one in enumerate(lives):
        for instance in range(number):
            one.cloud.rents(uuid=f"inst_{number}_{instance}")
        one.account = type(one.account)(f"a{number}", key_env="CHENYU_API_KEY")
    with ThreadPoolExecutor(ACCOUNTS) as pool:
        for _ in range(3):
            results = list(pool.map(lambda one: one.polls(minutes=5), lives))
            assert [result.exit_code for result in results] == [0] * ACCOUNTS
    counted = rows(
        first.database,
        "SELECT name, (SELECT count(*) FROM instance i WHERE i.account_id = a.account_id),"
        " (SELECT count(*) FROM sync_run r WHERE r.account_id = a.account_id) FROM account a",
    )
    assert sorted(counted) == sorted((f"a{n}", n, 3) for n in range(ACCOUNTS))


# readers


def test_a_reader_in_a_long_transaction_disturbs_nothing(
    live: Living, fresh_url: Callable[[], str]
) -> None:
    url = fresh_url()
    lab, reader = live(Story(), url=url), open_database(url)
    lab.cloud.rents_many(3)
    lab.polls()
    with closing(reader), reader.reading() as conn:
        count = text("SELECT count(*), max(version) FROM instance")
        assert tuple(conn.execute(count).one()) == (3, 1)
        lab.cloud.rents_many(2)
        lab.cloud.renames("inst_00000000-0000-4000-8000-000000000001", "other")
        assert [lab.polls(minutes=5).exit_code for _ in range(3)] == [0, 0, 0]
        assert tuple(conn.execute(count).one()) == (3, 1), "it sees one state of the data"
    assert rows(lab.database, "SELECT count(*), max(version) FROM instance") == [(5, 2)]


def test_what_is_read_cannot_be_written(database: Database) -> None:
    with database.reading() as conn, pytest.raises(DBAPIError):
        conn.execute(text("INSERT INTO setting VALUES ('a', 'b')"))
    with database.writing() as conn:
        conn.execute(text("INSERT INTO setting VALUES ('a', 'b')"))
