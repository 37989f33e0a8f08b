"""Run a report on a database, read-only, and yield its rows as they come."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import TextClause, bindparam, text
from sqlalchemy.exc import ResourceClosedError

from etl.dialect import CalendarDay, Database, translated
from etl.errors import Busy, SettingsError, StoreError, TookTooLong
from etl.money.tags import ANY_TAG, tag_dimension
from etl.reports.header import Param, Report, bound, literal_colons
from etl.reports.periods import FOLLOWING, days_that_follow, newest_parts
from etl.texts import tr

ReadRows = Generator[Sequence[Any], None, None]
BATCH: Final = 1_000
_PLAIN: Final = frozenset({str, int, float, bool, type(None)})
NOW: Final = "now"
DAYS: Final = ("from_day", "to_day", *FOLLOWING)
VIEWS_ALONE: Final = tr(
    "a report of your own reads the views of docs/schema.md: SELECT … FROM uptime_daily"
)
READ_ONLY: Final = tr("a report is one SELECT, or WITH … SELECT: it can read, and nothing else")


def run(
    database: Database, report: Report, arguments: Mapping[str, Any]
) -> tuple[list[str], ReadRows]:
    """Return the column names and the rows of a report.

    Parameters without an argument have their default. Rows that are not read to their end keep a
    transaction open until they are closed.

    The user's own SQL cannot write; its mistakes raise a `SettingsError`.
    """
    values = bound_values(report, arguments)
    lines = _stream_rows(database, report, values)
    # the header comes first, so that errors of the query are raised here, not among the rows
    header = next(lines)
    # files and JSON find columns by name: one of the two would be lost
    if twice := {name for name in header if header.count(name) > 1}:
        lines.close()
        raise SettingsError(
            tr(
                "{name}: two columns are called {twice}",
                name=report.name,
                twice=", ".join(sorted(twice)),
            ),
            advice=tr("give each a name of its own: SELECT … AS name"),
        )
    return [str(name) for name in header], lines


def bound_values(report: Report, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values to bind to the parameters of a report, defaults included.

    If it asks for them, so are the second of now and the days that follow from its period.

    Without `now` among the arguments a period is taken to be over at its end.
    """
    values = {
        param.name: _checked_choice(param, arguments.get(param.name)) for param in report.params
    }
    names = bound(report.sql)
    if NOW in names:
        values.setdefault(NOW, arguments.get(NOW))
    # computed only if asked for: a period near the year 1 has no days before it
    asked = [name for name in names if name in FOLLOWING and name not in values]
    if asked and not report.is_own:
        following = days_that_follow(values["from_day"], values["to_day"])
        values |= {name: following[name] for name in asked}
    return values


def _stream_rows(database: Database, report: Report, values: Mapping[str, Any]) -> ReadRows:
    statement = _statement(database, report)
    # ours are tested, and may use functions and tables that the guard refuses
    opened = database.guarded(report.sql) if report.is_own else database.reading()
    with _blamed(report), translated(database), opened as conn:
        # a year of parts does not fit in memory
        streamed = conn.execution_options(stream_results=True)
        for number, part in enumerate(_parts(report, values)):
            with streamed.execute(statement, {**values, **part}) as result:
                if number == 0:
                    yield list(result.keys())
                for batch in result.partitions(BATCH):
                    yield from _plain_rows(batch)


def _parts(report: Report, values: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the values that differ between the statements by which a report is read: mostly it is one."""
    if not report.is_newest_first or report.is_own:
        yield {}
        return
    for part in newest_parts(values["from_day"], values["to_day"]):
        yield {name: day for name, day in part.items() if name in values}


def _plain_rows(batch: Sequence[Sequence[Any]]) -> Iterator[list[Any]]:
    """Yield rows with plain values, converted column by column.

    Nearly all columns hold values of one type, so that is checked once for each column.
    """
    columns = [_plain_column(values) for values in zip(*batch, strict=True)]
    return map(list, zip(*columns, strict=True))


def _plain_column(values: Sequence[Any]) -> Sequence[Any]:
    kinds = set(map(type, values))
    if kinds <= _PLAIN:
        return values
    kinds.discard(type(None))
    make = _MADE_PLAIN.get(kinds.pop(), plain) if len(kinds) == 1 else plain
    return [None if value is None else make(value) for value in values]


def _statement(database: Database, report: Report) -> TextClause:
    """Return the statement of a report, with its days bound as the databases store them.

    So `day >= :from_day` searches an index. In the user's own SQL days stay text: it may compare them
    with text.
    """
    sql = report.sql.rstrip().rstrip(";")
    if report.is_own:
        return text(literal_colons(sql))
    statement = text(literal_colons(database.render(sql)))
    days = [name for name in bound(report.sql) if name in DAYS]
    return statement.bindparams(*(bindparam(name, type_=CalendarDay()) for name in days))


@contextmanager
def _blamed(report: Report) -> Iterator[None]:
    """Turn a database's errors about the user's own SQL into `SettingsError`."""
    try:
        yield
    except SettingsError as error:
        if report.is_own:
            error.message = tr("{name}: {message}", name=report.name, message=error.message)
        raise
    except ResourceClosedError as error:
        raise SettingsError(
            tr("{name}: it gives no rows", name=report.name), advice=READ_ONLY
        ) from error
    except StoreError as error:
        # neither a lock nor a limit is a mistake in the file
        if not report.is_own or isinstance(error, Busy | TookTooLong):
            raise
        # without the address of the database in front: the mistake is in the file
        reason = error.message.partition(": ")[2] or error.message
        advice = VIEWS_ALONE if reason.startswith("permission denied") else READ_ONLY
        raise SettingsError(
            tr("{name}: {reason}", name=report.name, reason=reason), advice=advice
        ) from error


def plain(value: Any) -> Any:
    """Return a value in the form that is alike for both databases.

    Instants are `2026-01-31T23:59:59Z`, local times `2026-02-01 07:59:59`, days are ISO text, bytes
    are hexadecimal text.
    """
    if isinstance(value, datetime):
        return _instant(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return _as_number(value)
    if isinstance(value, bytes | memoryview):
        return value.hex()
    return value


def _instant(value: datetime) -> str:
    # local times have no zone on purpose, so no Z either
    if value.tzinfo is None:
        return value.isoformat(" ", "seconds")
    spelled = value.isoformat()
    # sessions are in UTC, so this is rare: SQL can name another zone
    if not spelled.endswith("+00:00"):
        spelled = value.astimezone(UTC).isoformat()
    return f"{spelled[:19]}Z"


def _as_number(value: Decimal) -> int | float:
    """Convert by way of text: asking a Decimal for its exponent takes four times as long."""
    digits = str(value)
    return int(digits) if digits.lstrip("-").isdigit() else float(digits)


_MADE_PLAIN: Final[dict[type, Callable[[Any], Any]]] = {datetime: _instant, Decimal: _as_number}


def _checked_choice(param: Param, value: Any) -> Any:
    if value is None:
        return param.default
    if ANY_TAG in param.choices and (tag := tag_dimension(str(value))) is not None:
        return tag
    if param.choices and value not in param.choices:
        raise SettingsError(
            tr("{name} cannot be {value!r}", name=param.name, value=value),
            advice=tr("it can be {choices}", choices=", ".join(param.choices)),
        )
    return value
