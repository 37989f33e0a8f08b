"""The many services that the library apprise knows (extra `alerts`): mail, Telegram, Slack …

Apprise says only whether it sent a message. So the answers of the servers are read besides, text is
cut to each service's limit, and every address is a recipient of its own.
"""

from __future__ import annotations

import copy
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from importlib import import_module
from typing import Any, Final
from urllib.parse import urlsplit

from etl.alerts.channels import wire
from etl.alerts.channels.http import TOTAL_S
from etl.alerts.channels.plain import (
    TITLE_GAP,
    ascii_json,
    half_or_json,
    utf8,
    utf8_json,
    utf16,
    without_markup,
)
from etl.alerts.channels.recipient import Recipient, distinct
from etl.alerts.message import Message, Picture
from etl.errors import DeliveryError, SettingsError
from etl.poll import Instant
from etl.redact import remember
from etl.settings.alerts import Channel
from etl.texts import tr

Size = Callable[[str], int]
LIMITS: Final[Mapping[str, tuple[int, Size]]] = {
    "bark": (3_500, utf8_json),
    "dingtalk": (18_000, ascii_json),
    "discord": (2_000, utf16),
    "feishu": (18_000, ascii_json),
    "gchat": (4_000, utf8),
    "lark": (18_000, ascii_json),
    "msteams": (20_000, ascii_json),
    "ntfy": (7_600, half_or_json),
    "pushy": (3_500, utf8_json),
    "schan": (30_000, utf8),
    "slack": (35_000, utf16),
    "tgram": (4_096, utf16),
    "threema": (3_500, utf8),
    "webex": (7_000, utf8),
    "wechat": (2_048, utf8),
    "wecombot": (2_048, utf8),
    "workflows": (20_000, ascii_json),
}
"""Limits of services that count bytes, or take less than the library says. Room is left for the rest of
the request. The library makes a file of what ntfy would not take: 4,096 bytes, or 8,000 of JSON."""
VERBATIM: Final = frozenset(
    {"form", "forms", "json", "jsons", "mailto", "mailtos", "syslog", "xml", "xmls"}
)
"""Services that send the text as it is, without markup."""
MAIL: Final = frozenset({"mailto", "mailtos"})
"""Services that get both plain text and HTML."""
TARGETS: Final = ("targets", "channels")
"""Attributes in which plugins keep the people or rooms that an address names."""
KINDS: Final = {"urgent": "failure", "warning": "warning", "info": "info"}

_log: Final = logging.getLogger(__name__)


def recipients(channel: Channel, environ: Mapping[str, str]) -> Sequence[Recipient]:
    """Return a recipient for every target of every address of the channel, one address a line."""
    library = _library()
    urls = channel.url.read(environ, f"the address of channel {channel.name!r}").splitlines()
    lines = [url.strip() for url in urls if url.strip() and not url.strip().startswith("#")]
    return [
        recipient for url in dict.fromkeys(lines) for recipient in _targets(library, channel, url)
    ]


def _targets(library: Any, channel: Channel, url: str) -> Iterator[Recipient]:
    service = library.Apprise.instantiate(url, suppress_exceptions=True)
    label = _label(service, url)
    if service is None:
        yield Recipient(distinct(label, url), _not_understood)
        return
    service.retry = 0  # we try again ourselves
    if not service.schemas() & MAIL:
        # apprise would turn the text into HTML or Markdown, and titles could bring markup of their
        # own
        service.notify_format = library.NotifyFormat.TEXT
    _remember(service, url)
    service.socket_connect_timeout = service.socket_read_timeout = channel.timeout_s
    for key, single in _singles(service, url):
        yield Recipient(distinct(label, key), _sender(library, channel, single, label))


def _singles(service: Any, url: str) -> Iterator[tuple[str, Any]]:
    """Yield the service once for each of its targets.

    One that fails is then tried again alone, and the others get no message twice.
    """
    name = next((n for n in TARGETS if isinstance(getattr(service, n, None), list)), "targets")
    targets = getattr(service, name, None)
    # those who get a copy are recipients as well: one that is refused must not repeat the others
    copies = [*getattr(service, "cc", ()), *getattr(service, "bcc", ())]
    if not isinstance(targets, list) or len(targets) + len(copies) < 2:
        yield url, service
        return
    for target in [*targets, *((False, address) for address in copies)]:
        # a copy of the parsed address, since apprise has no way to write one back without loss
        single = copy.copy(service)
        setattr(single, name, [target])
        if copies:
            single.cc, single.bcc = set(), set()
        yield f"{url} {target}", single


def _sender(
    library: Any, channel: Channel, service: Any, label: str
) -> Callable[[Message, Instant], None]:
    def send(message: Message, now: Instant) -> None:
        heard = wire.Heard()
        done: list[bool] = []

        def notify() -> None:
            with wire.listening(heard):
                done.append(_notify(library, service, message))
            if done == [True]:
                _send_pictures(library, service, message, label)

        # apprise has timeouts for each step, but none for the whole
        worker = threading.Thread(target=notify, daemon=True)
        worker.start()
        worker.join(TOTAL_S * channel.timeout_s)
        if not done:  # a server that drips bytes would keep it for ever
            raise DeliveryError(tr("{label}: no answer in time", label=label))
        reason = heard.refusal(is_sent=done == [True])
        if reason is not None:
            raise DeliveryError(tr("{label}: {reason}", label=label, reason=reason))

    return send


