-- Accuracy of running time: what the estimates of stops rest on, and how far off they must be expected.
-- A stop that nobody saw lies anywhere between two polls: its middle is off by a quarter of the time
-- between them on average, and what was seen shutting down by half of what was taken off. Timers, exact
-- ends and ends that the bill settles count as right. Bounds hold whatever the estimate.
-- @param account only this account, or all
-- @param from_day first day in which runs ended
-- @param to_day last day
-- @column account {text} the account's name
-- @column day {text} day in which they ended
-- @column polls {int, total} polls that were proven whole
-- @column minutes_apart {unit=min} minutes between two of them on average
-- @column stops {int, total} runs that ended
-- @column exact {int, total} of them, to the second
-- @column settled {int, total} by the bill
-- @column timer {int, total} by a timer that went off
-- @column status {int, total} seen shutting down
-- @column middle {int, total} by the middle between two polls
-- @column expected_off_s {unit=s, int} seconds by which a stop is expected to be off, on average
-- @column expected_error_percent {unit=%} the same, for all stops of the day, in running time of the day
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
    -- a possible run is the time before a start, not one that stops
    WHERE s.end_evidence IS NOT NULL AND s.evidence <> 'possible_run'
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
