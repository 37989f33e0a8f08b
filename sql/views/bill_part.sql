-- Every line of the bill cut into days, with what it can be attributed to. A moment, or a window of whole
-- days at a time at which something prepaid was held, is of prepaid time, another window of running time;
-- `spread_over` is null where nothing of that kind was used then. Several instances may have run in
-- a window: which of them it is of, no bill says.
-- @column account the account's name
-- @column charge_channel 1 balance, 2 compute card, 0 unknown
-- @column starts_s start of the settlement window, epoch seconds
-- @column ends_s its end, epoch seconds
-- @column amount_microcny the part of the amount that falls into the day; millionths of a yuan
-- @column cut_microcny how much of it another day might have instead: what is rounded up to whole steps is not spread as it is charged
-- @column is_prepaid 1 where its window is one of whole days, or a moment, as those of prepaid time are
-- @column spread_over running, held, or null
SELECT
    account,
    account_id,
    day,
    order_number,
    charge_channel,
    remark,
    line_no,
    settle_start_at,
    settle_end_at,
    starts_s,
    ends_s,
    amount_microcny,
    CASE
        WHEN starts_s >= day_starts_s AND ends_s <= day_ends_s OR step_s = 1 THEN 0
        ELSE ABS(amount_microcny)
            * CASE WHEN ends_s - starts_s < step_s THEN ends_s - starts_s ELSE step_s END
            / (
                CASE WHEN ends_s < day_ends_s THEN ends_s ELSE day_ends_s END
                - CASE WHEN starts_s > day_starts_s THEN starts_s ELSE day_starts_s END
            )
    END AS cut_microcny,
    is_prepaid,
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
        d.account_id,
        a.name AS account,
        d.day,
        d.order_number,
        d.charge_channel,
        d.remark,
        d.line_no,
        d.settle_start_at,
        d.settle_end_at,
        epoch(d.settle_start_at) AS starts_s,
        epoch(d.settle_end_at) AS ends_s,
        c.starts_s AS day_starts_s,
        c.ends_s AS day_ends_s,
        m.step_s,
        d.amount_microcny,
        CASE
            WHEN (epoch(d.settle_end_at) - epoch(d.settle_start_at)) / 86400 * 86400
                = epoch(d.settle_end_at) - epoch(d.settle_start_at)
            THEN 1
            ELSE 0
        END AS is_prepaid
    FROM bill_day d
    JOIN account a ON a.account_id = d.account_id
    JOIN calendar_day c ON c.day = d.day
    CROSS JOIN charging_model m
) l
