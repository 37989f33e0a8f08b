"""Secrets in running text, recognised by their form.

No pattern goes back over a text again and again: texts come from outside and may be long.
"""

from __future__ import annotations

import re
import unicodedata
from base64 import b64decode
from collections.abc import Callable
from typing import Final
from urllib.parse import unquote

from etl.redact.commands import ODD, VALUE, cut_commands
from etl.redact.known import MASK
from etl.redact.names import is_card_number, is_secret

_DECODINGS: Final = 5
"""So often a text may be percent-encoded over and over."""

_PRIVATE_KEY: Final = re.compile(
    r"-{4,5} ?BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY[A-Z ]{0,10} ?-{4,5}"
    r".*?(?:-{4,5} ?END [A-Z0-9 ]{0,30}PRIVATE KEY[A-Z ]{0,10} ?-{4,5}|\Z)",
    re.DOTALL,
)
_VENDOR_KEY: Final = re.compile(
    r"(?<![A-Za-z0-9])(?:eyJ[\w-]{6,}\.[\w-]{4,}(?:\.[\w-]*)?"  # a JWT
    r"|(?:AKIA|ASIA|LTAI|AKID|AIza)[\w-]{12,}"
    r"|(?:gh[opusr]|github_pat|glpat|xox[abeprs]|hf|npm|pypi|dop_v1)[_-][\w-]{12,})"
)
_KEY: Final = re.compile(r"(?<![A-Za-z0-9])(?:cy|sk|pk|rk)[_-][\w-]{6,}")
_SURE_KEY: Final = re.compile(
    r"(?<![A-Za-z0-9])(?:cy|sk|pk|rk)[_-]"
    r"(?=[\w-]{0,80}[0-9])(?=[\w-]{0,80}[A-Za-z0-9]{12})[\w-]{16,}"
)
"""With a digit, and a run without separators: `sk-learn-tuning` is a title, no key."""
_PUTTY_KEY: Final = re.compile(r"PuTTY-User-Key-File-.*", re.DOTALL)
_PASSWORD_HASH: Final = re.compile(
    r"SCRAM-SHA-\w+\$[0-9]+:[^\s\"'<>]+|\$(?:apr1|2[abxy]?|5|6|7|y|argon2\w{1,2}|pbkdf2[\w-]*)\$[^\s:\"'<>]{8,}"
)
_HOOK: Final = re.compile(
    r"(?i)(hooks\.slack\.com/services/|discord(?:app)?\.com/api/webhooks/|/bot/v2/hook/"
    r"|api\.telegram\.org/bot)[^\s\"'<>?#*][^\s\"'<>?#]*"
)
"""Addresses of webhooks, whose path is the secret."""
# a value cannot begin with `*`: what was cut stays as it is when it is read again
_HEADER: Final = re.compile(
    r"(?i)(?<![\w])((?:proxy-)?authorization\\*[\"']?\s{0,4}[:=]\s{0,4}\\*[\"']?)"
    r"(?:digest\s[^\n*][^\n]*|[a-z][\w-]{1,20}[ \t]+[^\s\"'<>*]+)"
)
"""With any scheme: `Authorization: Token …`."""
_ELEMENT: Final = re.compile(r"<([\w:.-]{1,60})(?:\s[^<>]{0,200})?>([^<>]+)(?=</)")
_BLOCK: Final = re.compile(
    r"(?<![\w-])([\w-]{1,60}+)(:[ \t]*[|>][+-]?[ \t]*\n)((?:[ \t]+[^\n]*\n?)+)"
)
"""A text of several lines in YAML."""
_BEARER: Final = re.compile(r"(?i)(?<!\w)(bearer\s+)([\w.~+/=-]{6,})")
_BASIC: Final = re.compile(r"(?i)(?<!\w)(basic\s+)([A-Za-z0-9+/_-]{4,}={0,2})")
_COOKIE: Final = re.compile(r"(?i)(?<!\w)((?:set-)?cookie2?\s{0,4}[:=]\s{0,4}+)[^\n\"'*][^\n\"']*")
# not the times in `12:30@lab`, and not the digest of an image, `name:tag@sha256:…`
_USER_INFO: Final = re.compile(
    r"(?<![\w.+%-])(?<!://)(?!mailto:|sip:|[0-9]{1,2}:[0-9]{2}@)([\w.+%-]{0,64}:(?!//))([^\s\"'<>]{1,256})(?=@[A-Za-z0-9\[])(?!@sha256:)"
)
_SURE_USER_INFO: Final = re.compile(
    r"(?<![\w.+%-])(?!mailto:|sip:)([\w.+%-]{1,64}:(?!//))([^\s\"'<>]{4,256})"
    r"(?=@(?:[A-Za-z][\w-]{0,62}\.[A-Za-z][\w.-]|[0-9]{1,3}(?:\.[0-9]{1,3}){3}|localhost\b))"
)
# what follows must not be an option itself: `--password --user x` gives none
_OPTION: Final = re.compile(rf"(?<![\w-])(--?([A-Za-z][\w.-]*+)\s+)(?!-){VALUE}")
_FOLLOWED: Final = re.compile(
    r"(?<![\w-])([\w.-]{1,60}+)"
    r"(?:\s?[(（][^()（）\n]{1,20}[)）]\s?[:=：＝]?\s{0,4}|\s{1,4}for\s{1,4}[^\s:]{1,40}(?:\s{1,4}is\s|:\s)\s{0,3}"
    r"|\s{0,4}(?:是|为)\s{0,4}|\s{1,4}is\s{1,4}|\(\s?(?=['\"])|\s{1,4})"
)
"""A name, and what may stand between it and its value instead of a sign."""
_FOLLOWING: Final = re.compile(rf"{ODD}(\"[^\"\n]*\"|'[^'\n]*'|[^\s\"'<>=:]{{4,}})")
_SPACED_CHINESE: Final = re.compile(
    r"((?:密码|密碼|口令)(?:\s{0,4}[是为]\s{0,4}|\s{1,4}))"
    r"(?=[^\s]{0,60}[0-9])([^\s\"'<>=:：＝*]{4,})"
)
# possessive: a long name is read once, not once more from each of its letters
_NAME: Final = re.compile(r"(?<![\w-])([\w-]++)(\]?\\*[\"']?\s{0,4}(=>|[:=：＝])\s{0,4})")
_ASSIGNED: Final = re.compile(
    r"(?:[A-Za-z_][\w.]{0,40}\(\s?(?=[\"']))?"  # a function's name: PASSWORD('…')
    r"(\\*[\"'])(.*?)(?:(?<!\\)\1|\Z)|((?:(?i:bearer|basic|digest)\s+)?[^\s\"'<>]+)",
    re.DOTALL,
)
_SURELY: Final = re.compile(
    r"[=:：＝@$|<(]|[_-][\w-]{12}|eyJ|AKIA|ASIA|LTAI|AKID|AIza|----[- ]BEGIN|\s-|\s/p"
    r"|(?i:bearer|basic|login|token|pass|secret|community|identified|user)"
)
"""Without one of these a text holds nothing that is surely a secret."""
_STRONG: Final = re.compile(r"pass|pwd|pw$|secret|密|口令|mima", re.IGNORECASE)
"""Names whose value is a secret even if it is an ordinary word."""
_ORDINARY: Final = re.compile(r"[a-z]{1,12}[.,;:!)]?|[^\w*]*", re.ASCII)
_TOKEN: Final = re.compile(r"token$|api_?key$|access_?key$", re.IGNORECASE)
_MADE: Final = re.compile(
    r"(?=.*[A-Z])(?=.*[a-z])(?=.*[0-9])[\w.~+/=-]{12,}|[A-Za-z0-9]{24,}", re.ASCII
)
"""A value that no person made up."""
_CODE: Final = re.compile(r"(?:[码碼钥鑰匙密]|暗[号號]|口令|令牌|凭[证證據据])$")
"""The end of a Chinese name of a code; `验证码识别` and `凭证编号` are about one."""
_GROUPS: Final = re.compile(r"(?:[ -][0-9]{2,}+)*+")
"""Further groups of a card's number, which is written in fours."""
_LEAST_CARD: Final = 12
"""Digits of the shortest number of a card."""
_WORDS_LONGEST: Final = 6
"""Chinese has no spaces: of a run of its characters, these many before the colon are the name."""

