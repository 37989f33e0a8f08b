"""Every error of this program.

    EtlError                 1
    ├─ SettingsError         2   the operator's words
    ├─ SourceError
    │  ├─ Unavailable        5   the source did not answer as it should; alone is retried
    │  ├─ Refused            4   a person must act: key, permission
    │  └─ Changed            5   the source answers in a form this program does not know
    ├─ AlreadyPolled         0   nothing to do: another poll covers this tick
    ├─ DeliveryError         5   a channel did not take a message; tried again later
    └─ StoreError            6
       ├─ Busy               7   another sync holds the account, or the database is locked
       ├─ Away               6   the database server does not answer, or hung up; it may pass
       ├─ LockError          6   the account's lock cannot be taken on this system, or by this user
       ├─ ArchiveError       6   the archive cannot be read or written
       ├─ SchemaTooNew       6   the database was made by a newer program
       └─ StalePoll          6   a poll that is not newer than the newest applied one

Each is one line of what failed on what, with `advice`: what to do now. No key, password or answer
body is ever part of a message.
"""

from __future__ import annotations


class EtlError(Exception):
    """What failed on what, in one line."""

    exit_code = 1

    def __init__(self, message: str, *, advice: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice


class SettingsError(EtlError):
    exit_code = 2


class SourceError(EtlError):
    exit_code = 5


class Unavailable(SourceError):
    """The source failed in a way that may pass.

    `retry_after_s` is the wait that the source asked for, in seconds; None where it said nothing.
    `limited`: the source said that it was asked too often.
    """

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


class Refused(SourceError):
    """The source will not serve this key. `status` is the HTTP status or the envelope's code."""

    exit_code = 4

    def __init__(self, message: str, *, advice: str | None = None, status: int = 0) -> None:
        super().__init__(message, advice=advice)
        self.status = status


class Changed(SourceError):
    """The answer has not the form that is known. `path` says where, e.g. `$.data.instance_list`."""

    def __init__(self, message: str, *, advice: str | None = None, path: str = "$") -> None:
        super().__init__(message, advice=advice)
        self.path = path


class AlreadyPolled(EtlError):
    """Another process polled this account and resource for the tick in hand."""

    exit_code = 0


class DeliveryError(EtlError):
    exit_code = 5


class StoreError(EtlError):
    exit_code = 6


class Busy(StoreError):
    exit_code = 7


class Away(StoreError):
    pass


class LockError(StoreError):
    pass


class ArchiveError(StoreError):
    pass


class SchemaTooNew(StoreError):
    pass


class StalePoll(StoreError):
    pass
