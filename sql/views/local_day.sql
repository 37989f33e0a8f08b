-- Days of the reporting time zone, each with its weekday and night: Saturday and Sunday are the
-- weekend, the night is the first eight hours of the local day. Days are numbered in their ISO week, which
-- begins on Monday; the calendar itself begins on a Thursday, 2015-01-01.
-- @column night_ends_s end of its first eight hours, epoch seconds
-- @column weekday 1 Monday to 7 Sunday
-- @column is_weekend true on Saturday and Sunday
SELECT
    day,
    starts_s,
    ends_s,
    night_ends_s(starts_s) AS night_ends_s,
    week,
    month,
    weekday,
    flag(weekday >= 6) AS is_weekend
FROM (
    SELECT
        day,
        starts_s,
        ends_s,
        week,
        month,
        ROW_NUMBER() OVER (PARTITION BY week ORDER BY day)
        + CASE WHEN week = '2015-W01' THEN 3 ELSE 0 END AS weekday
    FROM calendar_day
) numbered