_LONG_WORD: Final = re.compile(r"(?<![A-Za-z0-9])[A-Za-z0-9]{8,}(?![A-Za-z0-9])")
_NAME_LIKE: Final = re.compile(
    r"[a-z]+|[A-Z]+|[A-Z]?[a-z]+(?:[A-Z]{1,3}[a-z]+){0,8}|[A-Z]{2,5}[a-z]{3,}|[0-9]{1,14}"
)
"""Plain words, names such as `InstanceNotFound`, and numbers of an instant's length."""

_URL: Final = re.compile(r"(?<![A-Za-z0-9+.-])([A-Za-z][A-Za-z0-9+.-]*+://)([^\s\"'<>]*)")
_BARE_URL: Final = re.compile(
    r"(?<![\w.\-/:@])([\w-]++(?:\.[\w-]++)++(?::[0-9]{1,5})?+(?:/[^\s?#\"'<>]*+)?+)"
    r"[?#][^\s\"'<>]*=[^\s\"'<>]*"
)
_USER: Final = re.compile(r"[^/?#\[\]]*:(?![0-9]{0,5}(?:[/?#]|\Z)).*@")
"""A user's name and password, in which `/`, `?`, `#` and `@` may be as they are."""
_SESSION: Final = re.compile(r";([\w-]++)=[^/?#]*+")


