"""Amounts as people and clouds spell them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from etl.money.amounts import NoAmount, yuan_of

READ = {
    "5": "5",
    "5.50": "5.50",
    ".5": "0.5",
    "5.": "5",
    "-12.50": "-12.50",
    "\u221212.50": "-12.50",
    "1,234.50": "1234.50",
    "1,234": "1234",
    "1,234,567.891234": "1234567.891234",
    "1 234.50": "1234.50",
    "1\u00a0234.50": "1234.50",
    "￥20000": "20000",
    "¥ 20,000": "20000",
    "-¥5": "-5",
    "¥-5": "-5",
    "CNY 12.5": "12.5",
    "12.50元": "12.50",
    "100元整": "100",
    "12.50 RMB": "12.50",
    "１２．５０": "12.50",
    "１，２３４": "1234",
    " 7 ": "7",
    "\u202a1,234.50\u202c": "1234.50",
    "7\u200b": "7",
    "100圆整": "100",
    "+5": "5",
}
AMBIGUOUS = ("1.234,50", "12,5", "1,23,456", "1,2345", "1.234.567", "1 2", "1,234 567", "12,")
NONE = (
    "",
    "-",
    "abc",
    "1e5",
    "5 USD",
    "$5",
    "(5.00)",
    "（5.00）",
    "5-",
    "1.5万",
    "5元/小时",
    "USD 5",
    "--5",
    "+-5",
    "5%",
    "NaN",
    "inf",
    "5角",
    "1_000",
)


@pytest.mark.parametrize("text", READ)
def test_the_usual_spellings_are_read_exactly(text: str) -> None:
    assert yuan_of(text) == Decimal(READ[text])


@pytest.mark.parametrize("text", AMBIGUOUS)
def test_an_amount_that_could_be_two_is_refused(text: str) -> None:
    with pytest.raises(NoAmount, match="two ways"):
        yuan_of(text)


@pytest.mark.parametrize("text", NONE)
def test_other_text_is_no_amount(text: str) -> None:
    with pytest.raises(NoAmount, match="must be yuan"):
        yuan_of(text)
