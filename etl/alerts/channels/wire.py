"""Answers of servers to libraries that keep them to themselves: HTTP through `requests`, and SMTP.

Their sessions are wrapped, once. Answers are kept only for a thread that asks for them by `listening`.
"""

from __future__ import annotations

import smtplib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any, Final

from etl.alerts.channels import answer
from etl.texts import tr

ACCEPTED: Final = (250, 251)
_thread: Final = threading.local()


@dataclass
class Heard:
    """Answers of servers in the order in which they came.

    They are (HTTP status, body), refused mail addresses, and a mail server's replies about errors.
    """

    answers: list[tuple[int, bytes]] = field(default_factory=list)
    refused: list[tuple[int, bytes]] = field(default_factory=list)
    replies: list[tuple[int, bytes]] = field(default_factory=list)

    def refusal(self, *, is_sent: bool) -> str | None:
        """Return why the message was not taken; None if it was. `is_sent`: so says the library."""
        for status, content in self.answers:
            reason = answer.refusal(status, answer.parsed(content))
            # plugins handle errors of HTTP themselves, and may have tried another way; they miss a
            # refusal inside an answer that HTTP calls well, and a redirect
            if reason is not None and not (is_sent and status >= 400):
                return reason
        if is_sent and not self.refused:
            return None
        # a refused address says more than the replies, and the last reply more than those before
        for code, text in [*self.refused, *reversed(self.replies)]:
            words = answer.cleaned(text.decode("utf-8", "replace"))
            reply = f"{code} {words}".strip()
            return tr("the mail server said {reply}", reply=reply)
        return tr("not sent: no connection, or an address that the service does not take")


@contextmanager
def listening(heard: Heard) -> Iterator[None]:
    """Record the answers that servers give to this thread, and follow none of their redirects."""
    _wrap()
    _thread.heard = heard
    try:
        yield
    finally:
        _thread.heard = None


# once a process: wrapped twice, every answer would be kept twice
@cache
def _wrap() -> None:
    session_type: Any = import_module("requests").Session
    smtp_type: Any = smtplib.SMTP
    send, getreply, rcpt = session_type.send, smtp_type.getreply, smtp_type.rcpt

    def sent(session: Any, request: Any, **options: Any) -> Any:
        heard = getattr(_thread, "heard", None)
        if heard is None:
            return send(session, request, **options)
        # a redirect would carry the message, and often the secret, to another host
        got = send(session, request, **{**options, "allow_redirects": False})
        heard.answers.append((got.status_code, got.content))
        return got

    def replied(server: Any) -> Any:
        code, text = getreply(server)
        heard = getattr(_thread, "heard", None)
        if heard is not None and code >= 400:
            heard.replies.append((code, text))
        return code, text

    def addressed(server: Any, recip: str, options: Any = ()) -> Any:
        code, text = rcpt(server, recip, options)
        heard = getattr(_thread, "heard", None)
        if heard is not None and code not in ACCEPTED:
            heard.refused.append((code, text))
        return code, text

    session_type.send, smtp_type.getreply, smtp_type.rcpt = sent, replied, addressed
