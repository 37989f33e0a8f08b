"""The words that reports give as values, in Chinese: causes, states, ways of payment, lines of the bridge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from etl.reports.render.columns import Column, Rows

NO_RULE: Final = {"(no rule)": "（无规则）"}
_PAYERS: Final = {**NO_RULE, "(cannot be attributed)": "（无法分摊）"}
_UNKNOWN: Final = {"(unknown)": "（未知）"}
_STATES: Final = {
    "creating": "创建中",
    "starting": "启动中",
    "running": "运行中",
    "restarting": "重启中",
    "stopping": "停止中",
    "stopped": "已停止",
    "destroyed": "已销毁",
    "unknown": "未知",
}
_REPORTS: Final = {
    "settlement": "结算",
    "bills": "账单",
    "bill-lines": "账单明细",
    "balance": "余额平衡",
}
VALUES: Final[Mapping[str, Mapping[str, str]]] = {
    "cause": {
        "within_bounds": "在估算范围内",
        "correction": "更正待确认",
        "unsettled": "尚未结算",
        "no_instance": "无对应实例",
        "prepaid": "包期费用",
        "unread": "账单行未能读取",
        "price": "价格未知或不符",
        "coverage_gap": "观测缺口",
        "unexplained": "原因不明",
    },
    "channel": {"balance": "余额", "card": "算力卡", "all": "合计", **_UNKNOWN},
    "state": {
        "valid": "有效",
        "used up": "已用完",
        "awaiting confirmation": "待确认",
        "expired": "已过期",
        "uploading": "上传中",
        "uploaded": "已上传",
        "failed": "失败",
        **_STATES,
    },
    "state_after": _STATES,
    "seen": {"booting": "观测到启动", "still booting": "仍在启动", "afterwards": "事后得知"},
    "timer": {"none": "无", "set": "已设", "overdue": "已过时"},
    "how": {"billed": "按账单行", "attributed": "按估算分摊"},
    "evidence": {
        "observed": "观测",
        "booting": "启动中",
        "unseen_run": "两次轮询之间的运行",
        "unknown_start": "开始时间不明",
        "possible_run": "可能的运行",
        "gone": "已消失",
    },
    "event": {
        "created": "创建",
        "started": "启动",
        "stopped": "停止",
        "restarted": "重启",
        "gone": "消失",
        "returned": "重现",
        "retitled": "改名",
        "gpu_changed": "更换显卡",
        "image_changed": "更换镜像",
        "charging_changed": "更换计费",
        "save_image_changed": "镜像保存",
        "timer_set": "设定时",
        "timer_cleared": "取消定时",
    },
    "what": {**_PAYERS, **_UNKNOWN},
    "scope": {"project": "项目", "account": "账户"},
    "project": _PAYERS,
    "owner": _PAYERS,
    "cost_centre": _PAYERS,
    "report": _REPORTS,
    "line": {
        "billed for running time": "运行时间账单",
        "prepaid: whole days, and moments": "加：包期账单（整日或时点）",
        "billed by settlement window": "按结算时段的账单",
        "charged in the period for time before it": "加：期内扣费、属于期前时段",
        "charged in the period for time after it": "加：期内扣费、属于期后时段",
        "time in the period that was charged after it": "减：期内时段、期后扣费",
        "time in the period that was charged before it": "减：期内时段、期前扣费",
        "billed by day of charge": "按扣费日的账单",
        "paid by compute cards": "减：算力卡支付",
        "charged before the period, after the last poll of the balance": "加：期前最后一次查询余额之后的扣费",
        "charged in the period, after the last poll of the balance": "减：期内最后一次查询余额之后的扣费",
        "charged before the balance was known": "减：余额已知之前的扣费",
        "billed to the balance": "余额扣费",
        "unexplained by the balance": "余额差异",
        "opening + added - closing": "期初 + 充值 - 期末",
        "remains": "剩余差额",
    },
}
"""By the name of the column: a title that happens to be such a word stays as it is."""


def in_chinese(columns: Sequence[Column], rows: Rows) -> Iterator[list[Any]]:
    """Yield rows whose known words are in Chinese; others stay as they are."""
    # by column: a title that happens to be "card" stays as it is
    words = dict(VALUES)
    if any(column.name == "cause" for column in columns):
        words["what"] = VALUES["cause"]  # a day, a month or a cause: no name that somebody chose
    known = [words.get(column.name, {}) for column in columns]
    for row in rows:
        yield [
            meanings.get(value, value) if meanings else value
            for meanings, value in zip(known, row, strict=True)
        ]
