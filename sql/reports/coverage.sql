-- Coverage: the observed share of each day, by account, the longest gap, the outcomes of polls, and the
-- records not understood. A gap (more than three times the account's usual distance between polls, and
-- than ten minutes) is not observed, nor is the time after the newest complete poll, up to now; running
-- time in them is bounded, not known.
-- @param account only this account, or all
-- @param from_day first day
-- @param to_day last day
-- @param by a line for each [day, week, month]
-- @column account {text} the account's name
-- @column what {text} the day, week or month
-- @column observed_percent {unit=%} share of the time from the first poll up to now that was observed; in uptime it is of the whole period, also before the first poll
-- @column observed_hours {unit=h, total} hours of it that were observed
-- @column gap_hours {unit=h, total} hours that were not
-- @column longest_gap_minutes {unit=min, int} longest time of a day without observation
-- @column complete {int, total} polls that were proven whole
-- @column partial {int, total} polls that were not
-- @column failed {int, total} polls that failed
-- @column skipped {int, total} polls skipped because another one was at work
-- @column rejected {int, total} records first rejected
-- @column unknown_codes {int} most instances of a day with a code of unknown meaning
WITH until AS (
    -- days up to now: after the newest poll nobody looked, so `coverage_daily` has none of them
    SELECT
        b.account,
        c.day,
        b.last_s,
        COALESCE(b.last_whole_s, b.first_s) AS last_whole_s,
        later(b.first_s, c.starts_s) AS begins_s,
        earlier(asked_ends_s(), c.ends_s) AS ends_s
    FROM _sync_bounds b
    CROSS JOIN calendar_day c
    WHERE c.ends_s > b.first_s AND c.starts_s <= asked_ends_s()
        AND in_period(c.day) AND account_chosen(b.account)
),
days AS (
    SELECT
        u.account,
        u.day,
        later(u.ends_s - u.begins_s, v.span_s) AS span_s,
        v.observed_s,
        later(v.longest_gap_s, u.ends_s - later(u.last_whole_s, u.begins_s)) AS longest_gap_s,
        v.complete,
        v.partial,
        v.failed,
        v.skipped,
        v.rejected,
        v.unknown_codes
    FROM coverage_daily v
    JOIN until u ON u.account = v.account AND u.day = v.day
    WHERE in_period(v.day) AND account_chosen(v.account)
    UNION ALL
    SELECT
        account, day, ends_s - begins_s, 0, ends_s - later(last_whole_s, begins_s), 0, 0, 0, 0, 0, 0
    FROM until
    WHERE begins_s > last_s
),
lines AS (
    SELECT
        v.account,
        CASE CAST(:by AS TEXT)
            WHEN 'day' THEN CAST(v.day AS TEXT)
            WHEN 'week' THEN c.week
            ELSE c.month
        END AS what,
        sum_of(v.span_s) AS span_s,
        sum_of(v.observed_s) AS observed_s,
        CAST(MAX(v.longest_gap_s) AS BIGINT) AS longest_gap_s,
        sum_of(v.complete) AS complete,
        sum_of(v.partial) AS partial,
        sum_of(v.failed) AS failed,
        sum_of(v.skipped) AS skipped,
        sum_of(v.rejected) AS rejected,
        CAST(MAX(v.unknown_codes) AS BIGINT) AS unknown_codes
    FROM days v
    JOIN calendar_day c ON c.day = v.day
    GROUP BY 1, 2
)
SELECT
    account,
    what,
    CASE WHEN span_s > 0 THEN percent_of_time(observed_s, span_s) END AS observed_percent,
    hours(observed_s) AS observed_hours,
    hours(span_s - observed_s) AS gap_hours,
    minutes(longest_gap_s) AS longest_gap_minutes,
    complete,
    partial,
    failed,
    skipped,
    rejected,
    unknown_codes
FROM lines
ORDER BY what, account
