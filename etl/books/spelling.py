"""Words, days and months as people spell them in lists, in English and Chinese. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from unicodedata import normalize

from etl.history.days import Zone, from_iso
from etl.history.months import Month, is_month
from etl.poll import Instant

HEADINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "kind": ("类别", "种类"),
    "account": ("账户", "账号", "帐户", "帐号"),
    "gpu_uuid": ("显卡编号", "GPU编号"),
    "gpu_name": ("显卡型号", "显卡", "型号", "GPU型号", "GPU"),
    "image_uuid": ("镜像编号", "镜像UUID"),
    "charging_type": ("计费类型", "计费方式"),
    "no_card": ("无卡", "无卡模式"),
    "per": ("计价对象", "每"),
    "unit": ("单位", "计费单位"),
    "price": ("单价", "价格"),
    "adds": ("附加", "加价"),
    "valid_from": ("生效日期", "生效时间", "开始日期", "起始日期"),
    "valid_to": ("失效日期", "失效时间", "结束日期", "截止日期"),
    "note": ("备注", "说明"),
    "source": ("来源",),
    "instance": ("实例", "实例编号"),
    "title": ("名称", "标题", "实例名称"),
    "image": ("镜像",),
    "project": ("项目",),
    "owner": ("负责人", "使用人"),
    "cost_centre": ("成本中心", "cost_center"),
    "month": ("月份",),
    "amount": ("金额", "预算", "预算金额"),
    "tag": ("标签", "tags"),
    "until": ("租期", "到期", "到期日期"),
    "max_hours": ("小时上限", "最长小时"),
    "max_gpus": ("卡数上限", "最多卡数"),
    "card_hours": ("卡时", "每月卡时", "卡时上限"),
    "carry_over": ("结转", "结转上限", "结转卡时"),
}
"""Other spellings of the names of columns."""
VALUES: Final[Mapping[str, tuple[str, ...]]] = {
    "rule": ("规则",),
    "budget": ("预算",),
    "tag": ("标签",),
    "lease": ("租约", "租用"),
    "limit": ("限额", "上限"),
    "hour": ("小时", "时", "每小时", "元/小时", "按小时"),
    "day": ("天", "日", "每天", "元/天", "按天"),
    "week": ("周", "每周", "元/周", "按周"),
    "month": ("月", "每月", "元/月", "按月"),
    "year": ("年", "每年", "元/年", "按年"),
    "gpu": ("卡", "每卡"),
    "instance": ("实例", "每实例", "台"),
    "user": ("用户",),
    "bill": ("账单",),
}
"""Other spellings of values that are one of a few."""
SAMPLE_HEADINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "time": ("timestamp", "时间", "时刻", "采样时间"),
    "instance": ("instance_uuid", *HEADINGS["instance"]),
    "title": HEADINGS["title"],
    "host": ("hostname", "主机", "主机名"),
    "gpu": ("index", "gpu_index", "序号", "卡号", "显卡序号", "GPU序号"),
    "uuid": HEADINGS["gpu_uuid"],
    "utilisation": ("utilization", "utilization.gpu", "gpu_util", "利用率", "GPU利用率", "使用率"),
    "memory_used": ("memory.used", "已用显存", "显存占用", "显存"),
    "memory_total": ("memory.total", "显存总量", "总显存"),
}
"""Names of the columns of samples of GPU load, with their other spellings: those of nvidia-smi, too."""
FLAGS: Final[Mapping[str, bool]] = {
    **dict.fromkeys(("true", "yes", "y", "1", "是", "√", "真"), True),
    **dict.fromkeys(("false", "no", "n", "0", "否", "×", "假"), False),
}
_FORMULA: Final = re.compile(r"\s*[=+\-@＝＋－＠']")
# two days early: Excel counts from 1, and has a 29 February 1900
_EXCEL_EPOCH: Final = date(1899, 12, 30)
_FIRST_SERIAL: Final = 36_526  # 2000-01-01: a smaller number is no day that anybody means here
_LAST_SERIAL: Final = 109_574  # 2199-12-31
_DATE: Final = (
    r"(\d{4})(?:-(\d{1,2})-(\d{1,2})|/(\d{1,2})/(\d{1,2})|\.(\d{1,2})\.(\d{1,2})"
    r"|年(\d{1,2})月(\d{1,2})[日号]?|(\d\d)(\d\d))"
)
_MOMENT: Final = re.compile(
    rf"{_DATE}(?:(?: +|T)(?P<hour>\d{{1,2}}):(?P<minute>\d\d)(?::(?P<second>\d\d))?)?", re.ASCII
)
_CLOCK: Final = ("hour", "minute", "second")
_MONTH: Final = re.compile(r"(\d{4}) *(?:[-/.]|年|(?=\d\d$)) *(\d{1,2})月?", re.ASCII)
_UNIT: Final = re.compile(r"\s*\[([^\]]*)\]$")
"""nvidia-smi writes a column's unit behind its name."""
_IN_YUAN: Final = re.compile(r"\s*\((?:元|人民币|yuan|cny|rmb|¥)\)$")
"""A heading may say the currency; another one than ours is no heading that is known."""
_COMPACT: Final = range(20_000_101, 21_991_232)
"""Numbers such as 20261101, which people type as days."""
_COMPACT_MONTHS: Final = range(200_001, 219_913)