def _notify(library: Any, service: Any, message: Message) -> bool:
    title, body = _fitted(service, message)
    given: dict[str, Any] = {"title": title, "body_format": library.NotifyFormat.TEXT}
    given["notify_type"] = KINDS[message.severity]
    if service.notify_format == library.NotifyFormat.HTML:
        body, given["body_format"] = _as_html(body), service.notify_format
    if service.schemas() & MAIL:
        # parts of the mail itself, which the HTML names
        service.inline = given["body_format"] == library.NotifyFormat.HTML
        if service.inline:
            body += "".join(map(_image, message.pictures))
        given["attach"] = _attachments(library, message.pictures)
    return _tried(library, service, body=body, **given)


def _send_pictures(library: Any, service: Any, message: Message, label: str) -> None:
    """Send the pictures of a message behind it, where a service takes files; mail has them in it."""
    if not message.pictures or service.schemas() & MAIL or not service.attachment_support:
        return
    words = without_markup("\n".join(picture.words for picture in message.pictures))
    attached = _attachments(library, message.pictures)
    heard = wire.Heard()
    with wire.listening(heard):
        is_sent = _tried(library, service, body=words, attach=attached)
    # the words have arrived: as a failure they would be sent again, once an hour
    if (reason := heard.refusal(is_sent=is_sent)) is not None:
        _log.warning("%s: pictures: %s", label, reason)


def _tried(library: Any, service: Any, **given: Any) -> bool:
    notifier = library.Apprise()
    notifier.add(service)
    try:
        return bool(notifier.notify(**given))
    except Exception:  # noqa: BLE001 - a plugin's fault is its own recipient's failure
        return False


def _attachments(library: Any, pictures: Sequence[Picture]) -> Any:
    """Return pictures as the library attaches them; None if there are none."""
    if not pictures:
        return None
    memory = import_module("apprise.attachment.memory").AttachMemory
    attached = library.AppriseAttachment()
    for picture in pictures:
        attached.add(memory(content=picture.png, name=picture.name, mimetype="image/png"))
    return attached


def _image(picture: Picture) -> str:
    """Return the HTML that shows a picture of a mail, as wide as the reader's window lets it be."""
    return (
        f'<br/><br/><img src="cid:{picture.name}" alt="{escape(picture.words)}" width="720"'
        ' style="max-width:100%;height:auto"/>'
    )


def _fitted(service: Any, message: Message) -> tuple[str, str]:
    """Return title and text, cut and marked up as the service takes them."""
    schemas = service.schemas()
    plain = (lambda text: text) if schemas & VERBATIM else without_markup
    most, size = _limit(service)
    title = plain(message.title)
    room = most - size(title) - TITLE_GAP
    # escaped, as for HTML: the longest form that any of its services sends
    lines = message.lines_within(
        lambda lines: size(escape(plain("\n".join(lines)), quote=False)) <= room
    )
    return title, plain("\n".join(lines))


def _as_html(text: str) -> str:
    """Return HTML that shows the text as it is; apprise would make every space non-breaking."""
    return "<br/>".join(escape(line).replace("  ", "&nbsp; ") for line in text.split("\n"))


def _limit(service: Any) -> tuple[int, Size]:
    known = [LIMITS[schema] for schema in service.schemas() if schema in LIMITS]
    most, size = known[0] if known else (service.body_maxlen, utf16)
    # the library's limit too: it would cut a longer text without a word
    return min(most, service.body_maxlen), size


def _remember(service: Any, url: str) -> None:
    """Remember parts of an address that a server could repeat: a token may stand in place of the host."""
    names = ("password", "token", "webhook_token")
    parts = [getattr(service, name, None) for name in names]
    if not service.schemas() & VERBATIM:
        parts.append(urlsplit(url).netloc)
    if password := getattr(service, "password", None):
        # as SMTP packs them
        parts.append(f"{getattr(service, 'user', None) or ''}\0{password}")
    remember(*(part for part in parts if isinstance(part, str) and part))


def _label(service: Any, url: str) -> str:
    """Name the service, with its host if that is a real one: some addresses have a token there."""
    scheme = url.partition("://")[0].lower()
    if service is None:
        return "apprise"
    if scheme not in service.schemas():
        scheme = min(service.schemas())
    host = urlsplit(url).hostname or "" if scheme in VERBATIM else ""
    return f"{scheme} {host}".strip()


def _not_understood(message: Message, now: Instant) -> None:
    raise DeliveryError(
        tr("apprise: an address is not understood"),
        advice=tr("see apprise's list of services for its form"),
    )


def _library() -> Any:
    try:
        import apprise
    except ModuleNotFoundError as error:
        raise SettingsError(
            tr("channels of kind apprise need the library apprise"),
            advice=tr("pip install 'chenyu-etl[alerts]'"),
        ) from error
    for name in ("apprise", "urllib3"):  # they log addresses
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    return apprise
