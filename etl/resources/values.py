"""Readers of odd values, shared by all resources, with the limits of the databases.

- A number as text (`"2"`) and a whole number as float (`2.0`) are that number.
- An instant with a fraction loses it. One that is missing, null, zero or negative is null; one that is
  none (before 2015, after 2099, or text) is null, and is kept as it came.
- An amount may be spelled `1,100.00`, `￥12.50` or `12.50元`; an ambiguous one is refused. It is exact to
  the millionth of a yuan; a finer one is rounded, and is kept as it came.
- A NUL character or half a surrogate pair in a text becomes U+FFFD.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Any, Final

import msgspec

from etl.money.amounts import NoAmount, yuan_of
from etl.poll import Instant
from etl.redact import redact, redact_words
from etl.resources.listing import Reject, clean_text
from etl.units import MICRO

FIRST_INSTANT: Final = 1_420_156_800
"""The earliest instant that is believed: 2015-01-02T00:00:00Z, in every time zone a day of the
calendar. A timer of 60 means minutes."""
LAST_INSTANT: Final = 4_102_358_399
"""The latest instant that is believed: 2099-12-30T23:59:59Z. A later one stands for "never", and each
day until then would become a row."""
LIMIT_MICROCNY: Final = 10**14
"""The largest amount: a hundred million yuan, which leaves room for sums and products in 64 bits."""
CHINA: Final = timezone(timedelta(hours=8))
NOISE: Final = Decimal("1e-9")
"""Relative error that floating point leaves behind the last decimal of an amount: not worth keeping."""

Extra = dict[str, Any]
"""Values that their column cannot hold as they came, by the member's name."""
Reading = Callable[[Any, str, Extra], Any]
"""Function of (value, member's name, extra) that returns the value of the column. Raises `OddValue`."""

_CANONICAL: Final = msgspec.json.Encoder(order="sorted", decimal_format="number")


class OddValue(ValueError):
    """A value that its column cannot hold in any reading."""


def text_of(text: str | None) -> str | None:
    """Return `text` in the form that the databases can hold."""
    return text if text is None or text.isprintable() else clean_text(text)


def is_instant(seconds: int) -> bool:
    """Tell whether these epoch seconds are believed to be an instant."""
    return FIRST_INSTANT <= seconds <= LAST_INSTANT


def instant_of(value: Any, name: str, extra: Extra) -> Instant | None:
    """Return epoch seconds. A value that is no instant becomes null, and is kept in `extra`."""
    if value is None:
        return None
    try:
        # by way of a float: "1735689600.0" is an instant as well, and of a Decimal such as 1e999999999
        # int would write out every digit, for minutes
        seconds = int(float(value)) if isinstance(value, str | Decimal) else int(value)
    except (ValueError, OverflowError, TypeError):
        seconds = LAST_INSTANT + 1
    if seconds <= 0:
        return None
    if not is_instant(seconds):
        extra[name] = value if isinstance(value, str | dict | list) else str(value)
        return None
    return seconds


def identifier(value: Any, _name: str, _extra: Extra) -> str | None:
    """Return a text that is compared, as it came. Raises `OddValue`."""
    if value is None or isinstance(value, str):
        return text_of(value)
    raise OddValue("Expected `str`")


def words(value: Any, name: str, extra: Extra) -> str | None:
    """Return a text that a person reads, without secrets that are surely such. Raises `OddValue`."""
    text: str | None = redact_words(identifier(value, name, extra))
    return text


def any_words(value: Any, name: str, extra: Extra) -> str | None:
    """Return a text that a person reads, of a text or a whole number. Raises `OddValue`."""
    return words(str(value) if isinstance(value, int) else value, name, extra)


def local_instant(value: Any, name: str, extra: Extra) -> Instant | None:
    """Read epoch seconds, or a local time of China as text, which is kept as well. Raises `OddValue`."""
    if isinstance(value, str) and not value.strip().isdecimal():
        try:
            local = datetime.fromisoformat(value.strip())
        except ValueError:
            return instant_of(value, name, extra)
        # a time without a zone is by the clocks of the vendor's country
        aware = local if local.tzinfo else local.replace(tzinfo=CHINA)
        at = instant_of(aware.timestamp(), name, extra)
        extra[name] = value
        return at
    return instant_of(value, name, extra)