def folded(text: str) -> str:
    """Return a text in one spelling: case, width and outer spaces make no difference."""
    # NFKC: input methods for Chinese type Latin letters, digits and brackets at full width
    return normalize("NFKC", text).strip().casefold()


def _by_spelling(spellings: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    # the name itself is one of its spellings, in any case and width
    return {folded(word): name for name, words in spellings.items() for word in (name, *words)}


_NAME_OF: Final = _by_spelling(HEADINGS)
_VALUE_OF: Final = _by_spelling(VALUES)
_SAMPLE_COLUMN_OF: Final = _by_spelling(SAMPLE_HEADINGS)


def name_of(heading: str) -> str:
    """Return the name of the column that a heading means, or the heading itself."""
    return _NAME_OF.get(_IN_YUAN.sub("", folded(heading)), heading)


def sample_column_of(heading: str) -> tuple[str | None, str]:
    """Return the column of samples that a heading means, None if it means none, and the unit behind it."""
    text = folded(heading)
    unit = _UNIT.search(text)
    return _SAMPLE_COLUMN_OF.get(_UNIT.sub("", text)), unit[1] if unit else ""


def value_of(text: str) -> str:
    """Return the value that a word means, or the word itself."""
    return _VALUE_OF.get(folded(text), text)


def flag_of(text: str) -> bool | None:
    return FLAGS.get(folded(text))


def instant_of_text(text: str, zone: Zone) -> Instant:
    """Return the instant of a day, its first second in `zone`, of a date and time in `zone`, or of a
    moment with its own zone.

    Raises `ValueError` for anything else.
    """
    folded_text = normalize("NFKC", text).strip()
    if matched := _MOMENT.fullmatch(folded_text):
        hour, minute, second = (int(matched[name] or 0) for name in _CLOCK)
        clock = time(hour, minute, second)
        return instant_of_cell(datetime.combine(_date_of(matched), clock), zone)
    return from_iso(folded_text)


def _date_of(matched: re.Match[str]) -> date:
    clock = {matched.re.groupindex[name] for name in _CLOCK}
    numbers = (group for at, group in enumerate(matched.groups(), 1) if group and at not in clock)
    year, month, day = (int(number) for number in numbers)
    return date(year, month, day)


def instant_of_cell(value: Any, zone: Zone) -> Instant:
    """Return the instant of a spreadsheet's cell: a date, a date and time in `zone`, the serial
    number of a day, or text. Raises `ValueError` for anything else."""
    if isinstance(value, datetime):
        if value.time() == time():
            return zone.starts(value.date())  # no clock shows midnight on some days
        # a workbook has no zones: people mean the clock of the reporting zone
        return zone.at(value.date(), 60 * value.hour + value.minute) + value.second
    if isinstance(value, date):
        return zone.starts(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return zone.starts(_day_of_serial(value))
    return instant_of_text(str(value), zone)


def month_of(value: Any) -> str:
    """Return the name of a month, such as `2026-10`; of a date, that of its month.

    A spreadsheet turns a month that somebody types into its first day. Raises `ValueError` for
    anything else.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(int(value)) if value in _COMPACT_MONTHS else _day_of_serial(value)
    if isinstance(value, date):  # a datetime is one, too
        # a real day: its month may not be what is meant, so it is asked back
        if value.day != 1:
            raise ValueError(f"{value} is no month")
        return str(Month.of(date(value.year, value.month, 1)))
    text = normalize("NFKC", str(value)).strip()
    if day := _MOMENT.fullmatch(text):  # a list saved as CSV shows that first day
        return month_of(_date_of(day))
    matched = _MONTH.fullmatch(text)
    name = f"{matched[1]}-{int(matched[2]):02}" if matched else text
    if not is_month(name):
        raise ValueError(f"{text!r} is no month")
    return name


def _day_of_serial(number: float) -> date:
    if number in _COMPACT:
        return date.fromisoformat(str(int(number)))
    # other numbers are amounts or codes in a wrong column
    if number != int(number) or not _FIRST_SERIAL <= number <= _LAST_SERIAL:
        raise ValueError(f"{number} is no day")
    return _EXCEL_EPOCH + timedelta(days=int(number))


def quoted_cell(text: str) -> str:
    """Return a cell of CSV that no spreadsheet runs as a formula.

    Such text, and text that begins with an apostrophe, gets one in front, which `unquoted_cell` undoes.
    """
    return f"'{text}" if _FORMULA.match(text) else text


def unquoted_cell(cell: Any) -> Any:
    """Return a cell as it was before `quoted_cell`; anything else is returned as it is."""
    is_quoted = isinstance(cell, str) and cell.startswith("'") and _FORMULA.match(cell[1:])
    return cell[1:] if is_quoted else cell
