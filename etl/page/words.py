"""Texts of the page in English and Chinese; headings of tables come from the reports."""

from __future__ import annotations

from typing import Any, Final

from etl.reports.words import NO_RULE

CHINESE: Final = {
    "GPU usage and cost": "GPU 使用与费用",
    "days of {zone}": "按 {zone} 计日",
    "never observed": "从未观测",
    "made at {at} by chenyu-etl {version}": "由 chenyu-etl {version} 生成于 {at}",
    "project {project}": "项目 {project}",
    "account {account}": "账户 {account}",
    "Needs attention": "需要关注",
    "Nothing.": "无。",
    "Running now": "正在运行",
    "as of {at}": "截至 {at}",
    "GPU hours": "租用卡时",
    "before: {value}": "上期：{value}",
    "Cost": "费用",
    "between {low} and {high}": "介于 {low} 与 {high} 之间",
    "Bill": "账单",
    "attributed to this period": "计入本期",
    "Balance": "余额",
    "lasts {days} days": "可用 {days} 天",
    "Observed": "观测覆盖率",
    "{hours} h without observation": "{hours} 小时未观测",
    "not known": "未知",
    "Timeline": "运行时间线",
    "solid: surely ran; hatched: may have run; grey: nobody looked": "实心：确定运行；斜纹：可能运行；灰色：无人观测",
    "Cost by day": "每日费用",
    "bar: best estimate; hatched: from least to most; line: the bill; red foot: not settled yet": "柱：最佳估计；斜纹：最低至最高；折线：账单；红色底边：尚未结算",
    "by project": "按项目",
    "by owner": "按负责人",
    "by model": "按显卡型号",
    "by instance": "按实例",
    "GPU hours by model and day": "每日租用卡时（按型号）",
    "Hours of the week": "一周时段",
    "card-hours of running time by local hour, best estimate": "按本地小时统计的卡时，最佳估计",
    "Projects": "项目",
    "Budgets": "预算",
    "Bill against estimate": "账单与估算",
    "Nights and weekends": "夜间与周末",
    "Images": "镜像保存",
    "Events": "事件",
    "the newest {count}": "最近 {count} 条",
    "Coverage": "观测",
    "Table": "表格",
    "the same by command": "等价命令",
    "Filter": "筛选",
    "title, project, owner": "名称、项目、负责人",
    "all projects": "全部项目",
    "all owners": "全部负责人",
    "all models": "全部型号",
    "all accounts": "全部账户",
    "whole period": "整个期间",
    "others": "其他",
    **NO_RULE,
    "title": "名称",
    "owner": "负责人",
    "project": "项目",
    "GPU": "显卡",
    "since": "运行自",
    "hours": "时长",
    "timer": "定时关机",
    "none": "无",
    "yuan an hour": "元/小时",
    "cost so far": "已花费",
    "Mon Tue Wed Thu Fri Sat Sun": "周一 周二 周三 周四 周五 周六 周日",
    "not observed": "未观测",
    "before the first poll": "首次轮询之前",
    "not settled yet": "尚未结算",
    "{title} has run for {hours} h without a timer, {yuan} so far": "{title} 已运行 {hours} 小时且未设定时，已花费 {yuan}",
    "the image of {title} was not saved": "{title} 的镜像保存失败",
    "{count} instances have a status of unknown meaning": "{count} 个实例的状态代码含义未知",
    "the newest complete poll is {hours} h old": "最近一次完整轮询在 {hours} 小时前",
    "there was no complete poll yet": "尚无完整轮询",
    "{hours} h of the period were not observed": "本期有 {hours} 小时未观测",
    "{yuan} of the bill are not explained by usage": "账单中有 {yuan} 无法由使用解释",
    "the balance lasts {days} days": "余额可用 {days} 天",
    "{scope} {name} has spent {percent} % of its budget": "{scope} {name} 已用预算 {percent}%",
    "{count} records of the source were not understood": "源数据中有 {count} 条记录无法理解",
    "{hours} h have no known price": "{hours} 小时没有已知价格",
    "nothing ran in the period": "本期没有运行",
    "sortable: click a heading": "点击表头可排序",
    "runs of this instance, the newest {count}": "该实例的运行（最近 {count} 次）",
    "runs": "运行",
    "{low}–{high} h": "{low}–{high} 小时",
    "began": "开始",
    "ended": "结束",
    "still runs": "仍在运行",
    "copy the table": "复制表格",
    "theme": "主题",
}


class Translator:
    """Texts in one language; English is the key."""

    def __init__(self, lang: str) -> None:
        self.lang = lang

    def __call__(self, text: str, /, **values: Any) -> str:
        """Return a text with its values. Raises `KeyError` if it has no translation."""
        return (CHINESE[text] if self.lang == "zh" else text).format(**values)
