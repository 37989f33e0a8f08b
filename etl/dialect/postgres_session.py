"""Sessions with a Postgres server: the settings of its URL merged with those that we need.

Everything is set after connecting. Poolers refuse most settings at the start of a session, and
without ours the defaults of a database or a role would apply.
"""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from etl.address import FORMS, LIBPQ_PASSWORD
from etl.errors import SettingsError
from etl.redact import LIBPQ_SECRETS, remember
from etl.texts import tr

CONNECT_TIMEOUT_S: Final = 15
KEEPALIVES: Final = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
"""Of both sides: the server frees the locks of a client that the network cut off after a minute."""
UNANSWERED_MS: Final = 60_000
"""For a network that is cut while something is on its way: keepalives wait for that, and the system
alone would try for a quarter of an hour."""
ENCODINGS: Final = ("UTF8", "SQL_ASCII")
"""Encodings that hold every text. SQL_ASCII keeps the bytes of UTF-8 as they are."""
_FIXED: Final = {
    "timezone": "UTC",
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "standard_conforming_strings": "on",
    # a snapshot older than the write lock would hide what the writer before has committed
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "default_transaction_deferrable": "off",
}
_DEFAULTS: Final[dict[str, tuple[int, str]]] = {
    # a first load or a rebuild of years may take minutes
    "statement_timeout": (0, "0"),
    # a process that is stopped inside a transaction would hold the write lock for ever
    "idle_in_transaction_session_timeout": (0, "5min"),
    "idle_session_timeout": (140_000, "0"),
    "transaction_timeout": (170_000, "0"),
    **{f"tcp_{name}": (0, str(value)) for name, value in KEEPALIVES.items()},
    "tcp_user_timeout": (120_000, str(UNANSWERED_MS)),
}
"""Settings that the options of a URL may say otherwise, with the first version that has them."""
_WORD: Final = re.compile(r"(?:\\.|[^\s\\])+")


