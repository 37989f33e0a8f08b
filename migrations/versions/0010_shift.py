"""the calendar knows when clocks are shifted, so that SQL can tell the local time"""

from __future__ import annotations

from bisect import bisect_left
from datetime import datetime
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

ODD_DAYS = "SELECT starts_s, ends_s FROM calendar_day WHERE ends_s - starts_s <> 86400"
SET_SHIFT = "UPDATE calendar_day SET shift_s = :shift_s WHERE starts_s = :starts_s"


def upgrade() -> None:
    comment = "when clocks are shifted within the day, epoch seconds; null: they are not"
    op.add_column("calendar_day", sa.Column("shift_s", sa.BigInteger(), comment=comment))
    conn = op.get_bind()
    name = conn.scalar(sa.text("SELECT value FROM setting WHERE name = 'timezone'"))
    if name is not None:
        for starts_s, ends_s in conn.execute(sa.text(ODD_DAYS)).all():
            shift_s = _shift(ZoneInfo(name), starts_s, ends_s)
            conn.execute(sa.text(SET_SHIFT), {"starts_s": starts_s, "shift_s": shift_s})


def downgrade() -> None:
    op.drop_column("calendar_day", "shift_s")


def _shift(zone: ZoneInfo, starts_s: int, ends_s: int) -> int:
    """Return the first second of the day's last offset."""
    seconds = range(starts_s, ends_s)
    last = datetime.fromtimestamp(ends_s - 1, zone).utcoffset()

    def has_last_offset(at_s: int) -> bool:
        return datetime.fromtimestamp(at_s, zone).utcoffset() == last

    return seconds[bisect_left(seconds, True, key=has_last_offset)]
