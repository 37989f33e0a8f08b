"""Names that secrets go by: members of an answer, parameters of a URL, variables of a shell."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from etl.redact.remembered import Remembered

_INSIDE: Final = re.compile(
    r"passw(?:or)?d|passwrd|pasword|passphrase|passcode|passkey|passwort|secret"
    # a `tokenizer` is a part of a model
    r"|token(?!i[sz])|credential|authoriz|cookie|sess(?:ion)?id|kubeconfig"
    r"|(?:api|access|private|secret|ssh|rsa|auth|host|deploy|app|user|master|root|admin|login"
    r"|session|sign|signing|encrypt|decrypt|encryption|license|aes|hmac)key"
    r"|pwd|^id(?:rsa|dsa|ecdsa|ed)$|(?:user|root|ssh|vnc|db|my|admin|login|sql|redis|ftp|rdp|web|sudo|mail)pass$"
    r"|(?:exchange|login|auth|verify|redeem|activation|invite|sms)code|oauth$"
    r"|密[码碼钥鑰匙]|卡密(?![集度])|口令|秘[钥鑰]|私[钥鑰]|令牌|凭[证據据]|暗[号號]|[验驗][证證][码碼]|(?:兑换|授权|激活|提取|登录|登陆)码"
)
"""Parts of a secret's name, which is taken without its separators: `root_password`, `userPassWord`,
`登录密码`."""
_WORDS: Final = re.compile(
    r"psw|pswd|pass|pw|jwt|otp|totp|mfa|cvv|cvc|psk|pin|salt|bearer|cred|creds|ak|sk"
    r"|auth|sig|signature|sign|session|sess|sid|sasl|mima|kouling|miyao"
)
"""Words that make a name a secret's if they end it."""
_ANYWHERE: Final = frozenset({"jwt", "otp", "totp", "psk", "mima", "kouling", "miyao"})
"""Words that make a name a secret's wherever they stand in it."""
_PLAIN_KEYS: Final = re.compile(
    r"public|pub|primary|foreign|sort|partition|cache|group|unique|object|gpu|image|region"
    r"|model|hot|translation|dict|map|index|config|item|row|column|data|json"
)
"""Words before `key` that name one that opens nothing; every other key is a secret."""
_CODES: Final = re.compile(
    r"exchange|login|auth|verify|verification|activation|activate|redeem|redemption|invite"
    r"|invitation|sms|pass|access|security|secret|recovery|backup|confirm|confirmation|captcha"
    r"|unlock|pin|card|coupon|gift|reset|check"
)
"""Words before `code` that name one by which whoever has it may do something."""
_ABOUT: Final = re.compile(
    r"file|path|env|type|kind|method|mode|count|length|len|size|expires|expired|expiry"
    r"|expiration|at|time|status|state|enabled|required|strength|policy"
)
"""The last word of a name that tells something about a secret, not the secret."""
_CARD: Final = re.compile(r"card(?:no|num|number|s?n)$|^卡号$|银行卡号?$")
_SPLIT: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+")
_LONGEST: Final = 200


def is_secret(name: str) -> bool:
    """Tell whether a name, in any way of writing names, is that of a secret."""
    return _verdicts[name] == "secret"


def is_card_number(name: str) -> bool:
    """Tell whether a name is that of a card's number."""
    return _verdicts[name] == "card"


def _judge(name: str) -> str:
    """Return `secret`, `card` or `plain`."""
    # full-width letters spell names, too; of an endless name the end says what it is
    plain = unicodedata.normalize("NFKC", name[-_LONGEST:])
    words = [word.lower() for word in _SPLIT.findall(plain)]
    compact = "".join(words)
    if not words:
        return "plain"
    # asked first: of a card's number four characters may stay
    if _CARD.search(compact):
        return "card"
    # `password_length` is needed and harmless; a name of one word is about nothing else
    if len(words) > 1 and _ABOUT.fullmatch(words[-1]):
        return "plain"
    if _INSIDE.search(compact) or not _ANYWHERE.isdisjoint(words):
        return "secret"
    return "secret" if _ends_in_secret(words) else "plain"


def _ends_in_secret(words: list[str]) -> bool:
    last = words[-1]
    before = words[-2] if len(words) > 1 else ""
    # keys are secrets unless the word before says otherwise; of codes it is the other way round
    if last in ("key", "keys"):
        return _PLAIN_KEYS.fullmatch(before) is None
    if last in ("code", "codes"):
        return _CODES.fullmatch(before) is not None
    # whoever has the number of a session is logged in with it
    if last == "id":
        return before in ("session", "sess")
    if before == "auth" and last in ("data", "info", "string", "header"):
        return True
    return _WORDS.fullmatch(last) is not None


_verdicts: Final = Remembered(_judge)
