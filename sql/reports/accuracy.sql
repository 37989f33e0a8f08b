-- Accuracy of running time: what the estimates of stops rest on, and how far off they must be expected.
-- A stop that nobody saw lies anywhere between two polls: its middle is off by a quarter of the time
-- between them on average, and what was seen shutting down by half of what was taken off. Timers, exact
-- ends and ends that the bill settles count as right. Bounds hold whatever the estimate.
-- @zh 运行时长的准确度：停机时间的估计依据和预期误差。没人看到的停机在两次轮询之间，取中点，平均误差为间隔的四分之一；
-- @zh 看到关机过程的为扣除时间的一半；定时、精确和账单确定的按无误差计。上下限不受估计影响。
-- @param account only this account, or all
-- @param from_day first day in which runs ended
-- @param to_day last day
-- @column account {zh=账户} the account's name | 账户名称
-- @column day {zh=日期} day in which they ended | 停机所在日期
-- @column polls {zh=完整轮询, int, total} polls that were proven whole | 确认完整的轮询次数
-- @column minutes_apart {zh=轮询间隔, unit=min} minutes between two of them on average | 两次完整轮询的平均间隔
-- @column stops {zh=停机次数, int, total} runs that ended | 当天结束的运行次数
-- @column exact {zh=精确, int, total} of them, to the second | 其中精确到秒的
-- @column settled {zh=账单, int, total} by the bill | 其中由账单确定的
-- @column timer {zh=定时, int, total} by a timer that went off | 其中由定时关机确定的
-- @column status {zh=状态, int, total} seen shutting down | 其中看到关机过程的
-- @column middle {zh=中点, int, total} by the middle between two polls | 其中取两次轮询中点的
-- @column expected_off_s {zh=预期误差, unit=s, int} seconds by which a stop is expected to be off, on average | 每次停机的平均预期误差（秒）
-- @column expected_error_percent {zh=预期误差率, unit=%} the same, for all stops of the day, in running time of the day | 当天全部停机的预期误差占当天运行时长的比例
WITH stops AS (
    SELECT
        s.account,
        c.day,
        s.end_evidence,
        CASE s.end_evidence
            WHEN 'middle' THEN (s.ended_max_s - s.ended_min_s) / 4
            WHEN 'status' THEN (s.ended_max_s - s.ended_s) / 2
            ELSE 0
        END AS off_s
    FROM usage_span s
    JOIN calendar_day c ON s.ended_s >= c.starts_s AND s.ended_s < c.ends_s
    WHERE s.end_evidence IS NOT NULL
        AND s.ended_max >= period_starts_at()
        AND in_period(c.day) AND account_chosen(s.account)
),
counted AS (
    SELECT
        s.account,
        s.day,
        COUNT(*) AS stops,
        COUNT(CASE WHEN s.end_evidence = 'exact' THEN 1 END) AS exact,
        COUNT(CASE WHEN s.end_evidence = 'settled' THEN 1 END) AS settled,
        COUNT(CASE WHEN s.end_evidence = 'timer' THEN 1 END) AS timer,
        COUNT(CASE WHEN s.end_evidence = 'status' THEN 1 END) AS status,
        COUNT(CASE WHEN s.end_evidence = 'middle' THEN 1 END) AS middle,
        sum_of(s.off_s) AS off_s
    FROM stops s
    GROUP BY s.account, s.day
),
ran AS (
    SELECT account, day, sum_of(running_s) AS running_s
    FROM uptime_daily
    WHERE in_period(day) AND account_chosen(account)
    GROUP BY account, day
)
SELECT
    v.account,
    v.day,
    v.complete AS polls,
    CASE WHEN v.complete > 0 THEN minutes(10 * v.span_s / v.complete) / 10.0 END AS minutes_apart,
    COALESCE(n.stops, 0) AS stops,
    COALESCE(n.exact, 0) AS exact,
    COALESCE(n.settled, 0) AS settled,
    COALESCE(n.timer, 0) AS timer,
    COALESCE(n.status, 0) AS status,
    COALESCE(n.middle, 0) AS middle,
    CASE WHEN n.stops > 0 THEN n.off_s / n.stops END AS expected_off_s,
    CASE WHEN r.running_s > 0 THEN percent_of_time(COALESCE(n.off_s, 0), r.running_s) END
        AS expected_error_percent
FROM coverage_daily v
LEFT JOIN counted n ON n.account = v.account AND n.day = v.day
LEFT JOIN ran r ON r.account = v.account AND r.day = v.day
WHERE in_period(v.day) AND account_chosen(v.account)
ORDER BY v.account, v.day