def cut_secrets(text: str) -> str:
    """Return the text without anything that looks like a secret; URLs are cut down to scheme, host, port and path."""
    return _cut(_decoded(text))


def cut_sure_secrets(text: str) -> str:
    """Return a text that a person wrote, such as a title, without sure secrets."""
    # most texts are titles, and end here: one pattern instead of a dozen
    if _SURELY.search(text) is None:
        return text
    text = _SURE_KEY.sub(MASK, _cut_forms(text))
    text = _SURE_USER_INFO.sub(rf"\1{MASK}", text)
    return _cut_assigned(text, _surely)


def cut_odd_words(text: str) -> str:
    """Return words of a stranger without those that may be a key: long ones that mix letters with digits,
    or capitals with small letters as no name does.
    """
    return _LONG_WORD.sub(lambda m: m[0] if _NAME_LIKE.fullmatch(m[0]) else MASK, text)


def _cut(text: str) -> str:
    text = _KEY.sub(MASK, _cut_forms(_cut_urls(text)))
    if "@" in text:
        text = _USER_INFO.sub(rf"\1{MASK}", text)
    text = _OPTION.sub(lambda m: m[1] + MASK if is_secret(m[2]) else m[0], text)
    text = _cut_assigned(_COOKIE.sub(rf"\1{MASK}", text), _probably)
    return _SPACED_CHINESE.sub(rf"\1{MASK}", _cut_following(text))


def _cut_forms(text: str) -> str:
    """Return the text without secrets whose form no other text has."""
    # a search for a fixed text is many times as fast as a pattern that finds nothing
    if "BEGIN" in text:
        text = _PRIVATE_KEY.sub(MASK, text)
    text = _PASSWORD_HASH.sub(MASK, _PUTTY_KEY.sub(MASK, _VENDOR_KEY.sub(MASK, text)))
    text = _HOOK.sub(rf"\1{MASK}", _HEADER.sub(rf"\1{MASK}", text))
    if "</" in text:
        text = _ELEMENT.sub(_without_content, text)
    if "|" in text or ">" in text:
        text = _BLOCK.sub(_without_block, text)
    text = _BEARER.sub(rf"\1{MASK}", text)
    text = _BASIC.sub(lambda m: m[1] + MASK if _is_user_info(m[2]) else m[0], text)
    return cut_commands(text)


def _without_block(match: re.Match[str]) -> str:
    ends = "\n" if match[3].endswith("\n") else ""
    return f"{match[1]}{match[2]}  {MASK}{ends}" if is_secret(match[1]) else match[0]


def _without_content(match: re.Match[str]) -> str:
    if not is_secret(match[1]) or match[2] == MASK:
        return match[0]
    return match[0][: match.start(2) - match.start()] + MASK


def _decoded(text: str) -> str:
    """`text` percent-decoded and without invisible characters if it hides a secret, else as it is."""
    if not text.isascii():
        # a zero-width sign inside of a name hides it from every pattern
        bare = "".join(sign for sign in text if unicodedata.category(sign) != "Cf")
        if bare != text and _cut(bare) != bare:
            text = bare
    if "%" not in text:
        return text
    plain = text
    for _ in range(_DECODINGS):
        before, plain = plain, unquote(plain)
        if plain == before:
            break
    # only if that shows a secret: who writes a title with a % means it
    return text if plain == text or _cut(plain) == plain else plain


