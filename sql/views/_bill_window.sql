-- Bill lines added up by window and channel, cut into days, with the kind of usage that they are attributed
-- to. A moment, or a window of whole days in which something prepaid was held, is of prepaid time, any
-- other window of running time; `spread_over` is null if nothing of that kind was used then. Several
-- instances may have run in a window, and no bill says which of them it is for.
-- @column account the account's name
-- @column starts_s start of the settlement window, epoch seconds
-- @column ends_s its end, epoch seconds
-- @column is_prepaid 1 if the window is one of whole days, or a moment, as those of prepaid time are
-- @column lines bill lines of that window
-- @column amount_microcny the part of their amounts that falls into the day; millionths of a yuan
-- @column cut_microcny how much of it another day might have instead: charging by the hour, one begun hour of a window that goes past midnight; millionths of a yuan
-- @column spread_over running, held, or null
SELECT
    account,
    account_id,
    day,
    charge_channel,
    settle_start_at,
    settle_end_at,
    starts_s,
    ends_s,
    is_prepaid,
    lines,
    amount_microcny,
    CAST(
        CASE
            -- within one day, or charged by the second: no other day might have any of it
            WHEN starts_s >= day_starts_s AND ends_s <= day_ends_s OR step_s = 1 THEN 0
            ELSE size_microcny
                * earlier(ends_s - starts_s, step_s)
                / (
                    earlier(ends_s, day_ends_s)
                    - later(starts_s, day_starts_s)
                )
        END AS BIGINT
    ) AS cut_microcny,
    CASE
        WHEN is_prepaid = 1 AND (
            (
                -- in the order of an index, from its end: the first one that fits is enough
                SELECT 1 FROM usage_cost u
                WHERE u.day = l.day AND u.account_id = l.account_id AND u.kind = 'held'
                    AND u.starts_s <= l.ends_s AND u.starts_s + u.charged_max_s >= l.starts_s
                ORDER BY u.starts_s DESC LIMIT 1
            ) = 1 OR EXISTS (
                SELECT 1 FROM instance_usage o
                WHERE o.account_id = l.account_id AND o.ended_at IS NULL AND o.kind = 'held'
                    AND epoch(o.started_at) <= l.ends_s
            )
        )
        THEN 'held'
        WHEN starts_s < ends_s AND (
            (
                SELECT 1 FROM usage_cost u
                WHERE u.day = l.day AND u.account_id = l.account_id AND u.kind = 'running'
                    AND u.starts_s < l.ends_s AND u.starts_s + u.charged_max_s > l.starts_s
                ORDER BY u.starts_s DESC LIMIT 1
            ) = 1 OR EXISTS (
                SELECT 1 FROM instance_usage o
                WHERE o.account_id = l.account_id AND o.ended_at IS NULL AND o.kind = 'running'
                    AND epoch(o.started_at) < l.ends_s
            )
        )
        THEN 'running'
    END AS spread_over
FROM (
    SELECT
        a.name AS account,
        d.account_id,
        d.day,
        d.charge_channel,
        d.settle_start_at,
        d.settle_end_at,
        d.starts_s,
        d.ends_s,
        CASE WHEN is_of_days(d.starts_s, d.ends_s) THEN 1 ELSE 0 END
            AS is_prepaid,
        d.lines,
        d.amount_microcny,
        d.size_microcny,
        c.starts_s AS day_starts_s,
        c.ends_s AS day_ends_s,
        m.step_s
    FROM (
        -- first together, then looked at: a bill may have many lines for each window
        SELECT
            account_id,
            day,
            charge_channel,
            settle_start_at,
            settle_end_at,
            epoch(settle_start_at) AS starts_s,
            epoch(settle_end_at) AS ends_s,
            COUNT(*) AS lines,
            sum_of(amount_microcny) AS amount_microcny,
            sum_of(ABS(amount_microcny)) AS size_microcny
        FROM bill_day
        GROUP BY account_id, day, charge_channel, settle_start_at, settle_end_at
    ) d
    JOIN account a ON a.account_id = d.account_id
    JOIN calendar_day c ON c.day = d.day
    CROSS JOIN _charging_model m
) l
