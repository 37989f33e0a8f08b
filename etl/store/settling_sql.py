"""Statements about stops and starts that nobody saw, and about the settlement windows near them."""

from __future__ import annotations

from typing import Final

from sqlalchemy import and_, bindparam, func, or_, select

from etl import tables
from etl.money.billing.stops import NEWEST
from etl.store.rows import TERM_NAMES

SETTLEABLE: Final = ("observed", "unseen_run", "booting", "gone")
"""Evidence of stretches whose start is that of the run, and whose end may be a stop."""
JUDGED: Final = ("observed", "unknown_start")
"""Evidence of stretches by whose stops an account is judged: others may never have been charged."""
_usage: Final = tables.instance_usage.c
_bill: Final = tables.bill.c
_rule: Final = tables.settlement_rule.c
_UNSEEN: Final = (
    _usage.account_id == bindparam("account"),
    _usage.kind == "running",
    # where both bounds meet there is nothing to settle
    _usage.ended_min < _usage.ended_max,
)
_WITHIN: Final = _usage.ended_max >= bindparam("lower"), _usage.ended_min < bindparam("upper")
_TERMS: Final = [_usage[name] for name in TERM_NAMES]
_POSSIBLE: Final = tables.instance_usage.alias("possible")
_before: Final = _POSSIBLE.c
_possible: Final = and_(
    _usage.evidence == "unknown_start",
    _before.account_id == _usage.account_id,
    _before.instance_uuid == _usage.instance_uuid,
    _before.usage_no == _usage.usage_no - 1,
    _before.evidence == "possible_run",
    _before.ended_max == _usage.started_at,
)
"""Before a stretch whose start nobody saw lies the time in which it may have begun."""
STOPS: Final = (
    select(
        _usage.instance_uuid,
        _usage.usage_no,
        _usage.evidence,
        _usage.started_at,
        _before.settled_at,
        _usage.ended_min,
        _usage.ended_max,
        *_TERMS,
        _usage.settlements,
        _usage.settled_at,
    )
    .select_from(tables.instance_usage.outerjoin(_POSSIBLE, _possible))
    .where(*_UNSEEN, or_(_usage.evidence.in_(SETTLEABLE), _before.usage_no.is_not(None)))
    .order_by(_usage.ended_max, _usage.instance_uuid, _usage.usage_no)
)
STOPS_WITHIN: Final = STOPS.where(*_WITHIN)
STOPS_AFTER_STARTS: Final = STOPS.where(
    _before.usage_no.is_not(None), _usage.instance_uuid.in_(bindparam("uuids", expanding=True))
)
_after: Final = tables.instance_usage.alias("after_it").c
_POSSIBLE_WITHIN: Final = (
    select(
        _usage.instance_uuid,
        _usage.usage_no,
        _usage.started_at,
        _usage.ended_max,
        *_TERMS,
        _usage.settlements,
        _usage.settled_at,
    )
    .where(
        *_UNSEEN,
        *_WITHIN,
        _usage.evidence == "possible_run",
    )
    .order_by(_usage.ended_max, _usage.instance_uuid, _usage.usage_no)
)
_FOLLOWS: Final = select(1).where(
    _after.account_id == _usage.account_id,
    _after.instance_uuid == _usage.instance_uuid,
    _after.usage_no == _usage.usage_no + 1,
    _after.started_at == _usage.ended_max,
)
STARTS_WITHIN: Final = _POSSIBLE_WITHIN.where(
    _FOLLOWS.where(_after.evidence == "unknown_start").exists()
)
TIMES_WITHIN: Final = _POSSIBLE_WITHIN.where(
    _FOLLOWS.where(_after.evidence != "unknown_start").exists()
)
BEGUN_WITHIN: Final = (
    select(_usage.started_at)
    .where(
        _usage.account_id == bindparam("account"),
        _usage.kind == "running",
        _usage.evidence != "possible_run",
        _usage.started_at >= bindparam("lower"),
        _usage.started_at <= bindparam("upper"),
    )
    .order_by(_usage.started_at)
)
_VALID: Final = _bill.account_id == bindparam("account"), _bill.superseded_at.is_(None)
BILL_UNTIL: Final = select(func.max(_bill.settle_end_at)).where(*_VALID)
_LINES: Final = (
    select(_bill.settle_start_at, _bill.settle_end_at, _bill.order_number, _bill.amount_microcny)
    .where(*_VALID, _bill.settle_start_at < _bill.settle_end_at)
    .order_by(_bill.settle_end_at, _bill.settle_start_at)
)
_next: Final = tables.bill.alias("following").c
_of_its_kind: Final = and_(
    _next.account_id == _bill.account_id,
    _next.settle_end_at > _next.settle_start_at,
    _next.remark == _bill.remark,
    _next.superseded_at.is_(None),
)
ENDING: Final = _LINES.where(
    _bill.settle_end_at > bindparam("lower"),
    _bill.settle_end_at <= bindparam("upper"),
    # a window that another one of its kind follows did not end with a stop
    ~select(1).where(_next.settle_start_at == _bill.settle_end_at, _of_its_kind).exists(),
)
BEGINNING_WITHIN: Final = (
    _LINES.where(
        _bill.settle_start_at > bindparam("lower"),
        _bill.settle_start_at <= bindparam("upper"),
        # a window that follows one of its kind did not begin with a start
        ~select(1).where(_next.settle_end_at == _bill.settle_start_at, _of_its_kind).exists(),
    )
    .order_by(None)
    .order_by(_bill.settle_start_at, _bill.settle_end_at)
)
WHOLE_WITHIN: Final = BEGINNING_WITHIN.where(
    _bill.settle_end_at <= bindparam("upper"),
    ~select(1).where(_next.settle_start_at == _bill.settle_end_at, _of_its_kind).exists(),
)
"""Windows of a whole run: none of their kind ends where they begin, or begins where they end."""
ENDING_AT: Final = _LINES.where(_bill.settle_end_at.in_(bindparam("ends", expanding=True)))
_CHANGED: Final = (
    _bill.account_id == bindparam("account"),
    _bill.settle_end_at >= bindparam("lower"),
    _bill.settle_end_at <= bindparam("upper"),
)
BEGUN: Final = select(func.min(_bill.settle_start_at)).where(*_CHANGED)
"""The first begin of a line that may have changed."""
FOLLOWED: Final = select(func.min(_bill.settle_end_at)).where(
    _bill.account_id == bindparam("account"),
    _next.account_id == _bill.account_id,
    _next.settle_start_at == _bill.settle_end_at,
    _next.settle_end_at >= bindparam("lower"),
    _next.settle_end_at <= bindparam("upper"),
)
"""The first end of a window after which a changed line may begin."""
FOLLOWING: Final = select(func.max(_bill.settle_end_at)).where(
    _bill.account_id == bindparam("account"),
    _bill.settle_start_at >= bindparam("lower"),
    _bill.settle_start_at <= bindparam("upper"),
)
"""The last end of a window that may begin after a changed line."""
NEWEST_JUDGED: Final = (
    select(_usage.settlements)
    .where(*_UNSEEN, _usage.evidence.in_(JUDGED), _usage.settlements.is_not(None))
    # in one order also where stops are equally new, or the databases would judge others
    .order_by(_usage.ended_max.desc(), _usage.instance_uuid, _usage.usage_no)
    .limit(NEWEST)
)
NEWEST_SETTLED: Final = (
    select(_usage.instance_uuid, _usage.usage_no, _usage.settled_at)
    .where(*_UNSEEN, _usage.evidence.in_(JUDGED), _usage.settled_at.is_not(None))
    .order_by(_usage.ended_max.desc(), _usage.instance_uuid, _usage.usage_no)
    .limit(NEWEST)
)
ALL_SETTLED: Final = select(_usage.instance_uuid, _usage.usage_no).where(
    *_UNSEEN, _usage.settlements.is_not(None) | (_usage.end_evidence == "settled")
)
RULE: Final = select(_rule.bill_until, _rule.judged, _rule.matched, _rule.single).where(
    _rule.account_id == bindparam("account")
)