def _is_user_info(encoded: str) -> bool:
    """Tell whether this is the base64 of a user's name and password."""
    try:
        # "basic training" is no header: only a user's name and password hold a colon
        return b":" in b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_")
    except ValueError:
        return False


Choice = Callable[[str, str, str], bool]
"""Tells whether the value of a secret's name is cut: (name, separator, value)."""


def _cut_assigned(text: str, is_cut: Choice) -> str:
    """Return the text without those values of secrets' names that `is_cut` chooses."""
    parts, done = [], 0
    for match in _NAME.finditer(text):
        name = unicodedata.normalize("NFKC", match[1])
        name = name if name.isascii() else name.rstrip("是为")[-_WORDS_LONGEST:]
        # inside of a value that is cut already, a name means nothing
        if match.start() < done or not (is_secret(name) or is_card_number(name)):
            continue
        value = _ASSIGNED.match(text, match.end())
        if value is None:
            continue
        quote, content = value[1] or "", value[3] or value[2] or ""
        end = value.end()
        if is_card_number(name):
            groups = _GROUPS.match(text, end) if content[-1:].isdigit() and not quote else None
            # a date may follow a short number
            if groups and sum(map(str.isdigit, content + groups[0])) >= _LEAST_CARD:
                content, end = content + groups[0], groups.end()
            left = content[-4:]
        elif content != MASK and is_cut(name, match[2], content):
            left = MASK
        else:
            continue
        parts += [text[done : value.start()], quote, left, quote]
        done = end
    return "".join([*parts, text[done:]])


def _cut_following(text: str) -> str:
    """Return the text without odd words that follow a secret's name, such as `password is …` and
    `ENV API_KEY …`.
    """
    parts, done = [], 0
    for match in _FOLLOWED.finditer(text):
        if match.start() < done or not is_secret(match[1]):
            continue
        value = _FOLLOWING.match(text, match.end())
        if value is None or not _follows(match[1], value[1]):
            continue
        parts += [text[done : match.end()], MASK]
        done = value.end()
    return "".join([*parts, text[done:]])


def _follows(name: str, value: str) -> bool:
    if _STRONG.search(name):
        return value.strip("\"'") not in ("", MASK)
    is_mixed = any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
    # an English word such as `key` or `session` is followed by much that is no secret
    return len(value) >= 8 and value[0] not in "\"'" and (is_mixed or "_" in name or "." in name)


def _probably(name: str, separator: str, value: str) -> bool:
    is_prose = separator.endswith((" ", "\n")) and _ORDINARY.fullmatch(value) is not None
    return not is_prose or (_STRONG.search(name) is not None and value.isalnum())


def _surely(name: str, separator: str, value: str) -> bool:
    if _STRONG.search(name):
        return any(character.isalnum() for character in value)
    # people write "token: later" and "key = main": only what looks made by a machine is cut
    has_digit = any(c.isdigit() for c in value)
    if not name[-1:].isascii():  # a code that exchanges, activates or opens something
        return has_digit and len(value) >= 4 and _CODE.search(name) is not None
    is_mixed = has_digit and any(c.isalpha() for c in value)
    # of models and prices people write "per-token: 0.0012USD", too
    is_token = is_mixed and _TOKEN.search(name) is not None and _MADE.fullmatch(value) is not None
    return is_token or (len(value) >= 8 and separator == "=" and has_digit)


def _cut_urls(text: str) -> str:
    """Return the text with every URL in it cut down to scheme, host, port and path."""
    if "://" in text:
        text = _URL.sub(_bare_url, text)
    return _BARE_URL.sub(r"\1", text) if "?" in text or "#" in text else text


def _bare_url(match: re.Match[str]) -> str:
    user = _USER.match(match[2])
    rest = re.split(r"[?#]", match[2][user.end() if user else 0 :], maxsplit=1)[0]
    authority, slash, path = rest.partition("/")
    return match[1] + authority.rpartition("@")[2] + slash + _SESSION.sub("", path)
