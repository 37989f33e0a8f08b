-- Days of the reporting time zone with what a weekday and a night are: Saturday and Sunday are the
-- weekend, the night is the first eight hours of the local day.
-- @column night_ends_s end of its first eight hours, epoch seconds
-- @column weekday 1 Monday to 7 Sunday
-- @column is_weekend 1 on Saturday and Sunday, else 0
SELECT
    day,
    starts_s,
    ends_s,
    starts_s + 28800 AS night_ends_s,
    week,
    month,
    1 + n - n / 7 * 7 AS weekday,
    CASE WHEN n - n / 7 * 7 >= 5 THEN 1 ELSE 0 END AS is_weekend
FROM (
    SELECT
        day,
        starts_s,
        ends_s,
        week,
        month,
        y + y / 4 - y / 100 + y / 400 + d + 6
        + CAST(SUBSTR('032503514624', CAST(m AS INTEGER), 1) AS BIGINT) AS n
    FROM (
        SELECT
            day,
            starts_s,
            ends_s,
            week,
            month,
            CAST(SUBSTR(CAST(day AS TEXT), 1, 4) AS BIGINT)
            - CASE WHEN SUBSTR(CAST(day AS TEXT), 6, 2) < '03' THEN 1 ELSE 0 END AS y,
            CAST(SUBSTR(CAST(day AS TEXT), 6, 2) AS BIGINT) AS m,
            CAST(SUBSTR(CAST(day AS TEXT), 9, 2) AS BIGINT) AS d
        FROM calendar_day
    ) numbers
) days
