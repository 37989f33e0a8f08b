-- Coverage: how much of each day was observed, by account, the longest gap, how the polls went, and what
-- was not understood. Time without a complete poll for more than ten minutes is not observed; running
-- time in it is bounded, not known.
-- @param account only this account, or all
-- @param from_day first day
-- @param to_day last day
-- @param by a line for each [day, week, month]
-- @column account {zh=账户} the account's name
-- @column what {zh=期间} the day, week or month
-- @column observed_percent {zh=观测覆盖率, unit=%} share of the time since the first poll that was observed
-- @column gap_hours {zh=未观测时长, unit=h, total} hours that were not
-- @column longest_gap_minutes {zh=最长缺口, unit=min, int} longest time of a day without observation
-- @column complete {zh=完整轮询, int, total} polls that were proven whole
-- @column partial {zh=部分轮询, int, total} polls that were not
-- @column failed {zh=失败轮询, int, total} polls that failed
-- @column skipped {zh=跳过轮询, int, total} polls skipped because another one was at work
-- @column rejected {zh=拒收记录, int, total} records first rejected
-- @column unknown_codes {zh=未知代码实例, int} most instances of a day with a code of unknown meaning
WITH lines AS (
    SELECT
        v.account,
        CASE CAST(:by AS TEXT)
            WHEN 'day' THEN CAST(v.day AS TEXT)
            WHEN 'week' THEN c.week
            ELSE c.month
        END AS what,
        CAST(SUM(v.span_s) AS BIGINT) AS span_s,
        CAST(SUM(v.observed_s) AS BIGINT) AS observed_s,
        CAST(MAX(v.longest_gap_s) AS BIGINT) AS longest_gap_s,
        CAST(SUM(v.complete) AS BIGINT) AS complete,
        CAST(SUM(v.partial) AS BIGINT) AS partial,
        CAST(SUM(v.failed) AS BIGINT) AS failed,
        CAST(SUM(v.skipped) AS BIGINT) AS skipped,
        CAST(SUM(v.rejected) AS BIGINT) AS rejected,
        CAST(MAX(v.unknown_codes) AS BIGINT) AS unknown_codes
    FROM coverage_daily v
    JOIN calendar_day c ON c.day = v.day
    WHERE v.day >= :from_day AND v.day <= :to_day
        AND (CAST(:account AS TEXT) IS NULL OR v.account = CAST(:account AS TEXT))
    GROUP BY 1, 2
)
SELECT
    account,
    what,
    CASE WHEN span_s > 0 THEN (20000 * observed_s + span_s) / (2 * span_s) / 100.0 END AS observed_percent,
    (span_s - observed_s + 18) / 36 / 100.0 AS gap_hours,
    (longest_gap_s + 30) / 60 AS longest_gap_minutes,
    complete,
    partial,
    failed,
    skipped,
    rejected,
    unknown_codes
FROM lines
ORDER BY what, account
