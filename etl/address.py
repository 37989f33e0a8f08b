"""Reader of a database's address, from an option, a variable or the config file.

A value that is not surely a path or a supported URL is refused: taken for a path, a mistyped URL would
begin a new, empty history in a file of that name. No message repeats a value that may hold a password.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from etl.errors import SettingsError
from etl.texts import tr

POSTGRES: Final = ("postgres", "postgresql", "postgresql+psycopg")
SQLITE: Final = ("sqlite", "sqlite+pysqlite")
FORMS: Final = tr("use sqlite:///PATH or postgresql://USER@HOST/NAME (CHENYU_DATABASE_URL)")
MEMORY: Final = ":memory:"
PLAIN_PATH: Final = tr(
    "name the file by its plain path, such as /var/lib/chenyu/etl.db (--database)"
)

LIBPQ: Final = frozenset(
    [
        "PGHOST",
        "PGHOSTADDR",
        "PGPORT",
        "PGDATABASE",
        "PGUSER",
        "PGPASSFILE",
        "PGREQUIREAUTH",
        "PGCHANNELBINDING",
        "PGSERVICE",
        "PGSERVICEFILE",
        "PGOPTIONS",
        "PGAPPNAME",
        "PGSSLMODE",
        "PGREQUIRESSL",
        "PGSSLNEGOTIATION",
        "PGSSLCOMPRESSION",
        "PGSSLCERT",
        "PGSSLKEY",
        "PGSSLCERTMODE",
        "PGSSLROOTCERT",
        "PGSSLCRL",
        "PGSSLCRLDIR",
        "PGSSLSNI",
        "PGREQUIREPEER",
        "PGSSLMINPROTOCOLVERSION",
        "PGSSLMAXPROTOCOLVERSION",
        "PGGSSENCMODE",
        "PGKRBSRVNAME",
        "PGGSSLIB",
        "PGGSSDELEGATION",
        "PGCONNECT_TIMEOUT",
        "PGCLIENTENCODING",
        "PGTARGETSESSIONATTRS",
        "PGLOADBALANCEHOSTS",
        "PGMINPROTOCOLVERSION",
        "PGMAXPROTOCOLVERSION",
        "PGDATESTYLE",
        "PGTZ",
        "PGGEQO",
        "PGSYSCONFDIR",
        "PGLOCALEDIR",
    ]
)
"""Variables that libpq goes by, none of which holds a secret; see "Environment Variables" in its manual."""
LIBPQ_PASSWORD: Final = "PGPASSWORD"  # noqa: S105 - the name of a variable

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(//)?(.*)", re.DOTALL)
_DSN: Final = re.compile(
    r"(?:^|\s)(?:host|hostaddr|port|dbname|user|password|passfile|require_auth|channel_binding|options"
    r"|connect_timeout|client_encoding|\w*application_name|keepalives\w*|tcp_user_timeout|replication"
    r"|gss\w+|krbsrvname|ssl\w+|requiressl|requirepeer|m(?:in|ax)_protocol_version|service\w*"
    r"|target_session_attrs|load_balance_hosts)\s*=",
    re.IGNORECASE,
)
_SERVER: Final = re.compile(r"//|[^/]*:[^/]*@|[^/\s]+:\d+(?:/|$)|(?:postgres|postgresql)/")
"""A URL without its scheme, or without its colon."""
_WINDOWS_PATH: Final = re.compile(r"[A-Za-z]:[\\/]")
_FILE_OPTIONS: Final = re.compile(r"\?(?:mode|cache|vfs|immutable|uri|timeout|nolock|psow)=")
_QUOTES: Final = "\"'`“”„‘’«»"


def read_address(value: str) -> Path | str:
    """Return the path of a SQLite file, absolute, or the URL of a Postgres database as libpq reads it.

    Raises `SettingsError` for anything else. Surrounding white space is dropped, since files of
    variables leave it at line ends.
    """
    text = value.strip()
    _refuse_odd_characters(text)
    if text == MEMORY:
        raise _in_memory()
    # before schemes: `C:\x.db` has a colon, too
    if _WINDOWS_PATH.match(text):
        return _windows_file(text)
    scheme = _SCHEME.match(text)
    if scheme is not None:
        return _of_scheme(scheme[1].lower(), scheme[2] is not None, scheme[3])
    if _DSN.search(text) or _SERVER.match(text) or "://" in text:
        raise SettingsError(tr("the database is neither a path nor a whole URL"), advice=FORMS)
    return _file(text)


def _refuse_odd_characters(text: str) -> None:
    if not text:
        raise SettingsError(tr("the name of the database is empty"), advice=FORMS)
    if text[0] in _QUOTES or text[-1] in _QUOTES:
        raise SettingsError(
            tr("the name of the database has quotes around it"),
            advice=tr("leave the quotes out: a file of variables takes them as they are"),
        )
    # control characters, invisible ones, and bytes that are no UTF-8
    if any(unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Zl", "Zp") for sign in text):
        raise SettingsError(
            tr("the name of the database holds a control character or an invisible one"),
            advice=tr("write it anew, on one line"),
        )


def _of_scheme(scheme: str, has_slashes: bool, rest: str) -> Path | str:
    if scheme in POSTGRES and has_slashes:
        # libpq and SQLAlchemy disagree on the other spellings; both know this one
        return f"postgresql://{rest}"
    if scheme in SQLITE and has_slashes:
        return _sqlite_url(rest)
    if scheme in (*POSTGRES, *SQLITE):
        raise SettingsError(
            tr("the database URL lacks the // after {scheme}:", scheme=scheme), advice=FORMS
        )
    if scheme == "file":
        raise SettingsError(tr("a file: URL is not understood"), advice=PLAIN_PATH)
    if has_slashes:
        raise SettingsError(
            tr("{scheme} is not a database that this program writes to", scheme=scheme),
            advice=FORMS,
        )
    raise SettingsError(
        tr("the database looks like a URL that is not understood"),
        advice=tr("{forms}; a file whose name has a colon is ./NAME", forms=FORMS),
    )


def _sqlite_url(rest: str) -> Path:
    if rest in ("", "/", f"/{MEMORY}"):
        raise _in_memory()
    if not rest.startswith("/"):
        raise SettingsError(tr("sqlite:// is followed by a third slash and a path"), advice=FORMS)
    if _FILE_OPTIONS.search(rest):
        raise SettingsError(tr("options of a SQLite URL are not understood"), advice=PLAIN_PATH)
    return _file(rest[1:])


def _in_memory() -> SettingsError:
    return SettingsError(
        tr("an in-memory database would be lost at the end"),
        advice=tr("name a file: sqlite:////absolute/path.db (CHENYU_DATABASE_URL)"),
    )


def _windows_file(text: str) -> Path:
    if os.name != "nt":
        raise SettingsError(tr("the database is a path of Windows"), advice=PLAIN_PATH)
    return _file(text)


def _file(text: str) -> Path:
    # SQLite would say "unable to open database file" and no more
    if text.endswith(("/", os.sep)):
        raise SettingsError(tr("the database is a folder"), advice=tr("name a file in it"))
    try:
        path = Path(text).expanduser()
    except RuntimeError:
        raise SettingsError(
            tr("the database is in the home of a user who has none"), advice=PLAIN_PATH
        ) from None
    return path.absolute()


def database_order(url: str) -> dict[str, str]:
    """Return what tells a child its database, for its standard input: other users of the machine may see
    arguments, and whoever sees a process may see its environment.
    """
    return {"database_url": url, "password": os.environ.get(LIBPQ_PASSWORD, "")}


def ordered_database(order: Mapping[str, Any]) -> str:
    """Return the URL in such an order; in a child, libpq knows the password from then on."""
    if order["password"]:
        # of this process's memory: `/proc/PID/environ` shows what a process began with
        os.environ[LIBPQ_PASSWORD] = order["password"]
    return str(order["database_url"])
