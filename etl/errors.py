"""Every error of this program.

    EtlError                 1
    ├─ SettingsError         2   the operator's words
    ├─ SourceError
    │  ├─ Unavailable        5   the source did not answer as it should; alone is retried
    │  ├─ Refused            4   a person must act: key, permission
    │  ├─ Changed            5   the source answers in a form this program does not know
    │  │  └─ Missing         5   the source has no such path
    │  └─ ClockUnsure        5   when the answers were made cannot be told
    ├─ AlreadyPolled         0   nothing to do: another poll covers this tick
    ├─ DeliveryError         5   a channel did not take a message; tried again later
    ├─ Fault                 6   this program is at fault: an exception that nobody expected
    └─ StoreError            6
       ├─ Busy               7   another sync holds the account, or the database is locked
       ├─ Away               6   the database server does not answer, or hung up; it may pass
       ├─ LockError          6   the account's lock cannot be taken on this system, or by this user
       ├─ ArchiveError       6   the archive cannot be read or written
       ├─ SchemaTooNew       6   the database was made by a newer program
       └─ StalePoll          6   a poll that is not newer than the newest applied one

Each is one line of what failed on what, with `advice`: what to do now, and `kind`: which sort of
failure it is, for programs. No key, password or answer body is ever part of a message.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


# texts, so that a row of the database compares equal to a member
class ErrorKind(StrEnum):
    """The sorts of failure, as `sync_run.error_kind` holds them."""

    OTHER = "other"
    SETTINGS = "settings"
    NO_KEY = "no_key"
    UNAVAILABLE = "unavailable"
    LIMITED = "limited"
    KEY_REFUSED = "key_refused"
    FORBIDDEN = "forbidden"
    CHANGED = "changed"
    MISSING = "missing"
    CLOCK = "clock"
    DELIVERY = "delivery"
    DATABASE = "database"
    BUSY = "busy"
    AWAY = "away"
    LOCK = "lock"
    ARCHIVE = "archive"
    SCHEMA = "schema"
    STALE = "stale"
    FAULT = "fault"


UNFIT_KEY: Final = frozenset({ErrorKind.NO_KEY, ErrorKind.KEY_REFUSED, ErrorKind.FORBIDDEN})
"""Failures that another key, or more permission, would mend: a person must act."""
ABSENT: Final = frozenset({ErrorKind.FORBIDDEN, ErrorKind.MISSING, ErrorKind.CHANGED})
"""Failures of a resource that this key, this source or this program does not have: asking again soon is
in vain."""


class EtlError(Exception):
    """Base of all errors: what failed on what, in one line."""

    exit_code = 1
    kind = ErrorKind.OTHER

    def __init__(self, message: str, *, advice: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice


class SettingsError(EtlError):
    # the code that click gives to wrong options
    exit_code = 2
    kind = ErrorKind.SETTINGS


class NoKey(SettingsError):
    kind = ErrorKind.NO_KEY


class SourceError(EtlError):
    exit_code = 5


# alone is retried: every other error of the source would only be met again
class Unavailable(SourceError):
    """The source failed in a way that may pass.

    `retry_after_s` is the wait that the source asked for, in seconds; None if it named none.
    `limited`: the source said that it was asked too often.
    """

    kind = ErrorKind.UNAVAILABLE

    def __init__(
        self,
        message: str,
        *,
        advice: str | None = None,
        retry_after_s: float | None = None,
        limited: bool = False,
    ) -> None:
        super().__init__(message, advice=advice)
        self.retry_after_s = retry_after_s
        self.limited = limited
        if limited:
            self.kind = ErrorKind.LIMITED


class Refused(SourceError):
    """The source will not serve this key. `status` is the HTTP status or the envelope's code."""

    exit_code = 4
    kind = ErrorKind.KEY_REFUSED

    def __init__(self, message: str, *, advice: str | None = None, status: int = 0) -> None:
        super().__init__(message, advice=advice)
        self.status = status
        if status == 403:
            self.kind = ErrorKind.FORBIDDEN


class Changed(SourceError):
    """The answer does not have the known form. `path` says where, e.g. `$.data.instance_list`."""

    kind = ErrorKind.CHANGED

    def __init__(self, message: str, *, advice: str | None = None, path: str = "$") -> None:
        super().__init__(message, advice=advice)
        self.path = path


# a Changed too: whoever expects an answer of another form expects a missing path as well
class Missing(Changed):
    kind = ErrorKind.MISSING


class ClockUnsure(SourceError):
    """The clocks contradict each other, so nothing can be said of when the answers were made.

    `offset_s` is the source's clock minus the local one as this attempt measured it, None if it did
    not; `at` the earlier of the moments that the clocks give for its first request.
    """

    kind = ErrorKind.CLOCK

    def __init__(
        self,
        message: str,
        *,
        advice: str | None = None,
        offset_s: float | None = None,
        at: int | None = None,
    ) -> None:
        super().__init__(message, advice=advice)
        # kept in the row: a later attempt that reads the same confirms it
        self.offset_s = offset_s
        self.at = at


# an error, though nothing failed: it ends a poll early from inside the lock, with exit code 0
class AlreadyPolled(EtlError):
    """Another process already polled this account and resource for the current tick."""

    exit_code = 0


class DeliveryError(EtlError):
    exit_code = 5
    kind = ErrorKind.DELIVERY


# a row like any other failure: a fault in reading one list must not stop the others
class Fault(EtlError):
    exit_code = 6
    kind = ErrorKind.FAULT


class StoreError(EtlError):
    exit_code = 6
    kind = ErrorKind.DATABASE


# a code of its own, so that cron can tell "another one is at it" from a failure
class Busy(StoreError):
    exit_code = 7
    kind = ErrorKind.BUSY


class TookTooLong(StoreError):
    """A read took longer than its reader may wait."""


# apart from Busy: it makes no poll back off, each tick asks the server again
class Away(StoreError):
    kind = ErrorKind.AWAY


class LockError(StoreError):
    kind = ErrorKind.LOCK


class ArchiveError(StoreError):
    kind = ErrorKind.ARCHIVE


class SchemaTooNew(StoreError):
    kind = ErrorKind.SCHEMA


class StalePoll(StoreError):
    """The poll is not newer than the newest applied one. `offset_s` is the source's clock minus the
    local one as the poll measured it.
    """

    kind = ErrorKind.STALE

    def __init__(
        self, message: str, *, advice: str | None = None, offset_s: float | None = None
    ) -> None:
        super().__init__(message, advice=advice)
        # kept in the row: it shows which of the clocks was ahead
        self.offset_s = offset_s
