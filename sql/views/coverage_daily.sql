-- Coverage of each day of the reporting time zone, by account: the observed share of the time between
-- the first and the newest poll of its instances, and the outcomes of the day's polls. The gaps of
-- `sync_gap` are not observed.
-- @column account the account's name
-- @column span_s seconds of the day that lie between the first and the newest poll
-- @column observed_s of them observed
-- @column span_hours span_s in hours
-- @column observed_hours observed_s in hours
-- @column observed_percent share of span_s that was observed; null: the day has no span
-- @column longest_gap_s longest time of the day without observation, seconds
-- @column complete polls that were proven whole
-- @column partial polls that were not
-- @column failed polls that failed
-- @column skipped polls skipped because another one was at work
-- @column rejected records first rejected on that day
-- @column unknown_codes instances with a status or charging code of unknown meaning
WITH unknown_version AS MATERIALIZED (
    -- apart, or SQLite reads all versions in the order of the grouping to find the few
    SELECT
        account_id,
        instance_uuid,
        epoch(first_seen_at) AS from_s,
        epoch(ended_at) AS to_s
    FROM instance_history
    WHERE status NOT IN (SELECT status FROM instance_status WHERE state <> 'unknown')
        OR charging_type NOT IN (SELECT charging_type FROM charging_type WHERE unit IS NOT NULL)
)
SELECT
    d.account,
    d.day,
    d.ends_s - d.begins_s AS span_s,
    d.ends_s - d.begins_s - COALESCE(g.gap_s, 0) AS observed_s,
    COALESCE(g.longest_gap_s, 0) AS longest_gap_s,
    polls_of_day(d, 'complete') AS complete,
    polls_of_day(d, 'partial') AS partial,
    polls_of_day(d, 'failed') AS failed,
    polls_of_day(d, 'skipped') AS skipped,
    (
        SELECT COUNT(*) FROM rejected_record r
        WHERE r.account_id = d.account_id AND r.resource = 'instances'
            AND r.first_seen_at >= instant(d.day_starts_s)
            AND r.first_seen_at < instant(d.day_ends_s)
    ) AS rejected,
    COALESCE(c.unknown_codes, 0) AS unknown_codes,
    in_hours(d.ends_s - d.begins_s) AS span_hours,
    in_hours(d.ends_s - d.begins_s - COALESCE(g.gap_s, 0)) AS observed_hours,
    CASE
        WHEN d.ends_s > d.begins_s
        THEN percent_of_time(d.ends_s - d.begins_s - COALESCE(g.gap_s, 0), d.ends_s - d.begins_s)
    END AS observed_percent,
    periods_of(d.day)
FROM (
    SELECT
        s.account_id,
        s.account,
        c.day,
        c.starts_s AS day_starts_s,
        c.ends_s AS day_ends_s,
        later(s.first_s, c.starts_s) AS begins_s,
        earlier(s.last_s, c.ends_s) AS ends_s
    FROM _sync_bounds s
    JOIN calendar_day c ON c.ends_s > s.first_s AND c.starts_s <= s.last_s
) d
LEFT JOIN (
    SELECT
        account,
        day,
        sum_of(ends_s - begins_s) AS gap_s,
        CAST(MAX(ends_s - begins_s) AS BIGINT) AS longest_gap_s
    FROM (
        SELECT
            u.account,
            c.day,
            later(u.from_s, c.starts_s) AS begins_s,
            earlier(u.to_s, c.ends_s) AS ends_s
        FROM (
            SELECT account, gap_from_s AS from_s, gap_to_s AS to_s FROM sync_gap
            UNION ALL
            -- polls that were not whole observed nothing, before the first whole one and after the newest
            SELECT account, first_s, COALESCE(first_whole_s, last_s)
            FROM _sync_bounds
            WHERE COALESCE(first_whole_s, last_s) - first_s > {GAP_S}
            UNION ALL
            SELECT account, last_whole_s, last_s FROM _sync_bounds WHERE last_s - last_whole_s > {GAP_S}
        ) u
        JOIN calendar_day c ON c.starts_s < u.to_s AND c.ends_s > u.from_s
    ) gap_days
    GROUP BY account, day
) g ON g.account = d.account AND g.day = d.day
LEFT JOIN (
    SELECT account_id, day, COUNT(DISTINCT instance_uuid) AS unknown_codes
    FROM (
        SELECT h.account_id, c.day, h.instance_uuid
        FROM unknown_version h
        CROSS JOIN calendar_day c
        WHERE c.ends_s > h.from_s AND (h.to_s IS NULL OR c.starts_s < h.to_s)
    ) unknown_days
    GROUP BY account_id, day
) c ON c.account_id = d.account_id AND c.day = d.day
