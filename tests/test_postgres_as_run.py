"""Postgres as people run it: options of the URL, poolers, encodings, defaults of roles and databases."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from etl.dialect import Database, open_database, translated
from etl.dialect.postgres import Postgres
from etl.errors import Away, Busy, SettingsError, StoreError
from etl.simcloud import Story
from etl.store import Store, schema
from tests.conftest import TODAY, WORKER, ZONE, made_on
from tests.live import closing, living
from tests.postgres_server import PROGRAMS
from tests.support import HELD_HERE, apply, poll_story, rows

ROOT = Path(__file__).parents[1]
PGBOUNCER = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
ROLE = f"etl_as_run{WORKER}"
PREFIX = f"as_run{WORKER}"


@pytest.fixture(scope="module")
def server(postgres_url: str) -> Iterator[str]:
    """The server, with a role that is no superuser."""
    run_sql(postgres_url, f"CREATE ROLE {ROLE} LOGIN")
    yield postgres_url
    run_sql(postgres_url, f"DROP OWNED BY {ROLE}", f"DROP ROLE {ROLE}")


@pytest.fixture
def empty(server: str) -> Iterator[Callable[..., str]]:
    """Makes empty databases that belong to the role, and gives their URLs, as the role."""
    names: list[str] = []

    def make(encoding: str = "UTF8", *settings: str) -> str:
        names.append(f"{PREFIX}_{len(names)}")
        run_sql(
            server,
            f"CREATE DATABASE {names[-1]} OWNER {ROLE} TEMPLATE template0 ENCODING '{encoding}'"
            " LC_COLLATE 'C' LC_CTYPE 'C'",
            *(f"ALTER DATABASE {names[-1]} SET {setting}" for setting in settings),
        )
        return as_role(server, names[-1])

    yield make
    run_sql(server, *(f"DROP DATABASE {name} WITH (FORCE)" for name in names))


@pytest.fixture
def opened() -> Iterator[Callable[[str], Database]]:
    with ExitStack() as stack:

        def make(url: str) -> Database:
            database = open_database(url)
            stack.enter_context(closing(database))
            return database

        yield make


def test_the_role_of_compose_owns_its_database_and_is_no_superuser(
    server: str, opened: Callable[[str], Database]
) -> None:
    name = f"{PREFIX}_compose"
    given = conninfo_to_dict(server.replace("+psycopg", ""))
    run_sql(server, f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
    try:
        environ = {
            "PATH": f"{PROGRAMS}:{os.environ['PATH']}",
            "PGHOST": str(given["host"]),
            "POSTGRES_USER": str(given["user"]),
            "POSTGRES_DB": name,
            "CHENYU_ROLE": name,
            "CHENYU_ROLE_PASSWORD": "a'b\"c $d",
        }
        subprocess.run(["sh", str(ROOT / "docker/role.sh")], env=environ, check=True, timeout=60)
        database = opened(f"postgresql://{name}@/{name}?host={given['host']}")
        schema.upgrade(database, ZONE, TODAY)
        with database.guarded("SELECT count(*) FROM instance_now") as conn:
            assert conn.exec_driver_sql("SELECT count(*) FROM instance_now").scalar() == 0
    finally:
        run_sql(server, f"DROP DATABASE {name} WITH (FORCE)", f"DROP ROLE IF EXISTS {name}")


def test_compose_runs_the_service_as_that_role_alone() -> None:
    compose = (ROOT / "compose.yaml").read_text()
    service, postgres = compose.split("\n  postgres:\n", 1)
    assert "./docker/role.sh:/docker-entrypoint-initdb.d/" in postgres
    assert "CHENYU_ROLE: etl" in postgres
    assert "secrets/postgres.env" not in service.split("services:", 1)[1]


def run_sql(url: str, *statements: str) -> None:
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as conn:
        for statement in statements:
            conn.execute(statement.encode())


def as_role(server: str, name: str, host: str | None = None, port: object = None) -> str:
    said = conninfo_to_dict(server.replace("+psycopg", ""))
    there = quote(host or str(said["host"]), safe="")
    return f"postgresql://{ROLE}@/{name}?host={there}&port={port or said.get('port', 5432)}"


def scalar(database: Database, sql: str) -> Any:
    return rows(database, sql)[0][0]


# what the URL says


def test_options_of_the_url_are_kept(
    empty: Callable[..., str], opened: Callable[[str], Database]
) -> None:
    url = empty()
    run_sql(url, "CREATE SCHEMA chenyu")
    options = "-c search_path=chenyu -cstatement_timeout=7s --lock-timeout=3s -c my.note=a\\ b"
    database = opened(f"{url}&options={quote(options)}&application_name=lab")
    schema.upgrade(database, ZONE, TODAY)
    kept = [
        scalar(database, f"SELECT current_setting('{name}')")
        for name in (
            "search_path",
            "statement_timeout",
            "lock_timeout",
            "my.note",
            "application_name",
        )
    ]
    assert kept == ["chenyu", "7s", "3s", "a b", "lab"]
    where = rows(database, "SELECT DISTINCT schemaname FROM pg_tables WHERE tablename = 'setting'")
    assert where == [("chenyu",)]
    with database.account_lock("lab"):
        pass


def test_variables_of_libpq_are_kept(
    empty: Callable[..., str],
    opened: Callable[[str], Database],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PGOPTIONS", "-c search_path=elsewhere")
    monkeypatch.setenv("PGAPPNAME", "mine")
    database = opened(empty())
    assert scalar(database, "SHOW search_path") == "elsewhere"
    assert scalar(database, "SHOW application_name") == "mine"
    monkeypatch.undo()
    assert scalar(opened(empty()), "SHOW application_name") == "chenyu-etl"


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgresql://u:S3CRET@h/d", "postgresql://h/d"),
        ("postgres://u:S3CRET@h:6543/d?sslmode=require", "postgresql://h:6543/d"),
        ("postgresql://h:1/d?user=u&password=S3CRET", "postgresql://h:1/d"),
        ("postgresql://u:S3CRET@a:1,b:2/d", "postgresql://a:1,b:2/d"),
        ("postgresql://u:S3CRET@[::1]:5/d", "postgresql://[::1]:5/d"),
        ("postgresql:///d?host=/run/pg&password=S3CRET", "postgresql:///d"),
        ("postgresql://u:a%40S3CRET@h/d", "postgresql://h/d"),
    ],
)
def test_the_place_of_a_server_is_host_port_and_name(url: str, place: str) -> None:
    assert open_database(url).location == place


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:a@S3CRET@h/d",
        "postgresql://u:S3CRET@h:port/d",
        "postgresql://u:S3CRET@h:99999/d",
        "postgresql://u:S3CRET@[h/d",
        "postgresql://u:%zzS3CRET@h/d",
        "postgresql://h/d?passwort=S3CRET",
    ],
)
def test_a_broken_url_of_a_server_is_refused_without_its_secret(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        open_database(url)
    said = f"{caught.value.message} {caught.value.advice}"
    assert "S3CRET" not in said
    assert caught.value.__cause__ is None


def test_what_the_driver_says_holds_no_password() -> None:
    database = Postgres("postgresql://u:S3CRET%40@h/d")
    foreign = psycopg.OperationalError('connection failed: password "S3CRET@" is odd')
    error = database.error(DBAPIError("SELECT 1", None, foreign))
    assert "S3CRET" not in f"{error.message}{error.advice}"


# poolers


@contextmanager
def pooler(server: str, mode: str, folder: Path, *lines: str) -> Iterator[int]:
    """PgBouncer before the server; the port that it listens on."""
    if PGBOUNCER is None:
        pytest.skip("PgBouncer is not installed")
    there = conninfo_to_dict(server.replace("+psycopg", ""))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "users").write_text(f'"{ROLE}" ""\n')
    (folder / "pool.ini").write_text(
        f"[databases]\n* = host={there['host']} port={there.get('port') or 5432}\n[pgbouncer]\n"
        f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = trust\n"
        f"auth_file = {folder}/users\npool_mode = {mode}\n" + "\n".join(lines)
    )
    # only the server's own user reaches its socket
    as_user = ["-u", Path(str(there["host"])).owner()] if os.geteuid() == 0 else []
    for parent in (folder, *folder.parents):  # pytest's folders are for their owner only
        if os.geteuid() == 0 and parent.owner() == "root" and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o055)
    process = subprocess.Popen(
        [PGBOUNCER, "-q", *as_user, str(folder / "pool.ini")],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        answers(port, process)
        yield port
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()


def answers(port: int, process: subprocess.Popen[bytes]) -> None:
    """Returns once something listens."""
    for _ in range(1000):
        assert process.poll() is None, process.communicate()
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.01)
    raise AssertionError("PgBouncer does not listen")


def test_polls_go_through_a_pool_of_sessions(
    server: str, empty: Callable[..., str], tmp_path: Path
) -> None:
    run_sql(empty(), "CREATE SCHEMA chenyu")
    with pooler(server, "session", tmp_path) as port, ExitStack() as stack:
        url = as_role(server, f"{PREFIX}_0", "127.0.0.1", port) + "&options=-csearch_path%3Dchenyu"
        lab = stack.enter_context(living(lambda: url))(Story())
        lab.app.prepare()
        lab.cloud.rents()
        assert [lab.polls(minutes=2).exit_code for _ in range(3)] == [0, 0, 0]
        assert scalar(lab.database, "SHOW timezone") == "UTC"
        assert scalar(lab.database, "SHOW search_path") == "chenyu"
        with (
            Store(lab.database, "a").account_lock(),
            pytest.raises(Busy),
            Store(lab.database, "a").account_lock(),
        ):
            pass


@pytest.mark.parametrize(
    "lines", [(), ("server_round_robin = 1",), ("default_pool_size = 1",)], ids=str
)
@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_a_pooler_that_shares_sessions_is_refused(
    server: str, empty: Callable[..., str], tmp_path: Path, mode: str, lines: tuple[str, ...]
) -> None:
    empty()
    with pooler(server, mode, tmp_path, *lines) as port:
        url = as_role(server, f"{PREFIX}_0", "127.0.0.1", port)
        others = [psycopg.connect(url, autocommit=True) for _ in range(1 if len(lines) else 3)]
        for other in others:  # sessions of the server that lie in the pool
            other.execute("SELECT 1")
        database = open_database(url)
        with closing(database), pytest.raises(SettingsError, match="shares sessions") as caught:
            schema.upgrade(database, ZONE, TODAY)
        assert "pool_mode = session" in str(caught.value.advice)
        for other in others:
            other.close()
    held = (
        "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database"
        f" WHERE locktype = 'advisory' AND datname = '{PREFIX}_0'"
    )
    with psycopg.connect(server.replace("+psycopg", "")) as conn:
        assert conn.execute(held).fetchall() == [(0,)]


@pytest.mark.parametrize("key", [5, -5, 2**62, -(2**63)])
def test_a_session_that_lost_its_lock_is_away(
    empty: Callable[..., str], opened: Callable[[str], Database], key: int
) -> None:
    database = opened(empty())
    assert isinstance(database, Postgres)
    with database.engine.connect() as conn:
        with pytest.raises(Away, match="lost"):
            database._refuse_lost_lock(conn, key)
        conn.execute(text("SELECT pg_advisory_lock(:key)"), {"key": key})
        database._refuse_lost_lock(conn, key)


# encodings and defaults


@pytest.mark.parametrize("encoding", ["LATIN1", "WIN1252", "EUC_KR"])
def test_an_encoding_that_cannot_hold_every_text_is_refused(
    empty: Callable[..., str], opened: Callable[[str], Database], encoding: str
) -> None:
    with pytest.raises(SettingsError, match=encoding) as caught:
        schema.upgrade(opened(empty(encoding)), ZONE, TODAY)
    assert "ENCODING 'UTF8'" in str(caught.value.advice)


def test_sql_ascii_is_served_as_utf_8(
    empty: Callable[..., str], opened: Callable[[str], Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    database = opened(empty("SQL_ASCII"))
    schema.upgrade(database, ZONE, TODAY)
    cloud = Story()
    cloud.rents(title="训练 é 🚀")
    apply(database, poll_story(cloud))
    assert rows(database, "SELECT title FROM instance_now") == [("训练 é 🚀",)]


ODD_DEFAULTS = (
    "default_transaction_isolation = 'serializable'",
    "default_transaction_read_only = on",
    "default_transaction_deferrable = on",
    "statement_timeout = '2s'",
    "idle_in_transaction_session_timeout = '2s'",
    "idle_session_timeout = '2s'",
    "lock_timeout = '2s'",
    "datestyle = 'German, DMY'",
    "timezone = 'America/St_Johns'",
    "bytea_output = 'escape'",
    "intervalstyle = 'iso_8601'",
    "extra_float_digits = -5",
    "standard_conforming_strings = off",
    "client_encoding = 'LATIN1'",
)


def test_defaults_of_a_database_do_no_harm(
    empty: Callable[..., str], opened: Callable[[str], Database]
) -> None:
    cloud = Story()
    cloud.rents(title="a'b\\c 数")
    gave = []
    for settings in ((), ODD_DEFAULTS):
        database = opened(empty("UTF8", *settings))
        schema.upgrade(database, ZONE, TODAY)
        with Store(database, "lab").account_lock() as still_held:
            apply(database, poll_story(cloud))
            still_held()
        waits = "SELECT name FROM pg_settings WHERE name LIKE '%_timeout' AND setting = '2000'"
        assert rows(database, waits) == []
        gave.append(rows(database, "SELECT * FROM instance_now"))
    assert gave[0] == gave[1]


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_a_writer_that_waited_sees_what_the_one_before_wrote(
    empty: Callable[..., str], opened: Callable[[str], Database], level: str
) -> None:
    import threading

    url = empty("UTF8", f"default_transaction_isolation = '{level}'")
    one, two = opened(url), opened(url)
    schema.upgrade(one, ZONE, TODAY)
    seen: list[int] = []

    def waits() -> None:
        with two.writing() as conn:
            seen.append(conn.execute(text("SELECT count(*) FROM account")).scalar() or 0)

    with one.writing() as conn:
        conn.execute(text("INSERT INTO account (account_id, name) VALUES (1, 'lab')"))
        waiting = threading.Thread(target=waits)
        waiting.start()
        waits_for = f"SELECT count(*) FROM pg_locks WHERE {HELD_HERE} AND NOT granted"
        while not conn.execute(text(waits_for)).scalar():
            pass
    waiting.join()
    assert seen == [1]


# what goes wrong, in words


def refusal(database: Database) -> StoreError:
    with pytest.raises(StoreError) as caught:
        schema.upgrade(database, ZONE, TODAY)
    assert "doctor" not in str(caught.value.advice)
    return caught.value


def test_no_right_to_create_is_answered_with_the_grant(
    server: str, opened: Callable[[str], Database]
) -> None:
    with made_on(server, "template0") as make:
        name = make().partition("?")[0].rpartition("/")[2]
        run_sql(make_url(server, name), "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        error = refusal(opened(as_role(server, name)))
    assert f"GRANT USAGE, CREATE ON SCHEMA public TO {ROLE}" in str(error.advice)


def make_url(server: str, name: str) -> str:
    return server.replace("/postgres?", f"/{name}?")


def test_a_search_path_that_leads_nowhere_is_answered_with_the_schema(
    empty: Callable[..., str], opened: Callable[[str], Database]
) -> None:
    error = refusal(opened(f"{empty()}&options=-csearch_path%3Dnone"))
    assert f"AUTHORIZATION {ROLE}" in str(error.advice)


def test_a_database_that_is_not_there_is_answered_with_createdb(
    server: str, opened: Callable[[str], Database]
) -> None:
    error = refusal(opened(as_role(server, "never_made")))
    assert "createdb" in str(error.advice)


def test_a_server_that_is_not_there_is_away(opened: Callable[[str], Database]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    error = refusal(opened(f"postgresql://u:S3CRET@127.0.0.1:{port}/d"))
    assert isinstance(error, Away)
    assert f"postgresql://127.0.0.1:{port}/d" in error.message
    assert "S3CRET" not in error.message


def test_a_timeout_of_a_statement_is_no_lock(
    empty: Callable[..., str], opened: Callable[[str], Database]
) -> None:
    database = opened(f"{empty()}&options=-cstatement_timeout%3D20")
    with (
        pytest.raises(StoreError, match="statement timeout") as caught,
        translated(database),
        database.reading() as conn,
    ):
        conn.execute(text("SELECT pg_sleep(5)"))
    assert not isinstance(caught.value, Busy)
    assert "statement_timeout" in str(caught.value.advice)


@pytest.mark.parametrize(
    ("sign", "advice"),
    [
        ('FATAL:  password authentication failed for user "u"', "password"),
        ('FATAL:  no pg_hba.conf entry for host "1.2.3.4", no encryption', "sslmode=require"),
        ("server does not support SSL, but SSL was required", "sslmode"),
        ("FATAL:  sorry, too many clients already", "max_connections"),
        ("FATAL:  unsupported startup parameter: options", "options"),
        ('could not translate host name "h" to address', "host"),
        ("eine Meldung in einer anderen Sprache", "CHENYU_DATABASE_URL"),
    ],
)
def test_a_connection_that_is_refused_is_answered_with_what_to_do(sign: str, advice: str) -> None:
    foreign = psycopg.OperationalError(f'connection to server at "h", port 1 failed: {sign}')
    error = Postgres("postgresql://u@h/d").error(DBAPIError("SELECT 1", None, foreign))
    assert advice in str(error.advice)


@pytest.mark.parametrize(
    "words",
    [
        "permission denied for schema chenyu",
        "keine Berechtigung für Schema chenyu",
        "对模式 chenyu 权限不够",
    ],
)
def test_the_grant_names_the_schema_that_was_refused(words: str) -> None:
    foreign = psycopg.errors.lookup("42501")(words)
    error = Postgres("postgresql://u@h/d").error(DBAPIError("SELECT 1", None, foreign))
    assert "GRANT USAGE, CREATE ON SCHEMA chenyu TO u" in str(error.advice)


@pytest.mark.parametrize(
    ("state", "kind", "advice"),
    [
        ("25006", StoreError, "primary"),
        ("53100", StoreError, "disk"),
        ("53300", Away, "max_connections"),
        ("3D000", StoreError, "createdb"),
        ("28P01", StoreError, "password"),
        ("28000", StoreError, "sslmode"),
        ("42501", StoreError, "GRANT"),
        ("57014", StoreError, "statement_timeout"),
        ("57P01", Away, "Postgres runs"),
        ("40001", Busy, "lock"),
    ],
)
def test_each_state_has_its_words(state: str, kind: type[StoreError], advice: str) -> None:
    foreign = psycopg.errors.lookup(state)("as the server said it")
    error = Postgres("postgresql://u@h/d").error(DBAPIError("SELECT 1", None, foreign))
    assert type(error) is kind
    assert advice in str(error.advice)
