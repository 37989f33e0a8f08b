"""allocations have no holes: rule 0 stands for a time for which no rule matches"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"

RULE_NO = "the rule that says so"
TABLE = "What the rules say of an instance, while it holds; "


def upgrade() -> None:
    _comment(f"{RULE_NO}; 0: no rule matches", f"{TABLE}nothing if there are no rules. Derived")


def downgrade() -> None:
    op.execute("DELETE FROM allocation WHERE rule_no = 0")
    _comment(RULE_NO, f"{TABLE}no row: no rule matches. Derived")


def _comment(rule_no: str, table: str) -> None:
    if op.get_bind().dialect.name == "postgresql":  # SQLite keeps no comments
        op.alter_column("allocation", "rule_no", comment=rule_no)
        op.create_table_comment("allocation", table)