def code(value: Any, _name: str, _extra: Extra) -> int | None:
    """Read a whole number of 32 bits. Raises `OddValue`."""
    if value is None:
        return None
    number = decimal_of(value)
    if number != number.to_integral_value() or not -(2**31) <= number < 2**31:
        raise OddValue("Expected a whole number of 32 bits")
    return int(number)


def microcny_of(value: Any, name: str, extra: Extra) -> int | None:
    """Read yuan, a number or text, as millionths. Raises `OddValue`."""
    # an empty text is how forms say that there is no amount
    if value is None or value == "":
        return None
    exact = _exact_yuan(value) * MICRO
    micro = exact.to_integral_value(rounding=ROUND_HALF_EVEN)
    if abs(micro) > LIMIT_MICROCNY:
        raise OddValue("Expected an amount of yuan")
    # a float's noise is not kept, a truly finer amount is
    if abs(exact - micro) > NOISE * max(abs(exact), Decimal(MICRO)):
        extra[name] = str(value)
    return int(micro)


def json_of(value: Any, _name: str, _extra: Extra) -> str | None:
    """Return canonical JSON without secrets; a list is sorted."""
    if value is None:
        return None
    plain = redact(value)
    return canonical(sorted(plain, key=canonical) if isinstance(plain, list) else plain)


def canonical(value: Any) -> str:
    """Return JSON with sorted keys, in text that both databases can hold."""
    try:
        text = _CANONICAL.encode(value).decode()
    except (OverflowError, UnicodeEncodeError):
        return _CANONICAL.encode(_encodable(value)).decode()
    # Postgres refuses NUL in text, also when JSON has escaped it
    return _CANONICAL.encode(_encodable(value)).decode() if "\\u0000" in text else text


def reject_of(record: Any, message: str, identity: str | None) -> Reject:
    """Return the reject of a record that could not be understood; `message` ends in ` - at PATH` if
    it knows one.
    """
    what, at, path = message.rpartition(" - at ")
    return Reject(
        reason=f"{path.strip('`')}: {what}" if at else f"$: {message}",
        identity=identity,
        payload=canonical(redact(record)),
    )


def _exact_yuan(value: Any) -> Decimal:
    """Read an amount given as a number, or as text in a usual spelling, such as `1,100.00` or
    `￥12.50`.
    """
    try:
        return decimal_of(value)
    except OddValue:
        if not isinstance(value, str):
            raise
    try:
        return decimal_of(yuan_of(value))
    except NoAmount as error:
        raise OddValue(f"the amount {error}") from None


def decimal_of(value: Any) -> Decimal:
    """Return a number or text as it is written. Raises `OddValue` for what no amount or count can be."""
    # yes and no would be read as 1 and 0 yuan
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise OddValue("Expected a number")
    try:
        if isinstance(value, str) and "_" in value:
            raise InvalidOperation  # Python alone reads `1_000` as a number
        # by the text: 0.1 as a float is not a tenth
        number = Decimal(str(value).strip())
    except InvalidOperation:
        raise OddValue("Expected a number") from None
    # by the exponent first: arithmetic with `1e999999999` overflows
    if not number.is_finite() or number.adjusted() > 20 or abs(number) >= LIMIT_MICROCNY:
        raise OddValue("Expected a number")
    return number


def _encodable(value: Any) -> Any:
    """Return `value` with huge integers, which strict JSON cannot express, as text, and NUL
    replaced.
    """
    if isinstance(value, str):
        return text_of(value)
    if isinstance(value, list):
        return [_encodable(item) for item in value]
    if isinstance(value, dict):
        return {text_of(key): _encodable(item) for key, item in value.items()}
    # msgspec writes no integer beyond 64 bits
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return str(value)
    return value
