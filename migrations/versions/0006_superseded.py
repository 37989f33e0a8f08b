"""bill lines and recharges that the source corrected are superseded; how far a closed month knew the bill"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

INSTANT = sa.Text().with_variant(sa.DateTime(timezone=True), "postgresql")
TABLES = ("bill", "recharge")
STATE = {
    "missing_since": "end of the first whole listing that lacked it; null while listed",
    "superseded_at": "end of the second such listing in a row: it counts no longer; null: it holds",
}
UNTIL = "end of the newest poll of the bill before it was closed; what came later is an adjustment"
CORRECTED = "never deleted: one that the source corrected is superseded"
BILL, RECHARGE = "A line of the bill", "A recharge of the balance"
LINE_NO = "1; counts on where {} alike in all before"
ID = "out_trade_no; where the source gives none, a hash of {}"


def upgrade() -> None:
    for table in TABLES:
        for name, comment in STATE.items():
            op.add_column(table, sa.Column(name, INSTANT, comment=comment))
    op.add_column("closed_month", sa.Column("bill_until", INSTANT, comment=UNTIL))
    op.execute("UPDATE closed_month SET bill_until = closed_at")
    # equal bytes would be passed over by the next poll, and say nothing of what is new here
    op.execute("UPDATE sync_run SET digest = NULL WHERE resource IN ('bills', 'recharges')")
    _say(CORRECTED, LINE_NO.format("several lines are"), ID.format("what does not change"))


def downgrade() -> None:
    for table in TABLES:
        for name in STATE:
            op.drop_column(table, name)
    op.drop_column("closed_month", "bill_until")
    lines = LINE_NO.format("one page lists several lines that are")
    _say("never deleted", lines, ID.format("the record"))


def _say(kept: str, line_no: str, recharge_id: str) -> None:
    if op.get_bind().dialect.name == "postgresql":  # SQLite keeps no comments
        op.create_table_comment("bill", f"{BILL}; {kept}")
        op.create_table_comment("recharge", f"{RECHARGE}; {kept}")
        op.alter_column("bill", "line_no", comment=line_no)
        op.alter_column("recharge", "recharge_id", comment=recharge_id)