class SessionFactory:
    """A server and a database on it. `connect` opens sessions that are set up. Raises
    `SettingsError` for a text that is not a URL.
    """

    def __init__(self, url: str, lock_timeout_s: float) -> None:
        self._given = _parse_url(url)
        # before anything can fail: an error about it must not show it
        remember(*(str(self._given.get(name) or "") for name in LIBPQ_SECRETS))
        remember(os.environ.get(LIBPQ_PASSWORD, ""))
        settings, rest = _split_options(
            self._given.get("options") or os.environ.get("PGOPTIONS", "")
        )
        self._settings = settings
        self._lock_timeout = f"{round(lock_timeout_s * 1000)}ms"
        self._is_checked = False
        self._parameters: dict[str, Any] = {
            # a fallback: whoever names the application in the URL wants to see that name
            "fallback_application_name": "chenyu-etl",
            **({} if "PGCONNECT_TIMEOUT" in os.environ else {"connect_timeout": CONNECT_TIMEOUT_S}),
            **KEEPALIVES,
            "tcp_user_timeout": UNANSWERED_MS,
            **self._given,
            "options": rest,  # empty too, so that PGOPTIONS is not read a second time
            "client_encoding": "UTF8",
        }

    @property
    def user(self) -> str | None:
        """Return the user of the database, if the URL names one."""
        return self._given.get("user")

    @property
    def name(self) -> str | None:
        """Return the name of the database, if the URL names one."""
        return self._given.get("dbname")

    def location(self) -> str:
        """Describe where the data is, for people: hosts, ports and the name, without a user or a
        secret.
        """
        hosts = (self._given.get("host") or self._given.get("hostaddr") or "").split(",")
        ports = str(self._given.get("port") or "").split(",")
        pairs = zip(hosts, ports * len(hosts) if len(ports) == 1 else ports, strict=False)
        addresses = ",".join(
            (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
            for host, port in pairs
            if not host.startswith("/")  # the folder of a socket
        )
        return f"postgresql://{addresses}/{self.name or ''}"

    def dump_command(self, target: Path) -> str:
        """Return the line that makes a backup, without a password."""
        # the line is shown on a terminal; pg_dump asks for the password, or reads ~/.pgpass
        public = {k: v for k, v in self._given.items() if k not in (*LIBPQ_SECRETS, "options")}
        words = ["pg_dump", "--format=custom", f"--file={target}"]
        return shlex.join([*words, f"--dbname={make_conninfo('', **public)}"])

    def connect(self) -> psycopg.Connection[Any]:
        """Open a session. Raises `SettingsError` if the database, or a pooler before it, cannot serve."""
        conn = psycopg.connect(**self._parameters)
        try:
            self._refuse_encoding(conn)
            # a pooler shows a process of its own, the server the one that really works
            is_pooled = self._set_up(conn) != conn.info.backend_pid
            if is_pooled and not self._is_checked:
                self._refuse_shared_sessions(conn)
            self._is_checked = True
        except BaseException:
            conn.close()
            raise
        return conn

    def _set_up(self, conn: psycopg.Connection[Any]) -> int:
        """Set the session's settings in one round trip; return the server's process id."""
        ours = {
            name: value
            for name, (since, value) in _DEFAULTS.items()
            if conn.info.server_version >= since
        }
        # ours give way to what the URL says, but not what correctness needs
        wanted = {**ours, "lock_timeout": self._lock_timeout, **self._settings, **_FIXED}
        calls = ", ".join(["set_config(%s, %s, false)"] * len(wanted))
        conn.autocommit = True
        values = [text for setting in wanted.items() for text in setting]
        row = conn.execute(f"SELECT pg_backend_pid(), {calls}".encode(), values).fetchone()
        conn.autocommit = False
        assert row is not None
        return int(row[0])

    def _refuse_encoding(self, conn: psycopg.Connection[Any]) -> None:
        encoding = conn.info.parameter_status("server_encoding")
        # a pooler may not say it: then the server's own error comes at the first text
        if encoding not in (*ENCODINGS, None):
            raise SettingsError(
                tr(
                    "{location} is encoded in {encoding}, which cannot hold every text (Chinese)",
                    location=self.location(),
                    encoding=encoding,
                ),
                advice=tr("make another one: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"),
            )

    def _refuse_shared_sessions(self, conn: psycopg.Connection[Any]) -> None:
        """Raise if a pooler lends the session of an idle client to another one, as in transaction
        pooling: a session lock protects nothing there, and is still held after this program has
        ended.
        """
        conn.autocommit = True
        # two clients, both idle: whoever shares sessions lends them the same one
        with psycopg.connect(**self._parameters) as other:
            other.autocommit = True
            before, lent = _process(conn), _process(other)
            if before != lent:
                other.autocommit = False
                lent = _process(other)  # held by a transaction: whoever shares it must get another
            is_shared = before == lent or _process(conn) != before
        conn.autocommit = False
        if is_shared:
            raise SettingsError(
                tr(
                    "{location} is a pooler that shares sessions (transaction pooling), which "
                    "cannot hold the locks of accounts",
                    location=self.location(),
                ),
                advice=tr("name Postgres itself, or a pool with pool_mode = session"),
            )


def _process(conn: psycopg.Connection[Any]) -> int:
    """Return the id of the server process that serves a client now."""
    row = conn.execute("SELECT pg_backend_pid()").fetchone()
    assert row is not None
    return int(row[0])


def _parse_url(url: str) -> dict[str, Any]:
    """Return the parameters of a URL as libpq reads it. No error quotes it: it may hold a password."""
    try:
        given = conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        unknown = re.search(r'invalid URI query parameter: "(\w+)"', str(error))
        why = f": {unknown[1]} is no parameter of libpq" if unknown else ""
        raise SettingsError(
            tr("the database URL is not understood{why}", why=why), advice=FORMS
        ) from None
    if "@" in str(given.get("host", "")).lstrip("@"):  # a leading one is an abstract socket
        raise SettingsError(
            tr("the database URL has an @ too many"), advice=tr("write an @ in the password as %40")
        )
    ports = str(given.get("port") or "5432").split(",")
    if not all(port.isdigit() and 0 < int(port) < 65536 for port in ports if port):
        raise SettingsError(tr("the database URL has a port that is none"), advice=FORMS)
    return given


def _split_options(options: str) -> tuple[dict[str, str], str]:
    """Return the settings that `options` names (`-c name=value`, `--name=value`), and the rest of it."""
    # libpq takes a backslash to keep a space inside of a word
    words = [re.sub(r"\\(.)", r"\1", word) for word in _WORD.findall(options)]
    settings, rest = {}, []
    while words:
        word = words.pop(0)
        if word == "-c" and words:
            word += words.pop(0)
        name, is_setting, value = re.sub("^(-c|--)", "", word).partition("=")
        if is_setting and word.startswith(("-c", "--")):
            settings[name.replace("-", "_").lower()] = value
        else:
            rest.append(re.sub(r"([\s\\])", r"\\\1", word))
    return settings, " ".join(rest)
