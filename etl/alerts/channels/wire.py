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
from etl.alerts.channels.http import TOTAL_S, beginning
from etl.errors import DeliveryError, SettingsError
from etl.source.http import one_request
from etl.texts import tr

ACCEPTED: Final = (250, 251)
TIMEOUT_S: Final = 10.0
_thread: Final = threading.local()


@dataclass
class Heard:
    """Answers of servers in the order in which they came.

    They are (HTTP status, body), refused mail addresses, and a mail server's replies about errors.
    `failures` say why there was no answer.
    """

    answers: list[tuple[int, bytes]] = field(default_factory=list)
    refused: list[tuple[int, bytes]] = field(default_factory=list)
    replies: list[tuple[int, bytes]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

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
        if self.failures:
            return self.failures[-1]
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
        # by our own client: requests knows neither SSL_CERT_FILE nor, without more, SOCKS
        try:
            got = _exchange(request, options)
        except (DeliveryError, SettingsError) as error:
            heard.failures.append(error.message)
            raise import_module("requests").ConnectionError(error.message) from None
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


def _exchange(request: Any, options: dict[str, Any]) -> Any:
    """Send a prepared request of the library `requests`; return the answer as one of its own."""
    body = request.body.encode() if isinstance(request.body, str) else request.body
    timeout = options.get("timeout")
    timeout_s = float((timeout[-1] if isinstance(timeout, tuple) else timeout) or TIMEOUT_S)
    # these two are made anew: the length of the body, and a packing that can be read here
    left_out = ("content-length", "accept-encoding")
    kept = {name: value for name, value in request.headers.items() if name.lower() not in left_out}
    with one_request(
        request.method,
        request.url,
        timeout_s=timeout_s,
        total_s=TOTAL_S * timeout_s,
        content=body,
        headers={**kept, "Accept-Encoding": "identity"},
        is_verified=options.get("verify") is not False,
    ) as got:
        answered = import_module("requests").Response()
        answered.status_code, answered.reason = got.status_code, got.reason_phrase
        answered.url, answered.request = request.url, request
        answered.headers.update(got.headers)
        answered._content, answered._content_consumed = beginning(got), True
    answered.encoding = "utf-8"
    return answered
