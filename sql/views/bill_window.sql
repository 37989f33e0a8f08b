-- The lines of the bill of each window and channel together, cut into days, with what they can be attributed
-- to. A moment, or a window of whole days at a time at which something prepaid was held, is of prepaid time,
-- another window of running time; `spread_over` is null where nothing of that kind was used then. Several
-- instances may have run in a window: which of them it is of, no bill says.
-- @column account the account's name
-- @column starts_s start of the settlement window, epoch seconds
-- @column ends_s its end, epoch seconds
-- @column is_prepaid 1 where the window is one of whole days, or a moment, as those of prepaid time are
-- @column lines bill lines of that window
-- @column amount_microcny the part of their amounts that falls into the day; millionths of a yuan
-- @column cut_microcny how much of it another day might have instead, see `bill_part`
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
    cut_microcny,
    CASE
        WHEN is_prepaid = 1 AND (
            (
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
        account,
        account_id,
        day,
        charge_channel,
        settle_start_at,
        settle_end_at,
        MIN(starts_s) AS starts_s,
        MIN(ends_s) AS ends_s,
        MIN(is_prepaid) AS is_prepaid,
        COUNT(*) AS lines,
        CAST(SUM(amount_microcny) AS BIGINT) AS amount_microcny,
        CAST(SUM(cut_microcny) AS BIGINT) AS cut_microcny
    FROM bill_part
    GROUP BY account, account_id, day, charge_channel, settle_start_at, settle_end_at
) l
