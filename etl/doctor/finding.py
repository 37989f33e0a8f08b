"""What an examination finds."""

from __future__ import annotations

import getpass
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from etl.errors import EtlError
from etl.texts import tr

Verdict = Literal["ok", "note", "bad"]


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding in words, with advice if there is something to do. `note`: it may be as it should."""

    verdict: Verdict
    what: str
    advice: str | None = None


def refusal(error: EtlError) -> Finding:
    """Return the finding of a file or a database that refuses; which user asked is half of the
    reason.
    """
    return Finding(
        "bad", tr("{message} (as user {user})", message=error.message, user=_user()), error.advice
    )


def _user() -> str:
    with suppress(OSError, KeyError):
        return getpass.getuser()
    # a container may run as a number that has no name
    return str(getattr(os, "geteuid", lambda: "unknown")())
